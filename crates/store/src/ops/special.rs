//! Mailbox annotations, and special uses among them (RFC 6154): a private annotation of the owner.

use std::{collections::BTreeMap, sync::Arc};

use protocol::name::MailboxName;

use super::{super::lock, Actor};
use crate::limits::REMEMBERED;
use crate::{SpecialUses, Store, blocking, disk::mailbox_dir, error::StoreError, header::Header};

impl Store {
    /// The uses of a list as they are kept, if a mailbox of that name may have them; none for an empty list.
    pub(crate) async fn checked_special_use(
        &self,
        name: &MailboxName,
        uses: &str,
    ) -> Result<Option<String>, StoreError> {
        let uses: Vec<String> = uses.split_whitespace().map(str::to_owned).collect();
        let kept = self.check_special_use(name, &uses).await?;
        Ok(kept.into_values().flat_map(BTreeMap::into_values).next())
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
        let policy = self.policy();
        let depth = name.inbox().map(|inbox| name.components().count() - inbox.components().count());
        if !depth.is_some_and(|depth| depth == 1 || (depth > 1 && policy.allowspecialusesubfolder)) {
            return Err(StoreError::BadUse("Special use only for top-level mailboxes"));
        }
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
        match !who.admin && self.has_use(name, &self.policy().specialuse_protect)? {
            true => Err(StoreError::Protected),
            false => Ok(()),
        }
    }

    /// Refuses to make a mailbox below one whose special use is that of a leaf (`specialuse_nochildren`).
    pub(super) fn check_childless(&self, name: &MailboxName) -> Result<(), StoreError> {
        let Some(parent) = name.parent().filter(|parent| !parent.is_inbox()) else { return Ok(()) };
        match self.has_use(&parent, &self.policy().specialuse_nochildren)? {
            true => Err(StoreError::Protected),
            false => Ok(()),
        }
    }

    /// Whether a mailbox has one of these special uses.
    fn has_use(&self, name: &MailboxName, listed: &[String]) -> Result<bool, StoreError> {
        let (Some(owner), Some(entry)) = (self.inner.namespace.owner(name), self.inner.list.get(name)?)
        else {
            return Ok(false);
        };
        let (Some(local), Some(partition)) = (&entry.local, entry.location.partition()) else {
            return Ok(false);
        };
        let header = Header::read(&mailbox_dir(&self.partition_path(partition)?, &local.uniqueid))?;
        let uses = header.annotation(ENTRY, &owner).unwrap_or_default();
        // Cyrus's own default says `\Snooze` of the use that is called `\Snoozed`.
        let is = |used: &str, word: &str| {
            word.eq_ignore_ascii_case(used)
                || (word.eq_ignore_ascii_case("\\Snooze") && used.eq_ignore_ascii_case("\\Snoozed"))
        };
        Ok(uses.split_whitespace().any(|used| listed.iter().any(|word| is(used, word))))
    }

    pub(crate) fn forget_special_uses(&self, name: &MailboxName) {
        if let Some(owner) = self.inner.namespace.owner(name) {
            lock(&self.inner.special_uses).remove(&owner);
        }
    }
}

/// The annotation that holds special uses.
pub const ENTRY: &str = "/specialuse";
const SPECIAL: [&str; 8] =
    ["\\Archive", "\\Drafts", "\\Important", "\\Junk", "\\Sent", "\\Trash", "\\Snoozed", "\\Scheduled"];
