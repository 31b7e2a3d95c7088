//! `duplicate`: RFC 7352.
//!
//! ```text
//! duplicate [":handle" <handle: string>] [":header" <header-name: string> / ":uniqueid" <value: string>]
//!           [":seconds" <timeout: number>] [":last"]
//! ```
//!
//! Only earlier messages count: what this run marks is recorded when the message has been delivered (section 3).

use crate::check::Arguments;
use crate::program::Test;
use crate::program::context::Context;
use crate::program::effect::{Effect, MarkDuplicate};
use crate::program::error::RunError;
use crate::program::text::Text;

#[derive(Debug)]
struct Duplicate {
    handle: Option<Text>,
    source: Source,
    seconds: u64,
    last: bool,
}

/// Where the id of a message comes from.
#[derive(Debug)]
enum Source {
    Header(Text),
    Given(Text),
}

pub(super) fn check(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let handle = arguments.tagged_string(":handle", None);
    let header = arguments.tagged_string(":header", None);
    let given = arguments.tagged_string(":uniqueid", None);
    let seconds = arguments.tagged_number(":seconds", None).unwrap_or(WEEK);
    let last = arguments.flag(":last", None);
    let source = match (header, given) {
        (Some(_), Some(_)) => {
            arguments.fail(arguments.line, ":header and :uniqueid exclude each other");
            return None;
        }
        (Some(name), None) => Source::Header(name),
        (None, Some(value)) => Source::Given(value),
        (None, None) => Source::Header(Text::fixed("Message-ID")),
    };
    Some(Box::new(Duplicate { handle, source, seconds, last }))
}

impl Test for Duplicate {
    fn test(&self, context: &mut Context<'_>) -> Result<bool, RunError> {
        let value = match &self.source {
            Source::Given(value) => value.owned(context)?,
            Source::Header(name) => {
                let name = name.value(context)?;
                context.charge(context.fields().len() as u64 / 8)?;
                let field = context.fields().iter().find(|field| field.is(&name));
                field.map_or(String::new(), |field| field.value().to_owned())
            }
        };
        if value.is_empty() {
            return Ok(false);
        }
        let handle = match &self.handle {
            Some(handle) => handle.owned(context)?,
            None => String::new(),
        };
        context.charge_bytes(value.len() + handle.len())?;
        let id = format!("{handle}\0{value}");
        let seen = context.env.duplicate_seen(&id);
        if !seen || self.last {
            let mark = MarkDuplicate { id, seconds: self.seconds, last: self.last };
            let effects = &mut context.state.effects;
            let known = effects
                .iter_mut()
                .find(|effect| matches!(effect, Effect::MarkDuplicate(known) if known.id == mark.id));
            match known {
                Some(known) => *known = Effect::MarkDuplicate(mark),
                None => context.add(Effect::MarkDuplicate(mark))?,
            }
        }
        Ok(seen)
    }
}

/// The default of RFC 7352 section 3.3.
const WEEK: u64 = 7 * 86_400;
