//! Access control: RFC 4314.

use nom::Parser;
use nom::combinator::map;

use super::mailbox::one;
use crate::acl::{Acl, Rights};
use crate::grammar::{Cursor, Parsed, argument, text};
use crate::imap::print;

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

/// `* ACL SP mailbox *(SP identifier SP rights)`
pub fn print_acl(out: &mut Vec<u8>, mailbox: &str, acl: &Acl) {
    out.extend_from_slice(b"* ACL ");
    print::mailbox(out, mailbox);
    for (identifier, rights) in acl.entries() {
        out.push(b' ');
        print::astring(out, identifier.as_bytes());
        out.push(b' ');
        print::astring(out, rights.to_string().as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// `* LISTRIGHTS SP mailbox SP identifier SP rights *(SP rights)`; `listed`: what stands behind the identifier.
pub fn print_list_rights(out: &mut Vec<u8>, mailbox: &str, identifier: &str, listed: &str) {
    out.extend_from_slice(b"* LISTRIGHTS ");
    print::mailbox(out, mailbox);
    out.push(b' ');
    print::astring(out, identifier.as_bytes());
    out.extend_from_slice(format!(" {listed}\r\n").as_bytes());
}

/// `* MYRIGHTS SP mailbox SP rights`
pub fn print_my_rights(out: &mut Vec<u8>, mailbox: &str, rights: Rights) {
    out.extend_from_slice(b"* MYRIGHTS ");
    print::mailbox(out, mailbox);
    out.extend_from_slice(format!(" {rights}\r\n").as_bytes());
}
