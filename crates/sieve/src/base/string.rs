//! `string` (RFC 5229 section 5).
//!
//! ```text
//! string [MATCH-TYPE] [COMPARATOR] <source: string-list> <key-list: string-list>
//! ```

use crate::check::Arguments;
use crate::matching::{Kind, MatchTags, Matcher};
use crate::program::Test;
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::text::Text;

#[derive(Debug)]
struct StringTest {
    sources: Vec<Text>,
    matcher: Matcher,
    /// `:count`: an empty string counts nothing.
    counts: bool,
}

pub(super) fn check(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let tags = MatchTags::take(arguments);
    let sources = arguments.strings("the strings");
    let keys = arguments.strings("keys");
    let (sources, keys) = (sources?, keys?);
    let counts = matches!(tags.kind, Kind::Count(_));
    Some(Box::new(StringTest { sources, matcher: Matcher::new(tags, keys, arguments)?, counts }))
}

impl Test for StringTest {
    fn test(&self, context: &mut Context<'_>) -> Result<bool, RunError> {
        let values = self.sources.iter().map(|source| source.name(context));
        let found = self.matcher.search(context, values.filter(|value| !self.counts || !value.is_empty()))?;
        Ok(context.matched(found))
    }
}
