//! The words between blanks that commands are made of (RFC 3977 section 3.1: blanks and tabs).

use crate::grammar::{Cursor, ParseError, Parsed, run};

/// `WS argument`
pub fn word(at: Cursor<'_>) -> Parsed<'_, &str> {
    let (at, word) = run(|byte| !is_blank(byte))(blanks(at))?;
    match str::from_utf8(word) {
        Ok("") => Err(ParseError::Missing.into()),
        Ok(word) => Ok((at, word)),
        Err(_) => Err(BAD.into()),
    }
}

/// `WS argument`, of a kind.
pub fn of<'a, T>(kind: impl Fn(&str) -> Option<T>) -> impl Fn(Cursor<'a>) -> Parsed<'a, T> {
    move |at| {
        let (at, word) = word(at)?;
        Ok((at, kind(word).ok_or(BAD)?))
    }
}

/// `[WS argument]`: what is there must be one.
pub fn optional<'a, T>(
    grammar: impl Fn(Cursor<'a>) -> Parsed<'a, T>,
) -> impl Fn(Cursor<'a>) -> Parsed<'a, Option<T>> {
    move |at| match blanks(at) {
        at if at.at_end() => Ok((at, None)),
        at => grammar(at).map(|(at, value)| (at, Some(value))),
    }
}

/// `WS 1*OCTET`: everything behind one blank, blanks included.
pub fn rest(at: Cursor<'_>) -> Parsed<'_, &[u8]> {
    match at.rest() {
        [blank, rest @ ..] if is_blank(*blank) && !rest.is_empty() => Ok((at.with(&[]), rest)),
        _ => Err(ParseError::Missing.into()),
    }
}

/// Behind the blanks that stand here.
pub fn blanks(mut at: Cursor<'_>) -> Cursor<'_> {
    while let [blank, rest @ ..] = at.rest()
        && is_blank(*blank)
    {
        at = at.with(rest);
    }
    at
}

pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

pub const BAD: ParseError = ParseError::Invalid("argument");
