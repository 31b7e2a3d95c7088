//! Giving away: mailboxes that are another server's now leave the list, and their copies are kept.

use mailboxes::Change;
use protocol::name::MailboxName;
use tracing::info;

use super::{Frozen, Item, batch::Batch};
use crate::{
    Store, blocking,
    disk::{self, mailbox_dir},
    error::StoreError,
    gates::{Gate, State},
    header::{self, Header, Kept, MovedTo},
    limits::GATE,
    quota::{Delta, Usage},
    stage::partition_of,
};

impl Store {
    /// Takes mailboxes out of the list, in one commit, and keeps their copies: their names are answered with [`StoreError::Moved`],
    /// and their sessions leave. [`Frozen::gone_to`] comes first where it was not called. Asked for once more, after a crash, it does
    /// what is left.
    ///
    /// The limits of quota roots among them go; they stay in the headers.
    pub async fn give_away(
        &self,
        frozen: &Frozen,
        items: &[Item],
        to: &str,
        move_id: &str,
    ) -> Result<(), StoreError> {
        frozen.gone_to(to);
        let moved = MovedTo { to: to.to_owned(), id: move_id.to_owned(), at: self.now() };
        let mut left = Vec::new();
        for item in items {
            let listed = self.inner.list.get(&item.name)?.and_then(|entry| entry.local);
            if listed.is_some_and(|local| local.uniqueid == item.uniqueid) {
                left.push(item.clone());
            }
        }
        let (store, items) = (self.clone(), items.to_vec());
        self.to_the_end(async move {
            let count = left.len();
            store.leave_list(left, &moved).await?;
            store.leave_limits(&items).await?;
            info!(mailboxes = count, to = moved.to, id = moved.id, "given away");
            Ok(())
        })
        .await
    }

    /// The database knows them as kept, then their headers, then the list no longer as this server's. A start in between takes the
    /// first two back.
    async fn leave_list(&self, items: Vec<Item>, moved: &MovedTo) -> Result<(), StoreError> {
        let mut kept = Vec::with_capacity(items.len());
        for item in &items {
            let entry = self.inner.list.get(&item.name)?.ok_or(StoreError::NoMailbox)?;
            kept.push(Kept::new(item, &entry.acl, moved));
        }
        let (store, moved, places) = (self.clone(), moved.clone(), items.clone());
        let copies = kept.clone();
        blocking(move || {
            store.inner.db.set_kept(copies.iter().map(|kept| (kept.uniqueid.as_str(), Some(kept))))?;
            store.inner.journal.step("give away: kept");
            let mut batch = Batch::default();
            for item in &places {
                let dir = mailbox_dir(&store.partition_path(&item.partition)?, &item.uniqueid);
                let header = Header::read(&dir)?;
                let header = Header { incoming: true, moved: Some(moved.clone()), moving: None, ..header };
                batch.replace(dir.join(header::FILE), header.encode(&dir)?);
            }
            batch.write(|file| file.parent().and_then(partition_of).unwrap_or(file).to_owned())
        })
        .await?;
        self.inner.journal.step("give away: headers written");
        let usages: Vec<Usage> = items.iter().map(|item| self.usage_of(&item.uniqueid)).collect();
        self.commit_list(items.iter().map(|item| Change::delete(item.name.clone())).collect()).await?;
        for (item, kept) in items.iter().zip(&kept) {
            self.inner.shared.gates.set([Gate::Name(&item.name)], Some(&kept.state()));
        }
        self.inner.journal.step("give away: listed no more");
        for (item, usage) in items.iter().zip(usages) {
            // Its sessions leave; whoever comes later finds the name, and what is said of it.
            drop(self.shut(&item.uniqueid).await?);
            let quotas = &self.inner.shared.quotas;
            let root = self.quota_root(&item.name);
            // What shrinks is never refused.
            let _ = quotas.add(root.as_ref(), Delta::between(&usage, &Usage::default()), false);
            quotas.note(&item.uniqueid, None);
            self.forget_special_uses(&item.name);
        }
        Ok(())
    }

    /// Quota roots that are elsewhere count nothing here.
    async fn leave_limits(&self, items: &[Item]) -> Result<(), StoreError> {
        for item in items {
            let quotas = &self.inner.shared.quotas;
            if quotas.get(&item.name).is_some() && self.inner.list.get(&item.name)?.is_none() {
                quotas.set_limits(&item.name, None);
                self.keep_limits(&item.name, None).await?;
            }
        }
        Ok(())
    }

    /// Removes a kept copy for good, forgets where the mailbox went, what users have seen of it, and with an INBOX all that was its owner's.
    /// The caller has proof that the other server has it, and that its owner is not about to come here.
    /// [`StoreError::Exists`]: the mailbox is in this server's list; [`StoreError::NoMailbox`]: no copy of that id is kept.
    pub async fn purge(&self, uniqueid: &str) -> Result<(), StoreError> {
        let (store, id) = (self.clone(), uniqueid.to_owned());
        self.to_the_end(async move {
            let kept = store.kept_of(&id).ok_or(StoreError::NoMailbox)?;
            let name = MailboxName::parse(&kept.name)?;
            let listed = store.inner.list.get(&name)?.and_then(|entry| entry.local);
            if listed.is_some_and(|local| local.uniqueid == id) {
                return Err(StoreError::Exists);
            }
            let dir = mailbox_dir(&store.partition_path(&kept.partition)?, &id);
            // It is not about to go away once more.
            let tree = store.turn_of(&name);
            let turn = store.inner.turns.take(&tree);
            let _turn = tokio::time::timeout(GATE, turn).await.map_err(|_| StoreError::Frozen)??;
            // Nobody brings it back meanwhile.
            let _shut = store.shut(&id).await?;
            blocking(move || disk::sweep(&dir)).await?;
            store.inner.journal.step("purge: swept");
            let gone = name.is_inbox() && store.inner.list.get(&name)?.is_none();
            let owner = gone.then(|| store.inner.namespace.owner(&name)).flatten();
            store.forget_user_data(owner.as_deref(), &id).await?;
            store.forget_kept(vec![id.clone()]).await?;
            let gates = &store.inner.shared.gates;
            gates.set([Gate::Mailbox(&id)], None);
            // Another mailbox of this name may have gone since.
            let said = gates.state(Gate::Name(&name));
            if !matches!(&said, Some(State::Moved(moved)) if *moved.copy != *id) {
                gates.set([Gate::Name(&name)], None);
                if let Some(owner) = store.inner.namespace.owner(&name).filter(|_| name.is_inbox()) {
                    gates.set([Gate::User(&owner)], None);
                }
            }
            info!(mailbox = %name, id, to = kept.to, "the kept copy of a mailbox that was moved is removed");
            Ok(())
        })
        .await
    }
}
