//! What changes an entry: RESERVE, ACTIVATE, DEACTIVATE, DELETE (RFC 3656 section 4). What each makes of an entry is
//! [`crate::mupdate::state`].
//!
//! Ours, advertised by `* MURDER "EXPECT"`: each takes one string more, the state that it expects.
//!
//! ```text
//! expect = string                                   "none", "reserved@server", "active@server!partition"
//! ```
//!
//! With `* MURDER "FENCE"` there is "ours@server" too (nothing, or an entry of this server), and a place may end in
//! `#list:number`: the entry must be there by that change of that list, which `STATUS name` tells. What the string means is
//! the list's to say.

use std::sync::Arc;

use nom::Parser;
use nom::sequence::terminated;

use super::{Command, Write};
use crate::grammar::{Cursor, ParseError, Parsed};
use crate::location::Location;
use crate::mupdate::lex::{argument, end, last, optional};

/// `RESERVE SP name SP location [SP expect]`
pub fn reserve(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, (name, place, expect)) = (argument, last, expectation).parse(at)?;
    Ok((at, Command::Write { name, write: Write::Reserve(location(&place)?), expect }))
}

/// `ACTIVATE SP name SP location SP acl [SP expect]`
pub fn activate(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, (name, place, acl, expect)) = (argument, argument, last, expectation).parse(at)?;
    Ok((at, Command::Write { name, write: Write::Activate(location(&place)?, Arc::from(acl)), expect }))
}

/// `DEACTIVATE SP name SP location [SP expect]`
pub fn deactivate(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, (name, place, expect)) = (argument, last, expectation).parse(at)?;
    Ok((at, Command::Write { name, write: Write::Deactivate(location(&place)?), expect }))
}

/// `DELETE SP name [SP expect]`
pub fn delete(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, (name, expect)) = (last, expectation).parse(at)?;
    Ok((at, Command::Write { name, write: Write::Delete, expect }))
}

/// `[SP expect]`, the last of a command: what else is wrong with it is found before a bad location.
fn expectation(at: Cursor<'_>) -> Parsed<'_, Option<String>> {
    terminated(optional, end).parse(at)
}

fn location(text: &str) -> Result<Location, ParseError> {
    Location::parse(text).map_err(|_| ParseError::Invalid("location"))
}

#[cfg(test)]
mod tests {
    use crate::mupdate::command::tests::answered;

    #[test]
    fn a_write_is_read_or_refused_as_by_cyrus() {
        for (line, expected) in [
            ("X0 RESERVE \"user.a\"\r\n", Some("Bad Missing arguments")),
            ("X0 RESERVE user.a \"b!c\"\r\n", Some("Bad Missing arguments")),
            ("X0 RESERVE \"user.a\" \"b!c\"\r\n", None),
            ("X0 RESERVE {6+}\r\nuser.a {3+}\r\nb!c\r\n", None),
            ("X0 RESERVE {6}\r\nuser.a \"b!c!d\"\r\n", Some("Bad Badly formed arguments")),
            ("X0 ACTIVATE \"user.a\" \"b!c\"\r\n", Some("Bad Missing arguments")),
            ("X0 ACTIVATE \"user.a\" \"b!c\" \"\"\r\n", None),
            ("X0 DEACTIVATE \"user.a\" \"b!c\"\r\n", None),
            ("X0 DELETE \"user.a\" \"active@be1\"\r\n", None),
            ("X0 DELETE \"user.a\" \"none\" \"x\"\r\n", Some("Bad Extra arguments")),
        ] {
            assert_eq!(answered(line).as_deref(), expected, "{line:?}");
        }
    }
}
