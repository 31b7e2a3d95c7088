//! XFER, by which a mailbox moves to another backend.

use super::Body;
use super::mailbox::one;
use crate::imap::cursor::{Cursor, ParseError};

/// `XFER SP mailbox SP server [SP partition]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xfer {
    pub mailbox: String,
    pub server: String,
    pub partition: Option<String>,
}

pub fn xfer(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let (mailbox, server) = (one(cursor)?, one(cursor)?);
    let partition = if cursor.space().is_ok() { Some(cursor.text()?) } else { None };
    Ok(Body::Xfer(Xfer { mailbox, server, partition }))
}
