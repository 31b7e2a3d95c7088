//! What can go wrong in the store. Each protocol turns these into its own replies, in one table each.

use std::sync::Arc;

use super::master::MasterError;

/// Why the store did not do what it was asked. The texts are those that Cyrus's clients know.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("Mailbox does not exist")]
    NoMailbox,
    #[error("Mailbox already exists")]
    Exists,
    #[error("Permission denied")]
    Denied,
    #[error("Invalid mailbox name")]
    BadName,
    #[error("Unknown/invalid partition")]
    BadPartition,
    /// A mailbox that others lie below, and that is no user's.
    #[error("Mailbox has inferior hierarchical names")]
    HasChildren,
    #[error("Operation is not supported on mailbox")]
    NotSupported,
    /// Its name is taken at the master, but no mailbox is there yet, or it is on its way elsewhere.
    #[error("Mailbox is currently reserved")]
    Reserved,
    /// The mailbox lives on another backend.
    #[error("Mailbox is on {0}")]
    Elsewhere(String),
    /// It was here, and a move took it to this server: it is to be asked there. Temporary: nothing was changed.
    #[error("Mailbox has been moved to another server")]
    Moved(String),
    /// A move is being decided, and that takes longer than one waits: temporary, nothing was changed.
    #[error("Mailbox is being moved to another server")]
    Frozen,
    #[error("Over quota")]
    OverQuota,
    #[error("Quota root does not exist")]
    NoQuotaRoot,
    /// A special use that is unknown, taken, or not allowed there (`NO [USEATTR]`).
    #[error("{0}")]
    BadUse(&'static str),
    /// The mailbox is protected by its special use.
    #[error("Mailbox is protected by its special use")]
    Protected,
    #[error("Too many user flags in mailbox")]
    TooManyKeywords,
    /// One user may not have more of it.
    #[error("{0}")]
    Limit(&'static str),
    /// An annotation beyond [`crate::VALUE_MAX`].
    #[error("Annotation value too large")]
    AnnotationTooLarge,
    #[error("Too many annotations")]
    TooManyAnnotations,
    /// Nobody, and no group, can be called so.
    #[error("Invalid identifier")]
    BadIdentifier,
    #[error("Message no longer exists")]
    NoMessage,
    #[error("Message is larger than {0} bytes")]
    TooLarge(u64),
    /// The disk is full: temporary, nothing was changed.
    #[error("No space left on device")]
    NoSpace,
    /// The disk can only be read: temporary, nothing was changed.
    #[error("Read-only file system")]
    ReadOnly,
    /// A write failed half-way. Nothing more is accepted until the store is opened again; reading goes on.
    #[error("The store accepts no changes after a failed write: {0}")]
    Poisoned(Arc<str>),
    /// Somebody else holds it for longer than one waits.
    #[error("Mailbox is locked")]
    Busy,
    /// The MUPDATE master refused, or cannot be asked.
    #[error("{0}")]
    Master(#[from] MasterError),
    /// A file is not what it should be.
    #[error("{file}: {what}")]
    Damaged { file: String, what: String },
    #[error("{doing}: {error}")]
    Io { doing: String, error: Arc<std::io::Error> },
    #[error("mailbox list: {0}")]
    List(String),
    /// What is stored of the list cannot be read: the spool tells it anew.
    #[error("{0}")]
    DamagedList(String),
    /// The store is closing.
    #[error("Server is shutting down")]
    Closed,
}

impl StoreError {
    /// Whether the same request may succeed later without anybody doing anything about it.
    pub fn is_temporary(&self) -> bool {
        match self {
            StoreError::Reserved
            | StoreError::Moved(_)
            | StoreError::Frozen
            | StoreError::NoSpace
            | StoreError::ReadOnly
            | StoreError::Poisoned(_)
            | StoreError::Busy
            | StoreError::Master(_)
            | StoreError::Damaged { .. }
            | StoreError::Io { .. }
            | StoreError::List(_)
            | StoreError::DamagedList(_)
            | StoreError::Closed => true,
            StoreError::NoMailbox
            | StoreError::Exists
            | StoreError::Denied
            | StoreError::BadName
            | StoreError::BadPartition
            | StoreError::HasChildren
            | StoreError::NotSupported
            | StoreError::Elsewhere(_)
            | StoreError::OverQuota
            | StoreError::NoQuotaRoot
            | StoreError::BadUse(_)
            | StoreError::Protected
            | StoreError::TooManyKeywords
            | StoreError::AnnotationTooLarge
            | StoreError::TooManyAnnotations
            | StoreError::Limit(_)
            | StoreError::BadIdentifier
            | StoreError::NoMessage
            | StoreError::TooLarge(_) => false,
        }
    }

    pub(crate) fn damaged(file: &std::path::Path, what: impl Into<String>) -> StoreError {
        StoreError::Damaged { file: file.display().to_string(), what: what.into() }
    }
}

/// Says what was being done to which file when it failed.
pub(crate) trait Doing<T> {
    fn doing(self, what: &str, path: &std::path::Path) -> Result<T, StoreError>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, what: &str, path: &std::path::Path) -> Result<T, StoreError> {
        self.map_err(|error| match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::NoSpace,
            std::io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly,
            _ => StoreError::Io { doing: format!("{what} {}", path.display()), error: Arc::new(error) },
        })
    }
}

impl From<mailboxes::Error> for StoreError {
    fn from(error: mailboxes::Error) -> Self {
        match error.is_damage() {
            true => StoreError::DamagedList(error.to_string()),
            false => StoreError::List(error.to_string()),
        }
    }
}

impl From<mailboxes::OpenError> for StoreError {
    fn from(error: mailboxes::OpenError) -> Self {
        match error.is_corrupt() {
            true => StoreError::DamagedList(error.to_string()),
            false => StoreError::List(error.to_string()),
        }
    }
}

impl From<mailboxes::CommitError> for StoreError {
    fn from(error: mailboxes::CommitError) -> Self {
        match error {
            mailboxes::CommitError::Poisoned(why) | mailboxes::CommitError::Unwritten(why) => {
                StoreError::Poisoned(why)
            }
            mailboxes::CommitError::Closed => StoreError::Closed,
            other => StoreError::List(other.to_string()),
        }
    }
}

impl From<protocol::name::NameError> for StoreError {
    fn from(error: protocol::name::NameError) -> Self {
        match error {
            protocol::name::NameError::Invalid => StoreError::BadName,
            protocol::name::NameError::Foreign => StoreError::NoMailbox,
        }
    }
}
