//! `specialuse_exists` (RFC 8579 section 3) and `mailboxidexists` (RFC 9042 section 5).
//!
//! ```text
//! specialuse_exists [<mailbox: string>] <special-use-attrs: string-list>
//! mailboxidexists <mailbox-objectids: string-list>
//! ```
//!
//! Each is true if all that it names are there.

use crate::check::Arguments;
use crate::program::Test;
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::text::{Text, owned};

#[derive(Debug)]
struct SpecialUseExists {
    mailbox: Option<Text>,
    uses: Vec<Text>,
}

#[derive(Debug)]
struct MailboxIdExists {
    ids: Vec<Text>,
}

pub(super) fn special_use(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let mailbox = match arguments.positionals() {
        0 | 1 => None,
        _ => Some(arguments.string("the mailbox")?),
    };
    let uses = arguments.strings("special uses")?;
    Some(Box::new(SpecialUseExists { mailbox, uses }))
}

pub(super) fn id(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    let ids = arguments.strings("ids of mailboxes")?;
    Some(Box::new(MailboxIdExists { ids }))
}

impl Test for SpecialUseExists {
    fn test(&self, context: &mut Context<'_>) -> Result<bool, RunError> {
        let mailbox = self.mailbox.as_ref().map(|name| name.owned(context)).transpose()?;
        for special_use in owned(&self.uses, context)? {
            context.charge(LOOK)?;
            if !context.env.special_use_exists(mailbox.as_deref(), &special_use) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Test for MailboxIdExists {
    fn test(&self, context: &mut Context<'_>) -> Result<bool, RunError> {
        for id in owned(&self.ids, context)? {
            context.charge(LOOK)?;
            if !context.env.mailbox_id_exists(&id) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Steps of a question to the server.
pub(super) const LOOK: u64 = 100;
