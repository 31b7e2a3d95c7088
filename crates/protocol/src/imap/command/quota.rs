//! GETQUOTA, GETQUOTAROOT, SETQUOTA, and what they are answered with: RFC 9208.

use nom::Parser;
use nom::combinator::opt;
use nom::sequence::terminated;

use super::mailbox::one;
use crate::grammar::{Cursor, ParseError, Parsed, argument, atom, byte, list, mailbox, number64, space};
use crate::imap::print;

/// `SETQUOTA SP root SP "(" *(resource SP limit) ")"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetQuota {
    /// A leading `+` makes the root even where no mailbox has its name.
    pub root: String,
    /// Names in upper case; no limit where a frontend wrote -1.
    pub limits: Vec<(String, Option<u64>)>,
}

/// `GETQUOTA SP root`
pub fn get(at: Cursor<'_>) -> Parsed<'_, String> {
    one(at)
}

/// `GETQUOTAROOT SP mailbox`
pub fn get_root(at: Cursor<'_>) -> Parsed<'_, String> {
    one(at)
}

pub fn set(at: Cursor<'_>) -> Parsed<'_, SetQuota> {
    let (at, (root, limits)) = (one, argument(list(16, limit))).parse(at)?;
    Ok((at, SetQuota { root, limits }))
}

/// `resource SP (number64 / "-1")`
fn limit(at: Cursor<'_>) -> Parsed<'_, (String, Option<u64>)> {
    let (at, resource) = terminated(atom, space).parse(at)?;
    let (at, negative) = opt(byte(b'-')).parse(at)?;
    let invalid = |_| ParseError::Text("Invalid quota list in Setquota");
    let (at, limit) = number64(at).map_err(invalid)?;
    if negative.is_some() && limit != 1 {
        return Err(ParseError::Text("Invalid quota list in Setquota").into());
    }
    Ok((at, (resource.to_ascii_uppercase(), negative.is_none().then_some(limit))))
}

/// A root, and of each resource its name, how much is used, and the limit.
pub type OfRoot = (String, Vec<(String, u64, u64)>);

/// What follows `* QUOTA `: `root SP "(" [resource SP usage SP limit *(SP …)] ")"`, as a backend writes it.
pub fn response(at: Cursor<'_>) -> Parsed<'_, OfRoot> {
    let resource = |at| {
        let (at, (name, used, limit)) = (atom, argument(number64), argument(number64)).parse(at)?;
        Ok((at, (name.to_ascii_uppercase(), used, limit)))
    };
    (mailbox, argument(list(16, resource))).parse(at)
}

/// A resource that is limited: its name, how much of it is used, and the limit.
pub type Usage<'n> = (&'n str, u64, u64);

/// `* QUOTA SP root SP "(" [resource SP usage SP limit *(SP …)] ")"`
pub fn print_quota(out: &mut Vec<u8>, root: &str, resources: &[Usage<'_>]) {
    out.extend_from_slice(b"* QUOTA ");
    print::mailbox(out, root);
    let told: Vec<String> =
        resources.iter().map(|(name, used, limit)| format!("{name} {used} {limit}")).collect();
    out.extend_from_slice(format!(" ({})\r\n", told.join(" ")).as_bytes());
}

/// `* QUOTAROOT SP mailbox *(SP root)`
pub fn print_quota_root(out: &mut Vec<u8>, mailbox: &str, root: Option<&str>) {
    out.extend_from_slice(b"* QUOTAROOT ");
    print::mailbox(out, mailbox);
    if let Some(root) = root {
        out.push(b' ');
        print::mailbox(out, root);
    }
    out.extend_from_slice(b"\r\n");
}
