//! `reject` and `ereject` (RFC 5429).

use crate::check::Arguments;
use crate::program::context::Context;
use crate::program::effect;
use crate::program::error::RunError;
use crate::program::text::Text;
use crate::program::{Action, Flow};

#[derive(Debug)]
struct Reject {
    text: Text,
    extended: bool,
}

pub(super) fn reject(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    Some(Box::new(Reject { text: arguments.string("the reason")?, extended: false }))
}

pub(super) fn ereject(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    Some(Box::new(Reject { text: arguments.string("the reason")?, extended: true }))
}

impl Action for Reject {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        let text = self.text.owned(context)?;
        context.reject(effect::Reject { text, extended: self.extended })?;
        Ok(Flow::Next)
    }
}
