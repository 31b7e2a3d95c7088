#![allow(unused_imports)]
use super::cursor::{Cursor, ParseError};
use super::mailbox::one;
use super::status;
use super::words::{date, flag as parse_flag, flag_list, sequence_set};
use crate::imap::command::list::*;
use crate::imap::command::status::StatusItem;
use crate::imap::{Body, Date, Flag, SequenceSet, flag};
use crate::origin::Origin;

pub fn list(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let mut list = List::default();
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        list.select = selection(cursor)?;
        cursor.space()?;
    }
    list.reference = cursor.list_mailbox()?;
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        list.patterns = cursor.list(PATTERNS, Cursor::list_mailbox)?;
    } else {
        list.patterns = vec![cursor.list_mailbox()?];
    }
    if cursor.space().is_ok() {
        if !cursor.eat_word("RETURN") {
            return Err(ParseError::Extra);
        }
        list.extended = true;
        cursor.space()?;
        returns(cursor, &mut list.returns)?;
    }
    list.returns.subscribed |= list.select.subscribed;
    list.returns.special_use |= list.select.special_use;
    Ok(Body::List(list))
}

pub fn xlist(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let (reference, pattern) = plain(cursor)?;
    let returns = Returns { special_use: true, children: true, ..Returns::default() };
    Ok(Body::List(List { reference, patterns: vec![pattern], returns, xlist: true, ..List::default() }))
}

pub fn rlist(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let (reference, pattern) = plain(cursor)?;
    Ok(Body::List(List { reference, patterns: vec![pattern], ..List::default() }))
}

pub fn lsub(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let (reference, pattern) = plain(cursor)?;
    Ok(Body::Lsub(Lsub { reference, pattern }))
}

fn plain(cursor: &mut Cursor<'_>) -> Result<(String, String), ParseError> {
    cursor.space()?;
    let reference = cursor.list_mailbox()?;
    cursor.space()?;
    Ok((reference, cursor.list_mailbox()?))
}

fn selection(cursor: &mut Cursor<'_>) -> Result<Selection, ParseError> {
    let mut select = Selection::default();
    cursor.list(16, |cursor| {
        match cursor.atom()?.to_ascii_uppercase().as_str() {
            "SUBSCRIBED" => select.subscribed = true,
            "REMOTE" => select.remote = true,
            "RECURSIVEMATCH" => select.recursive_match = true,
            "SPECIAL-USE" => select.special_use = true,
            _ => return Err(ParseError::Invalid("LIST selection option")),
        }
        Ok(())
    })?;
    if select.recursive_match && !(select.subscribed || select.special_use) {
        let text = "LIST selection options must include other options in addition to RECURSIVEMATCH";
        return Err(ParseError::Text(text));
    }
    Ok(select)
}

fn returns(cursor: &mut Cursor<'_>, returns: &mut Returns) -> Result<(), ParseError> {
    cursor.list(16, |cursor| {
        match cursor.atom()?.to_ascii_uppercase().as_str() {
            "SUBSCRIBED" => returns.subscribed = true,
            "CHILDREN" => returns.children = true,
            "SPECIAL-USE" => returns.special_use = true,
            "MYRIGHTS" => returns.my_rights = true,
            "STATUS" => {
                cursor.space()?;
                returns.status = status::items(cursor)?;
            }
            _ => return Err(ParseError::Invalid("LIST return option")),
        }
        Ok(())
    })?;
    Ok(())
}

const PATTERNS: usize = 256;
