//! Which names may be created.

use super::{Namespace, is_domain};
use crate::{
    mutf7,
    name::{MailboxName, NameError},
};

impl Namespace {
    /// Whether a name may be created: length, characters, modified UTF-7, names that mean something else.
    pub fn check_create(&self, name: &MailboxName) -> Result<(), NameError> {
        if name.as_str().len() > CREATE_MAX || name.components().count() > CREATE_DEPTH {
            return Err(NameError::Invalid);
        }
        if self.is_deleted(name) {
            return Ok(());
        }
        let local = name.local();
        let reserved = local == "user"
            || ["user.anyone", "user.anonymous"].contains(&local)
            || local.starts_with("user.%");
        let start = local.starts_with(['$', '.', '~', '&']) && !local.starts_with('&');
        let doubled = name.components().any(str::is_empty);
        let charset = local.bytes().all(|b| b.is_ascii_alphanumeric() || ALLOWED.contains(&b));
        let coded = name.components().all(|c| mutf7::decode(&c.replace('^', ".")).is_some());
        let is_inbox = |component: Option<&str>| component.is_some_and(|c| c.eq_ignore_ascii_case("INBOX"));
        let inbox_twice = match name.inbox() {
            Some(_) => is_inbox(name.components().nth(2)) && !self.altnamespace,
            None => is_inbox(name.components().next()),
        };
        if reserved || start || doubled || !charset || !coded || inbox_twice || self.is_astray(name) {
            return Err(NameError::Invalid);
        }
        Ok(())
    }

    /// Whether nobody could log in as its owner, or somebody of another domain: domains of logins are lower-case, and
    /// `user.a@b` of the default domain would be `a@b`'s.
    fn is_astray(&self, name: &MailboxName) -> bool {
        match name.domain() {
            Some(domain) => !is_domain(domain) || domain.bytes().any(|b| b.is_ascii_uppercase()),
            None => self.virtdomains && name.inbox().is_some_and(|inbox| inbox.as_str().contains('@')),
        }
    }
}

/// Bytes of a name that may be created (Cyrus 3.6).
const CREATE_MAX: usize = 490;
/// Components of a name that may be created: each CREATE may make all that is above, and each is an entry in every list of
/// the murder. Cyrus bounds the bytes alone.
const CREATE_DEPTH: usize = 64;
/// ASCII allowed in names beside letters and digits, `&` only as modified UTF-7 has it.
const ALLOWED: &[u8] = b" #$'()*+,-.:=?@[]^_~&";
