//! What is asked of the list: FIND and LIST (RFC 3656 section 4), and STATUS, which is ours.

use nom::Parser;
use nom::combinator::map;

use super::Command;
use crate::grammar::{Cursor, Parsed};
use crate::mupdate::lex::{last, optional};

/// `FIND SP name`
pub fn find(at: Cursor<'_>) -> Parsed<'_, Command> {
    map(last, |name| Command::Find { name }).parse(at)
}

/// `LIST [SP location-prefix]`
pub fn list(at: Cursor<'_>) -> Parsed<'_, Command> {
    map(optional, |prefix| Command::List { prefix }).parse(at)
}

/// `STATUS [SP name]`
pub fn status(at: Cursor<'_>) -> Parsed<'_, Command> {
    map(optional, |name| Command::Status { name }).parse(at)
}

#[cfg(test)]
mod tests {
    use crate::mupdate::command::tests::answered;

    #[test]
    fn one_name_is_looked_for() {
        for (line, expected) in [
            ("X0 FIND \"user.a\"\r\n", None),
            ("X0 FIND\r\n", Some("Bad Missing arguments")),
            ("X0 FIND user.a\r\n", Some("Bad Extra arguments")),
            ("X0 FIND \"user.a\" \"b\"\r\n", Some("Bad Extra arguments")),
        ] {
            assert_eq!(answered(line).as_deref(), expected, "{line:?}");
        }
    }

    #[test]
    fn a_list_may_be_of_one_server() {
        assert_eq!(answered("X0 LIST\r\n"), None);
        assert_eq!(answered("X0 LIST \"b!\"\r\n"), None);
    }
}
