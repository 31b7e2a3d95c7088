#![allow(unused_imports)]
use super::cursor::{Cursor, ParseError};
use super::mailbox::one;
use super::status;
use super::words::{date, flag as parse_flag, flag_list, sequence_set};
use crate::imap::command::node::*;
use crate::imap::command::status::StatusItem;
use crate::imap::{Body, Date, Flag, SequenceSet, flag};
use crate::origin::Origin;

pub fn xclient(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    cursor.space()?;
    let words = cursor.take_while(|byte| byte == b' ' || byte.is_ascii_graphic());
    let origin = std::str::from_utf8(words).ok().and_then(Origin::parse);
    origin.map(Body::XClient).ok_or(ParseError::Invalid("origin"))
}
