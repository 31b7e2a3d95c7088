//! Access control: RFC 4314.

use super::Body;
use super::mailbox::one;
use crate::acl::{Acl, Rights};
use crate::imap::cursor::{Cursor, ParseError};
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

pub fn set(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let (mailbox, identifier, word) = (one(cursor)?, one(cursor)?, one(cursor)?);
    let (change, rights) = match (word.strip_prefix('+'), word.strip_prefix('-')) {
        (Some(rights), _) => (Change::Add, rights),
        (_, Some(rights)) => (Change::Remove, rights),
        _ => (Change::Replace, word.as_str()),
    };
    Ok(Body::SetAcl(SetAcl { mailbox, identifier, change, rights: rights.to_owned() }))
}

pub fn delete(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    Ok(Body::DeleteAcl(DeleteAcl { mailbox: one(cursor)?, identifier: one(cursor)? }))
}

pub fn list_rights(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    Ok(Body::ListRights(ListRights { mailbox: one(cursor)?, identifier: one(cursor)? }))
}

/// `* ACL SP mailbox *(SP identifier SP rights)`
pub fn print_acl(out: &mut Vec<u8>, mailbox: &str, acl: &Acl) {
    out.extend_from_slice(b"* ACL ");
    print::astring(out, mailbox.as_bytes());
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
    print::astring(out, mailbox.as_bytes());
    out.push(b' ');
    print::astring(out, identifier.as_bytes());
    out.extend_from_slice(format!(" {listed}\r\n").as_bytes());
}

/// `* MYRIGHTS SP mailbox SP rights`
pub fn print_my_rights(out: &mut Vec<u8>, mailbox: &str, rights: Rights) {
    out.extend_from_slice(b"* MYRIGHTS ");
    print::astring(out, mailbox.as_bytes());
    out.extend_from_slice(format!(" {rights}\r\n").as_bytes());
}
