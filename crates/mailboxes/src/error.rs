//! What can go wrong with a list: in opening it, in reading it, in changing it.

use std::sync::Arc;

use protocol::{mupdate::state::Refusal, name::MailboxName};

use crate::{codec::DecodeError, store::StoreError};

/// Reading failed: the answer is not known. Never to be taken for "no such mailbox".
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("mailbox list: {0}")]
    Decode(#[from] DecodeError),
}

impl Error {
    /// What is stored is not what was written.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Error::Store(StoreError::Corrupt(..))
                | Error::Decode(DecodeError::Damaged(_) | DecodeError::Short)
        )
    }
}

/// The list cannot be opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("mailbox list: {0}")]
    Decode(#[from] DecodeError),
}

impl OpenError {
    /// Another process owns the database: exit 75, or ask that process.
    pub fn is_busy(&self) -> bool {
        matches!(self, OpenError::Store(StoreError::Busy(_)))
    }

    /// The database is damaged: a replica may begin anew.
    pub fn is_corrupt(&self) -> bool {
        matches!(
            self,
            OpenError::Store(StoreError::Corrupt(..))
                | OpenError::Decode(DecodeError::Damaged(_) | DecodeError::Short)
        )
    }
}

/// Why a commit did not happen. Nothing of it was done, but where the disk failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The state machine refused it; the text is the protocol's.
    #[error("{name}: {refusal}")]
    Refused { name: MailboxName, refusal: Refusal },
    /// An expectation did not hold.
    #[error("{name}: changed meanwhile")]
    Changed { name: MailboxName },
    /// The disk failed. Whether the changes are stored is unknown; nothing more is accepted until reopened.
    #[error("mailbox list: {0}; nothing more is accepted until restart")]
    Poisoned(Arc<str>),
    /// The authority cannot be asked, or refuses: nothing happened, and nothing will.
    #[error("mailbox list: {0}")]
    Unavailable(Arc<str>),
    /// The authority did not answer: whether it happened is not known. Never to be answered as a refusal.
    #[error("mailbox list: {0}; whether the change was made is not known")]
    Unknown(Arc<str>),
    /// A replica's disk failed, and its list is nowhere else. What comes again may be written.
    #[error("mailbox list: {0}")]
    Unwritten(Arc<str>),
    /// No more servers can be cordoned.
    #[error("mailbox list: too many servers are cordoned")]
    Cordons,
    /// The list is being closed.
    #[error("mailbox list: closed")]
    Closed,
    /// A replica takes changes from its upstream only, and an owner has no upstream.
    #[error("mailbox list: only the upstream changes a replica, and an owner has none")]
    ReadOnly,
}

/// Why a list accepts nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub why: Arc<str>,
    /// What is stored cannot be read; else it could not be written.
    pub damaged: bool,
}

/// The changes asked for are no longer known: take the full list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("changes since then are no longer kept")]
pub struct Pruned;
