//! SETQUOTA, and what GETQUOTA and GETQUOTAROOT are answered with: RFC 9208.

use super::Body;
use super::mailbox::one;
use crate::imap::cursor::{Cursor, ParseError};
use crate::imap::print;

/// `SETQUOTA SP root SP "(" *(resource SP limit) ")"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetQuota {
    /// A leading `+` makes the root even where no mailbox has its name.
    pub root: String,
    /// Names in upper case; no limit where a frontend wrote -1.
    pub limits: Vec<(String, Option<u64>)>,
}

pub fn set(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let root = one(cursor)?;
    cursor.space()?;
    let limits = cursor.list(16, |cursor| {
        let resource = cursor.atom()?.to_ascii_uppercase();
        cursor.space()?;
        let negative = cursor.eat(b'-');
        let limit =
            cursor.number64().map_err(|_| ParseError::Text("Invalid quota list in Setquota".to_owned()))?;
        Ok((resource, (!negative).then_some(limit)))
    })?;
    Ok(Body::SetQuota(SetQuota { root, limits }))
}

/// A resource that is limited: its name, how much of it is used, and the limit.
pub type Usage = (&'static str, u64, u64);

/// `* QUOTA SP root SP "(" [resource SP usage SP limit *(SP …)] ")"`
pub fn print_quota(out: &mut Vec<u8>, root: &str, resources: &[Usage]) {
    out.extend_from_slice(b"* QUOTA ");
    print::astring(out, root.as_bytes());
    let told: Vec<String> =
        resources.iter().map(|(name, used, limit)| format!("{name} {used} {limit}")).collect();
    out.extend_from_slice(format!(" ({})\r\n", told.join(" ")).as_bytes());
}

/// `* QUOTAROOT SP mailbox *(SP root)`
pub fn print_quota_root(out: &mut Vec<u8>, mailbox: &str, root: Option<&str>) {
    out.extend_from_slice(b"* QUOTAROOT ");
    print::astring(out, mailbox.as_bytes());
    if let Some(root) = root {
        out.push(b' ');
        print::astring(out, root.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}
