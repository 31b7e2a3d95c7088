//! POST, IHAVE (RFC 3977 section 6.3), CHECK, TAKETHIS (RFC 4644): articles that come.
//!
//! ```text
//! "POST"            ("IHAVE" / "CHECK" / "TAKETHIS") WS message-id          CHECK takes any word for one, TAKETHIS anything
//! ```

use super::Command;
use super::arguments::of;
use crate::grammar::{Cursor, Parsed};
use crate::nntp::words::MessageId;

pub(super) fn ihave(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, id) = of(MessageId::parse)(at)?;
    Ok((at, Command::Ihave(id)))
}

pub(super) fn check(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, id) = of(lenient)(at)?;
    Ok((at, Command::Check(id)))
}

/// Everything on the line is taken for the message-id: an article follows whatever is wrong with it, and must not be read as commands.
pub(super) fn takethis(at: Cursor<'_>) -> Parsed<'_, Command> {
    let id = String::from_utf8_lossy(at.rest()).trim_matches([' ', '\t']).to_owned();
    Ok((at.with(&[]), Command::TakeThis(id)))
}

/// What stands for a message-id where answers repeat it (RFC 4644 section 2.4.2): any word. What is none is refused by its own code,
/// so that a client that streams stays in step.
fn lenient(text: &str) -> Option<String> {
    Some(text.to_owned())
}
