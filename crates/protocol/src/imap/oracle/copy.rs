#![allow(unused_imports)]
use super::cursor::{Cursor, ParseError};
use super::mailbox::one;
use super::status;
use super::words::{date, flag as parse_flag, flag_list, sequence_set};
use crate::imap::command::copy::*;
use crate::imap::command::status::StatusItem;
use crate::imap::{Body, Date, Flag, SequenceSet, flag};
use crate::origin::Origin;

pub fn parse(cursor: &mut Cursor<'_>, uid: bool, moves: bool) -> Result<Body, ParseError> {
    cursor.space()?;
    let set = sequence_set(cursor)?;
    let mailbox = one(cursor)?;
    Ok(Body::Copy(Copy { uid, set, mailbox, moves }))
}

pub fn expunge(cursor: &mut Cursor<'_>, uid: bool) -> Result<Body, ParseError> {
    let mut uids = None;
    if uid {
        cursor.space()?;
        uids = Some(sequence_set(cursor)?);
    }
    Ok(Body::Expunge(Expunge { uids }))
}
