//! XFER, by which a mailbox moves to another backend, and MUPDATEPUSH, which tells the master of it again.

use nom::Parser;

use super::mailbox::one;
use crate::grammar::{Cursor, Parsed, argument, list_mailbox, optional, text};

/// `XFER SP list-mailbox SP server [SP partition]`. A pattern needs no quotes, as in Cyrus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xfer {
    pub mailbox: String,
    pub server: String,
    pub partition: Option<String>,
}

pub fn xfer(at: Cursor<'_>) -> Parsed<'_, Xfer> {
    let (at, (mailbox, server, partition)) =
        (argument(list_mailbox), argument(text), optional(text)).parse(at)?;
    Ok((at, Xfer { mailbox, server, partition }))
}

/// `MUPDATEPUSH SP mailbox`
pub fn mupdate_push(at: Cursor<'_>) -> Parsed<'_, String> {
    one(at)
}
