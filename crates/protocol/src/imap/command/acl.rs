//! Access control: RFC 4314.

use nom::Parser;
use nom::combinator::map;

use super::mailbox::one;
use crate::grammar::{Cursor, Parsed, argument, text};

/// `SETACL SP mailbox SP identifier SP ["+" / "-"] rights`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAcl {
    pub mailbox: String,
    pub identifier: String,
    pub change: Change,
    /// Letters as written.
    pub rights: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Replace,
    Add,
    Remove,
}

/// `DELETEACL SP mailbox SP identifier`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteAcl {
    pub mailbox: String,
    pub identifier: String,
}

/// `LISTRIGHTS SP mailbox SP identifier`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRights {
    pub mailbox: String,
    pub identifier: String,
}

pub fn set(at: Cursor<'_>) -> Parsed<'_, SetAcl> {
    let (at, (mailbox, identifier, word)) = (one, argument(text), argument(text)).parse(at)?;
    let (change, rights) = match (word.strip_prefix('+'), word.strip_prefix('-')) {
        (Some(rights), _) => (Change::Add, rights),
        (_, Some(rights)) => (Change::Remove, rights),
        _ => (Change::Replace, word.as_str()),
    };
    Ok((at, SetAcl { mailbox, identifier, change, rights: rights.to_owned() }))
}

pub fn delete(at: Cursor<'_>) -> Parsed<'_, DeleteAcl> {
    let entry = (one, argument(text));
    map(entry, |(mailbox, identifier)| DeleteAcl { mailbox, identifier }).parse(at)
}

/// `GETACL SP mailbox`
pub fn get(at: Cursor<'_>) -> Parsed<'_, String> {
    one(at)
}

pub fn list_rights(at: Cursor<'_>) -> Parsed<'_, ListRights> {
    let entry = (one, argument(text));
    map(entry, |(mailbox, identifier)| ListRights { mailbox, identifier }).parse(at)
}

/// `MYRIGHTS SP mailbox`
pub fn my_rights(at: Cursor<'_>) -> Parsed<'_, String> {
    one(at)
}
