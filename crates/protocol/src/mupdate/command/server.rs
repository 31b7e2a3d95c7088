//! Which backends take no new mailboxes: ours, advertised by `* MURDER "SERVERS"`.
//!
//! SERVERS is answered with a line for each that does not, `tag SERVER server "cordoned" since`; a RESUME that follows on the
//! connection then tells of changes too, of one that takes them again as `tag SERVER server "open"`. Whoever does not ask
//! is told nothing.

use nom::Parser;
use nom::combinator::map;

use super::Command;
use crate::grammar::{Cursor, Parsed};
use crate::mupdate::lex::last;

/// `CORDON SP server`
pub fn cordon(at: Cursor<'_>) -> Parsed<'_, Command> {
    map(last, |server| Command::Cordon { server, cordoned: true }).parse(at)
}

/// `UNCORDON SP server`
pub fn uncordon(at: Cursor<'_>) -> Parsed<'_, Command> {
    map(last, |server| Command::Cordon { server, cordoned: false }).parse(at)
}

#[cfg(test)]
mod tests {
    use crate::mupdate::command::tests::answered;

    #[test]
    fn one_server_is_named() {
        for (line, expected) in [
            ("X0 SERVERS\r\n", None),
            ("X0 SERVERS \"be1\"\r\n", Some("Bad Extra arguments")),
            ("X0 CORDON \"be1\"\r\n", None),
            ("X0 UNCORDON {3+}\r\nbe1\r\n", None),
            ("X0 CORDON\r\n", Some("Bad Missing arguments")),
            ("X0 CORDON \"be1\" \"be2\"\r\n", Some("Bad Extra arguments")),
        ] {
            assert_eq!(answered(line).as_deref(), expected, "{line:?}");
        }
    }
}
