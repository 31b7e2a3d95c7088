//! What comes along, beside the mailboxes, when a user gets another name: rights, subscriptions, seen states.

use protocol::{
    acl::{Acl, Rights},
    name::MailboxName,
};
use tracing::warn;

use super::rename::Renamed;
use crate::{Store, error::StoreError, userlog::Op};

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

impl Store {
    /// Gives what is kept for a user to the same user's new name. The mailboxes have theirs already: a failure is logged.
    pub(super) async fn hand_over(&self, heir: &Heir, from: &MailboxName, to: &MailboxName, done: &Renamed) {
        if let Err(error) = self.move_state(heir, from, to, done).await {
            warn!(%error, user = heir.before, now = heir.after, "subscriptions and seen states stay behind");
        }
    }

    async fn move_state(
        &self,
        heir: &Heir,
        from: &MailboxName,
        to: &MailboxName,
        done: &Renamed,
    ) -> Result<(), StoreError> {
        let (before, after) = (self.user_log(&heir.before).await?, self.user_log(&heir.after).await?);
        let state = before.state();
        let stays = |name: &MailboxName| done.failed.iter().any(|(failed, _, _)| failed == name);
        let moved = |name: &MailboxName| match stays(name) {
            true => name.clone(),
            false => name.moved(from, to).unwrap_or_else(|| name.clone()),
        };
        let subscriptions = state.subscriptions.iter().map(|name| Op::Subscribe(moved(name)));
        let seen = state.seen.iter().map(|(id, seen)| Op::Seen(id.clone(), seen.clone()));
        after.apply_all(subscriptions.chain(seen).collect()).await?;
        // `user.a@b` of the default domain may have become `b!user.a`, whose owner is called the same.
        let same = heir.before == heir.after;
        let left = state.subscriptions.iter().filter(|name| !same || moved(name) != **name);
        before.apply_all(left.cloned().map(Op::Unsubscribe).collect()).await
    }
}
