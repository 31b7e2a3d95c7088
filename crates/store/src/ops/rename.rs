//! RENAME: a mailbox and what is below it, an INBOX's messages, or a partition.

use mailboxes::{Change, Entry};
use protocol::{acl::Rights, name::MailboxName};
use tracing::{error, info, warn};

use super::{Actor, Clearance, Create, inherit::Heir};
use crate::limits::HISTORY;
use crate::{
    Store, blocking,
    disk::{self, mailbox_dir},
    error::{Doing, StoreError},
    header::{FormerName, Header, sync_dir},
    journal::Record,
    mailbox::FlagMask,
    quota::{Delta, Usage},
};

/// What a rename moved; a child that could not be moved stays under its old name.
#[derive(Debug, Default)]
pub struct Renamed {
    pub moved: Vec<(MailboxName, MailboxName)>,
    pub failed: Vec<(MailboxName, MailboxName, StoreError)>,
}

impl Store {
    /// Renames a mailbox and what is below it. The same name with a partition moves it there. INBOX: its messages move.
    pub async fn rename(
        &self,
        who: &Actor,
        from: &MailboxName,
        to: &MailboxName,
        partition: Option<&str>,
    ) -> Result<Renamed, StoreError> {
        let (store, who, from, to) = (self.clone(), who.clone(), from.clone(), to.clone());
        let partition = partition.map(str::to_ascii_lowercase);
        let own_inbox =
            from.is_inbox() && from != to && self.inner.namespace.owner(&from).as_ref() == Some(&who.userid);
        if own_inbox {
            return self.rename_inbox(&who, &from, &to, partition).await;
        }
        self.to_the_end(async move {
            let _turns = store.turns_of(&[&from, &to]).await?;
            if from == to {
                return store.move_partition(&who, &from, partition.as_deref()).await;
            }
            store.rename_tree(&who, &from, &to).await
        })
        .await
    }

