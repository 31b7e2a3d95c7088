//! STORE: RFC 3501, RFC 7162 (UNCHANGEDSINCE).

use super::Body;
use crate::imap::cursor::{Cursor, ParseError};
use crate::imap::{Flag, SequenceSet, flag};

/// `STORE SP sequence-set [SP "(UNCHANGEDSINCE" SP modseq ")"] SP ["+" / "-"] "FLAGS" [".SILENT"] SP flags`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    pub uid: bool,
    pub set: SequenceSet,
    pub unchanged_since: Option<u64>,
    pub how: How,
    pub silent: bool,
    pub flags: Vec<Flag>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Replace,
    Add,
    Remove,
}

pub fn parse(cursor: &mut Cursor<'_>, uid: bool) -> Result<Body, ParseError> {
    cursor.space()?;
    let set = SequenceSet::parse(cursor)?;
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
    let flags = if cursor.peek() == Some(b'(') { Flag::list(cursor)? } else { bare(cursor)? };
    Ok(Body::Store(Store { uid, set, unchanged_since, how, silent, flags }))
}

/// `flag *(SP flag)`
fn bare(cursor: &mut Cursor<'_>) -> Result<Vec<Flag>, ParseError> {
    let mut flags = vec![Flag::parse(cursor)?];
    while flags.len() < flag::MAX && cursor.space().is_ok() {
        flags.push(Flag::parse(cursor)?);
    }
    Ok(flags)
}
