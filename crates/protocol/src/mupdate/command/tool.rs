//! For the operator's tools, and ours alone: a plan of deletions that is held, a conflict that is shown, and, on the local socket
//! only, the entries themselves.

use nom::Parser;
use nom::combinator::map;

use super::Command;
use crate::grammar::{Cursor, Parsed};
use crate::mupdate::lex::last;

/// What a tool asks of the daemon whose list it shares a host with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    /// Every entry, whole.
    Dump,
    /// Store an entry whole, as `DUMP` tells it.
    Put { entry: String },
    /// Forget an entry.
    Drop { name: String },
    /// The list is another one from now on.
    Renew,
    /// Put a mailbox away under the deleted tree, here alone.
    Wipe { name: String },
}

/// `RESOLVE SP name`
pub fn resolve(at: Cursor<'_>) -> Parsed<'_, Command> {
    map(last, |name| Command::Resolve { name }).parse(at)
}

/// `PUT SP entry`
pub fn put(at: Cursor<'_>) -> Parsed<'_, Command> {
    map(last, |entry| Command::Tool(Tool::Put { entry })).parse(at)
}

/// `DROP SP name`
pub fn forget(at: Cursor<'_>) -> Parsed<'_, Command> {
    map(last, |name| Command::Tool(Tool::Drop { name })).parse(at)
}

/// `WIPE SP name`
pub fn wipe(at: Cursor<'_>) -> Parsed<'_, Command> {
    map(last, |name| Command::Tool(Tool::Wipe { name })).parse(at)
}
