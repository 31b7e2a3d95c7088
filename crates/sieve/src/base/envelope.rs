//! `envelope` (RFC 5228 section 5.4).
//!
//! ```text
//! envelope [COMPARATOR] [ADDRESS-PART] [MATCH-TYPE] <envelope-part: string-list> <key-list: string-list>
//! ```
//!
//! The parts are `from`, `to` (of this recipient, as it came in RCPT) and Cyrus's `auth`.

use crate::check::Arguments;
use crate::matching::{AddressPart, MatchTags, Matcher};
use crate::message::Address;
use crate::program::Test;
use crate::program::context::Context;
use crate::program::env;
use crate::program::error::RunError;
use crate::program::text::Text;

#[derive(Debug)]
struct Envelope {
    part: AddressPart,
    names: Vec<Text>,
    matcher: Matcher,
}

pub(super) fn check(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let tags = MatchTags::take(arguments);
    let part = AddressPart::take(arguments);
    let names = arguments.strings("the parts of the envelope");
    let keys = arguments.strings("keys");
    let (names, keys) = (names?, keys?);
    for name in names.iter().filter_map(Text::constant) {
        if !["from", "to", "auth"].iter().any(|known| known.eq_ignore_ascii_case(name)) {
            arguments.fail(arguments.line, format!("envelope: there is no part {name}"));
        }
    }
    Some(Box::new(Envelope { part, names, matcher: Matcher::new(tags, keys, arguments)? }))
}

impl Test for Envelope {
    fn test(&self, context: &mut Context<'_>) -> Result<bool, RunError> {
        let mut values = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let Some(value) = item(context.envelope, &name.value(context)?) else { continue };
            values.push(Address::bare(value));
        }
        // The null reverse-path is empty, whichever part is asked for.
        let part = |address| match Address::all(address) {
            "" => Some(""),
            _ => self.part.of(address),
        };
        let found = self.matcher.search(context, values.iter().filter_map(part))?;
        Ok(context.matched(found))
    }
}

fn item<'e>(envelope: &'e env::Envelope, name: &str) -> Option<&'e str> {
    match name.to_ascii_lowercase().as_str() {
        "from" => Some(&envelope.from),
        "to" => Some(&envelope.to),
        "auth" => envelope.auth.as_deref(),
        _ => None,
    }
}
