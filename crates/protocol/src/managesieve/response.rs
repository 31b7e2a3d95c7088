//! A server's lines, as a proxy reads them (RFC 5804 sections 1.3 and 1.7).

use crate::frame::trim_line;
use crate::grammar::{
    Cursor, Limits, ParseError, Parsed, argument, byte, end, keyword, optional, run, string,
};

use super::Condition;

/// One line of a server's, with its literals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The end of an answer.
    Done {
        condition: Condition,
        /// `(SASL "…")`: what came with it.
        code: Option<(String, Option<Vec<u8>>)>,
        text: String,
    },
    /// Strings, the first of which names what the line is about.
    Data(Vec<Vec<u8>>),
}

impl Line {
    /// Reads a whole frame, with its line end.
    pub fn parse(frame: &[u8]) -> Result<Line, ParseError> {
        Cursor::new(trim_line(frame), Limits::NONE).read(line)
    }
}

fn line(at: Cursor<'_>) -> Parsed<'_, Line> {
    for (word, condition) in [("OK", Condition::Ok), ("NO", Condition::No), ("BYE", Condition::Bye)] {
        if let Ok((at, ())) = keyword(word)(at) {
            return done(at, condition);
        }
    }
    let (mut at, first) = string(at)?;
    let mut strings = vec![first.into_owned()];
    while strings.len() < STRINGS && !at.at_end() {
        // `"a" ACTIVE`
        let (rest, next) = argument(|at| match at.peek() {
            Some(b'"' | b'{') => string(at).map(|(at, text)| (at, text.into_owned())),
            _ => run(|byte| byte != b' ')(at).map(|(at, word)| (at, word.to_vec())),
        })(at)?;
        strings.push(next);
        at = rest;
    }
    let (at, ()) = end(at)?;
    Ok((at, Line::Data(strings)))
}

fn done(at: Cursor<'_>, condition: Condition) -> Parsed<'_, Line> {
    let (at, code) = match argument(byte(b'('))(at) {
        Ok((at, ())) => {
            let (at, word) = run(|byte| !matches!(byte, b' ' | b')'))(at)?;
            let (at, value) = optional(string)(at)?;
            let (at, ()) = byte(b')')(at)?;
            let value = value.map(|value| value.into_owned());
            (at, Some((String::from_utf8_lossy(word).to_ascii_uppercase(), value)))
        }
        Err(_) => (at, None),
    };
    let (at, text) = optional(string)(at)?;
    let (at, ()) = end(at)?;
    let text = text.map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
    Ok((at, Line::Done { condition, code, text }))
}

/// Strings of one line.
const STRINGS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_servers_are_read() {
        let done = |condition, code: Option<(&str, Option<&str>)>, text: &str| Line::Done {
            condition,
            code: code.map(|(word, value)| (word.to_owned(), value.map(|value| value.as_bytes().to_vec()))),
            text: text.to_owned(),
        };
        let data = |strings: &[&str]| Line::Data(strings.iter().map(|s| s.as_bytes().to_vec()).collect());
        for (frame, line) in [
            ("OK\r\n", done(Condition::Ok, None, "")),
            ("ok \"Logout Complete\"\r\n", done(Condition::Ok, None, "Logout Complete")),
            ("NO {3}\r\na\r\n\r\n", done(Condition::No, None, "a\r\n")),
            ("OK (SASL \"cnM=\")\r\n", done(Condition::Ok, Some(("SASL", Some("cnM="))), "")),
            (
                "BYE (REFERRAL \"sieve://be1\") \"Try Remote.\"\r\n",
                done(Condition::Bye, Some(("REFERRAL", Some("sieve://be1"))), "Try Remote."),
            ),
            ("\"SASL\" \"PLAIN\"\r\n", data(&["SASL", "PLAIN"])),
            ("\"STARTTLS\"\r\n", data(&["STARTTLS"])),
            ("{4}\r\nAGE=\r\n", data(&["AGE="])),
            ("\"a\" ACTIVE\r\n", data(&["a", "ACTIVE"])),
        ] {
            assert_eq!(Line::parse(frame.as_bytes()), Ok(line), "{frame:?}");
        }
        for bad in ["", "x\r\n", "\"a\r\n", "OK x\r\n", "OK (SASL\r\n", "OKAY\r\n"] {
            assert!(Line::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes: Vec<u8>) {
            let _ = Line::parse(&bytes);
        }
    }
}
