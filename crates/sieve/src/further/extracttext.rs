//! `extracttext`: RFC 5703 section 7.
//!
//! ```text
//! extracttext [MODIFIER] [":first" number] <varname: string>
//! ```
//!
//! The text of the part that `foreverypart` is at, in UTF-8; empty for a part that is no text, or cannot be read.

use crate::base::set::Modifiers;
use crate::check::Arguments;
use crate::extension::Extension;
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::slot::{Slot, cut};
use crate::program::{Action, Flow};

#[derive(Debug)]
struct ExtractText {
    modifiers: Modifiers,
    first: Option<u64>,
    slot: Slot,
}

pub(super) fn check(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    let line = arguments.line;
    if !arguments.checker.has(Extension::Variables) {
        arguments.fail(line, "extracttext needs require \"variables\"");
        return None;
    }
    if arguments.checker.loops.is_empty() {
        arguments.checker.warning(line, "extracttext outside of foreverypart extracts nothing");
    }
    let modifiers = Modifiers::take(arguments);
    let first = arguments.tagged_number(":first", None);
    let name = arguments.constant("the name of a variable")?;
    let slot = arguments.checker.variable(line, &name)?;
    Some(Box::new(ExtractText { modifiers, first, slot }))
}

impl Action for ExtractText {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        let parts = context.message.parts();
        let part = context.state.open_loop().and_then(|open| parts.get(open.at));
        let text = part.filter(|part| part.is_readable_text()).map(|part| part.text(context.message.raw()));
        let text = text.unwrap_or_default();
        context.charge_bytes(text.len() / 8)?;
        let most = self.first.map_or(usize::MAX, |first| usize::try_from(first).unwrap_or(usize::MAX));
        let end = text.char_indices().nth(most).map_or(text.len(), |(end, _)| end);
        let mut text = text.get(..end).unwrap_or_default().to_owned();
        cut(&mut text);
        let text = self.modifiers.apply(text, context)?;
        context.state.set(self.slot, text);
        Ok(Flow::Next)
    }
}
