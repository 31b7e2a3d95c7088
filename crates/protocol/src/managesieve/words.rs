//! The words that commands and responses are made of (RFC 5804 section 4).

use std::borrow::Cow;

use crate::grammar::{self, Cursor, ParseError, Parsed};

/// `string = quoted / literal-c2s`: of a client.
pub fn string(at: Cursor<'_>) -> Parsed<'_, Cow<'_, [u8]>> {
    match at.peek() {
        Some(b'{') => literal(at),
        _ => grammar::string(at),
    }
}

/// A string that is text.
pub fn text(at: Cursor<'_>) -> Parsed<'_, String> {
    let (rest, text) = string(at)?;
    Ok((rest, String::from_utf8(text.into_owned()).map_err(|_| ParseError::Invalid("UTF-8"))?))
}

/// `literal-c2s = "{" number "+}" CRLF *OCTET`. The framer has taken the bytes of any literal, so that a wrong one is no command.
fn literal(at: Cursor<'_>) -> Parsed<'_, Cow<'_, [u8]>> {
    let header = at.rest().iter().position(|&byte| byte == b'}').and_then(|end| at.rest().get(..end));
    match header {
        Some([.., b'+']) => grammar::string(at),
        _ => Err(ParseError::Text("A literal is {number+}").into()),
    }
}
