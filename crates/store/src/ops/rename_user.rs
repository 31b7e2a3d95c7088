//! What follows a user who gets another name (`allowusermoves`): beside the mailboxes, which [`Store::rename`] moves, and the
//! rights on them ([`super::inherit`]), special uses and private annotations, subscriptions, seen states, annotations of the server, Sieve scripts.
//!
//! The mailboxes have moved by then. What cannot follow is logged, and nothing is taken back.

use std::collections::BTreeMap;

use protocol::name::MailboxName;
use tracing::{info, warn};

use super::{Renamed, SPECIAL_USE};
use crate::{
    Seen, SpecialUses, Store,
    annotations::Setting,
    error::StoreError,
    script::{ScriptOp, UserScripts},
    userlog::Op,
};

/// A user who gets another name.
pub struct Moving {
    old: String,
    new: String,
    uses: SpecialUses,
}

impl Store {
    /// What is to be remembered of a user before the mailboxes move; none where no user does.
    pub(super) async fn before_move(
        &self,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<Option<Moving>, StoreError> {
        let owner = |name: &MailboxName| self.inner.namespace.owner(name);
        let (true, Some(old), Some(new)) = (from.is_inbox() && to.is_inbox(), owner(from), owner(to)) else {
            return Ok(None);
        };
        let uses = self.special_uses(&old).await?;
        Ok(Some(Moving { old, new, uses }))
    }

    /// Takes all along that is the user's.
    pub(super) async fn after_move(&self, moving: Moving, renamed: &Renamed) {
        let Moving { old, new, uses } = &moving;
        for (from, to) in &renamed.moved {
            let uses = uses.get(from).map(|uses| uses.join(" "));
            if let Err(error) = self.follow(old, new, to, uses).await {
                warn!(%error, mailbox = %to, old, new, "not all of a user's annotations followed");
            }
        }
        let names: BTreeMap<&MailboxName, &MailboxName> =
            renamed.moved.iter().map(|(from, to)| (from, to)).collect();
        if let Err(error) = self.hand_over(old, new, &names).await {
            warn!(%error, old, new, "not all subscriptions and seen states of a user followed");
        }
        info!(old, new, "a user has another name");
    }

    /// Of one mailbox.
    async fn follow(
        &self,
        old: &str,
        new: &str,
        name: &MailboxName,
        uses: Option<String>,
    ) -> Result<(), StoreError> {
        let entry = self.inner.list.get(name)?.ok_or(StoreError::NoMailbox)?;
        let mailbox = self.open_entry(&entry).await?;
        let own: Vec<Setting> =
            mailbox.all_annotations().into_iter().filter(|setting| setting.user == old).collect();
        if !own.is_empty() {
            let gone = own.iter().map(|setting| Setting { value: None, ..setting.clone() });
            let moved = own.iter().map(|setting| Setting { user: new.to_owned(), ..setting.clone() });
            mailbox.set_annotations(moved.chain(gone).collect()).await?;
        }
        if old != new {
            mailbox.hand_over_notes(old, new).await?;
        }
        if let Some(uses) = uses {
            let user = new.to_owned();
            self.edit_header(&entry, move |header| header.annotate(SPECIAL_USE, &user, Some(&uses))).await?;
            self.forget_special_uses(name);
        }
        Ok(())
    }

    /// What is kept for the user across mailboxes. The old log keeps nothing that the new one has.
    async fn hand_over(
        &self,
        old: &str,
        new: &str,
        names: &BTreeMap<&MailboxName, &MailboxName>,
    ) -> Result<(), StoreError> {
        let (before, after) = (self.user_log(old).await?, self.user_log(new).await?);
        let state = before.state();
        let now = |name: &MailboxName| names.get(name).map_or_else(|| name.clone(), |now| (*now).clone());
        let subscriptions = state.subscriptions.iter().map(|name| Op::Subscribe(now(name)));
        let seen = state.seen.iter().map(|(id, seen)| Op::Seen(id.clone(), seen.clone()));
        // The new name's own are of somebody who had it before.
        let scripts = (old != new).then(|| Op::Script(ScriptOp::Replace((*state.scripts).clone())));
        after.apply_all(subscriptions.chain(seen).chain(scripts).collect()).await?;
        // `user.a@b` of the default domain may have become `b!user.a`, whose owner is called the same.
        let same = old == new;
        let left = state.subscriptions.iter().filter(|name| !same || now(name) != **name);
        let unseen = state.seen.keys().filter(|_| !same).map(|id| Op::Seen(id.clone(), Seen::default()));
        let unscripted = (!same).then(|| Op::Script(ScriptOp::Replace(UserScripts::default())));
        before
            .apply_all(left.cloned().map(Op::Unsubscribe).chain(unseen).chain(unscripted).collect())
            .await?;
        if same {
            return Ok(());
        }
        let setting = |user: &str, value: bool| {
            let made = |(entry, kept): (&String, &std::sync::Arc<[u8]>)| Setting {
                entry: entry.clone(),
                user: user.to_owned(),
                value: value.then(|| kept.to_vec()),
            };
            state.annotations.iter().map(made).collect::<Vec<_>>()
        };
        if !state.annotations.is_empty() {
            self.annotate_server(new, setting(new, true)).await?;
            self.annotate_server(old, setting(old, false)).await?;
        }
        Ok(())
    }
}
