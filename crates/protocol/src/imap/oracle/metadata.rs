#![allow(unused_imports)]
use super::cursor::{Cursor, ParseError};
use super::mailbox::one;
use super::status;
use super::words::{date, flag as parse_flag, flag_list, sequence_set};
use crate::imap::command::metadata::*;
use crate::imap::command::status::StatusItem;
use crate::imap::{Body, Date, Flag, SequenceSet, flag};
use crate::origin::Origin;

pub fn get(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        options(cursor)?;
        cursor.space()?;
    }
    let mailbox = cursor.mailbox()?;
    cursor.space()?;
    let before = cursor.clone();
    if cursor.peek() == Some(b'(') && (options(cursor).is_err() || cursor.space().is_err()) {
        *cursor = before;
    }
    Ok(Body::GetMetadata(GetMetadata { mailbox, entries: words(cursor)? }))
}

pub fn annotation(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let mailbox = one(cursor)?;
    cursor.space()?;
    let entries = words(cursor)?;
    cursor.space()?;
    Ok(Body::GetAnnotation(GetAnnotation { mailbox, entries, attributes: words(cursor)? }))
}

fn options(cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
    cursor.list(4, |cursor| {
        let option = cursor.atom()?.to_ascii_uppercase();
        cursor.space()?;
        match option.as_str() {
            "MAXSIZE" | "DEPTH" => cursor.astring().map(|_| ()),
            _ => Err(ParseError::Invalid("option")),
        }
    })?;
    Ok(())
}

fn words(cursor: &mut Cursor<'_>) -> Result<Vec<String>, ParseError> {
    if cursor.peek() == Some(b'(') {
        return cursor.list(64, Cursor::list_mailbox);
    }
    Ok(vec![cursor.list_mailbox()?])
}
