//! DELETE: at once, or into the tree of delayed deletes.

use config::imapd::DeleteMode;
use mailboxes::{Change, Entry};
use protocol::{acl::Rights, name::MailboxName};
use tracing::info;

use super::{Actor, Clearance};
use crate::{
    Store,
    error::StoreError,
    journal::Record,
    quota::{Delta, Usage},
};

impl Store {
    /// Deletes a mailbox; a user's INBOX (admins only) with all below it. Delayed: it moves below `DELETED`.
    pub async fn delete(&self, who: &Actor, name: &MailboxName, local_only: bool) -> Result<(), StoreError> {
        let (store, who, name) = (self.clone(), who.clone(), name.clone());
        self.to_the_end(async move {
            let _turns = store.turns_of(&[&name]).await?;
            let entry = store.check_delete(&who, &name)?;
            let deleted = store.inner.namespace.is_deleted(&name);
            let delayed = store.policy().delete_mode == DeleteMode::Delayed && !deleted && !local_only;
            let mut clearance = store.clearance(local_only).await?;
            let mut doomed = vec![(name.clone(), entry)];
            if name.is_inbox() {
                let all = store.subtree_of(&name).await?;
                doomed.extend(all.into_iter().filter(|(below, _)| *below != name));
            }
            for (name, entry) in doomed {
                if delayed {
                    let gone = store.deleted_name(&name)?;
                    store.rename_one(&mut clearance, &name, &entry, &gone, None).await?;
                } else {
                    store.remove(&mut clearance, &name, &entry).await?;
                }
            }
            // Of a delayed delete they stay: an INBOX that is renamed back has them again, a new one does not.
            match store.inner.namespace.owner(&name).filter(|_| name.is_inbox() && !delayed && !deleted) {
                Some(user) => store.forget_scripts(&user).await,
                None => Ok(()),
            }
        })
        .await
    }

    /// Puts one mailbox away, none of those below it, as a delayed delete does, whatever `delete_mode` says. On this
    /// server alone, without the master: it is for mailboxes that the master has on another server
    /// (`ctl_mboxlist -m`).
    pub async fn put_away(&self, name: &MailboxName) -> Result<(), StoreError> {
        let (store, name) = (self.clone(), name.clone());
        self.to_the_end(async move {
            let _turns = store.turns_of(&[&name]).await?;
            let entry = store.inner.list.get(&name)?.ok_or_else(|| store.missing(&name))?;
            let mut alone = store.clearance(true).await?;
            if entry.local.is_none() {
                return store.commit_list(vec![Change::delete(name.clone())]).await;
            }
            let gone = store.deleted_name(&name)?;
            store.rename_one(&mut alone, &name, &entry, &gone, None).await
        })
        .await
    }

    fn check_delete(&self, who: &Actor, name: &MailboxName) -> Result<Entry, StoreError> {
        let entry = self.entry_for(who, name, Rights::DELETE_MAILBOX)?;
        if name.is_inbox() {
            return match who.admin {
                true => Ok(entry),
                false => Err(StoreError::NotSupported),
            };
        }
        self.check_protected(who, name)?;
        let below = self.inner.list.subtree(name, Some(name), 1)?;
        if !below.entries.is_empty() {
            return Err(StoreError::HasChildren);
        }
        Ok(entry)
    }

    /// A free name in the tree of delayed deletes.
    fn deleted_name(&self, name: &MailboxName) -> Result<MailboxName, StoreError> {
        let mut time = self.now();
        loop {
            let gone = self.inner.namespace.to_deleted(name, time)?;
            if self.inner.list.get(&gone)?.is_none() {
                return Ok(gone);
            }
            time += 1;
        }
    }

    /// Removes a mailbox for good: the master forgets it first.
    pub(super) async fn remove(
        &self,
        clearance: &mut Clearance,
        name: &MailboxName,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let local = entry.local.as_ref().ok_or(StoreError::NoMailbox)?;
        let partition = entry.location.partition().unwrap_or_default().to_owned();
        let usage = Usage::of(&self.open_entry(entry).await?.view());
        clearance.delete(name).await?;
        let record = Record {
            operation: "delete".into(),
            id: local.uniqueid.clone(),
            names: vec![name.to_string()],
            partitions: vec![partition.clone()],
        };
        let gone = self.journalled(record, async {
            self.commit_list(vec![Change::delete(name.clone())]).await?;
            self.inner.journal.step("delete: list committed");
            let _shut = self.shut(&local.uniqueid).await?;
            self.sweep(&partition, &local.uniqueid).await
        });
        gone.await?;
        let quotas = &self.inner.shared.quotas;
        let root = self.quota_root(name);
        // What shrinks is never refused.
        let _ = quotas.add(root.as_ref(), Delta::between(&usage, &Usage::default()), false);
        quotas.note(&local.uniqueid, None);
        if quotas.get(name).is_some() {
            quotas.set_limits(name, None);
            self.keep_limits(name, None).await?;
        }
        self.forget_special_uses(name);
        info!(mailbox = %name, id = local.uniqueid, "deleted");
        Ok(())
    }
}
