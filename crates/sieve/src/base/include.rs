//! `include`, `return` and `global` (RFC 6609 section 3).
//!
//! ```text
//! include [:global / :personal] [:once] [:optional] <value: string>
//! return
//! global <value: string-list>
//! ```

use crate::check::{Arguments, Checker, Included};
use crate::extension::Extension;
use crate::program::context::Context;
use crate::program::env::Location;
use crate::program::error::RunError;
use crate::program::text::Text;
use crate::program::{self};
use crate::program::{Action, Flow};
use crate::tree::{Command, Tests};

#[derive(Debug)]
struct Include {
    location: Location,
    once: bool,
    optional: bool,
    name: Text,
}

pub(super) fn include(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    let location =
        arguments.one_of(&[(":personal", None, Location::Personal), (":global", None, Location::Global)]);
    let location = location.unwrap_or(Location::Personal);
    let once = arguments.flag(":once", None);
    let optional = arguments.flag(":optional", None);
    let name = arguments.string("the name of a script")?;
    if let Some(name) = name.constant() {
        if !is_script_name(name) {
            arguments.fail(arguments.line, format!("include: {name:?} is no name of a script"));
        }
        let included = Included { line: arguments.line, location, name: name.to_owned(), optional };
        arguments.checker.includes(included);
    }
    Some(Box::new(Include { location, once, optional, name }))
}

impl Action for Include {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        let name = self.name.owned(context)?;
        if !is_script_name(&name) {
            return Err(RunError::new(format!("include: {name:?} is no name of a script")));
        }
        let Include { location, once, optional, .. } = *self;
        Ok(Flow::Include(program::Include { location, name, once, optional }))
    }
}

#[derive(Debug)]
struct Return;

pub(super) fn give_back(_arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    Some(Box::new(Return))
}

impl Action for Return {
    fn act(&self, _context: &mut Context<'_>) -> Result<Flow, RunError> {
        Ok(Flow::Return)
    }
}

/// A declaration: it makes nothing to run.
pub(super) fn global(checker: &mut Checker<'_>, command: &Command) {
    if command.tests != Tests::None || command.block.is_some() {
        checker.problem(command.line, "global takes names of variables alone");
    }
    if !checker.has(Extension::Variables) {
        return checker.problem(command.line, "global needs require \"variables\"");
    }
    let mut arguments = checker.arguments(command);
    let names = arguments.constants("names of variables");
    arguments.end();
    for name in names.into_iter().flatten() {
        checker.declare_global(command.line, &name);
    }
}

fn is_script_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && !name.chars().any(char::is_control)
}
