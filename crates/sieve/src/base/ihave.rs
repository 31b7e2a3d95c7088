//! `ihave` and `error` (RFC 5463).
//!
//! What a script may use is known when it is checked, so that the answer is too: what stands behind an `ihave` of something that is
//! missing is dropped, whatever it says.

use crate::check::{Arguments, Checker};
use crate::extension::Extension;
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::text::Text;
use crate::program::{Action, Flow, Op};
use crate::tree::{Test, Tests};

pub(super) fn ihave(checker: &mut Checker<'_>, test: &Test) -> Option<bool> {
    if test.tests != Tests::None {
        checker.problem(test.line, "ihave takes no test");
    }
    let mut arguments = checker.test_arguments(test);
    let names = arguments.constants("names of extensions");
    if !arguments.end() {
        return None;
    }
    let names = names?;
    let has = names.iter().all(|name| checker.knows(name));
    if has {
        for name in &names {
            // Whether it is used is not looked at: the script asks what there is.
            checker.require(name);
            if let Some(extension) = Extension::named(name) {
                checker.has(extension);
            }
        }
    }
    checker.emit(Op::Answer(has));
    Some(has)
}

#[derive(Debug)]
struct Error(Text);

pub(super) fn error(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    Some(Box::new(Error(arguments.string("the message")?)))
}

impl Action for Error {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        Err(RunError::new(self.0.owned(context)?))
    }
}
