//! The rights of a user who gets another name: they are the new name's with the mailbox's new name, in one step.

use protocol::{
    acl::{Acl, Rights},
    name::MailboxName,
};

/// A user's old name and new one.
#[derive(Debug, Clone)]
pub(super) struct Heir {
    before: String,
    after: String,
}

impl Heir {
    /// None unless a whole user is renamed.
    pub fn of(from: &MailboxName, to: &MailboxName) -> Option<Heir> {
        let whole = from.is_inbox() && to.is_inbox();
        Some(Heir { before: from.owner().filter(|_| whole)?, after: to.owner()? })
    }

    /// An ACL in which the user's entries have the new name, at its end as Cyrus puts them.
    pub fn acl(&self, acl: &str) -> String {
        let mut acl = Acl::parse(acl);
        for sign in ["", "-"] {
            let (before, after) = (format!("{sign}{}", self.before), format!("{sign}{}", self.after));
            if let Some(rights) = acl.get(&before) {
                acl.set(&before, Rights::NONE);
                acl.set(&after, rights);
            }
        }
        acl.to_string()
    }
}
