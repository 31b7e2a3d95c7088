//! RENAME: a mailbox and what is below it, an INBOX's messages, or a partition.

use std::sync::Arc;

use mailboxes::{Change, Entry};
use protocol::{acl::Rights, name::MailboxName};
use tracing::{error, info, warn};

use super::{Actor, Clearance, Create, inherit::Heir};
use crate::limits::HISTORY;
use crate::{
    Store, blocking,
    copy::Along,
    error::StoreError,
    header::{FormerName, Header},
    journal::Record,
    quota::{Delta, Limits, Usage},
};

/// What a rename moved: each old name and the new one.
#[derive(Debug, Default)]
pub struct Renamed {
    pub moved: Vec<(MailboxName, MailboxName)>,
}

/// What is to be known of a mailbox to take its renaming back.
struct Undo {
    from: MailboxName,
    to: MailboxName,
    /// In the list, before.
    entry: Entry,
    before: Arc<Header>,
    /// Those of a quota root.
    limits: Option<Limits>,
}

impl Store {
    /// Renames a mailbox and what is below it: all of it, or nothing. The same name with a partition moves it there. INBOX: its messages move.
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
            let moving = store.before_move(&from, &to).await?;
            let renamed = store.rename_tree(&who, &from, &to).await?;
            if let Some(moving) = moving {
                store.after_move(moving, &renamed).await;
            }
            Ok(renamed)
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
        let children = match to.is_below(from) || from.is_below(to) {
            true => Vec::new(),
            false => self.children_to_move(from, to).await?,
        };
        let mut clearance = self.clearance(false).await?;
        let heir = Heir::of(from, to);
        let all = std::iter::once((from.clone(), to.clone(), entry)).chain(children);
        let mut done: Vec<Undo> = Vec::new();
        for (from, to, entry) in all {
            let before = self.open_entry(&entry).await?.header();
            let limits = self.inner.shared.quotas.get(&from).map(|quota| quota.limits);
            if let Err(error) = self.rename_one(&mut clearance, &from, &entry, &to, heir.as_ref()).await {
                for undo in done.into_iter().rev() {
                    warn!(%error, from = %undo.from, to = %undo.to, "a tree cannot be renamed whole, and keeps its names");
                    self.undo(&mut clearance, undo).await;
                }
                return Err(error);
            }
            done.push(Undo { from, to, entry, before, limits });
        }
        Ok(Renamed { moved: done.into_iter().map(|undo| (undo.from, undo.to)).collect() })
    }

    /// What lies below a mailbox, with the names that it gets; refused where one of these is taken, or there is no room for all.
    async fn children_to_move(
        &self,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<Vec<(MailboxName, MailboxName, Entry)>, StoreError> {
        let (mut children, mut total) = (Vec::new(), Delta::default());
        for (child, entry) in self.subtree_of(from).await? {
            let Some(target) = child.moved(from, to) else { continue };
            let usage = Usage::of(&self.open_entry(&entry).await?.view());
            if self.quota_root(&child) != self.quota_root(&target) {
                total = total.plus(Delta::between(&Usage::default(), &usage));
            }
            if child == *from {
                continue;
            }
            MailboxName::parse(target.as_str())?;
            if self.inner.list.get(&target)?.is_some() {
                return Err(StoreError::Exists);
            }
            children.push((child, target, entry));
        }
        if let Some(root) = self.quota_root(to) {
            self.count(&root).await;
            if !self.inner.shared.quotas.admits(Some(&root), total) {
                return Err(StoreError::OverQuota);
            }
        }
        Ok(children)
    }

    /// Gives a mailbox its old name again. What the master does not hear now, the resync tells it.
    async fn undo(&self, clearance: &mut Clearance, undo: Undo) {
        let Undo { from, to, entry, before, limits } = undo;
        let (old_root, new_root) = (self.quota_root(&from), self.quota_root(&to));
        self.rename_back(&from, &entry, &to, (*before).clone()).await;
        let acl = before.acl.clone();
        if let Ok(mailbox) = self.open_entry(&entry).await
            && old_root != new_root
        {
            let moved = Delta::between(&Usage::default(), &Usage::of(&mailbox.view()));
            let quotas = &self.inner.shared.quotas;
            // It was there before.
            let _ = quotas.add(old_root.as_ref(), moved, false);
            let _ = quotas.add(new_root.as_ref(), moved.negated(), false);
        }
        if let Some(limits) = limits {
            self.inner.shared.quotas.set_limits(&to, None);
            let kept = match self.keep_limits(&to, None).await {
                Ok(()) => self.adopt_root(&from, limits).await,
                Err(error) => Err(error),
            };
            if let Err(error) = kept {
                error!(%error, root = %from, "the quota of a mailbox that was not renamed is lost");
            }
        }
        self.forget_special_uses(&from);
        self.forget_special_uses(&to);
        let told = match clearance.reserve(&from, &entry.location).await {
            Ok(()) => clearance.activate(&from, &entry.location, &acl).await,
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            warn!(%error, mailbox = %from, "the master lacks a mailbox until the next resync");
        }
        clearance.withdraw(&to).await;
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
        if from.parent() != to.parent() {
            self.check_protected(who, from)?;
            self.check_childless(to)?;
        }
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
        self.relocate(&from, uids, &target, Along::all_of(&who.userid), false).await?;
        // RFC 5464 section 4.3: INBOX keeps its annotations, and the new mailbox has them too.
        target.set_annotations(from.all_annotations()).await?;
        Ok(Renamed { moved: vec![(inbox.clone(), to.clone())] })
    }
}
