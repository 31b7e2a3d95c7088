#![allow(unused_imports)]
use super::cursor::{Cursor, ParseError};
use super::mailbox::one;
use super::status;
use super::words::{date, flag as parse_flag, flag_list, sequence_set};
use crate::imap::command::status::StatusItem;
use crate::imap::command::store::*;
use crate::imap::{Body, Date, Flag, SequenceSet, flag};
use crate::origin::Origin;

pub fn parse(cursor: &mut Cursor<'_>, uid: bool) -> Result<Body, ParseError> {
    cursor.space()?;
    let set = sequence_set(cursor)?;
    cursor.space()?;
    let mut unchanged_since = None;
    if cursor.peek() == Some(b'(') {
        cursor.list(4, |cursor| {
            if !cursor.eat_word("UNCHANGEDSINCE") {
                return Err(ParseError::Invalid("modifier"));
            }
            cursor.space()?;
            unchanged_since = Some(cursor.number64()?);
            Ok(())
        })?;
        cursor.space()?;
    }
    let how = match (cursor.eat(b'+'), cursor.eat(b'-')) {
        (true, _) => How::Add,
        (_, true) => How::Remove,
        _ => How::Replace,
    };
    let silent = match cursor.atom()?.to_ascii_uppercase().as_str() {
        "FLAGS" => false,
        "FLAGS.SILENT" => true,
        _ => return Err(ParseError::Invalid("item")),
    };
    cursor.space()?;
    let flags = if cursor.peek() == Some(b'(') { flag_list(cursor)? } else { bare(cursor)? };
    Ok(Body::Store(Store { uid, set, unchanged_since, how, silent, flags }))
}

fn bare(cursor: &mut Cursor<'_>) -> Result<Vec<Flag>, ParseError> {
    let mut flags = vec![parse_flag(cursor)?];
    while flags.len() < flag::MAX && cursor.space().is_ok() {
        flags.push(parse_flag(cursor)?);
    }
    Ok(flags)
}
