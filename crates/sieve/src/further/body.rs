//! `body`: RFC 5173.
//!
//! ```text
//! body [COMPARATOR] [MATCH-TYPE] [":raw" / ":content" <content-types: string-list> / ":text"] <key-list: string-list>
//! ```
//!
//! `:text` is the text of all parts of type text, HTML with its marks, as in Cyrus. No match sets match variables (section 6).

use std::borrow::Cow;

use crate::check::Arguments;
use crate::limits;
use crate::matching::{MatchTags, Matcher};
use crate::program::Test;
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::text::{Text, owned};

#[derive(Debug)]
struct Body {
    transform: Transform,
    matcher: Matcher,
}

#[derive(Debug)]
enum Transform {
    Raw,
    Content(Vec<Text>),
    Text,
}

pub(super) fn check(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let tags = MatchTags::take(arguments);
    let kind = arguments.one_of(&[(":raw", None, true), (":text", None, false)]);
    let content = arguments.tagged_strings(":content", None);
    if kind.is_some() && content.is_some() {
        arguments.fail(arguments.line, ":content excludes :raw and :text");
    }
    let transform = match (content, kind) {
        (Some(types), _) => Transform::Content(types),
        (None, Some(true)) => Transform::Raw,
        (None, _) => Transform::Text,
    };
    let keys = arguments.strings("keys")?;
    Some(Box::new(Body { transform, matcher: Matcher::new(tags, keys, arguments)? }))
}

impl Test for Body {
    fn test(&self, context: &mut Context<'_>) -> Result<bool, RunError> {
        let context = &*context;
        let found = match &self.transform {
            Transform::Raw => {
                let body = context.message.body();
                let raw = String::from_utf8_lossy(body.get(..limits::MATCH).unwrap_or(body));
                context.charge_bytes(raw.len() / 8)?;
                self.matcher.search(context, [raw])?
            }
            Transform::Content(types) => self.search(&owned(types, context)?, context)?,
            Transform::Text => self.search(&["text".to_owned()], context)?,
        };
        Ok(found.is_some())
    }
}

impl Body {
    /// Looks into all parts of these types, the message itself too.
    fn search(&self, types: &[String], context: &Context<'_>) -> Result<Option<Vec<String>>, RunError> {
        let raw = context.message.raw();
        let types: Vec<Wanted> = types.iter().filter_map(|name| Wanted::new(name)).collect();
        let parts = context.message.parts();
        context.charge((parts.len() as u64).saturating_mul(1 + types.len() as u64) / 8)?;
        let parts = parts.iter();
        let parts = parts.filter(|part| types.iter().any(|wanted| wanted.has(&part.media)));
        self.matcher.search(context, parts.map(|part| Cow::Borrowed(part.text(raw))))
    }
}

/// What `:content` names.
#[derive(Debug)]
enum Wanted {
    All,
    /// `text`, with the slash.
    Media(String),
    Exactly(String),
}

impl Wanted {
    /// None: a name with a slash too many fits nothing.
    fn new(name: &str) -> Option<Wanted> {
        let name = name.trim_ascii().to_ascii_lowercase();
        if name.is_empty() {
            return Some(Wanted::All);
        }
        match name.split_once('/') {
            None => Some(Wanted::Media(name + "/")),
            Some((media, subtype)) if media.is_empty() || subtype.is_empty() || subtype.contains('/') => None,
            Some(_) => Some(Wanted::Exactly(name)),
        }
    }

    fn has(&self, media: &str) -> bool {
        match self {
            Wanted::All => true,
            Wanted::Media(wanted) => media.starts_with(wanted),
            Wanted::Exactly(wanted) => media == wanted,
        }
    }
}
