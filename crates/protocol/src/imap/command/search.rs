//! SEARCH: RFC 3501 section 6.4.4, RFC 4731 (ESEARCH), RFC 5032 (WITHIN), RFC 7162 (MODSEQ), RFC 8514 (SAVEDATE).

use std::borrow::Cow;

use nom::Parser;
use nom::combinator::{cut, map, opt};
use nom::sequence::{preceded, terminated};

use crate::grammar::{
    Cursor, Keyword, ParseError, Parsed, argument, astring, atom, keyword, list, number, number64, quoted,
    space, text,
};
use crate::imap::{Date, Flag, SequenceSet, Tag, UidSet};

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
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    All,
    And(Vec<Key>),
    Or(Box<Key>, Box<Key>),
    Not(Box<Key>),
    Flag(Flag),
    Recent,
    /// Recent and not seen.
    New,
    Sequence(SequenceSet),
    Uid(SequenceSet),
    /// Internal date, in whole days.
    Before(Date),
    On(Date),
    Since(Date),
    /// The Date field.
    SentBefore(Date),
    SentOn(Date),
    SentSince(Date),
    SavedBefore(Date),
    SavedOn(Date),
    SavedSince(Date),
    SaveDateSupported,
    /// Seconds before now.
    Older(u32),
    Younger(u32),
    Larger(u64),
    Smaller(u64),
    Modseq(u64),
    /// The field's name, upper case, and text; an empty text asks for the field alone.
    Header(String, Vec<u8>),
    Body(Vec<u8>),
    /// Header or body.
    Text(Vec<u8>),
    EmailId(String),
    /// RFC 8474 section 7.
    ThreadId(String),
}

impl Key {
    /// Whether a MODSEQ is asked for anywhere (RFC 7162 section 3.1.5).
    pub fn names_modseq(&self) -> bool {
        match self {
            Key::Modseq(_) => true,
            Key::And(keys) => keys.iter().any(Key::names_modseq),
            Key::Or(a, b) => a.names_modseq() || b.names_modseq(),
            Key::Not(key) => key.names_modseq(),
            _ => false,
        }
    }
}

pub fn parse(at: Cursor<'_>, uid: bool) -> Parsed<'_, Search> {
    let (at, ()) = space(at)?;
    let (at, returns) = opt(preceded(keyword("RETURN"), cut((argument(returns), space)))).parse(at)?;
    let (at, charset) = opt(preceded(keyword("CHARSET"), cut((argument(text), space)))).parse(at)?;
    let mut budget = KEYS;
    let (mut at, first) = key(at, 0, &mut budget)?;
    let mut keys = vec![first];
    while let Ok((rest, ())) = space(at) {
        let (rest, key) = key(rest, 0, &mut budget)?;
        keys.push(key);
        at = rest;
    }
    let key = if keys.len() == 1 { keys.swap_remove(0) } else { Key::And(keys) };
    let (returns, charset) = (returns.map(|(returns, ())| returns), charset.map(|(charset, ())| charset));
    Ok((at, Search { uid, returns, charset: charset.map(|c| c.to_ascii_uppercase()), key }))
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
            _ => return Err(ParseError::Invalid("Search return option").into()),
        }
        Ok((at, ()))
    };
    let (at, options) = list(8, option)(at)?;
    returns.all |= options.is_empty();
    Ok((at, returns))
}

