//! `log` (Cyrus's `vnd.cyrus.log`): a line for the server's log.

use crate::check::Arguments;
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::text::Text;
use crate::program::{Action, Flow};

#[derive(Debug)]
struct Log(Text);

pub(super) fn check(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    Some(Box::new(Log(arguments.string("the text")?)))
}

impl Action for Log {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        let text = self.0.owned(context)?;
        context.log(text)?;
        Ok(Flow::Next)
    }
}
