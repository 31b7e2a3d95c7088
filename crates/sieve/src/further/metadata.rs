//! `metadata`, `metadataexists`, `servermetadata` and `servermetadataexists`: RFC 5490 sections 3 and 4.
//!
//! ```text
//! metadata [MATCH-TYPE] [COMPARATOR] <mailbox: string> <annotation-name: string> <key-list: string-list>
//! metadataexists <mailbox: string> <annotation-names: string-list>
//! servermetadata [MATCH-TYPE] [COMPARATOR] <annotation-name: string> <key-list: string-list>
//! servermetadataexists <annotation-names: string-list>
//! ```

use super::mailboxes::LOOK;
use crate::check::Arguments;
use crate::matching::{MatchTags, Matcher};
use crate::program::Test;
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::text::{Text, owned};

/// An annotation has a value that matches.
#[derive(Debug)]
struct Metadata {
    /// None: of the server.
    mailbox: Option<Text>,
    entry: Text,
    matcher: Matcher,
}

/// All annotations are there.
#[derive(Debug)]
struct MetadataExists {
    mailbox: Option<Text>,
    entries: Vec<Text>,
}

pub(super) fn mailbox(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let tags = MatchTags::take(arguments);
    let mailbox = arguments.string("the mailbox")?;
    matching(tags, Some(mailbox), arguments)
}

pub(super) fn server(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let tags = MatchTags::take(arguments);
    matching(tags, None, arguments)
}

fn matching(
    tags: MatchTags,
    mailbox: Option<Text>,
    arguments: &mut Arguments<'_, '_>,
) -> Option<Box<dyn Test>> {
    let entry = arguments.string("the name of an annotation")?;
    let keys = arguments.strings("keys")?;
    Some(Box::new(Metadata { mailbox, entry, matcher: Matcher::new(tags, keys, arguments)? }))
}

pub(super) fn mailbox_exists(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let mailbox = arguments.string("the mailbox")?;
    let entries = arguments.strings("names of annotations")?;
    Some(Box::new(MetadataExists { mailbox: Some(mailbox), entries }))
}

pub(super) fn server_exists(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let entries = arguments.strings("names of annotations")?;
    Some(Box::new(MetadataExists { mailbox: None, entries }))
}

impl Test for Metadata {
    fn test(&self, context: &mut Context<'_>) -> Result<bool, RunError> {
        let mailbox = self.mailbox.as_ref().map(|name| name.owned(context)).transpose()?;
        let entry = self.entry.owned(context)?;
        let value = look(mailbox.as_deref(), &entry, context)?;
        let found = self.matcher.search(context, value)?;
        Ok(context.matched(found))
    }
}

impl Test for MetadataExists {
    fn test(&self, context: &mut Context<'_>) -> Result<bool, RunError> {
        let mailbox = self.mailbox.as_ref().map(|name| name.owned(context)).transpose()?;
        for entry in owned(&self.entries, context)? {
            if look(mailbox.as_deref(), &entry, context)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn look(mailbox: Option<&str>, entry: &str, context: &mut Context<'_>) -> Result<Option<String>, RunError> {
    context.charge(LOOK)?;
    Ok(match mailbox {
        Some(mailbox) => context.env.metadata(mailbox, entry),
        None => context.env.server_metadata(entry),
    })
}
