#![allow(unused_imports)]
use super::cursor::{Cursor, ParseError};
use super::mailbox::one;
use super::status;
use super::words::{date, flag as parse_flag, flag_list, sequence_set};
use crate::imap::command::admin::*;
use crate::imap::command::status::StatusItem;
use crate::imap::{Body, Date, Flag, SequenceSet, flag};
use crate::origin::Origin;

pub fn xfer(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let (mailbox, server) = (one(cursor)?, one(cursor)?);
    let partition = if cursor.space().is_ok() { Some(cursor.text()?) } else { None };
    Ok(Body::Xfer(Xfer { mailbox, server, partition }))
}
