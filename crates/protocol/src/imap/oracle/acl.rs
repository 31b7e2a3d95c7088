#![allow(unused_imports)]
use super::cursor::{Cursor, ParseError};
use super::mailbox::one;
use super::status;
use super::words::{date, flag as parse_flag, flag_list, sequence_set};
use crate::imap::command::acl::*;
use crate::imap::command::status::StatusItem;
use crate::imap::{Body, Date, Flag, SequenceSet, flag};
use crate::origin::Origin;

pub fn set(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let (mailbox, identifier, word) = (one(cursor)?, one(cursor)?, one(cursor)?);
    let (change, rights) = match (word.strip_prefix('+'), word.strip_prefix('-')) {
        (Some(rights), _) => (Change::Add, rights),
        (_, Some(rights)) => (Change::Remove, rights),
        _ => (Change::Replace, word.as_str()),
    };
    Ok(Body::SetAcl(SetAcl { mailbox, identifier, change, rights: rights.to_owned() }))
}

pub fn delete(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    Ok(Body::DeleteAcl(DeleteAcl { mailbox: one(cursor)?, identifier: one(cursor)? }))
}

pub fn list_rights(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    Ok(Body::ListRights(ListRights { mailbox: one(cursor)?, identifier: one(cursor)? }))
}
