//! Message flags: RFC 3501 section 2.3.2.

use std::fmt;

use nom::Parser;
use nom::combinator::map;
use nom::sequence::preceded;

use crate::grammar::{Cursor, ParseError, Parsed, atom, byte, list};

use crate::imap::print;

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
    /// `flag = "\\" atom / atom`
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, Flag> {
        if at.peek() != Some(b'\\') {
            return match atom(at)? {
                (_, word) if word.len() > KEYWORD_MAX => Err(ParseError::Invalid("flag, too long,").into()),
                (at, word) => Ok((at, Flag::Keyword(word.to_owned()))),
            };
        }
        let (at, word) = preceded(byte(b'\\'), atom).parse(at)?;
        let system = SYSTEM.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        Ok((at, system.map(|(_, flag)| flag.clone()).ok_or(ParseError::Invalid("system flag"))?))
    }

    /// `flag-list = "(" [flag *(SP flag)] ")"`. `\Recent`, which some clients send back with APPEND, is passed over.
    pub fn list(at: Cursor<'_>) -> Parsed<'_, Vec<Flag>> {
        let (at, flags) = list(MAX, Flag::settable)(at)?;
        Ok((at, flags.into_iter().flatten().collect()))
    }

    fn settable(at: Cursor<'_>) -> Parsed<'_, Option<Flag>> {
        match at.rest().split_at_checked(7) {
            Some((head, _)) if head.eq_ignore_ascii_case(b"\\Recent") => {
                map(preceded(byte(b'\\'), atom), |_| None).parse(at)
            }
            _ => map(Flag::parse, Some).parse(at),
        }
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
