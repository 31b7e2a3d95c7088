//! What one user can have every process of a murder hold: each mailbox, with its ACL, is in the memory of the master, of every
//! slave and of every proxy.
//!
//! | bound | default | set by |
//! | --- | --- | --- |
//! | mailboxes below one INBOX, or one shared top-level mailbox, on a backend | 10,000 | `maxmailboxes_per_user` |
//! | subscriptions of a user | 10,000 | `maxmailboxes_per_user` |
//! | bytes of an ACL | [`ACL`] | |
//! | bytes of an identifier in it | 255 | `protocol::userid` |
//! | bytes and depth of a name that is created | 490 (Cyrus), 64 | `protocol::namespace` |
//!
//! Mailboxes that were deleted and are not removed yet count: who creates and deletes in turn fills the lists just as well.
//! Admins may do more. What is there already stays, and may be made smaller.

use protocol::{acl::Acl, name::MailboxName};

use super::Actor;
use crate::limits::{ACL, rows};
use crate::{Store, error::StoreError};

impl Store {
    /// Whether somebody may make `more` mailboxes where `name` is.
    pub(super) fn check_count(&self, who: &Actor, name: &MailboxName, more: usize) -> Result<(), StoreError> {
        let Some(limit) = self.most_mailboxes().filter(|_| !who.admin) else { return Ok(()) };
        let root = top(name);
        let mut count = self.inner.list.subtree(&root, None, limit)?.entries.len();
        let deleted = self.inner.namespace.to_deleted(&root, 0).ok().and_then(|name| name.parent());
        if let Some(deleted) = deleted {
            count += self.inner.list.subtree(&deleted, None, limit)?.entries.len();
        }
        match count.saturating_add(more) <= limit {
            true => Ok(()),
            false => Err(refuse(&rows::maxmailboxes_per_user, &who.userid, "Too many mailboxes")),
        }
    }

    pub(crate) fn check_subscriptions(&self, userid: &str, count: usize) -> Result<(), StoreError> {
        match self.most_mailboxes().is_none_or(|limit| count < limit) {
            true => Ok(()),
            false => Err(refuse(&rows::maxmailboxes_per_user, userid, "Too many subscriptions")),
        }
    }

    fn most_mailboxes(&self) -> Option<usize> {
        match self.policy().maxmailboxes_per_user {
            0 => None,
            limit => usize::try_from(limit).ok(),
        }
    }
}

/// Whether an ACL may become this one: it may shrink, however long it is.
pub(super) fn check_acl(who: &Actor, before: &str, after: &Acl) -> Result<String, StoreError> {
    let text = after.to_string();
    match text.len() <= ACL || text.len() <= before.len() {
        true => Ok(text),
        false => Err(refuse(&rows::ACL, &who.userid, "Access control list is too long")),
    }
}

fn refuse(limit: &bounds::Limit, userid: &str, what: &'static str) -> StoreError {
    metrics::counter!("murder_user_limits_total").increment(1);
    limit.met(format_args!("{userid}: refused: {what}"));
    StoreError::Limit(what)
}

/// The topmost mailbox that a name belongs to: the INBOX, or a shared one.
fn top(name: &MailboxName) -> MailboxName {
    let mut top = name.clone();
    while let Some(parent) = top.parent() {
        top = parent;
    }
    top
}
