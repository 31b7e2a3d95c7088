//! SEARCH: RFC 3501 section 6.4.4, with RETURN (RFC 4731), SAVE (RFC 5182), RELEVANCY (RFC 6203), PARTIAL (RFC 9394).

pub mod answer;
pub mod key;

use std::fmt;
use std::ops::Range;

use nom::Parser;
use nom::combinator::{cut, map, opt};
use nom::sequence::preceded;

pub use answer::{ESearch, print_search, print_sort, put_number};
pub use key::{DEPTH, KEYS, Key};

use crate::grammar::{
    Cursor, Keyword, ParseError, Parsed, argument, atom, byte, keyword, list, number, space, text,
};

/// `SEARCH [SP "RETURN" SP "(" option … ")"] [SP "CHARSET" SP astring] 1*(SP key)`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    pub uid: bool,
    /// With RETURN: the answer is an ESEARCH.
    pub returns: Option<Returns>,
    /// Upper case.
    pub charset: Option<String>,
    pub key: Key,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Returns {
    pub min: bool,
    pub max: bool,
    pub all: bool,
    pub count: bool,
    /// What is found becomes `$`.
    pub save: bool,
    pub relevancy: bool,
    pub partial: Option<Partial>,
}

impl Returns {
    /// Only what is found is kept: nothing is answered (RFC 5182 section 2.1).
    pub fn is_silent(&self) -> bool {
        *self == Returns { save: true, ..Returns::default() }
    }
}

/// A page of what was found: places from 1, from the first message on or, backwards, from the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partial {
    from: u32,
    to: u32,
    backwards: bool,
}

impl Partial {
    /// `from` and `to` in either order; neither is 0.
    pub fn new(from: u32, to: u32, backwards: bool) -> Partial {
        Partial { from, to, backwards }
    }

    /// `nz-number ":" nz-number / "-" nz-number ":" "-" nz-number`
    pub fn parse(at: Cursor<'_>) -> Parsed<'_, Partial> {
        let (at, (from, backwards)) = place(at)?;
        let (at, ()) = byte(b':')(at).map_err(|_| RANGE)?;
        let (at, (to, too)) = place(at)?;
        if backwards != too {
            return Err(RANGE.into());
        }
        Ok((at, Partial { from, to, backwards }))
    }

    /// The places, from 0, of the page among so many messages.
    pub fn window(&self, found: usize) -> Range<usize> {
        let (low, high) = (self.from.min(self.to) as usize, self.from.max(self.to) as usize);
        match self.backwards {
            false => low.saturating_sub(1).min(found)..high.min(found),
            true => found.saturating_sub(high)..found.saturating_sub(low.saturating_sub(1)),
        }
    }

    pub fn is_backwards(self) -> bool {
        self.backwards
    }

    /// Whether it is counted from the last message, and how many messages from that end on it reaches.
    pub fn reach(self) -> (bool, usize) {
        (self.backwards, self.from.max(self.to) as usize)
    }
}

/// As it was asked for.
impl fmt::Display for Partial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minus = if self.backwards { "-" } else { "" };
        write!(f, "{minus}{}:{minus}{}", self.from, self.to)
    }
}

