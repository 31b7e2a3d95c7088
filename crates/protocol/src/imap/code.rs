//! Response codes as a proxy reads them: RFC 3501 section 7.1.

use nom::Parser;
use nom::sequence::delimited;

use crate::grammar::{Cursor, ParseError, Parsed, byte, run};

/// `code = "[" name [SP words] "]"`: the name as written, and what follows the blank behind it.
pub fn code(at: Cursor<'_>) -> Parsed<'_, (&str, Option<&str>)> {
    let (at, inside) = delimited(byte(b'['), run(|byte| byte != b']'), byte(b']')).parse(at)?;
    let code = str::from_utf8(inside).map_err(|_| ParseError::Invalid("response code"))?;
    Ok((at, code.split_once(' ').map_or((code, None), |(name, words)| (name, Some(words)))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::Limits;

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
}
