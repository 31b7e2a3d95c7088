//! What nodes of this project say to each other: XCLIENT, by which a frontend tells where a session comes from, and
//! `XKICK SP astring`, which ends the sessions of a user, or the one of that name. They are for those whom `proxyservers` lists.

use nom::Parser;

use super::mailbox::one;
use crate::grammar::{Cursor, ParseError, Parsed, argument, run};
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
