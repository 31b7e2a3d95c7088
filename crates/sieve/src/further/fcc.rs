//! `:fcc`: a copy of what a script sends. RFC 8580.
//!
//! ```text
//! FCC      =/ ":fcc" <mailbox: string> [FCC-OPTS]
//! FCC-OPTS =/ [":create"] [":flags" <list-of-flags: string-list>]            RFC 8580 section 3.2
//! FCC-OPTS =/ [":specialuse" <special-use-attr: string>] [":mailboxid" <mailbox-objectid: string>]   RFC 8579, RFC 9042
//! ```

use crate::base::flags;
use crate::base::target::TargetTags;
use crate::check::Arguments;
use crate::extension::Extension;
use crate::program::context::Context;
use crate::program::effect::Store;
use crate::program::error::RunError;
use crate::program::text::Text;

/// Where a copy goes.
#[derive(Debug)]
pub(super) struct Fcc {
    tags: TargetTags,
    mailbox: Text,
    create: bool,
    flags: Vec<Text>,
}

impl Fcc {
    /// None: there is no `:fcc`. Its options without it are a mistake, which the end of the arguments reports.
    pub(super) fn take(arguments: &mut Arguments<'_, '_>) -> Option<Fcc> {
        let mailbox = arguments.tagged_string(":fcc", Some(Extension::Fcc))?;
        let create = arguments.flag(":create", Some(Extension::Mailbox));
        let flags = arguments.tagged_strings(":flags", Some(Extension::Imap4flags));
        let tags = TargetTags::take(arguments);
        Some(Fcc { tags, mailbox, create, flags: flags.unwrap_or_default() })
    }

    pub(super) fn store(&self, context: &Context<'_>) -> Result<Store, RunError> {
        let target = self.tags.target(&self.mailbox, context)?;
        let flags = flags::of_message(Some(&self.flags), context)?;
        Ok(Store { target, flags, create: self.create, edits: None })
    }
}
