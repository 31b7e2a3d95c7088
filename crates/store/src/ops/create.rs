//! CREATE: checks, a partition, an ACL; then RESERVE, directory and list, ACTIVATE.

use std::collections::BTreeMap;

use mailboxes::Change;
use protocol::{
    acl::{Acl, Rights},
    name::MailboxName,
};
use tracing::{info, warn};

use super::{super::lock, Actor, Clearance};
use crate::{
    Store, blocking,
    disk::{fresh_id, mailbox_dir},
    error::StoreError,
    gates::Gate,
    header::Header,
    journal::{self, Record},
    mailbox::Mailbox,
    master::MasterError,
    quota::{Delta, Limits, Usage},
    turns::Turn,
};

/// What CREATE asks for beyond the name.
#[derive(Debug, Clone, Default)]
pub struct Create {
    pub partition: Option<String>,
    /// `\Sent` and the like (RFC 6154).
    pub special_use: Vec<String>,
    /// Without the master (LOCALCREATE).
    pub local_only: bool,
    /// The mailbox is a quota root with these limits from its beginning.
    pub limits: Option<Limits>,
}

impl Store {
    /// Creates a mailbox and the missing ones above it. Its unique id.
    pub async fn create(
        &self,
        who: &Actor,
        name: &MailboxName,
        create: Create,
    ) -> Result<String, StoreError> {
        let (store, who, name) = (self.clone(), who.clone(), name.clone());
        self.to_the_end(async move {
            let _turn = store.turn_to_create(&name, create.local_only).await?;
            store.check_create(&who, &name, &create)?;
            let missing = store.missing_above(&name)?;
            store.check_count(&who, &name, missing.len() + 1)?;
            let partition = store.choose_partition(&name, create.partition.as_deref()).await?;
            store.check_room(&store.partition_path(&partition)?, 0).await?;
            let special = store.check_special_use(&name, &create.special_use).await?;
            let mut clearance = store.clearance(create.local_only).await?;
            for above in missing {
                store.make(&mut clearance, &above, &partition, BTreeMap::new(), None).await?;
            }
            store.make(&mut clearance, &name, &partition, special, create.limits).await
        })
        .await
    }

    /// The turn of a name that is to be there. One that was given away is the master's to give anew: a mailbox that moved may be
    /// gone by now where it went.
    async fn turn_to_create(&self, name: &MailboxName, local_only: bool) -> Result<Turn, StoreError> {
        let is_own = |error: &StoreError| {
            let asked = self.inner.master.is_some() && !local_only;
            asked && matches!(error, StoreError::Moved(_)) && self.moved_to(name).is_some()
        };
        loop {
            self.pass_names(&[name])
                .await
                .or_else(|error| if is_own(&error) { Ok(()) } else { Err(error) })?;
            let tree = self.turn_of(name);
            self.inner.shared.gates.pass(Gate::Tree(&tree)).await?;
            let turn = self.inner.turns.take(&tree).await?;
            match self.missing(name) {
                StoreError::NoMailbox => return Ok(turn),
                error if is_own(&error) => return Ok(turn),
                _ => {}
            }
        }
    }

    fn check_create(&self, who: &Actor, name: &MailboxName, create: &Create) -> Result<(), StoreError> {
        self.inner.namespace.check_create(name)?;
        if self.inner.namespace.is_deleted(name) {
            return Err(StoreError::BadName);
        }
        if let Some(entry) = self.inner.list.get(name)? {
            if !self.rights_of(who, name, &entry).contains(Rights::LOOKUP) {
                return Err(StoreError::Denied);
            }
            return Err(if entry.is_active() { StoreError::Exists } else { StoreError::Reserved });
        }
        if name.inbox().is_some_and(|inbox| inbox != *name)
            && !create.local_only
            && name.inbox().is_some_and(|inbox| !matches!(self.inner.list.get(&inbox), Ok(Some(_))))
        {
            return Err(StoreError::Denied);
        }
        self.check_childless(name)?;
        if who.admin {
            return Ok(());
        }
        if create.partition.is_some() {
            return Err(StoreError::Denied);
        }
        let mut above = name.parent();
        while let Some(parent) = above {
            if let Some(entry) = self.inner.list.get(&parent)? {
                let rights = self.rights_of(who, &parent, &entry);
                return if rights.contains(Rights::CREATE) { Ok(()) } else { Err(StoreError::Denied) };
            }
            above = parent.parent();
        }
        Err(StoreError::Denied)
    }