/// ```text
/// key = sequence-set / "(" key *(SP key) ")" / "NOT" SP key / "OR" SP key SP key / flag-key / argument-key
/// ```
/// It may nest `DEPTH` deep, and `budget` keys may follow in all.
fn key<'a>(at: Cursor<'a>, depth: usize, budget: &mut usize) -> Parsed<'a, Key> {
    if depth > DEPTH || *budget == 0 {
        return Err(ParseError::Invalid("Search criteria, too complex,").into());
    }
    *budget -= 1;
    match at.peek() {
        Some(b'(') => return group(at, depth, budget),
        Some(b'*' | b'0'..=b'9') => return map(SequenceSet::parse, Key::Sequence).parse(at),
        _ => {}
    }
    let (at, word) = atom(at)?;
    let word = Keyword::of(word.as_bytes());
    if let Some(simple) = flag_key(word.as_bytes()) {
        return Ok((at, simple));
    }
    let (at, ()) =
        space(at).map_err(|_| if known(word.as_bytes()) { ParseError::Missing } else { INVALID })?;
    match word.as_bytes() {
        b"NOT" => map(|at| key(at, depth + 1, budget), |key| Key::Not(Box::new(key))).parse(at),
        b"OR" => {
            let (at, first) = key(at, depth + 1, budget)?;
            let (at, second) = argument(|at| key(at, depth + 1, budget))(at)?;
            Ok((at, Key::Or(Box::new(first), Box::new(second))))
        }
        word => argument_key(word, at),
    }
}

/// `"(" key *(SP key) ")"`
fn group<'a>(at: Cursor<'a>, depth: usize, budget: &mut usize) -> Parsed<'a, Key> {
    let (at, keys) = list(KEYS, |at| key(at, depth + 1, budget))(at)?;
    if keys.is_empty() { Err(ParseError::Missing.into()) } else { Ok((at, Key::And(keys))) }
}

fn flag_key(word: &[u8]) -> Option<Key> {
    let not = |key| Key::Not(Box::new(key));
    Some(match word {
        b"ALL" => Key::All,
        b"ANSWERED" => Key::Flag(Flag::Answered),
        b"DELETED" => Key::Flag(Flag::Deleted),
        b"DRAFT" => Key::Flag(Flag::Draft),
        b"FLAGGED" => Key::Flag(Flag::Flagged),
        b"SEEN" => Key::Flag(Flag::Seen),
        b"UNANSWERED" => not(Key::Flag(Flag::Answered)),
        b"UNDELETED" => not(Key::Flag(Flag::Deleted)),
        b"UNDRAFT" => not(Key::Flag(Flag::Draft)),
        b"UNFLAGGED" => not(Key::Flag(Flag::Flagged)),
        b"UNSEEN" => not(Key::Flag(Flag::Seen)),
        b"RECENT" => Key::Recent,
        b"NEW" => Key::New,
        b"OLD" => not(Key::Recent),
        b"SAVEDATESUPPORTED" => Key::SaveDateSupported,
        _ => return None,
    })
}

fn argument_key<'a>(word: &[u8], at: Cursor<'a>) -> Parsed<'a, Key> {
    match word {
        b"KEYWORD" => map(atom, |word| Key::Flag(Flag::Keyword(word.to_owned()))).parse(at),
        b"UNKEYWORD" => {
            map(atom, |word| Key::Not(Box::new(Key::Flag(Flag::Keyword(word.to_owned()))))).parse(at)
        }
        b"UID" => map(SequenceSet::parse, Key::Uid).parse(at),
        b"BEFORE" => map(Date::parse, Key::Before).parse(at),
        b"ON" => map(Date::parse, Key::On).parse(at),
        b"SINCE" => map(Date::parse, Key::Since).parse(at),
        b"SENTBEFORE" => map(Date::parse, Key::SentBefore).parse(at),
        b"SENTON" => map(Date::parse, Key::SentOn).parse(at),
        b"SENTSINCE" => map(Date::parse, Key::SentSince).parse(at),
        b"SAVEDBEFORE" => map(Date::parse, Key::SavedBefore).parse(at),
        b"SAVEDON" => map(Date::parse, Key::SavedOn).parse(at),
        b"SAVEDSINCE" => map(Date::parse, Key::SavedSince).parse(at),
        b"OLDER" => map(interval, Key::Older).parse(at),
        b"YOUNGER" => map(interval, Key::Younger).parse(at),
        b"LARGER" => map(number64, Key::Larger).parse(at),
        b"SMALLER" => map(number64, Key::Smaller).parse(at),
        b"MODSEQ" => modseq(at),
        b"BCC" | b"CC" | b"FROM" | b"SUBJECT" | b"TO" => {
            let name = String::from_utf8_lossy(word);
            map(bytes, |text| Key::Header(name.to_string(), text)).parse(at)
        }
        b"HEADER" => {
            let (at, name) = terminated(text, space).parse(at)?;
            map(bytes, |text| Key::Header(name.to_ascii_uppercase(), text)).parse(at)
        }
        b"BODY" => map(bytes, Key::Body).parse(at),
        b"TEXT" => map(bytes, Key::Text).parse(at),
        b"EMAILID" => map(text, Key::EmailId).parse(at),
        b"THREADID" => map(text, Key::ThreadId).parse(at),
        _ => Err(INVALID.into()),
    }
}

