//! Who the client is, and how the connection goes on: AUTHENTICATE, STARTTLS, LOGOUT, NOOP (RFC 3656 section 4), and COMPRESS
//! as Cyrus has it. STARTTLS, LOGOUT and NOOP have no arguments. HERE is ours, advertised by `* MURDER`.

use nom::Parser;
use nom::combinator::{map, opt};

use super::Command;
use crate::grammar::{Cursor, ParseError, Parsed};
use crate::mupdate::lex::{Word, argument, blank, last, word};

/// `AUTHENTICATE SP mechanism [SP (string / "=")]`: a Cyrus client with an empty initial response sends a bare `=`, which Cyrus's
/// own server rejects.
pub fn authenticate(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, mechanism) = argument(at)?;
    let (at, initial) = match word(at) {
        Ok((at, Word::String(bytes))) => (at, Some(bytes.into_owned())),
        Ok((at, Word::Atom(b"="))) => (at, Some(b"=".to_vec())),
        // A blank at the end is forgiven.
        Err(nom::Err::Error(ParseError::Missing)) => (opt(blank).parse(at)?.0, None),
        Ok((_, Word::Atom(_))) | Err(_) => return Err(ParseError::Extra.into()),
    };
    Ok((at, Command::Authenticate { mechanism, initial }))
}

/// `COMPRESS SP algorithm`
pub fn compress(at: Cursor<'_>) -> Parsed<'_, Command> {
    map(last, |algorithm| Command::Compress { algorithm }).parse(at)
}

/// `HERE SP server`: which server the connection speaks for, so that the master knows when it was last heard of.
pub fn here(at: Cursor<'_>) -> Parsed<'_, Command> {
    map(last, |server| Command::Here { server }).parse(at)
}

#[cfg(test)]
mod tests {
    use crate::mupdate::command::tests::answered;

    #[test]
    fn an_initial_response_is_a_string_or_a_bare_equals_sign() {
        for (line, expected) in [
            ("A01 AUTHENTICATE \"PLAIN\"\r\n", None),
            ("A01 AUTHENTICATE \"PLAIN\" =\r\n", None),
            ("A01 AUTHENTICATE \"PLAIN\" {4+}\r\nAAAA\r\n", None),
            ("A01 AUTHENTICATE \"PLAIN\" AAAA\r\n", Some("Bad Extra arguments")),
            ("A01 AUTHENTICATE PLAIN\r\n", Some("Bad Missing arguments")),
        ] {
            assert_eq!(answered(line).as_deref(), expected, "{line:?}");
        }
    }
}
