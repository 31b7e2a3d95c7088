//! What a viewer calls a mailbox: conversion between internal names and the names that clients see. Every daemon converts
//! here and nowhere else.
//!
//! Three layouts, chosen by imapd.conf and by who looks:
//!
//! | internal | admin | altnamespace | without |
//! | --- | --- | --- | --- |
//! | `user.me` | `user/me` | `INBOX` | `INBOX` |
//! | `user.me.Sent` | `user/me/Sent` | `Sent` | `INBOX/Sent` |
//! | `user.me.INBOX` | `user/me/INBOX` | `Alt Folders/INBOX` | `INBOX/INBOX` |
//! | `user.me.INBOX.x` | `user/me/INBOX/x` | `INBOX/x` | `INBOX/INBOX/x` |
//! | `user.bob.x` | `user/bob/x` | `Other Users/bob/x` | `user/bob/x` |
//! | `news.x` | `news/x` | `Shared Folders/news/x` | `news/x` |
//!
//! The separator is `/` with `unixhierarchysep` (a `.` inside a name is `^` internally), else `.`.
//!
//! With virtual domains everybody is in a domain, and names what is in it without saying so. An admin without a domain names
//! another domain's behind everything, one with a domain has no other (`d.org!user.bob.x` is what both see here). Users
//! name nothing of other domains, but with `crossdomains`: behind the owner, or behind the top of a shared tree.
//!
//! | internal | admin | altnamespace, crossdomains | without, crossdomains |
//! | --- | --- | --- | --- |
//! | `d.org!user.bob.x` | `user/bob/x@d.org` | `Other Users/bob@d.org/x` | `user/bob@d.org/x` |
//! | `d.org!news.x` | `news/x@d.org` | `Shared Folders/news@d.org/x` | (none) |

mod creation;
mod hierarchy;
mod inward;
mod outward;
#[cfg(test)]
mod tests;

pub use hierarchy::Hierarchy;

use crate::{
    name::{MailboxName, NameError},
    pattern::Pattern,
};

/// The options of imapd.conf that shape names. They must be the same on every node.
#[derive(Debug, Clone)]
pub struct Namespace {
    pub unixhierarchysep: bool,
    pub altnamespace: bool,
    /// `userprefix`: "Other Users".
    pub userprefix: String,
    /// `sharedprefix`: "Shared Folders".
    pub sharedprefix: String,
    /// `altprefix`: "Alt Folders".
    pub altprefix: String,
    /// `deletedprefix`: "DELETED".
    pub deletedprefix: String,
    /// `virtdomains` is not off.
    pub virtdomains: bool,
    pub defaultdomain: String,
    /// What users, who are no admins, can name of other domains. Without `virtdomains` there are none.
    pub crossdomains: CrossDomains,
}

/// `crossdomains` and `crossdomains_onlyother`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrossDomains {
    /// Nothing of another domain can be named.
    Off,
    /// Each name of another user, and of a shared mailbox under `altnamespace`, has its domain; without one it is the
    /// default domain's.
    All,
    /// Only those of other domains have it; without one a name is of the viewer's domain.
    OnlyOther,
}

/// Who looks. Admins (and POP3, and proxied admins) see the plain internal layout. An admin whose name has a domain is that
/// domain's admin, and nobody in another.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub userid: &'a str,
    pub admin: bool,
}

impl Default for Namespace {
    fn default() -> Self {
        Namespace {
            unixhierarchysep: true,
            altnamespace: true,
            userprefix: "Other Users".into(),
            sharedprefix: "Shared Folders".into(),
            altprefix: "Alt Folders".into(),
            deletedprefix: "DELETED".into(),
            virtdomains: false,
            defaultdomain: "internal".into(),
            crossdomains: CrossDomains::Off,
        }
    }
}

impl Namespace {
    pub fn separator(&self) -> char {
        if self.unixhierarchysep { '/' } else { '.' }
    }

    /// A user's INBOX. `NameError` where the id cannot name one (empty, a separator inside, …).
    pub fn inbox(&self, userid: &str) -> Result<MailboxName, NameError> {
        let (local, domain) = self.split_user(userid);
        self.inbox_of(local, domain)
    }

    /// The INBOX of a user of a domain, none for the default domain's.
    pub fn inbox_of(&self, local: &str, domain: Option<&str>) -> Result<MailboxName, NameError> {
        // What owns `user.a@b` without a domain is called as is what owns `b!user.a`.
        let ambiguous = self.virtdomains && domain.is_none() && local.contains('@');
        if local.is_empty() || ambiguous || local.starts_with('%') || local.contains(['^', '!', '/']) {
            return Err(NameError::Invalid);
        }
        self.with_domain(domain, &format!("user.{}", local.replace('.', "^")))
    }

    /// The folder below an INBOX whose levels a viewer writes so, whatever layout names have else: the detail of an address
    /// or of a login.
    pub fn folder(&self, inbox: &MailboxName, levels: &str) -> Result<MailboxName, NameError> {
        self.below(inbox, &levels.split(self.separator()).collect::<Vec<_>>())
    }

    /// Whether a name lies in the tree of delayed deletes.
    pub fn is_deleted(&self, name: &MailboxName) -> bool {
        name.local().strip_prefix(self.deletedprefix.as_str()).is_some_and(|rest| rest.starts_with('.'))
    }

