//! Message flags: RFC 3501 section 2.3.2.

use std::fmt;

use super::cursor::{Cursor, ParseError};
use super::print;

/// A flag that a client can set. `\Recent` is not one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flag {
    Answered,
    Flagged,
    Deleted,
    Seen,
    Draft,
    Keyword(String),
}

impl Flag {
    pub fn parse(cursor: &mut Cursor<'_>) -> Result<Flag, ParseError> {
        if !cursor.eat(b'\\') {
            let word = cursor.atom()?;
            if word.len() > KEYWORD_MAX {
                return Err(ParseError::Invalid("flag, too long,"));
            }
            return Ok(Flag::Keyword(word.to_owned()));
        }
        let word = cursor.atom()?;
        (SYSTEM.iter())
            .find(|(name, _)| name.eq_ignore_ascii_case(word))
            .map(|(_, flag)| flag.clone())
            .ok_or(ParseError::Invalid("system flag"))
    }

    /// `(\Seen $Forwarded)`. `\Recent`, which some clients send back with APPEND, is passed over.
    pub fn list(cursor: &mut Cursor<'_>) -> Result<Vec<Flag>, ParseError> {
        let flags = cursor.list(MAX, |cursor| {
            if cursor.rest().len() >= 7 && cursor.rest()[..7].eq_ignore_ascii_case(b"\\Recent") {
                cursor.eat(b'\\');
                return cursor.atom().map(|_| None);
            }
            Flag::parse(cursor).map(Some)
        })?;
        Ok(flags.into_iter().flatten().collect())
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flag::Answered => f.write_str("\\Answered"),
            Flag::Flagged => f.write_str("\\Flagged"),
            Flag::Deleted => f.write_str("\\Deleted"),
            Flag::Seen => f.write_str("\\Seen"),
            Flag::Draft => f.write_str("\\Draft"),
            Flag::Keyword(word) => f.write_str(word),
        }
    }
}

/// `(\Seen $Forwarded)`
pub fn print_list(out: &mut Vec<u8>, flags: &[Flag]) {
    out.push(b'(');
    for (at, flag) in flags.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        print::plain(out, &flag.to_string());
    }
    out.push(b')');
}

/// Flags in one list.
pub const MAX: usize = 256;
const KEYWORD_MAX: usize = 255;
const SYSTEM: [(&str, Flag); 5] = [
    ("Answered", Flag::Answered),
    ("Flagged", Flag::Flagged),
    ("Deleted", Flag::Deleted),
    ("Seen", Flag::Seen),
    ("Draft", Flag::Draft),
];
