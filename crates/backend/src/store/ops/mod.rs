//! Operations on mailboxes: create, delete, rename, ACL, partition. Each is cleared with the MUPDATE master first.

use protocol::{acl::Rights, name::MailboxName};

use super::{Store, error::StoreError, quota::Limits};

/// Who asks, for the checks of rights.
#[derive(Debug, Clone)]
pub struct Actor {
    pub userid: String,
    pub groups: Vec<String>,
    /// May do everything.
    pub admin: bool,
}

impl Actor {
    pub fn admin(userid: &str) -> Actor {
        Actor { userid: userid.to_owned(), groups: Vec::new(), admin: true }
    }

    pub fn user(userid: &str) -> Actor {
        Actor { userid: userid.to_owned(), groups: Vec::new(), admin: false }
    }
}

/// What CREATE asks for beyond the name.
#[derive(Debug, Clone, Default)]
pub struct Create {
    pub partition: Option<String>,
    /// `\Sent` and the like (RFC 6154).
    pub special_use: Vec<String>,
    /// Without the master (LOCALCREATE).
    pub local_only: bool,
}

/// What a rename moved; a child that could not be moved stays under its old name.
#[derive(Debug, Default)]
pub struct Renamed {
    pub moved: Vec<(MailboxName, MailboxName)>,
    pub failed: Vec<(MailboxName, MailboxName, StoreError)>,
}

/// A change of one entry of an ACL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AclChange {
    Set(Rights),
    Add(Rights),
    Remove(Rights),
}

impl Store {
    /// Creates a mailbox and the missing ones above it. Its unique id.
    pub async fn create(
        &self,
        _who: &Actor,
        _name: &MailboxName,
        _create: Create,
    ) -> Result<String, StoreError> {
        Err(StoreError::Closed)
    }

    /// Deletes a mailbox; a user's INBOX (admins only) with all below it. Delayed: it moves below `DELETED`.
    pub async fn delete(
        &self,
        _who: &Actor,
        _name: &MailboxName,
        _local_only: bool,
    ) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    /// Renames a mailbox and what is below it. The same name with a partition moves it there. INBOX: its messages move.
    pub async fn rename(
        &self,
        _who: &Actor,
        _from: &MailboxName,
        _to: &MailboxName,
        _partition: Option<&str>,
    ) -> Result<Renamed, StoreError> {
        Err(StoreError::Closed)
    }

    /// Puts one mailbox away, none of those below it, as a delayed delete does, whatever `delete_mode` says. On this server
    /// alone, without the master: it is for mailboxes that the master has on another server (`ctl_mboxlist -m`).
    pub async fn put_away(&self, _name: &MailboxName) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    /// SETACL and DELETEACL (`Set` nothing).
    pub async fn set_acl(
        &self,
        _who: &Actor,
        _name: &MailboxName,
        _identifier: &str,
        _change: AclChange,
    ) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    /// Sets all limits of a quota root. `force`: the root need not be a mailbox, only have some below it.
    pub async fn set_quota(
        &self,
        _who: &Actor,
        _root: &MailboxName,
        _limits: Limits,
        _force: bool,
    ) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    /// Sets or removes a mailbox annotation; user empty: shared. `/specialuse` of a user is checked as CREATE's USE is.
    pub async fn annotate(
        &self,
        _name: &MailboxName,
        _entry: &str,
        _user: &str,
        _value: Option<&str>,
    ) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    /// Makes a user's INBOX and the configured folders where `autocreate_quota` (at login) or `autocreate_post` (at
    /// delivery) says so. Whether there is an INBOX now.
    pub async fn autocreate(
        &self,
        _userid: &str,
        _groups: &[String],
        _at_delivery: bool,
    ) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }
}
