//! Delivery: a message into a mailbox, once.

use std::sync::Arc;

use protocol::{imap::Flag, name::MailboxName};

use super::{Store, error::StoreError, stage::Staged};

/// A message for one mailbox.
#[derive(Clone)]
pub struct Delivery {
    pub mailbox: MailboxName,
    pub staged: Arc<Staged>,
    pub flags: Vec<Flag>,
    /// For duplicate suppression: the Message-ID and the Date header; no Message-ID: not suppressed.
    pub message_id: Option<String>,
    pub date: Option<String>,
    /// Deliver though the quota is exceeded (`IGNOREQUOTA`).
    pub ignore_quota: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// On disk.
    Stored { uidvalidity: u32, uid: u32 },
    /// The same message was delivered there within the last three days.
    Duplicate,
}

impl Store {
    /// Delivers; on return the message is on disk, and so is the memory of its delivery.
    pub async fn deliver(&self, _delivery: Delivery) -> Result<Delivered, StoreError> {
        Err(StoreError::Closed)
    }
}
