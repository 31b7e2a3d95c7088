//! `environment` (RFC 5183 section 4).
//!
//! ```text
//! environment [COMPARATOR] [MATCH-TYPE] <name: string> <key-list: string-list>
//! ```

use crate::check::Arguments;
use crate::matching::{MatchTags, Matcher};
use crate::program::Test;
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::text::Text;

#[derive(Debug)]
struct Environment {
    name: Text,
    matcher: Matcher,
}

pub(super) fn check(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let tags = MatchTags::take(arguments);
    let name = arguments.string("the name of an item");
    let keys = arguments.strings("keys");
    let (name, keys) = (name?, keys?);
    Some(Box::new(Environment { name, matcher: Matcher::new(tags, keys, arguments)? }))
}

impl Test for Environment {
    fn test(&self, context: &mut Context<'_>) -> Result<bool, RunError> {
        let name = self.name.value(context)?.to_ascii_lowercase();
        // An item that is not known fails all tests, even those that look for nothing.
        let Some(value) = context.env.environment(&name) else { return Ok(false) };
        let found = self.matcher.search(context, [value])?;
        Ok(context.matched(found))
    }
}
