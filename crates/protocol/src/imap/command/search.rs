//! SEARCH: RFC 3501 section 6.4.4, RFC 4731 (ESEARCH), RFC 5032 (WITHIN), RFC 7162 (MODSEQ), RFC 8514 (SAVEDATE).

use super::Body;
use crate::imap::cursor::{Cursor, ParseError};
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

pub fn parse(cursor: &mut Cursor<'_>, uid: bool) -> Result<Body, ParseError> {
    cursor.space()?;
    let mut returns = None;
    if cursor.eat_word("RETURN") {
        cursor.space()?;
        returns = Some(return_options(cursor)?);
        cursor.space()?;
    }
    let mut charset = None;
    if cursor.eat_word("CHARSET") {
        cursor.space()?;
        charset = Some(cursor.text()?.to_ascii_uppercase());
        cursor.space()?;
    }
    let mut budget = KEYS;
    let mut keys = vec![key(cursor, 0, &mut budget)?];
    while cursor.space().is_ok() {
        keys.push(key(cursor, 0, &mut budget)?);
    }
    let key = if keys.len() == 1 { keys.swap_remove(0) } else { Key::And(keys) };
    Ok(Body::Search(Search { uid, returns, charset, key }))
}

fn return_options(cursor: &mut Cursor<'_>) -> Result<Returns, ParseError> {
    let mut returns = Returns::default();
    let options = cursor.list(8, |cursor| {
        match cursor.atom()?.to_ascii_uppercase().as_str() {
            "MIN" => returns.min = true,
            "MAX" => returns.max = true,
            "ALL" => returns.all = true,
            "COUNT" => returns.count = true,
            _ => return Err(ParseError::Invalid("Search return option")),
        }
        Ok(())
    })?;
    returns.all |= options.is_empty();
    Ok(returns)
}

fn key(cursor: &mut Cursor<'_>, depth: usize, budget: &mut usize) -> Result<Key, ParseError> {
    if depth > DEPTH || *budget == 0 {
        return Err(ParseError::Invalid("Search criteria, too complex,"));
    }
    *budget -= 1;
    match cursor.peek() {
        Some(b'(') => return group(cursor, depth, budget),
        Some(b'*' | b'0'..=b'9') => return SequenceSet::parse(cursor).map(Key::Sequence),
        _ => {}
    }
    let word = cursor.atom()?.to_ascii_uppercase();
    if let Some(simple) = flag_key(&word) {
        return Ok(simple);
    }
    cursor.space().map_err(|_| if known(&word) { ParseError::Missing } else { INVALID })?;
    match word.as_str() {
        "NOT" => Ok(Key::Not(Box::new(key(cursor, depth + 1, budget)?))),
        "OR" => {
            let first = key(cursor, depth + 1, budget)?;
            cursor.space()?;
            Ok(Key::Or(Box::new(first), Box::new(key(cursor, depth + 1, budget)?)))
        }
        _ => argument_key(&word, cursor),
    }
}

/// `(key key …)`
fn group(cursor: &mut Cursor<'_>, depth: usize, budget: &mut usize) -> Result<Key, ParseError> {
    let keys = cursor.list(KEYS, |cursor| key(cursor, depth + 1, budget))?;
    if keys.is_empty() { Err(ParseError::Missing) } else { Ok(Key::And(keys)) }
}

fn flag_key(word: &str) -> Option<Key> {
    let not = |key| Key::Not(Box::new(key));
    Some(match word {
        "ALL" => Key::All,
        "ANSWERED" => Key::Flag(Flag::Answered),
        "DELETED" => Key::Flag(Flag::Deleted),
        "DRAFT" => Key::Flag(Flag::Draft),
        "FLAGGED" => Key::Flag(Flag::Flagged),
        "SEEN" => Key::Flag(Flag::Seen),
        "UNANSWERED" => not(Key::Flag(Flag::Answered)),
        "UNDELETED" => not(Key::Flag(Flag::Deleted)),
        "UNDRAFT" => not(Key::Flag(Flag::Draft)),
        "UNFLAGGED" => not(Key::Flag(Flag::Flagged)),
        "UNSEEN" => not(Key::Flag(Flag::Seen)),
        "RECENT" => Key::Recent,
        "NEW" => Key::New,
        "OLD" => not(Key::Recent),
        "SAVEDATESUPPORTED" => Key::SaveDateSupported,
        _ => return None,
    })
}

