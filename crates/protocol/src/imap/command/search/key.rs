//! What is searched for: RFC 3501 section 6.4.4, RFC 5032 (WITHIN), RFC 5182 (`$`), RFC 5257 (ANNOTATION), RFC 6203 (FUZZY), RFC 7162 (MODSEQ), RFC 8474
//! (EMAILID, THREADID), RFC 8514 (SAVEDATE).

use std::borrow::Cow;

use nom::Parser;
use nom::combinator::map;
use nom::sequence::terminated;

use crate::grammar::{
    Cursor, Keyword, ParseError, Parsed, argument, astring, atom, list, number, number64, quoted, space, text,
};
use crate::imap::command::annotate::{self, Wanted};
use crate::imap::{Date, Flag, SequenceSet};

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
    /// Of the message.
    Annotation(Wanted),
    EmailId(String),
    /// RFC 8474 section 7.
    ThreadId(String),
    /// Texts in it need not stand there to the letter (RFC 6203).
    Fuzzy(Box<Key>),
}

impl Key {
    /// Whether a MODSEQ is asked for anywhere (RFC 7162 section 3.1.5).
    pub fn names_modseq(&self) -> bool {
        self.any(&|key| matches!(key, Key::Modseq(_)))
    }

    /// Whether messages are named by their numbers: then none may go away meanwhile (RFC 3501 section 7.4.1).
    pub fn names_numbers(&self) -> bool {
        self.any(&|key| matches!(key, Key::Sequence(_)))
    }

    /// Whether `$` stands anywhere.
    pub fn names_saved(&self) -> bool {
        self.any(&|key| matches!(key, Key::Sequence(set) | Key::Uid(set) if set.is_saved()))
    }

    /// Whether FUZZY stands anywhere.
    pub fn is_fuzzy(&self) -> bool {
        self.any(&|key| matches!(key, Key::Fuzzy(_)))
    }

    fn any(&self, wanted: &dyn Fn(&Key) -> bool) -> bool {
        wanted(self)
            || match self {
                Key::And(keys) => keys.iter().any(|key| key.any(wanted)),
                Key::Or(a, b) => a.any(wanted) || b.any(wanted),
                Key::Not(key) | Key::Fuzzy(key) => key.any(wanted),
                _ => false,
            }
    }
}

/// `key *(SP key)`: what must all hold.
pub fn keys(at: Cursor<'_>) -> Parsed<'_, Key> {
    let mut budget = KEYS;
    let (mut at, first) = key(at, 0, &mut budget)?;
    let mut keys = vec![first];
    while let Ok((rest, ())) = space(at) {
        let (rest, key) = key(rest, 0, &mut budget)?;
        keys.push(key);
        at = rest;
    }
    Ok((at, if keys.len() == 1 { keys.swap_remove(0) } else { Key::And(keys) }))
}

/// ```text
/// key = sequence-set / "(" key *(SP key) ")" / "NOT" SP key / "OR" SP key SP key / "FUZZY" SP key / flag-key /
///       argument-key
/// ```
/// It may nest `DEPTH` deep, and `budget` keys may follow in all.
fn key<'a>(at: Cursor<'a>, depth: usize, budget: &mut usize) -> Parsed<'a, Key> {
    if depth > DEPTH || *budget == 0 {
        return Err(ParseError::Invalid("Search criteria, too complex,").into());
    }
    *budget -= 1;
    match at.peek() {
        Some(b'(') => return group(at, depth, budget),
        Some(b'*' | b'$' | b'0'..=b'9') => return map(SequenceSet::parse, Key::Sequence).parse(at),
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
        b"FUZZY" => map(|at| key(at, depth + 1, budget), |key| Key::Fuzzy(Box::new(key))).parse(at),
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
        b"ANNOTATION" => map(annotate::search, Key::Annotation).parse(at),
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
    const WITH_ARGUMENT: &str = " NOT OR FUZZY KEYWORD UNKEYWORD UID BEFORE ON SINCE SENTBEFORE SENTON SENTSINCE SAVEDBEFORE \
        SAVEDON SAVEDSINCE OLDER YOUNGER LARGER SMALLER MODSEQ BCC CC FROM SUBJECT TO HEADER BODY TEXT ANNOTATION EMAILID THREADID ";
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
