//! The stream of changes: UPDATE (RFC 3656 section 4.10), of which Cyrus's PARTIAL-UPDATE names servers, and RESUME, which is
//! ours and goes on from a position.

use super::{Command, Position};
use crate::grammar::{Cursor, ParseError, Parsed};
use crate::mupdate::lex::{at_end, last, optional};

/// `UPDATE *(SP server)`
pub fn update(mut at: Cursor<'_>) -> Parsed<'_, Command> {
    let mut servers = Vec::new();
    while !at_end(at) {
        let (rest, server) = last(at)?;
        if server.is_empty() || servers.len() == SERVERS {
            return Err(ParseError::Invalid("server").into());
        }
        servers.push(server);
        at = rest;
    }
    Ok((at, Command::Update { servers }))
}

/// `RESUME [SP position]`
pub fn resume(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, text) = optional(at)?;
    let position = text.as_deref().map(|text| Position::parse(text).ok_or(ParseError::Invalid("position")));
    Ok((at, Command::Resume { position: position.transpose()? }))
}

/// Servers that one UPDATE may name.
const SERVERS: usize = 30;

#[cfg(test)]
mod tests {
    use crate::mupdate::command::tests::answered;

    #[test]
    fn an_update_may_be_of_some_servers() {
        for (line, expected) in [
            ("X0 UPDATE\r\n", None),
            ("X0 UPDATE \"be1\" \"be2\"\r\n", None),
            ("X0 UPDATE \"\"\r\n", Some("Bad Badly formed arguments")),
            ("X0 RESUME \"nonsense\"\r\n", Some("Bad Badly formed arguments")),
        ] {
            assert_eq!(answered(line).as_deref(), expected, "{line:?}");
        }
    }

    #[test]
    fn more_than_thirty_servers_are_refused() {
        let line = |n| format!("U01 UPDATE{}\r\n", " \"be\"".repeat(n));
        assert!(answered(&line(30)).is_none());
        assert!(answered(&line(31)).is_some());
    }
}