fn bytes(at: Cursor<'_>) -> Parsed<'_, Vec<u8>> {
    map(astring, Cow::into_owned).parse(at)
}

/// Whether a key of this name wants an argument.
fn known(word: &[u8]) -> bool {
    const WITH_ARGUMENT: &str = " NOT OR KEYWORD UNKEYWORD UID BEFORE ON SINCE SENTBEFORE SENTON SENTSINCE SAVEDBEFORE \
        SAVEDON SAVEDSINCE OLDER YOUNGER LARGER SMALLER MODSEQ BCC CC FROM SUBJECT TO HEADER BODY TEXT EMAILID THREADID ";
    WITH_ARGUMENT.split(' ').any(|known| known.as_bytes() == word)
}

/// Seconds, not 0.
fn interval(at: Cursor<'_>) -> Parsed<'_, u32> {
    match number(at)? {
        (_, 0) => Err(ParseError::Invalid("Search interval").into()),
        found => Ok(found),
    }
}

/// `MODSEQ [SP entry-name SP entry-type] SP modseq`: all flags share one modification sequence here.
fn modseq(at: Cursor<'_>) -> Parsed<'_, Key> {
    let mut at = at;
    if at.peek() == Some(b'"') {
        let (rest, (_, kind)) = (quoted, argument(atom)).parse(at)?;
        if !matches!(Keyword::of(kind.as_bytes()).as_bytes(), b"PRIV" | b"SHARED" | b"ALL") {
            return Err(INVALID.into());
        }
        (at, ()) = space(rest)?;
    }
    map(number64, Key::Modseq).parse(at)
}

const INVALID: ParseError = ParseError::Invalid("Search criteria");
/// Nesting of parentheses, NOT and OR.
pub const DEPTH: usize = 100;
/// Keys in one search.
pub const KEYS: usize = 10_000;

/// `* SEARCH *(SP number) [SP "(MODSEQ" SP modseq ")"]`
pub fn print_search(out: &mut Vec<u8>, numbers: impl Iterator<Item = u32>, modseq: Option<u64>) {
    out.extend_from_slice(b"* SEARCH");
    for number in numbers {
        out.extend_from_slice(format!(" {number}").as_bytes());
    }
    if let Some(modseq) = modseq {
        out.extend_from_slice(format!(" (MODSEQ {modseq})").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// What RFC 4731 answers a search with: each item where it was asked for and there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ESearch<'t> {
    pub tag: &'t Tag,
    /// The numbers are UIDs.
    pub uid: bool,
    pub min: Option<u32>,
    pub max: Option<u32>,
    pub all: Option<UidSet>,
    pub count: Option<usize>,
    pub modseq: Option<u64>,
}

impl ESearch<'_> {
    /// `* ESEARCH SP "(TAG" SP string ")" [SP "UID"] *(SP item SP value)`
    pub fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("* ESEARCH (TAG \"{}\")", self.tag).as_bytes());
        if self.uid {
            out.extend_from_slice(b" UID");
        }
        let mut item = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                out.extend_from_slice(format!(" {name} {value}").as_bytes());
            }
        };
        item("MIN", self.min.map(|n| n.to_string()));
        item("MAX", self.max.map(|n| n.to_string()));
        item("ALL", self.all.as_ref().map(UidSet::to_string));
        item("COUNT", self.count.map(|n| n.to_string()));
        item("MODSEQ", self.modseq.map(|n| n.to_string()));
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::Limits;

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
}
