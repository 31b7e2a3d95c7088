//! What nodes of this project say to each other: XCLIENT, by which a frontend tells where a session comes from, and
//! `XKICK SP astring`, which ends the sessions of a user, or the one of that name. They are for those whom `proxyservers` lists.

use super::Body;
use crate::imap::cursor::{Cursor, ParseError};
use crate::origin::Origin;

/// `XCLIENT 1*(SP name "=" xtext)`
pub fn xclient(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    cursor.space()?;
    let words = cursor.take_while(|byte| byte == b' ' || byte.is_ascii_graphic());
    let origin = std::str::from_utf8(words).ok().and_then(Origin::parse);
    origin.map(Body::XClient).ok_or(ParseError::Invalid("origin"))
}
