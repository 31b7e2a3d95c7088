//! SELECT and EXAMINE, with CONDSTORE's parameter (RFC 3501, RFC 4466, RFC 7162).

use super::Body;
use crate::imap::cursor::{Cursor, ParseError};

/// `("SELECT" / "EXAMINE") SP mailbox [SP "(" param *(SP param) ")"]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    pub mailbox: String,
    /// EXAMINE: nothing changes.
    pub read_only: bool,
    /// `(CONDSTORE)`
    pub condstore: bool,
}

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
