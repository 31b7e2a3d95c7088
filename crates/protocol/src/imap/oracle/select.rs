#![allow(unused_imports)]
use super::cursor::{Cursor, ParseError};
use super::mailbox::one;
use super::status;
use super::words::{date, flag as parse_flag, flag_list, sequence_set};
use crate::imap::command::select::*;
use crate::imap::command::status::StatusItem;
use crate::imap::{Body, Date, Flag, SequenceSet, flag};
use crate::origin::Origin;

pub fn parse(cursor: &mut Cursor<'_>, read_only: bool) -> Result<Body, ParseError> {
    cursor.space()?;
    let mailbox = cursor.mailbox()?;
    let mut condstore = false;
    if cursor.space().is_ok() {
        cursor.list(8, |cursor| match cursor.atom()?.to_ascii_uppercase().as_str() {
            "CONDSTORE" => {
                condstore = true;
                Ok(())
            }
            _ => Err(ParseError::Invalid("modifier")),
        })?;
    }
    Ok(Body::Select(Select { mailbox, read_only, condstore }))
}