    /// Mailboxes above a name that are to be made first, outermost first. A shared top level is not one of them where
    /// nothing of it exists: it is made like any other.
    fn missing_above(&self, name: &MailboxName) -> Result<Vec<MailboxName>, StoreError> {
        let mut missing = Vec::new();
        let mut above = name.parent().filter(|_| name.inbox().is_some());
        while let Some(parent) = above {
            if self.inner.list.get(&parent)?.is_some() || parent.is_inbox() {
                break;
            }
            above = parent.parent();
            // What is below `INBOX` is shown below the INBOX itself.
            let shown_as_inbox =
                parent.as_str().ends_with(".INBOX") && above.as_ref().is_some_and(|a| a.is_inbox());
            if !shown_as_inbox {
                missing.push(parent);
            }
        }
        missing.reverse();
        Ok(missing)
    }

    /// Explicit, else the parent's, else `defaultpartition`, else a choice.
    pub(super) async fn choose_partition(
        &self,
        name: &MailboxName,
        explicit: Option<&str>,
    ) -> Result<String, StoreError> {
        let known = |partition: &str| {
            let partition = partition.to_ascii_lowercase();
            self.inner.imapd.partition(&partition).map(|p| p.name.clone()).ok_or(StoreError::BadPartition)
        };
        if let Some(partition) = explicit {
            return known(partition);
        }
        let mut above = name.parent();
        while let Some(parent) = above {
            if let Some(entry) = self.inner.list.get(&parent)?
                && let Some(partition) = entry.location.partition()
            {
                return known(partition);
            }
            above = parent.parent();
        }
        if let Some(partition) = &self.inner.imapd.defaultpartition {
            return known(partition);
        }
        let store = self.clone();
        blocking(move || store.inner.partitions.choose().ok_or(StoreError::BadPartition)).await
    }

    /// The ACL of a new mailbox.
    pub(super) fn new_acl(&self, name: &MailboxName) -> Result<String, StoreError> {
        let mut above = name.parent();
        while let Some(parent) = above {
            if let Some(entry) = self.inner.list.get(&parent)? {
                return Ok(entry.acl.to_string());
            }
            above = parent.parent();
        }
        let mut acl = Acl::default();
        if let Some(owner) = self.inner.namespace.owner(name) {
            acl.set(&owner, Rights::ALL);
            return Ok(acl.to_string());
        }
        let policy = self.policy();
        let words: Vec<&str> = policy.defaultacl.split_whitespace().collect();
        for pair in words.chunks_exact(2) {
            if let [identifier, letters] = pair {
                acl.set(identifier, self.granting().read(letters).unwrap_or_default());
            }
        }
        Ok(acl.to_string())
    }

