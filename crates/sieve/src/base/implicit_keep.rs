//! `implicit_keep_target` (Cyrus's own): where the implicit keep puts the message.

use super::target::TargetTags;
use crate::check::Arguments;
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::text::Text;
use crate::program::{Action, Flow};

#[derive(Debug)]
struct ImplicitKeepTarget {
    tags: TargetTags,
    name: Text,
}

pub(super) fn check(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    let tags = TargetTags::take(arguments);
    let name = arguments.string("the name of a mailbox")?;
    Some(Box::new(ImplicitKeepTarget { tags, name }))
}

impl Action for ImplicitKeepTarget {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        context.state.keep_target = Some(self.tags.target(&self.name, context)?);
        Ok(Flow::Next)
    }
}
