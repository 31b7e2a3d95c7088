//! `header` (RFC 5228 section 5.7).
//!
//! ```text
//! header [COMPARATOR] [MATCH-TYPE] <header-names: string-list> <key-list: string-list>
//! ```

use super::names;
use crate::check::Arguments;
use crate::matching::{MatchTags, Matcher, MimeView, Select};
use crate::program::Test;
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::text::Text;

#[derive(Debug)]
struct Header {
    select: Select,
    view: MimeView,
    names: Vec<Text>,
    matcher: Matcher,
}

pub(super) fn check(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let tags = MatchTags::take(arguments);
    let select = Select::take(arguments);
    let view = MimeView::take(&select, arguments);
    let names = names::fields(arguments);
    let keys = arguments.strings("keys");
    let (names, keys) = (names?, keys?);
    Some(Box::new(Header { select, view, names, matcher: Matcher::new(tags, keys, arguments)? }))
}

impl Test for Header {
    fn test(&self, context: &mut Context<'_>) -> Result<bool, RunError> {
        let fields = self.names.iter().flat_map(|name| self.select.fields(context, &name.name(context)));
        let found = self.matcher.search(context, self.view.values(context, fields)?)?;
        Ok(context.matched(found))
    }
}