    /// Makes one mailbox: reserve, disk and list, activate. Its unique id.
    pub(super) async fn make(
        &self,
        clearance: &mut Clearance,
        name: &MailboxName,
        partition: &str,
        annotations: BTreeMap<String, BTreeMap<String, String>>,
        limits: Option<Limits>,
    ) -> Result<String, StoreError> {
        let one = Delta { mailbox: 1, ..Delta::default() };
        let root = self.quota_root(name);
        if !self.inner.shared.quotas.admits(root.as_ref(), one) {
            return Err(StoreError::OverQuota);
        }
        let header = Header {
            name: name.to_string(),
            uniqueid: fresh_id()?,
            uidvalidity: self.next_uidvalidity(),
            acl: self.new_acl(name)?,
            mbtype: "e".into(),
            quotaroot: root
                .as_ref()
                .filter(|_| limits.is_none())
                .or(limits.map(|_| name))
                .map(ToString::to_string),
            limits,
            options: u64::try_from(self.policy().mailbox_default_options).unwrap_or(0),
            createdmodseq: 1,
            foldermodseq: 1,
            mtime: self.now(),
            name_history: Vec::new(),
            annotations,
            incoming: false,
            incoming_id: None,
            moved: None,
            moving: None,
        };
        let (id, acl) = (header.uniqueid.clone(), header.acl.clone());
        let location = self.location(partition);
        match (clearance.reserve(name, &location).await, self.moved_to(name)) {
            // It is still where it went.
            (Err(MasterError::NotReserved), Some(server)) => return Err(StoreError::Moved(server)),
            (reserved, _) => reserved?,
        }
        let made = match self.inherit_no_scripts(name).await {
            Ok(()) => self.make_here(name, partition, header).await,
            Err(error) => Err(error),
        };
        if let Err(error) = made {
            clearance.withdraw(name).await;
            return Err(error);
        }
        // Whatever went from here under the name is another mailbox's copy now.
        self.inner.shared.gates.set([Gate::Name(name)], None);
        if let Err(error) = clearance.activate(name, &location, &acl).await {
            self.unmake(name, partition, &id).await;
            clearance.withdraw(name).await;
            return Err(error.into());
        }
        // Refused only where it must fit, which was asked before.
        let _ = self.inner.shared.quotas.add(root.as_ref(), one, false);
        self.inner.shared.quotas.note(&id, Some(Usage { mailbox: 1, ..Usage::default() }));
        if let Some(limits) = limits
            && let Err(error) = self.adopt_root(name, limits).await
        {
            // It is on disk, and counts from the next start on at the latest.
            warn!(%error, root = %name, "a new quota root does not count");
        }
        self.forget_special_uses(name);
        info!(mailbox = %name, %id, partition, "created");
        Ok(id)
    }

    /// Whoever gets a new INBOX has no rules of somebody who was called the same.
    async fn inherit_no_scripts(&self, name: &MailboxName) -> Result<(), StoreError> {
        match self.inner.namespace.owner(name).filter(|_| name.is_inbox()) {
            Some(user) => self.forget_scripts(&user).await,
            None => Ok(()),
        }
    }

    async fn make_here(&self, name: &MailboxName, partition: &str, header: Header) -> Result<(), StoreError> {
        let record = Record {
            operation: journal::CREATE.into(),
            id: header.uniqueid.clone(),
            names: vec![name.to_string()],
            partitions: vec![partition.to_owned()],
        };
        let dir = mailbox_dir(&self.partition_path(partition)?, &header.uniqueid);
        self.journalled(record, async {
            let entry = self.entry_of(partition, &header)?;
            let (limits, made, place) = (header.limits, header, dir.clone());
            blocking(move || Mailbox::make(&place, &made)).await?;
            self.inner.journal.step("create: made");
            // Before it is listed: no mailbox is without its limits. For one that is not listed, the journal's recovery
            // forgets them.
            let kept = match limits {
                Some(_) => self.keep_limits(name, limits).await,
                None => Ok(()),
            };
            self.inner.journal.step("create: limits kept");
            let listed = match kept {
                Ok(()) => self.commit_list(vec![Change::put(name.clone(), entry)]).await,
                Err(error) => Err(error),
            };
            self.inner.journal.step("create: listed");
            if listed.is_err() {
                if limits.is_some() {
                    self.keep_limits(name, None).await?;
                }
                blocking(move || crate::disk::sweep(&dir)).await?;
            }
            listed
        })
        .await
    }

    async fn unmake(&self, name: &MailboxName, partition: &str, id: &str) {
        let record = Record {
            operation: "undo create".into(),
            id: id.to_owned(),
            names: vec![name.to_string()],
            partitions: vec![partition.to_owned()],
        };
        let undone = self.journalled(record, async {
            self.commit_list(vec![Change::delete(name.clone())]).await?;
            self.keep_limits(name, None).await?;
            let _shut = self.shut(id).await?;
            self.sweep(partition, id).await
        });
        if let Err(error) = undone.await {
            tracing::error!(%error, mailbox = %name, "a refused mailbox could not be removed");
        }
    }

    /// Greater than any before.
    fn next_uidvalidity(&self) -> u32 {
        let now = u32::try_from(self.now()).unwrap_or(u32::MAX - 1);
        let mut last = lock(&self.inner.uidvalidity);
        *last = now.max(last.saturating_add(1));
        *last
    }
}
