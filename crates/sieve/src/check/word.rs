//! The words that a script may use, as rows of a table.

use super::{Arguments, Checker};
use crate::extension::Extension;
use crate::program::{Action, Test};
use crate::tree;

/// A command.
#[derive(Debug)]
pub struct CommandWord {
    /// In lower case.
    pub name: &'static str,
    /// Any one of these must have been required; empty: none must.
    pub needs: &'static [Extension],
    pub check: CommandCheck,
}

#[derive(Debug)]
pub enum CommandCheck {
    /// A command with arguments alone. It reads all of them; what is left over is a mistake. None: it has reported what is wrong.
    Action(fn(&mut Arguments<'_, '_>) -> Option<Box<dyn Action>>),
    /// One with a test or a block: it makes its own ops.
    Control(fn(&mut Checker<'_>, &tree::Command)),
}

/// A test.
#[derive(Debug)]
pub struct TestWord {
    pub name: &'static str,
    pub needs: &'static [Extension],
    pub check: TestCheck,
}

#[derive(Debug)]
pub enum TestCheck {
    Test(fn(&mut Arguments<'_, '_>) -> Option<Box<dyn Test>>),
    /// A test of tests, or one whose answer is known now: it makes its own ops, and says the answer if it is the same in each run.
    Control(fn(&mut Checker<'_>, &tree::Test) -> Option<bool>),
}

/// All words. Names are in several tables, each of which stands beside its words.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    pub commands: &'static [&'static [CommandWord]],
    pub tests: &'static [&'static [TestWord]],
}

impl Words {
    pub fn command(&self, name: &str) -> Option<&'static CommandWord> {
        let mut all = self.commands.iter().flat_map(|table| table.iter());
        all.find(|word| word.name.eq_ignore_ascii_case(name))
    }

    pub fn test(&self, name: &str) -> Option<&'static TestWord> {
        let mut all = self.tests.iter().flat_map(|table| table.iter());
        all.find(|word| word.name.eq_ignore_ascii_case(name))
    }
}
