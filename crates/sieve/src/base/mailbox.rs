//! `mailboxexists` (RFC 5490 section 3.1): whether all of these mailboxes are there and may be filed into.

use crate::check::Arguments;
use crate::program::Test;
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::text::{self, Text};

#[derive(Debug)]
struct MailboxExists(Vec<Text>);

pub(super) fn check(arguments: &mut Arguments<'_, '_>) -> Option<Box<dyn Test>> {
    Some(Box::new(MailboxExists(arguments.strings("names of mailboxes")?)))
}

impl Test for MailboxExists {
    fn test(&self, context: &mut Context<'_>) -> Result<bool, RunError> {
        for name in text::owned(&self.0, context)? {
            context.charge(QUESTION)?;
            if !context.env.mailbox_exists(&name) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A question to the store is as much work as so many commands.
const QUESTION: u64 = 50;