fn argument_key(word: &str, cursor: &mut Cursor<'_>) -> Result<Key, ParseError> {
    let header = |name: &str, cursor: &mut Cursor<'_>| Ok(Key::Header(name.to_owned(), cursor.astring()?));
    let keyword = |cursor: &mut Cursor<'_>| Ok(Key::Flag(Flag::Keyword(cursor.atom()?.to_owned())));
    match word {
        "KEYWORD" => keyword(cursor),
        "UNKEYWORD" => Ok(Key::Not(Box::new(keyword(cursor)?))),
        "UID" => SequenceSet::parse(cursor).map(Key::Uid),
        "BEFORE" => Date::parse(cursor).map(Key::Before),
        "ON" => Date::parse(cursor).map(Key::On),
        "SINCE" => Date::parse(cursor).map(Key::Since),
        "SENTBEFORE" => Date::parse(cursor).map(Key::SentBefore),
        "SENTON" => Date::parse(cursor).map(Key::SentOn),
        "SENTSINCE" => Date::parse(cursor).map(Key::SentSince),
        "SAVEDBEFORE" => Date::parse(cursor).map(Key::SavedBefore),
        "SAVEDON" => Date::parse(cursor).map(Key::SavedOn),
        "SAVEDSINCE" => Date::parse(cursor).map(Key::SavedSince),
        "OLDER" => interval(cursor).map(Key::Older),
        "YOUNGER" => interval(cursor).map(Key::Younger),
        "LARGER" => cursor.number64().map(Key::Larger),
        "SMALLER" => cursor.number64().map(Key::Smaller),
        "MODSEQ" => modseq(cursor),
        "BCC" | "CC" | "FROM" | "SUBJECT" | "TO" => header(word, cursor),
        "HEADER" => {
            let name = cursor.text()?.to_ascii_uppercase();
            cursor.space()?;
            header(&name, cursor)
        }
        "BODY" => cursor.astring().map(Key::Body),
        "TEXT" => cursor.astring().map(Key::Text),
        "EMAILID" => cursor.text().map(Key::EmailId),
        "THREADID" => cursor.text().map(Key::ThreadId),
        _ => Err(INVALID),
    }
}

/// Whether a key of this name wants an argument.
fn known(word: &str) -> bool {
    const WITH_ARGUMENT: &str = " NOT OR KEYWORD UNKEYWORD UID BEFORE ON SINCE SENTBEFORE SENTON SENTSINCE SAVEDBEFORE \
        SAVEDON SAVEDSINCE OLDER YOUNGER LARGER SMALLER MODSEQ BCC CC FROM SUBJECT TO HEADER BODY TEXT EMAILID THREADID ";
    WITH_ARGUMENT.contains(&format!(" {word} "))
}

fn interval(cursor: &mut Cursor<'_>) -> Result<u32, ParseError> {
    match cursor.number()? {
        0 => Err(ParseError::Invalid("Search interval")),
        seconds => Ok(seconds),
    }
}

/// `MODSEQ [entry-name SP entry-type] n`: all flags share one modification sequence here.
fn modseq(cursor: &mut Cursor<'_>) -> Result<Key, ParseError> {
    if cursor.peek() == Some(b'"') {
        cursor.quoted()?;
        cursor.space()?;
        let kind = cursor.atom()?.to_ascii_uppercase();
        if !matches!(kind.as_str(), "PRIV" | "SHARED" | "ALL") {
            return Err(INVALID);
        }
        cursor.space()?;
    }
    cursor.number64().map(Key::Modseq)
}

const INVALID: ParseError = ParseError::Invalid("Search criteria");
/// Nesting of parentheses, NOT and OR.
const DEPTH: usize = 100;
/// Keys in one search.
const KEYS: usize = 10_000;

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
        match parse(&mut Cursor::new(text.as_bytes(), Limits::default()), false)? {
            Body::Search(search) => Ok(search),
            other => panic!("{other:?}"),
        }
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
