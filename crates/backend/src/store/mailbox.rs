//! An open mailbox, shared by all its sessions.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use protocol::{imap::Flag, location::Location, name::MailboxName};
use tokio::sync::watch;

use super::{error::StoreError, header::Header, record::System, stage::Staged, view::View};
use crate::mime::Structure;

/// An open mailbox. Held by `Arc`; stays usable while it is renamed, until [`View::gone`].
pub struct Mailbox {
    view: watch::Sender<Arc<View>>,
    header: watch::Sender<Arc<Header>>,
    location: Location,
}

/// A message to be added.
#[derive(Clone)]
pub struct NewMessage {
    pub staged: Arc<Staged>,
    pub flags: Vec<Flag>,
    /// INTERNALDATE, epoch seconds; none: now.
    pub internaldate: Option<i64>,
}

/// UIDs that messages got, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    pub uidvalidity: u32,
    pub uids: Vec<u32>,
}

/// How STORE changes flags.
#[derive(Debug, Clone)]
pub struct FlagChange {
    pub how: How,
    pub flags: Vec<Flag>,
    /// Leave messages alone that changed after this modseq (RFC 7162).
    pub unchanged_since: Option<u64>,
    /// What the user's rights allow; the rest of the flags stays as it is.
    pub may: FlagMask,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Set,
    Add,
    Remove,
}

/// Kinds of flags that somebody may change: `s`, `t` and `w` of the ACL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlagMask {
    pub seen: bool,
    pub deleted: bool,
    pub others: bool,
}

impl FlagMask {
    pub const ALL: FlagMask = FlagMask { seen: true, deleted: true, others: true };

    /// The system flags of the mask.
    pub fn system(self) -> System {
        let pick = |on: bool, flags: System| if on { flags } else { System::NONE };
        pick(self.seen, System::SEEN)
            .with(pick(self.deleted, System::DELETED))
            .with(pick(self.others, System::ANSWERED.with(System::FLAGGED).with(System::DRAFT)))
    }
}

/// What STORE did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// UIDs left alone because of `unchanged_since` (MODIFIED).
    pub modified: Vec<u32>,
    /// The mailbox's highest modseq after it.
    pub modseq: u64,
}

impl Mailbox {
    /// Its name now.
    pub fn name(&self) -> Result<MailboxName, StoreError> {
        self.header.borrow().name()
    }

    pub fn uniqueid(&self) -> String {
        self.header.borrow().uniqueid.clone()
    }

    /// Server and partition.
    pub fn location(&self) -> Location {
        self.location.clone()
    }

    pub fn header(&self) -> Arc<Header> {
        self.header.borrow().clone()
    }

    /// The mailbox as it is now.
    pub fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    /// Moves with each change; holds the newest view. For IDLE.
    pub fn watch(&self) -> watch::Receiver<Arc<View>> {
        self.view.subscribe()
    }

    /// Adds messages, all or none. On return they are on disk and in the view.
    pub async fn append(&self, _messages: Vec<NewMessage>) -> Result<Appended, StoreError> {
        Err(StoreError::Closed)
    }

    /// Changes flags of messages; UIDs that are not there are passed over.
    pub async fn store(&self, _uids: &[u32], _change: FlagChange) -> Result<Stored, StoreError> {
        Err(StoreError::Closed)
    }

    /// Expunges messages: those of `uids` (none: all) that are \Deleted. UIDs that went, ascending.
    pub async fn expunge(&self, _uids: Option<&[u32]>) -> Result<Vec<u32>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Expunges these messages, \Deleted or not: MOVE, POP3's DELE.
    pub async fn remove(&self, _uids: &[u32]) -> Result<Vec<u32>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Takes \Recent for a session that selects read-write: messages with a UID above the one returned are recent to
    /// it, and to no later session.
    pub fn claim_recent(&self) -> u32 {
        self.view.borrow().recentuid
    }

    /// Bytes of a message, cut to what there is.
    pub async fn read(&self, _uid: u32, _range: Range<u64>) -> Result<Bytes, StoreError> {
        Err(StoreError::Closed)
    }

    /// The whole message.
    pub async fn message(&self, _uid: u32) -> Result<Bytes, StoreError> {
        Err(StoreError::Closed)
    }

    /// The structure of a message, from the cache where it has it.
    pub async fn structure(&self, _uid: u32) -> Result<Arc<Structure>, StoreError> {
        Err(StoreError::Closed)
    }

    /// As [`Mailbox::read`], on a blocking thread of the caller's: for SEARCH and FETCH over many messages.
    pub fn read_blocking(&self, _uid: u32, _range: Range<u64>) -> Result<Bytes, StoreError> {
        Err(StoreError::Closed)
    }

    /// As [`Mailbox::structure`], on a blocking thread of the caller's.
    pub fn structure_blocking(&self, _uid: u32) -> Result<Arc<Structure>, StoreError> {
        Err(StoreError::Closed)
    }
}
