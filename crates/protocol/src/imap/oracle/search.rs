#![allow(unused_imports)]
use super::cursor::{Cursor, ParseError};
use super::mailbox::one;
use super::status;
use super::words::{date, flag as parse_flag, flag_list, sequence_set};
use crate::imap::command::search::*;
use crate::imap::command::status::StatusItem;
use crate::imap::{Body, Date, Flag, SequenceSet, flag};
use crate::origin::Origin;

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
        Some(b'*' | b'0'..=b'9') => return sequence_set(cursor).map(Key::Sequence),
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
        "UID" => sequence_set(cursor).map(Key::Uid),
        "BEFORE" => date(cursor).map(Key::Before),
        "ON" => date(cursor).map(Key::On),
        "SINCE" => date(cursor).map(Key::Since),
        "SENTBEFORE" => date(cursor).map(Key::SentBefore),
        "SENTON" => date(cursor).map(Key::SentOn),
        "SENTSINCE" => date(cursor).map(Key::SentSince),
        "SAVEDBEFORE" => date(cursor).map(Key::SavedBefore),
        "SAVEDON" => date(cursor).map(Key::SavedOn),
        "SAVEDSINCE" => date(cursor).map(Key::SavedSince),
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
const DEPTH: usize = 100;
const KEYS: usize = 10_000;
