//! SETQUOTA: RFC 9208.

use super::Body;
use super::mailbox::one;
use crate::imap::cursor::{Cursor, ParseError};

/// `SETQUOTA SP root SP "(" *(resource SP limit) ")"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetQuota {
    /// A leading `+` makes the root even where no mailbox has its name.
    pub root: String,
    /// Names in upper case; no limit where a frontend wrote -1.
    pub limits: Vec<(String, Option<u64>)>,
}

pub fn set(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let root = one(cursor)?;
    cursor.space()?;
    let limits = cursor.list(16, |cursor| {
        let resource = cursor.atom()?.to_ascii_uppercase();
        cursor.space()?;
        let negative = cursor.eat(b'-');
        let limit =
            cursor.number64().map_err(|_| ParseError::Text("Invalid quota list in Setquota".to_owned()))?;
        Ok((resource, (!negative).then_some(limit)))
    })?;
    Ok(Body::SetQuota(SetQuota { root, limits }))
}
