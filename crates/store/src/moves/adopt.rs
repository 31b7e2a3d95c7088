//! Adopting: incoming copies become this server's mailboxes.

use std::sync::Arc;

use mailboxes::{Change, Local};
use protocol::name::MailboxName;
use tracing::info;

use super::{Item, batch::Batch, incoming::Incoming};
use crate::{
    Store, blocking,
    disk::mailbox_dir,
    error::StoreError,
    gates::Gate,
    header::{self, Header},
    quota::{Delta, Usage},
    stage::partition_of,
    view::View,
};

/// A copy that is to be adopted.
struct Adoptee {
    name: MailboxName,
    partition: String,
    header: Header,
    usage: Usage,
}

impl Store {
    /// Takes incoming copies into the list, all in one commit: from when this returns they are this server's, and are found. Quota
    /// roots among them count, and a quota never refuses a copy. The caller must remember that they are to be adopted until
    /// [`Store::finish_adoption`] has returned, and asks once more after a crash, for those of which [`Store::resume_incoming`] does
    /// not say that they are.
    ///
    /// [`StoreError::Exists`]: a name is another mailbox's here; nothing is done.
    pub async fn adopt(&self, root: &MailboxName, copies: Vec<Incoming>) -> Result<(), StoreError> {
        let (store, root) = (self.clone(), root.clone());
        self.to_the_end(async move {
            // Names that are held are waited for without the turn: this ends that.
            let _turn = store.inner.turns.take(&store.turn_of(&root)).await?;
            let all: Vec<&Incoming> = copies.iter().collect();
            store.keep_round(&all).await?;
            let adoptees = copies.iter().map(Adoptee::of).collect::<Result<Vec<_>, _>>()?;
            store.inner.journal.step("adopt: kept");
            let changes = adoptees.iter().map(|adoptee| store.adoption(adoptee)).collect::<Result<_, _>>()?;
            store.count_adopted(&adoptees).await?;
            store.inner.journal.step("adopt: counted");
            // Whoever finds them in the list can open them.
            drop(copies);
            store.commit_list(changes).await?;
            store.inner.journal.step("adopt: listed");
            store.are_adopted(&adoptees).await?;
            info!(%root, mailboxes = adoptees.len(), "adopted");
            Ok(())
        })
        .await
    }

    fn adoption(&self, adoptee: &Adoptee) -> Result<Change, StoreError> {
        let there = self.inner.list.get(&adoptee.name)?;
        let is_other = |local: &Local| local.uniqueid != adoptee.header.uniqueid;
        if there.is_some_and(|entry| entry.local.as_deref().is_none_or(is_other)) {
            return Err(StoreError::Exists);
        }
        Ok(Change::put(adoptee.name.clone(), self.entry_of(&adoptee.partition, &adoptee.header)?))
    }

    /// Keeps what they use, and the limits of quota roots, where the next start finds it.
    async fn count_adopted(&self, adoptees: &[Adoptee]) -> Result<(), StoreError> {
        for adoptee in adoptees {
            if let Some(limits) =
                adoptee.header.limits.filter(|_| !self.inner.namespace.is_deleted(&adoptee.name))
            {
                self.adopt_root(&adoptee.name, limits).await?;
            }
        }
        for adoptee in adoptees {
            self.inner.shared.quotas.note(&adoptee.header.uniqueid, Some(adoptee.usage));
        }
        let db = self.inner.db.clone();
        let usages: Vec<_> = adoptees.iter().map(|a| (a.header.uniqueid.clone(), a.usage)).collect();
        blocking(move || {
            for (id, usage) in usages {
                db.set_usage(&id, Some(usage))?;
            }
            db.flush()
        })
        .await
    }

    /// They are in the list: whoever waits for their names goes on, and quotas count them.
    async fn are_adopted(&self, adoptees: &[Adoptee]) -> Result<(), StoreError> {
        for adoptee in adoptees {
            let delta = Delta::between(&Usage::default(), &adoptee.usage);
            let root = self.quota_root(&adoptee.name);
            // Where the source had it, it fits.
            let _ = self.inner.shared.quotas.add(root.as_ref(), delta, false);
            self.forget_special_uses(&adoptee.name);
        }
        let names = adoptees.iter().map(|adoptee| Gate::Name(&adoptee.name));
        let ids = adoptees.iter().map(|adoptee| Gate::Mailbox(&adoptee.header.uniqueid));
        let owners: Vec<String> = adoptees
            .iter()
            .filter(|adoptee| adoptee.name.is_inbox())
            .filter_map(|adoptee| self.inner.namespace.owner(&adoptee.name))
            .collect();
        let users = owners.iter().map(|owner| Gate::User(owner));
        self.inner.shared.gates.set(names.chain(ids).chain(users), None);
        self.forget_kept(adoptees.iter().map(|adoptee| adoptee.header.uniqueid.clone()).collect()).await
    }

    /// Writes into the headers of adopted mailboxes whose they are, so that the spool alone says so too. Doing it twice does no harm.
    pub async fn finish_adoption(&self, root: &MailboxName, items: &[Item]) -> Result<(), StoreError> {
        let (store, root, items) = (self.clone(), root.clone(), items.to_vec());
        self.to_the_end(async move {
            // Nobody else writes a header of these.
            let _turn = store.inner.turns.take(&store.turn_of(&root)).await?;
            blocking(move || {
                let mut batch = Batch::default();
                for item in &items {
                    let listed = store.inner.list.get(&item.name)?.and_then(|entry| entry.local);
                    if listed.is_none_or(|local| local.uniqueid != item.uniqueid) {
                        // It was deleted or renamed meanwhile, which wrote its header.
                        continue;
                    }
                    let dir = mailbox_dir(&store.partition_path(&item.partition)?, &item.uniqueid);
                    let header = Header::read(&dir)?.listed();
                    let quotaroot = store.quota_root(&item.name).map(|root| root.to_string());
                    batch.replace(dir.join(header::FILE), Header { quotaroot, ..header }.encode(&dir)?);
                }
                batch.write(|file| file.parent().and_then(partition_of).unwrap_or(file).to_owned())
            })
            .await
        })
        .await
    }

    /// Takes kept copies back, as of when they were given away: the server that has the mailboxes has lost them.
    pub async fn take_back(&self, root: &MailboxName, items: &[Item]) -> Result<(), StoreError> {
        let mut copies = Vec::with_capacity(items.len());
        for item in items {
            let copy = self.resume_incoming("taken back", &item.partition, &item.uniqueid).await?;
            copies.push(copy.ok_or(StoreError::NoMailbox)?);
        }
        self.adopt(root, copies).await?;
        self.finish_adoption(root, items).await
    }
}

impl Adoptee {
    fn of(copy: &Incoming) -> Result<Adoptee, StoreError> {
        let (header, view): (Header, Arc<View>) = copy.listed();
        let name = header.name()?;
        Ok(Adoptee { name, partition: copy.partition().to_owned(), header, usage: Usage::of(&view) })
    }
}