    /// Whether clients do not see a name in LIST, nor LMTP deliver to it: delayed deletes, and the collections that
    /// belong to other services (`#calendars`, `#addressbooks`, `#sieve`, …).
    pub fn is_hidden(&self, name: &MailboxName) -> bool {
        self.is_deleted(name) || name.components().any(|component| COLLECTIONS.contains(&component))
    }

    /// The name of a delayed delete: `DELETED.<name>.<hexadecimal time>`, the domain staying in front.
    pub fn to_deleted(&self, name: &MailboxName, epoch_seconds: u64) -> Result<MailboxName, NameError> {
        let text = format!("{}.{}.{epoch_seconds:08X}", self.deletedprefix, name.local());
        match name.domain() {
            Some(domain) => MailboxName::parse(&format!("{domain}!{text}")),
            None => MailboxName::parse(&text),
        }
    }

    /// The name that a delayed delete had, and when it was deleted (seconds since 1970).
    pub fn undeleted(&self, name: &MailboxName) -> Option<(MailboxName, u64)> {
        let rest = name.local().strip_prefix(self.deletedprefix.as_str())?.strip_prefix('.')?;
        let (old, time) = rest.rsplit_once('.')?;
        let time = u64::from_str_radix(time, 16).ok()?;
        let domain = name.as_str().len() - name.local().len();
        let text = format!("{}{old}", name.as_str().get(..domain)?);
        Some((MailboxName::parse(&text).ok()?, time))
    }

    /// The user whose data a mailbox is, a deleted one's too.
    pub fn owner(&self, name: &MailboxName) -> Option<String> {
        name.owner().or_else(|| self.undeleted(name)?.0.owner())
    }

    /// A LIST pattern with its reference, for one viewer. `%` stops at the separator, `*` does not. Where the viewer's names
    /// have domains: [`Pattern::over`].
    pub fn pattern(&self, reference: &str, pattern: &str) -> Pattern {
        let sep = self.separator();
        // `LIST a/ /b` is `LIST "" a/b`, as in Cyrus: no name begins with the separator.
        let reference = match pattern.starts_with(sep) {
            true => reference.strip_suffix(sep).unwrap_or(reference),
            false => reference,
        };
        Pattern::new(&format!("{reference}{pattern}"), sep)
    }

    /// How this viewer's names are made of levels.
    pub fn hierarchy(&self, view: &View<'_>) -> Hierarchy {
        Hierarchy::new(self.separator(), self.virtdomains && view.admin)
    }

    /// `fred` or `fred@dom` to its local part and its domain, none for the default domain's.
    pub fn split_user<'a>(&self, userid: &'a str) -> (&'a str, Option<&'a str>) {
        if !self.virtdomains {
            return (userid, None);
        }
        match userid.rsplit_once('@') {
            Some((local, domain)) => (local, Some(domain).filter(|domain| !self.is_default(domain))),
            None => (userid, None),
        }
    }

    /// Whether an admin is one of all domains. Who is of one alone has no power over the node.
    pub fn is_of_all(&self, view: &View<'_>) -> bool {
        view.admin && self.split_user(view.userid).1.is_none()
    }

    /// An identifier of an access control list as logins have it: `lower`-case with `username_tolower`, which groups are
    /// not, and without the default domain.
    pub fn identifier(&self, written: &str, lower: bool) -> String {
        let (sign, name) = written.strip_prefix('-').map_or(("", written), |name| ("-", name));
        if name.starts_with("group:") {
            return written.to_owned();
        }
        let name = if lower { name.to_lowercase() } else { name.to_owned() };
        let short = match name.rsplit_once('@').filter(|_| self.virtdomains) {
            Some((local, domain)) if self.is_default(domain) && !local.is_empty() && !local.contains('@') => {
                Some(local.to_owned())
            }
            Some((local, domain)) => Some(format!("{local}@{}", domain.to_ascii_lowercase())),
            None => None,
        };
        format!("{sign}{}", short.unwrap_or(name))
    }

    /// Whether this is the domain whose users and mailboxes are stored without it.
    fn is_default(&self, domain: &str) -> bool {
        domain.eq_ignore_ascii_case(&self.defaultdomain)
    }

    fn crossing(&self) -> CrossDomains {
        if self.virtdomains { self.crossdomains } else { CrossDomains::Off }
    }

    fn with_domain(&self, domain: Option<&str>, local: &str) -> Result<MailboxName, NameError> {
        match domain {
            Some(domain) if is_domain(domain) => MailboxName::parse(&format!("{domain}!{local}")),
            Some(_) => Err(NameError::Invalid),
            None => MailboxName::parse(local),
        }
    }

    fn component_out(&self, text: &str) -> String {
        if self.unixhierarchysep { text.replace('^', ".") } else { text.to_owned() }
    }
}

/// Whether a text can be the domain of names: letters, digits, `-`, `_` and dots. All else means something in a name.
fn is_domain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

/// The folders of a user that hold no mail. Others may begin with `#` too.
const COLLECTIONS: &[&str] = &[
    "#addressbooks",
    "#calendars",
    "#drive",
    "#jmap",
    "#jmapnotification",
    "#jmappushsubscription",
    "#jmapsubmission",
    "#notifications",
    "#sieve",
];
