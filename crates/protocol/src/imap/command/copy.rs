//! COPY, MOVE (RFC 6851), EXPUNGE and UID EXPUNGE (RFC 4315).

use nom::Parser;
use nom::combinator::{cond, map};

use super::mailbox::one;
use crate::grammar::{Cursor, Parsed, argument};
use crate::imap::SequenceSet;

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

pub fn parse(at: Cursor<'_>, uid: bool, moves: bool) -> Parsed<'_, Copy> {
    let (at, (set, mailbox)) = (argument(SequenceSet::parse), one).parse(at)?;
    Ok((at, Copy { uid, set, mailbox, moves }))
}

pub fn expunge(at: Cursor<'_>, uid: bool) -> Parsed<'_, Expunge> {
    map(cond(uid, argument(SequenceSet::parse)), |uids| Expunge { uids }).parse(at)
}

/// `* n EXPUNGE`
pub fn print_expunge(out: &mut Vec<u8>, sequence: u32) {
    out.extend_from_slice(format!("* {sequence} EXPUNGE\r\n").as_bytes());
}
