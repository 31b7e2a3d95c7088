//! SELECT and EXAMINE, with CONDSTORE's parameter (RFC 3501, RFC 4466, RFC 7162).

use super::Body;
use crate::imap::cursor::{Cursor, ParseError};
use crate::imap::flag::{self, Flag};

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

/// What a client is told of how many messages there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    Exists(u32),
    Recent(u32),
}

impl Count {
    /// `* n EXISTS`, `* n RECENT`
    pub fn print(self, out: &mut Vec<u8>) {
        let line = match self {
            Count::Exists(count) => format!("* {count} EXISTS\r\n"),
            Count::Recent(count) => format!("* {count} RECENT\r\n"),
        };
        out.extend_from_slice(line.as_bytes());
    }
}

/// `* FLAGS SP flag-list`
pub fn print_flags(out: &mut Vec<u8>, flags: &[Flag]) {
    out.extend_from_slice(b"* FLAGS ");
    flag::print_list(out, flags);
    out.extend_from_slice(b"\r\n");
}