/// `["-"] nz-number`
fn place(at: Cursor<'_>) -> Parsed<'_, (u32, bool)> {
    let (at, minus) = opt(byte(b'-')).parse(at)?;
    match number(at) {
        Ok((at, place)) if place > 0 => Ok((at, (place, minus.is_some()))),
        _ => Err(RANGE.into()),
    }
}

const RANGE: ParseError = ParseError::Invalid("range");

pub fn parse(at: Cursor<'_>, uid: bool) -> Parsed<'_, Search> {
    let (at, ()) = space(at)?;
    let (at, returns) = opt_returns(at)?;
    let (at, (charset, key)) = program(at)?;
    Ok((at, Search { uid, returns, charset, key }))
}

/// `["RETURN" SP "(" option … ")" SP]`
pub(super) fn opt_returns(at: Cursor<'_>) -> Parsed<'_, Option<Returns>> {
    let returns = map((argument(returns), space), |(returns, ())| returns);
    opt(preceded(keyword("RETURN"), cut(returns))).parse(at)
}

/// `["CHARSET" SP astring SP] key *(SP key)`: the charset in upper case.
pub(super) fn program(at: Cursor<'_>) -> Parsed<'_, (Option<String>, Key)> {
    let charset = map((argument(text), space), |(charset, ())| charset.to_ascii_uppercase());
    let (at, charset) = opt(preceded(keyword("CHARSET"), cut(charset))).parse(at)?;
    let (at, key) = key::keys(at)?;
    Ok((at, (charset, key)))
}

/// `"(" [option *(SP option)] ")"`; none is ALL.
fn returns(at: Cursor<'_>) -> Parsed<'_, Returns> {
    let mut returns = Returns::default();
    let option = |at| {
        let (at, word) = atom(at)?;
        match Keyword::of(word.as_bytes()).as_bytes() {
            b"MIN" => returns.min = true,
            b"MAX" => returns.max = true,
            b"ALL" => returns.all = true,
            b"COUNT" => returns.count = true,
            b"SAVE" => returns.save = true,
            b"RELEVANCY" => returns.relevancy = true,
            b"PARTIAL" => {
                let (at, page) = argument(Partial::parse)(at)?;
                // One page, or all (RFC 9394 section 3.1).
                if returns.partial.replace(page).is_some() {
                    return Err(ParseError::Invalid("Search return option").into());
                }
                return Ok((at, ()));
            }
            _ => return Err(ParseError::Invalid("Search return option").into()),
        }
        Ok((at, ()))
    };
    let (at, options) = list(16, option)(at)?;
    if returns.all && returns.partial.is_some() {
        return Err(ParseError::Invalid("Search return option").into());
    }
    returns.all |= options.is_empty();
    Ok((at, returns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::{Flag, Limits};

    fn search(text: &str) -> Result<Search, ParseError> {
        Cursor::new(text.as_bytes(), Limits::default()).read(|at| parse(at, false))
    }

    #[test]
    fn keys_nest() {
        let parsed = search(" OR (SEEN 1:3) NOT FROM \"bob\" LARGER 10").unwrap();
        let seen = Key::Flag(Flag::Seen);
        let Key::And(keys) = parsed.key else { panic!() };
        let Key::Or(first, second) = &keys[0] else { panic!() };
        assert!(matches!(&**first, Key::And(inner) if inner[0] == seen));
        assert_eq!(**second, Key::Not(Box::new(Key::Header("FROM".into(), b"bob".to_vec()))));
        assert_eq!(keys[1], Key::Larger(10));
    }

    #[test]
    fn options_and_charset_come_first() {
        let parsed = search(" RETURN (MIN COUNT) CHARSET utf-8 TEXT {2}\r\n\u{e9}").unwrap();
        assert_eq!(parsed.returns, Some(Returns { min: true, count: true, ..Returns::default() }));
        assert_eq!(parsed.charset.as_deref(), Some("UTF-8"));
        assert_eq!(parsed.key, Key::Text("\u{e9}".as_bytes().to_vec()));
        assert!(search(" RETURN () ALL").unwrap().returns.unwrap().all);
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = format!(" {}ALL{}", "(".repeat(10_000), ")".repeat(10_000));
        assert!(search(&deep).is_err());
        assert!(search(&format!(" {}ALL", "NOT ".repeat(10_000))).is_err());
        assert!(search(&format!(" {}ALL{}", "(".repeat(50), ")".repeat(50))).is_ok());
    }

    #[test]
    fn what_is_no_key() {
        for text in
            [" FOO", " SINCE yesterday", " OR SEEN", " NOT", " (", " ()", " 0", " HEADER x", " MODSEQ x"]
        {
            assert!(search(text).is_err(), "{text}");
        }
    }
    #[test]
    fn pages_are_asked_for_from_the_first_or_the_last_message() {
        let page = |text: &str| {
            search(&format!(" RETURN (PARTIAL {text}) ALL"))
                .map(|search| search.returns.unwrap().partial.unwrap())
        };
        assert_eq!(page("500:400").unwrap().to_string(), "500:400");
        assert_eq!(page("-1:-100").unwrap().to_string(), "-1:-100");
        for wrong in ["0:5", "1:-5", "-5:1", "1", "-1:", "1:*", "-0:-1", ""] {
            assert!(page(wrong).is_err(), "{wrong}");
        }
        for wrong in ["PARTIAL 1:2 ALL", "ALL PARTIAL 1:2", "PARTIAL 1:2 PARTIAL 1:2"] {
            assert!(search(&format!(" RETURN ({wrong}) ALL")).is_err(), "{wrong}");
        }
        assert_eq!(page("400:500").unwrap().window(450), 399..450);
        assert_eq!(page("4:2").unwrap().window(10), 1..4);
        assert_eq!(page("20:30").unwrap().window(10), 10..10);
        assert_eq!(page("-1:-3").unwrap().window(10), 7..10);
        assert_eq!(page("-3:-5").unwrap().window(4), 0..2);
        assert_eq!(page("-9:-5").unwrap().window(4), 0..0);
    }

    #[test]
    fn what_was_saved_can_be_searched_in() {
        assert!(search(" $ UNSEEN").unwrap().key.names_saved());
        assert!(search(" UID $").unwrap().key.names_saved());
        assert!(search(" OR NOT FUZZY BODY x $").unwrap().key.is_fuzzy());
        assert!(search(" RETURN (SAVE) ALL").unwrap().returns.unwrap().save);
        assert!(search(" $,1").is_err() && search(" FUZZY").is_err());
    }
}
