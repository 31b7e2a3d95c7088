//! SETQUOTA: limits at a root, which the header of its mailbox keeps.

use std::collections::BTreeMap;

use protocol::name::MailboxName;
use tracing::info;

use super::Actor;
use crate::{
    Store, blocking,
    error::StoreError,
    header::replace_file,
    quota::{Delta, Limits, Usage},
};

impl Store {
    /// Sets all limits of a quota root. `force`: the root need not be a mailbox, only have some below it.
    pub async fn set_quota(
        &self,
        who: &Actor,
        root: &MailboxName,
        limits: Limits,
        force: bool,
    ) -> Result<(), StoreError> {
        if !who.admin {
            return Err(StoreError::Denied);
        }
        let (store, root) = (self.clone(), root.clone());
        self.to_the_end(async move {
            let _turns = store.turns_of(&[&root]).await?;
            let entry = store.inner.list.get(&root)?;
            match &entry {
                Some(entry) if !entry.is_active() || entry.moving.is_some() => {
                    return Err(StoreError::NotSupported);
                }
                Some(entry) if entry.server() != store.inner.server.as_str() => {
                    return Err(StoreError::NotSupported);
                }
                None if !force || store.inner.list.subtree(&root, None, 1)?.entries.is_empty() => {
                    return Err(StoreError::NoMailbox);
                }
                _ => {}
            }
            match entry {
                Some(entry) => {
                    drop(store.edit_header(&entry, move |header| header.limits = Some(limits)).await?)
                }
                None => store.keep_forced(&root, limits).await?,
            }
            store.adopt_root(&root, limits).await?;
            info!(%root, ?limits, "quota set");
            Ok(())
        })
        .await
    }

    /// Makes a root count: a new one takes what lies below it from the root above.
    pub(crate) async fn adopt_root(&self, root: &MailboxName, limits: Limits) -> Result<(), StoreError> {
        let quotas = &self.inner.shared.quotas;
        self.keep_limits(root, Some(limits)).await?;
        if quotas.get(root).is_some() {
            quotas.set_limits(root, Some(limits));
            return Ok(());
        }
        let above = quotas.root_of(root);
        if let Some(above) = &above {
            self.count(above).await;
        }
        let (store, below, from) = (self.clone(), root.clone(), above.clone());
        let moved = blocking(move || {
            let mut moved = Delta::default();
            for (name, entry) in store.subtree(&below)? {
                let Some(local) = entry.local.filter(|_| store.quota_root(&name) == from) else { continue };
                let usage = store.usage_of(&local.uniqueid);
                let delta = Delta::between(&Usage::default(), &usage);
                moved.storage += delta.storage;
                moved.message += delta.message;
                moved.mailbox += delta.mailbox;
                moved.annotation_storage += delta.annotation_storage;
            }
            Ok(moved)
        });
        let moved = moved.await?;
        quotas.set_limits(root, Some(limits));
        quotas.add(above.as_ref(), moved.negated(), false)?;
        quotas.add(Some(root), moved, false)
    }

    /// Keeps (or forgets) the limits of a root where the next start finds them.
    pub(crate) async fn keep_limits(
        &self,
        root: &MailboxName,
        limits: Option<Limits>,
    ) -> Result<(), StoreError> {
        let (db, root) = (self.inner.db.clone(), root.clone());
        blocking(move || db.set_limits(&root, limits).and_then(|()| db.flush())).await
    }

    /// What a mailbox uses: as it is open, else as it was counted last.
    /// What mailboxes of these unique ids use together.
    pub fn usage_of_all(&self, ids: &[String]) -> Usage {
        let mut all = Usage::default();
        for usage in ids.iter().map(|id| self.usage_of(id)) {
            all.storage = all.storage.saturating_add(usage.storage);
            all.message = all.message.saturating_add(usage.message);
            all.mailbox = all.mailbox.saturating_add(usage.mailbox);
            all.annotation_storage = all.annotation_storage.saturating_add(usage.annotation_storage);
        }
        all
    }

    pub(crate) fn usage_of(&self, id: &str) -> Usage {
        if let Some(mailbox) = self.inner.open.peek(id) {
            return Usage::of(&mailbox.view());
        }
        let counted = self.inner.shared.quotas.dirty(id).or_else(|| self.inner.db.usage(id));
        counted.unwrap_or(Usage { mailbox: 1, ..Usage::default() })
    }

    /// Limits of a root that is no mailbox lie in a file of their own.
    async fn keep_forced(&self, root: &MailboxName, limits: Limits) -> Result<(), StoreError> {
        let (path, root) = (self.inner.dir.join(FORCED), root.to_string());
        let _turn = self.inner.turns.take(FORCED).await?;
        blocking(move || {
            let mut all: BTreeMap<String, Limits> = match std::fs::read(&path) {
                Ok(bytes) => {
                    serde_json::from_slice(&bytes).map_err(|e| StoreError::damaged(&path, e.to_string()))?
                }
                Err(_) => BTreeMap::new(),
            };
            all.insert(root, limits);
            let text =
                serde_json::to_vec_pretty(&all).map_err(|e| StoreError::damaged(&path, e.to_string()))?;
            replace_file(&path, &text)
        })
        .await
    }
}

/// The file of limits of roots that are no mailboxes.
pub const FORCED: &str = "quotas.json";
