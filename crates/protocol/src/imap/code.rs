//! Response codes as a proxy reads them: RFC 3501 section 7.1.

use nom::Parser;
use nom::sequence::delimited;

use super::reply::Code;
use crate::grammar::{Cursor, Limits, ParseError, Parsed, byte, run};

/// `code = "[" name [SP words] "]"`: the name as written, and what follows the blank behind it.
pub fn code(at: Cursor<'_>) -> Parsed<'_, (&str, Option<&str>)> {
    let (at, inside) = delimited(byte(b'['), run(|byte| byte != b']'), byte(b']')).parse(at)?;
    let code = str::from_utf8(inside).map_err(|_| ParseError::Invalid("response code"))?;
    Ok((at, code.split_once(' ').map_or((code, None), |(name, words)| (name, Some(words)))))
}

/// What follows `wanted` and the blank behind it, where a text begins with it.
pub fn without<'a>(text: &'a [u8], wanted: &Code) -> Option<&'a [u8]> {
    let mut at = Cursor::new(text, Limits::NONE);
    let (name, words) = at.read(code).ok()?;
    let found = words.map_or(name.to_owned(), |words| format!("{name} {words}"));
    found.eq_ignore_ascii_case(&wanted.to_string()).then(|| at.rest().strip_prefix(b" ").unwrap_or(at.rest()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_a_name_and_perhaps_words() {
        let read = |text: &'static str| Cursor::new(text.as_bytes(), Limits::NONE).read(code);
        assert_eq!(read("[APPENDUID 38505 3955] done"), Ok(("APPENDUID", Some("38505 3955"))));
        assert_eq!(read("[TRYCREATE] no such mailbox"), Ok(("TRYCREATE", None)));
        assert_eq!(read("[CAPABILITY ]"), Ok(("CAPABILITY", Some(""))));
        for wrong in ["", "done [ALERT]", "[ALERT", "ALERT]"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_code_is_told_from_the_text_behind_it() {
        let kicked = |text: &'static str| without(text.as_bytes(), &Code::XKicked);
        assert_eq!(kicked("[XKICKED] Go away"), Some(&b"Go away"[..]));
        assert_eq!(kicked("[xkicked]"), Some(&b""[..]));
        for other in ["[XKICKED 1] x", "[ALERT] [XKICKED] x", "XKICKED", "[XKICKED", "[XKICKEDX] x"] {
            assert_eq!(kicked(other), None, "{other}");
        }
    }
}
