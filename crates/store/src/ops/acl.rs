//! SETACL and DELETEACL: the master first, then header and list.

use mailboxes::Change;
use protocol::{
    acl::{Acl, BadIdentifier, Rights, check_identifier},
    name::MailboxName,
};
use tracing::{info, warn};

use super::{Actor, bounds::check_acl};
use crate::{Store, error::StoreError, journal::Record};

/// A change of one entry of an ACL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AclChange {
    Set(Rights),
    Add(Rights),
    Remove(Rights),
}

impl Store {
    /// SETACL and DELETEACL (`Set` nothing).
    pub async fn set_acl(
        &self,
        who: &Actor,
        name: &MailboxName,
        identifier: &str,
        change: AclChange,
    ) -> Result<(), StoreError> {
        let (store, who, name, identifier) = (self.clone(), who.clone(), name.clone(), identifier.to_owned());
        self.to_the_end(async move {
            let _turns = store.turns_of(&[&name]).await?;
            store.change_acl(&who, &name, &identifier, change).await
        })
        .await
    }

    pub(super) async fn change_acl(
        &self,
        who: &Actor,
        name: &MailboxName,
        identifier: &str,
        change: AclChange,
    ) -> Result<(), StoreError> {
        let entry = self.entry_for(who, name, Rights::ADMIN)?;
        let acl = self.changed_acl(who, name, &entry.acl, identifier, change)?;
        if *acl == *entry.acl {
            return Ok(());
        }
        let local = entry.local.as_ref().ok_or(StoreError::NoMailbox)?;
        let partition = entry.location.partition().unwrap_or_default().to_owned();
        self.check_room(&self.partition_path(&partition)?, 0).await?;
        let mut clearance = self.clearance(false).await?;
        clearance.activate(name, &entry.location, &acl).await?;
        let record = Record {
            operation: "set acl".into(),
            id: local.uniqueid.clone(),
            names: vec![name.to_string()],
            partitions: vec![partition.clone()],
        };
        let done = self.journalled(record, async {
            let (new, now) = (acl.clone(), self.now());
            let header = self.edit_header(&entry, move |header| {
                header.acl = new;
                header.mtime = now;
                header.foldermodseq += 1;
            });
            let header = header.await?;
            self.inner.journal.step("set acl: header written");
            let listed =
                self.commit_list(vec![Change::put(name.clone(), self.entry_of(&partition, &header)?)]).await;
            if listed.is_err() {
                let old = entry.acl.to_string();
                self.edit_header(&entry, move |header| header.acl = old).await?;
            }
            listed
        });
        if let Err(error) = done.await {
            if let Err(error) = clearance.activate(name, &entry.location, &entry.acl).await {
                warn!(%error, mailbox = %name, "the master has another ACL until the next resync");
            }
            return Err(error);
        }
        info!(mailbox = %name, identifier, "ACL changed");
        Ok(())
    }

    fn changed_acl(
        &self,
        who: &Actor,
        name: &MailboxName,
        before: &str,
        identifier: &str,
        change: AclChange,
    ) -> Result<String, StoreError> {
        let anyone = matches!(identifier, "anyone" | "anonymous" | "-anyone" | "-anonymous");
        let owner = self.inner.namespace.owner(name);
        if anyone && owner.is_some() && !who.admin && !self.policy().anyoneuseracl {
            return Err(StoreError::Denied);
        }
        let mut acl = Acl::parse(before);
        // What is there, whoever wrote it, can be taken away.
        if acl.get(identifier).is_none() {
            check_identifier(identifier).map_err(|why| match why {
                BadIdentifier::TooLong => StoreError::Limit("Identifier is too long"),
                BadIdentifier::Unfit => StoreError::BadIdentifier,
            })?;
        }
        let had = acl.get(identifier).unwrap_or_default();
        let mut rights = match change {
            AclChange::Set(rights) => rights,
            AclChange::Add(rights) => had | rights,
            AclChange::Remove(rights) => had - rights,
        };
        if owner.as_deref() == Some(identifier) && !who.admin {
            if had.contains(Rights::ADMIN) && !rights.contains(Rights::ADMIN) {
                return Err(StoreError::Denied);
            }
            // The owner keeps what one always has, and the right to take the rest back.
            rights = rights | self.granting().implicit();
        }
        acl.set(identifier, rights);
        check_acl(who, before, &acl)
    }
}
