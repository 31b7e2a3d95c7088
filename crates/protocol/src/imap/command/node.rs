//! What nodes of this project say to each other: XCLIENT, by which a frontend tells where a session comes from, and
//! `XKICK SP astring`, which ends the sessions of a user, or the one of that name; and XTAKE, the last step of a MOVE to another
//! backend. They are for those whom `proxyservers` lists.

use nom::Parser;

use super::mailbox::one;
use crate::grammar::{Cursor, ParseError, Parsed, argument, run};
use crate::imap::SequenceSet;
use crate::origin::Origin;

/// `XCLIENT 1*(SP name "=" xtext)`
pub fn xclient(at: Cursor<'_>) -> Parsed<'_, Origin> {
    let (at, words) = argument(run(|byte| byte == b' ' || byte.is_ascii_graphic())).parse(at)?;
    let origin = str::from_utf8(words).ok().and_then(Origin::parse);
    Ok((at, origin.ok_or(ParseError::Invalid("origin"))?))
}

/// `XKICK SP astring`
pub fn xkick(at: Cursor<'_>) -> Parsed<'_, String> {
    one(at)
}

/// `XTAKE SP uid-set`: takes messages out of the open mailbox, whatever their flags. Of several who take the same message one does;
/// `OK [XTAKEN [uid-set] SP modseq]` says which were taken here, and HIGHESTMODSEQ.
pub fn xtake(at: Cursor<'_>) -> Parsed<'_, SequenceSet> {
    argument(SequenceSet::parse)(at)
}
