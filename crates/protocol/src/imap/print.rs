//! Writing responses: RFC 3501 section 9.

use std::io::Write;

use crate::grammar::is_astring_byte;

/// A string as an atom where it can be one, else quoted, else a literal.
pub fn astring(out: &mut Vec<u8>, text: &[u8]) {
    let atom = !text.is_empty() && text.len() <= QUOTED_MAX && text.iter().all(|&b| is_astring_byte(b));
    if atom && !text.eq_ignore_ascii_case(b"NIL") {
        out.extend_from_slice(text);
    } else {
        string(out, text);
    }
}

/// The name of a mailbox. One that is not ASCII is told to those alone who take UTF-8 between quotes.
pub fn mailbox(out: &mut Vec<u8>, name: &str) {
    if name.is_ascii() || name.len() > QUOTED_MAX || name.chars().any(char::is_control) {
        return astring(out, name.as_bytes());
    }
    out.extend_from_slice(quoted(name).as_bytes());
}

/// A quoted string where it can be one, else a literal.
pub fn string(out: &mut Vec<u8>, text: &[u8]) {
    let quotable = text.len() <= QUOTED_MAX && text.iter().all(|&b| (b' '..0x7f).contains(&b) || b == b'\t');
    if !quotable {
        return literal(out, text);
    }
    between_quotes(out, text);
}

/// Between quotes, with what would end it escaped, as several protocols have it. What is in it is the caller's to judge.
pub(crate) fn between_quotes(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// A string between quotes, where a reader (NAMESPACE's) knows no other form; control characters are not to be in it.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A string, or NIL.
pub fn nstring(out: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        Some(text) => string(out, text),
        None => out.extend_from_slice(b"NIL"),
    }
}

pub fn literal(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(format!("{{{}}}\r\n", text.len()).as_bytes());
    out.extend_from_slice(text);
}

/// As `format!`, without a string in between.
pub fn text(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Memory takes all.
    let _ = out.write_fmt(text);
}

/// Text of a response: no control character may end the line early.
pub fn plain(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().map(|b| if b < b' ' || b == 0x7f { b' ' } else { b }));
}

/// Longer strings go as literals.
const QUOTED_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::{Cursor, Limits, astring as read_astring};
    use proptest::prelude::*;

    #[test]
    fn the_form_follows_the_bytes() {
        for (text, form) in [
            (&b"INBOX"[..], "INBOX"),
            (b"", "\"\""),
            (b"nil", "\"nil\""),
            (b"two words", "\"two words\""),
            (b"a\"b", "\"a\\\"b\""),
            (b"a\r\nb", "{4}\r\na\r\nb"),
            ("\u{e9}".as_bytes(), "{2}\r\n\u{e9}"),
        ] {
            let mut out = Vec::new();
            astring(&mut out, text);
            assert_eq!(String::from_utf8(out).unwrap(), form);
        }
    }

    proptest! {
        #[test]
        fn a_mailbox_is_read_as_it_was_printed(name in ".{0,40}") {
            prop_assume!(!name.contains('\0'));
            let mut out = Vec::new();
            mailbox(&mut out, &name);
            let read = Cursor::new(&out, Limits::default()).read(crate::grammar::mailbox);
            prop_assert_eq!(read, Ok(name));
        }

        #[test]
        fn what_is_printed_parses_again(text in proptest::collection::vec(1u8.., 0..40)) {
            let mut out = Vec::new();
            astring(&mut out, &text);
            let read = Cursor::new(&out, Limits::default()).read(read_astring);
            prop_assert_eq!(read.as_deref(), Ok(&text[..]));
        }
    }
}
