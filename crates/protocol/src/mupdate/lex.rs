//! Words and strings of one whole command or response (RFC 3656 section 2), literals in their place.
//!
//! Liberal in what is read: bare LF, `\x` escapes in quoted strings, 8-bit text. What is written: quoted where that is
//! safe and short, else a non-synchronising literal.

use std::borrow::Cow;

use nom::Parser;
use nom::combinator::{map, verify};
use nom::sequence::separated_pair;

use crate::grammar::{Cursor, Limits, ParseError, Parsed, byte, literal, quoted, run};

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word<'a> {
    Atom(&'a [u8]),
    String(Cow<'a, [u8]>),
}

/// The text of a whole command or response. Its words have no bounds of their own: the frame has.
pub fn cursor(frame: &[u8]) -> Cursor<'_> {
    Cursor::new(frame, Limits::NONE)
}

/// Whether the line ends here.
pub fn at_end(at: Cursor<'_>) -> bool {
    matches!(at.rest(), b"" | b"\n" | b"\r\n" | b"\r")
}

/// `tag SP [word]`: what every command and response begins with.
pub fn head(at: Cursor<'_>) -> Parsed<'_, (&[u8], &[u8])> {
    separated_pair(verify(atom, |tag: &[u8]| !tag.is_empty()), blank, atom).parse(at)
}

/// The atom that stands here, perhaps empty.
fn atom(at: Cursor<'_>) -> Parsed<'_, &[u8]> {
    run(|b| !b" \t\r\n()\"".contains(&b)).parse(at)
}

/// The blank before an argument.
pub fn blank(at: Cursor<'_>) -> Parsed<'_, ()> {
    byte(b' ')(at)
}

/// `SP (atom / string)`
pub fn word(at: Cursor<'_>) -> Parsed<'_, Word<'_>> {
    if at_end(at) {
        return Err(ParseError::Missing.into());
    }
    let (at, ()) = blank(at)?;
    match at.peek() {
        Some(b'"' | b'{') => map(string, Word::String).parse(at),
        _ => match atom(at)? {
            (at, b"") if at_end(at) => Err(ParseError::Missing.into()),
            (_, b"") => Err(ParseError::Invalid("word").into()),
            (at, atom) => Ok((at, Word::Atom(atom))),
        },
    }
}

/// `string = quoted / literal`
fn string(at: Cursor<'_>) -> Parsed<'_, Cow<'_, [u8]>> {
    match at.peek() {
        Some(b'{') => map(literal, Cow::Borrowed).parse(at),
        _ => quoted(|escaped| !b"\r\n\0".contains(&escaped))(at),
    }
}

/// `SP string`, with an argument after it.
pub fn argument(at: Cursor<'_>) -> Parsed<'_, String> {
    match word(at) {
        Ok((at, Word::String(bytes))) => Ok((at, text(bytes)?)),
        _ => Err(ParseError::Missing.into()),
    }
}

/// `SP string`, which may be the last. Cyrus notices a bare word where it looks for what comes after it.
pub fn last(at: Cursor<'_>) -> Parsed<'_, String> {
    match word(at) {
        Ok((at, Word::String(bytes))) => Ok((at, text(bytes)?)),
        Err(nom::Err::Error(ParseError::Missing)) => Err(ParseError::Missing.into()),
        _ => Err(ParseError::Extra.into()),
    }
}

/// `[SP string]`
pub fn optional(at: Cursor<'_>) -> Parsed<'_, Option<String>> {
    if at_end(at) { Ok((at, None)) } else { map(last, Some).parse(at) }
}

/// Nothing may follow.
pub fn end(at: Cursor<'_>) -> Parsed<'_, ()> {
    if at_end(at) { Ok((at, ())) } else { Err(ParseError::Extra.into()) }
}

fn text(bytes: Cow<'_, [u8]>) -> Result<String, ParseError> {
    String::from_utf8(bytes.into_owned()).map_err(|_| ParseError::Invalid("string"))
}

/// Writes a string towards a client: quoted where it is plain and the line stays short, since the clients of 3.6.5 and
/// 3.8.3 do not take a literal.
pub fn put_string(out: &mut Vec<u8>, line_start: usize, text: &[u8]) {
    let plain = text.iter().all(|&b| b < 0x80 && !b"\r\n\0\"\\".contains(&b));
    if plain && out.len() - line_start + text.len() < QUOTED_LINE {
        out.push(b'"');
        out.extend_from_slice(text);
        out.push(b'"');
    } else {
        put_literal(out, text);
    }
}

/// Writes a string as Cyrus's clients do.
pub fn put_literal(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(format!("{{{}+}}\r\n", text.len()).as_bytes());
    out.extend_from_slice(text);
}

/// Writes the text of a reply: quoted, with what may not stand there replaced.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    out.extend(
        text.bytes().map(|b| if !(b' '..0x7f).contains(&b) || b"\"\\".contains(&b) { b'\'' } else { b }),
    );
    out.push(b'"');
}

/// RFC 3656: lines of fewer octets must be accepted. Room is left for quotes, blanks and the line end.
const QUOTED_LINE: usize = 1008;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &[u8]) -> Result<Vec<Vec<u8>>, ParseError> {
        let mut at = cursor(text);
        let mut out = vec![at.read(atom)?.to_vec()];
        while !at_end(at) {
            out.push(match at.read(word)? {
                Word::Atom(a) => a.to_vec(),
                Word::String(s) => s.into_owned(),
            });
        }
        Ok(out)
    }

    #[test]
    fn words_strings_and_literals() {
        assert_eq!(
            words(b"X0 \"a b\" {3+}\r\nq\"\n \"x\\\"y\" =\r\n").unwrap(),
            [&b"X0"[..], b"a b", b"q\"\n", b"x\"y", b"="]
        );
        assert_eq!(words(b"t {0+}\r\n\n").unwrap(), [&b"t"[..], b""]);
        for wrong in
            [&b"t \"a\r\n"[..], b"t \"a\"\"b\"\r\n", b"t {4+}\r\nabc", b"t {2+}\r\na\0\r\n", b"t (\r\n"]
        {
            assert!(words(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(texts in proptest::collection::vec("[^\u{0}]{0,40}", 0..5), literal in any::<bool>()) {
            let mut out = b"tag".to_vec();
            for text in &texts {
                out.push(b' ');
                if literal { put_literal(&mut out, text.as_bytes()) } else { put_string(&mut out, 0, text.as_bytes()) }
            }
            out.extend_from_slice(b"\r\n");
            let mut expected = vec![b"tag".to_vec()];
            expected.extend(texts.iter().map(|t| t.as_bytes().to_vec()));
            prop_assert_eq!(words(&out).unwrap(), expected);
        }

        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = words(&bytes);
        }
    }
}
