#![allow(unused_imports)]
use super::cursor::{Cursor, ParseError};
use super::mailbox::one;
use super::status;
use super::words::{date, flag as parse_flag, flag_list, sequence_set};
use crate::imap::command::quota::*;
use crate::imap::command::status::StatusItem;
use crate::imap::{Body, Date, Flag, SequenceSet, flag};
use crate::origin::Origin;

pub fn set(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let root = one(cursor)?;
    cursor.space()?;
    let limits = cursor.list(16, |cursor| {
        let resource = cursor.atom()?.to_ascii_uppercase();
        cursor.space()?;
        let negative = cursor.eat(b'-');
        let limit = cursor.number64().map_err(|_| ParseError::Text("Invalid quota list in Setquota"))?;
        Ok((resource, (!negative).then_some(limit)))
    })?;
    Ok(Body::SetQuota(SetQuota { root, limits }))
}
