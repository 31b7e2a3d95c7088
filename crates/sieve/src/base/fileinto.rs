//! `fileinto` (RFC 5228 section 4.1), with `:copy` (RFC 3894), `:flags` (RFC 5232), `:create` (RFC 5490), and the tags of `target.rs`.

use super::flags;
use super::target::TargetTags;
use crate::check::Arguments;
use crate::extension::Extension;
use crate::program::context::Context;
use crate::program::effect::Store;
use crate::program::error::RunError;
use crate::program::text::Text;
use crate::program::{Action, Flow};

#[derive(Debug)]
struct Fileinto {
    tags: TargetTags,
    create: bool,
    copy: bool,
    flags: Option<Vec<Text>>,
    name: Text,
}

pub(super) fn check(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Action>> {
    let tags = TargetTags::take(arguments);
    let create = arguments.flag(":create", Some(Extension::Mailbox));
    let copy = arguments.flag(":copy", Some(Extension::Copy));
    let flags = arguments.tagged_strings(":flags", Some(Extension::Imap4flags));
    let name = arguments.string("the name of a mailbox")?;
    if name.constant() == Some("") {
        arguments.fail(arguments.line, "fileinto: the name of the mailbox is empty");
    }
    // What `${hex:}` gives that is no UTF-8.
    if name.constant().is_some_and(|name| name.contains(char::REPLACEMENT_CHARACTER)) {
        arguments.fail(arguments.line, "fileinto: the name of the mailbox is not UTF-8");
    }
    Some(Box::new(Fileinto { tags, create, copy, flags, name }))
}

impl Action for Fileinto {
    fn act(&self, context: &mut Context<'_>) -> Result<Flow, RunError> {
        let store = Store {
            target: self.tags.target(&self.name, context)?,
            flags: flags::of_message(self.flags.as_deref(), context)?,
            create: self.create,
            edits: context.state.edits.clone(),
        };
        context.store(store, self.copy)?;
        Ok(Flow::Next)
    }
}