    async fn rename_tree(
        &self,
        who: &Actor,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<Renamed, StoreError> {
        let entry = self.check_rename(who, from, to)?;
        self.check_moved(who, from, to)?;
        let mut clearance = self.clearance(false).await?;
        let mut renamed = Renamed::default();
        let heir = Heir::of(from, to);
        self.rename_one(&mut clearance, from, &entry, to, heir.as_ref()).await?;
        renamed.moved.push((from.clone(), to.clone()));
        if to.is_below(from) || from.is_below(to) {
            return Ok(renamed);
        }
        for (child, entry) in self.subtree_of(from).await? {
            let Some(target) = child.moved(from, to).filter(|_| child != *from) else { continue };
            match self.rename_one(&mut clearance, &child, &entry, &target, heir.as_ref()).await {
                Ok(()) => renamed.moved.push((child, target)),
                Err(error) => renamed.failed.push((child, target, error)),
            }
        }
        if let Some(heir) = &heir {
            self.hand_over(heir, from, to, &renamed).await;
        }
        Ok(renamed)
    }

    /// What comes below another INBOX counts there.
    fn check_moved(&self, who: &Actor, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError> {
        match who.admin || self.turn_of(from) == self.turn_of(to) {
            true => Ok(()),
            false => self.check_count(who, to, self.subtree(from)?.len()),
        }
    }

    fn check_rename(&self, who: &Actor, from: &MailboxName, to: &MailboxName) -> Result<Entry, StoreError> {
        let namespace = &self.inner.namespace;
        let entry = self.entry_for(who, from, Rights::DELETE_MAILBOX)?;
        namespace.check_create(to)?;
        if namespace.is_deleted(to) && !who.admin {
            return Err(StoreError::BadName);
        }
        if from.is_inbox() {
            // A user's renaming: only to another user, only by admins, only where it is allowed.
            if !who.admin || !to.is_inbox() || !self.policy().allowusermoves {
                return Err(StoreError::NotSupported);
            }
        } else if to.is_inbox() && !namespace.is_deleted(from) {
            return Err(StoreError::NotSupported);
        }
        self.check_protected(who, from)?;
        if let Some(taken) = self.inner.list.get(to)? {
            let seen = self.rights_of(who, to, &taken).contains(Rights::LOOKUP);
            return Err(if seen { StoreError::Exists } else { StoreError::Denied });
        }
        if who.admin {
            return Ok(entry);
        }
        let mut above = to.parent();
        while let Some(parent) = above {
            if let Some(entry_above) = self.inner.list.get(&parent)? {
                let may = self.rights_of(who, &parent, &entry_above).contains(Rights::CREATE);
                return if may { Ok(entry) } else { Err(StoreError::Denied) };
            }
            above = parent.parent();
        }
        Err(StoreError::Denied)
    }

    /// Gives one mailbox another name: reserve, header and list, activate, forget the old name. `heir`: its owner has another
    /// name too.
    pub(super) async fn rename_one(
        &self,
        clearance: &mut Clearance,
        from: &MailboxName,
        entry: &Entry,
        to: &MailboxName,
        heir: Option<&Heir>,
    ) -> Result<(), StoreError> {
        let mailbox = self.open_entry(entry).await?;
        let partition = entry.location.partition().unwrap_or_default().to_owned();
        self.check_room(&mailbox.partition(), 0).await?;
        let usage = Usage::of(&mailbox.view());
        let (old_root, new_root) = (self.quota_root(from), self.quota_root(to));
        let moved = Delta::between(&Usage::default(), &usage);
        let quotas = &self.inner.shared.quotas;
        if let Some(root) = &new_root {
            self.count(root).await;
        }
        if new_root != old_root && !quotas.admits(new_root.as_ref(), moved) {
            return Err(StoreError::OverQuota);
        }
        clearance.reserve(to, &entry.location).await?;
        let before = mailbox.header();
        let mut after = self.renamed_header(&before, &partition, to, new_root.as_ref());
        if let Some(heir) = heir {
            after.acl = heir.acl(&after.acl);
        }
        let renamed = self.rename_here(from, entry, to, after).await;
        let acl = match renamed {
            Ok(acl) => acl,
            Err(error) => {
                clearance.withdraw(to).await;
                return Err(error);
            }
        };
        if let Err(error) = clearance.activate(to, &entry.location, &acl).await {
            self.rename_back(from, entry, to, (*before).clone()).await;
            clearance.withdraw(to).await;
            return Err(error.into());
        }
        clearance.withdraw(from).await;
        if new_root != old_root {
            // What was admitted above; and what shrinks is never refused.
            let _ = quotas.add(new_root.as_ref(), moved, false);
            let _ = quotas.add(old_root.as_ref(), moved.negated(), false);
        }
        if let Some(quota) = quotas.get(from) {
            quotas.set_limits(from, None);
            self.keep_limits(from, None).await?;
            if !self.inner.namespace.is_deleted(to) {
                self.adopt_root(to, quota.limits).await?;
            }
        }
        self.forget_special_uses(from);
        self.forget_special_uses(to);
        info!(%from, %to, partition, "renamed");
        Ok(())
    }

    async fn rename_here(
        &self,
        from: &MailboxName,
        entry: &Entry,
        to: &MailboxName,
        after: Header,
    ) -> Result<String, StoreError> {
        let local = entry.local.as_ref().ok_or(StoreError::NoMailbox)?;
        let partition = entry.location.partition().unwrap_or_default();
        let record = Record {
            operation: "rename".into(),
            id: local.uniqueid.clone(),
            names: vec![from.to_string(), to.to_string()],
            partitions: vec![partition.to_owned()],
        };
        let mailbox = self.open_entry(entry).await?;
        let before = (*mailbox.header()).clone();
        let result = self.journalled(record, async {
            let header = after.clone();
            let writer = mailbox.clone();
            blocking(move || writer.rewrite_header(|old| *old = header)).await?;
            self.inner.journal.step("rename: header written");
            let entry = self.entry_of(partition, &after)?;
            let changes = vec![Change::delete(from.clone()), Change::put(to.clone(), entry)];
            let listed = self.commit_list(changes).await;
            if listed.is_err() {
                blocking(move || mailbox.rewrite_header(|header| *header = before)).await?;
            }
            listed
        });
        result.await?;
        Ok(after.acl)
    }

    fn renamed_header(
        &self,
        before: &Header,
        partition: &str,
        to: &MailboxName,
        root: Option<&MailboxName>,
    ) -> Header {
        let mut header = before.clone();
        let former = FormerName {
            name: before.name.clone(),
            mtime: before.mtime,
            uidvalidity: before.uidvalidity,
            createdmodseq: before.createdmodseq,
            foldermodseq: before.foldermodseq,
            mbtype: before.mbtype.clone(),
            partition: partition.to_owned(),
        };
        header.name = to.to_string();
        header.name_history.insert(0, former);
        header.name_history.truncate(HISTORY);
        header.quotaroot = root.map(ToString::to_string);
        if self.inner.namespace.is_deleted(to) {
            header.limits = None;
        }
        header.mtime = self.now();
        header.foldermodseq += 1;
        // The owner's special uses do not follow into another user's tree.
        if self.inner.namespace.owner(to) != before.name().ok().and_then(|n| self.inner.namespace.owner(&n)) {
            header.annotations.remove(super::special::ENTRY);
        }
        header
    }

    async fn rename_back(&self, from: &MailboxName, entry: &Entry, to: &MailboxName, before: Header) {
        let undo = async {
            let mailbox = self.open_entry(entry).await?;
            blocking(move || mailbox.rewrite_header(|header| *header = before)).await?;
            let changes = vec![Change::delete(to.clone()), Change::put(from.clone(), entry.clone())];
            self.commit_list(changes).await
        };
        if let Err(error) = undo.await {
            error!(%error, %from, %to, "a refused rename could not be undone");
        }
    }

    /// INBOX stays, its messages go to a new mailbox; nothing below it moves.
    async fn rename_inbox(
        &self,
        who: &Actor,
        inbox: &MailboxName,
        to: &MailboxName,
        partition: Option<String>,
    ) -> Result<Renamed, StoreError> {
        let create = Create { partition, ..Create::default() };
        self.create(who, to, create).await?;
        let (from, target) = (self.mailbox(inbox).await?, self.mailbox(to).await?);
        let uids: Vec<u32> = from.view().records().iter().map(|r| r.uid).collect();
        self.copy(&from, uids.clone(), &target, FlagMask::ALL, None, false).await?;
        from.remove(&uids).await?;
        Ok(Renamed { moved: vec![(inbox.clone(), to.clone())], failed: Vec::new() })
    }

    /// Moves a mailbox to another partition: copy, list, ACTIVATE with the new location, then the old copy goes.
    async fn move_partition(
        &self,
        who: &Actor,
        name: &MailboxName,
        partition: Option<&str>,
    ) -> Result<Renamed, StoreError> {
        let entry = self.entry_for(who, name, Rights::DELETE_MAILBOX)?;
        let target = partition.ok_or(StoreError::Exists)?;
        if !who.admin {
            return Err(StoreError::Denied);
        }
        let source = entry.location.partition().unwrap_or_default().to_owned();
        if source == target {
            return Err(StoreError::Exists);
        }
        let local = entry.local.clone().ok_or(StoreError::NoMailbox)?;
        let id = local.uniqueid.clone();
        let old = mailbox_dir(&self.partition_path(&source)?, &id);
        let new = mailbox_dir(&self.partition_path(target)?, &id);
        let mut clearance = self.clearance(false).await?;
        self.check_room(&self.partition_path(target)?, self.mailbox(name).await?.view().bytes()).await?;
        let record = Record {
            operation: "change of partition".into(),
            id: id.clone(),
            names: vec![name.to_string()],
            partitions: vec![source.clone(), target.to_owned()],
        };
        let mut moved = entry.clone();
        moved.location = self.location(target);
        let shut = self.shut(&id).await?;
        let done = self.journalled(record, async {
            let (from, to) = (old.clone(), new.clone());
            blocking(move || copy_tree(&from, &to)).await?;
            self.inner.journal.step("change of partition: copied");
            clearance.activate(name, &moved.location, &entry.acl).await?;
            let listed = self.commit_list(vec![Change::put(name.clone(), moved.clone())]).await;
            if listed.is_err()
                && let Err(error) = clearance.activate(name, &entry.location, &entry.acl).await
            {
                warn!(%error, mailbox = %name, "the master has another partition until the next resync");
            }
            listed
        });
        let done = done.await;
        let leftover = if done.is_ok() { old } else { new };
        let swept = blocking(move || disk::sweep(&leftover)).await;
        // Only now: whoever read the list before must not open what is left over.
        drop(shut);
        swept?;
        done?;
        info!(mailbox = %name, from = source, to = target, "moved to another partition");
        Ok(Renamed { moved: vec![(name.clone(), name.clone())], failed: Vec::new() })
    }
}

/// Copies a mailbox's directory, synced.
fn copy_tree(from: &std::path::Path, to: &std::path::Path) -> Result<(), StoreError> {
    disk::sweep(to)?;
    std::fs::create_dir_all(to).doing("create", to)?;
    for item in std::fs::read_dir(from).doing("read", from)? {
        let item = item.doing("read", from)?;
        let target = to.join(item.file_name());
        std::fs::copy(item.path(), &target).doing("copy", &item.path())?;
    }
    disk::sync_filesystem(to)?;
    sync_dir(to.parent().unwrap_or(to))
}
