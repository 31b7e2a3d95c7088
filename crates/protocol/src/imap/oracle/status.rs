#![allow(unused_imports)]
use super::cursor::{Cursor, ParseError};
use super::mailbox::one;
use super::words::{date, flag as parse_flag, flag_list, sequence_set};
use crate::imap::command::status::*;
use crate::imap::{Body, Date, Flag, SequenceSet, flag};
use crate::origin::Origin;

pub fn parse(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let mailbox = one(cursor)?;
    cursor.space()?;
    Ok(Body::Status(Status { mailbox, items: items(cursor)? }))
}

pub fn items(cursor: &mut Cursor<'_>) -> Result<Vec<StatusItem>, ParseError> {
    let items = cursor.list(32, |cursor| {
        let word = cursor.atom()?;
        let found = ALL.into_iter().find(|item| item.name().eq_ignore_ascii_case(word));
        found.ok_or(ParseError::Invalid("status attribute"))
    })?;
    if items.is_empty() { Err(ParseError::Missing) } else { Ok(items) }
}
use StatusItem::*;
const ALL: [StatusItem; 9] =
    [Messages, Recent, UidNext, UidValidity, Unseen, Size, HighestModseq, MailboxId, Deleted];
