//! COPY, MOVE (RFC 6851), EXPUNGE and UID EXPUNGE (RFC 4315).

use super::Body;
use crate::imap::SequenceSet;
use crate::imap::cursor::{Cursor, ParseError};

/// `("COPY" / "MOVE") SP sequence-set SP mailbox`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    pub uid: bool,
    pub set: SequenceSet,
    pub mailbox: String,
    pub moves: bool,
}

/// `EXPUNGE`, or `UID EXPUNGE SP sequence-set`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expunge {
    pub uids: Option<SequenceSet>,
}

pub fn parse(cursor: &mut Cursor<'_>, uid: bool, moves: bool) -> Result<Body, ParseError> {
    cursor.space()?;
    let set = SequenceSet::parse(cursor)?;
    let mailbox = super::mailbox::one(cursor)?;
    Ok(Body::Copy(Copy { uid, set, mailbox, moves }))
}

pub fn expunge(cursor: &mut Cursor<'_>, uid: bool) -> Result<Body, ParseError> {
    let mut uids = None;
    if uid {
        cursor.space()?;
        uids = Some(SequenceSet::parse(cursor)?);
    }
    Ok(Body::Expunge(Expunge { uids }))
}

/// `* n EXPUNGE`
pub fn print_expunge(out: &mut Vec<u8>, sequence: u32) {
    out.extend_from_slice(format!("* {sequence} EXPUNGE\r\n").as_bytes());
}
