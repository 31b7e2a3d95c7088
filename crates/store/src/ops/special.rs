//! Mailbox annotations, and special uses among them (RFC 6154): a private annotation of the owner.

use std::{collections::BTreeMap, sync::Arc};

use protocol::name::MailboxName;

use super::{super::lock, Actor};
use crate::limits::REMEMBERED;
use crate::{SpecialUses, Store, blocking, disk::mailbox_dir, error::StoreError, header::Header};

impl Store {
    /// Sets or removes a mailbox annotation; user empty: shared. `/specialuse` of a user is checked as CREATE's USE is.
    pub async fn annotate(
        &self,
        name: &MailboxName,
        entry: &str,
        user: &str,
        value: Option<&str>,
    ) -> Result<(), StoreError> {
        let store = self.clone();
        let (name, entry, user) = (name.clone(), entry.to_owned(), user.to_owned());
        let value = value.map(str::to_owned);
        self.to_the_end(async move {
            let _turns = store.turns_of(&[&name]).await?;
            let listed = store.inner.list.get(&name)?.ok_or(StoreError::NoMailbox)?;
            if entry == ENTRY
                && let Some(value) = &value
            {
                let uses: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
                store.check_special_use(&name, &uses).await?;
            }
            let edit = move |header: &mut Header| {
                header.annotate(&entry, &user, value.as_deref());
                header.foldermodseq += 1;
            };
            store.edit_header(&listed, edit).await?;
            store.forget_special_uses(&name);
            Ok(())
        })
        .await
    }

    /// The user's own mailboxes with special uses.
    pub async fn special_uses(&self, userid: &str) -> Result<SpecialUses, StoreError> {
        Ok((*self.uses(userid).await?).clone())
    }

    async fn uses(&self, userid: &str) -> Result<Arc<SpecialUses>, StoreError> {
        if let Some(known) = lock(&self.inner.special_uses).get(userid) {
            return Ok(known.clone());
        }
        let (store, owner) = (self.clone(), userid.to_owned());
        let found = blocking(move || {
            let mut found = SpecialUses::new();
            for (name, entry) in store.subtree(&store.inner.namespace.inbox(&owner)?)? {
                let (Some(local), Some(partition)) = (&entry.local, entry.location.partition()) else {
                    continue;
                };
                let Ok(root) = store.partition_path(partition) else { continue };
                let Ok(header) = Header::read(&mailbox_dir(&root, &local.uniqueid)) else { continue };
                if let Some(uses) = header.annotation(ENTRY, &owner) {
                    found.insert(name, uses.split_whitespace().map(str::to_owned).collect());
                }
            }
            Ok(Arc::new(found))
        });
        let found = found.await?;
        let mut known = lock(&self.inner.special_uses);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(userid.to_owned(), found.clone());
        Ok(found)
    }

    /// What a mailbox of that name would get as annotations for these special uses.
    pub(super) async fn check_special_use(
        &self,
        name: &MailboxName,
        uses: &[String],
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, StoreError> {
        let mut annotations = BTreeMap::new();
        if uses.is_empty() {
            return Ok(annotations);
        }
        let owner =
            self.inner.namespace.owner(name).ok_or(StoreError::BadUse("Special use of a shared mailbox"))?;
        let depth = name.inbox().map(|inbox| name.components().count() - inbox.components().count());
        if depth != Some(1) {
            return Err(StoreError::BadUse("Special use only for top-level mailboxes"));
        }
        let policy = self.policy();
        let extra = &policy.specialuse_extra;
        let mut canonical = Vec::new();
        for wanted in uses {
            let known = SPECIAL.iter().copied().chain(extra.iter().map(String::as_str));
            let known = known.into_iter().find(|known| known.eq_ignore_ascii_case(wanted));
            canonical.push(known.ok_or(StoreError::BadUse("Unknown special use"))?.to_owned());
        }
        let taken = self.uses(&owner).await?;
        let others = taken.iter().filter(|(other, _)| *other != name).flat_map(|(_, uses)| uses);
        if others.into_iter().any(|used| canonical.contains(used)) {
            return Err(StoreError::BadUse("Special use is taken by another mailbox"));
        }
        annotations.insert(ENTRY.to_owned(), BTreeMap::from([(owner, canonical.join(" "))]));
        Ok(annotations)
    }

    /// Refuses to touch a mailbox whose special use is protected.
    pub(super) fn check_protected(&self, who: &Actor, name: &MailboxName) -> Result<(), StoreError> {
        if who.admin {
            return Ok(());
        }
        let (Some(owner), Some(entry)) = (self.inner.namespace.owner(name), self.inner.list.get(name)?)
        else {
            return Ok(());
        };
        let (Some(local), Some(partition)) = (&entry.local, entry.location.partition()) else {
            return Ok(());
        };
        let header = Header::read(&mailbox_dir(&self.partition_path(partition)?, &local.uniqueid))?;
        let uses = header.annotation(ENTRY, &owner).unwrap_or_default();
        let policy = self.policy();
        let protected = &policy.specialuse_protect;
        match uses.split_whitespace().any(|used| protected.iter().any(|p| p.eq_ignore_ascii_case(used))) {
            true => Err(StoreError::Protected),
            false => Ok(()),
        }
    }

    pub(super) fn forget_special_uses(&self, name: &MailboxName) {
        if let Some(owner) = self.inner.namespace.owner(name) {
            lock(&self.inner.special_uses).remove(&owner);
        }
    }
}

/// The annotation that holds special uses.
pub const ENTRY: &str = "/specialuse";
const SPECIAL: [&str; 8] =
    ["\\Archive", "\\Drafts", "\\Important", "\\Junk", "\\Sent", "\\Trash", "\\Snoozed", "\\Scheduled"];
