//! Duplicate suppression: which message was delivered to which mailbox in the last days.
//!
//! The memory of a delivery is a note in the commit log beside the delivery itself, so that one is never without the
//! other; then it lies in sled, which the checkpoint syncs.

use sha1::{Digest, Sha1};

use super::{commit::Note, error::StoreError};
use crate::limits::DELIVERED;

/// The deliveries of the last days.
pub struct Duplicates {
    tree: sled::Tree,
}

impl Duplicates {
    pub fn new(tree: sled::Tree) -> Duplicates {
        Duplicates { tree }
    }

    pub fn put(&self, note: &Note) -> Result<(), StoreError> {
        self.tree.insert(note.key, &note.time.to_be_bytes()).map_err(failed).map(drop)
    }

    /// Whether a message came within the last days. Reads from memory but for what was evicted.
    pub fn has(&self, key: &[u8; 16], now: u64) -> Result<bool, StoreError> {
        let found = self.tree.get(key).map_err(failed)?;
        let time = found.and_then(|v| v.as_ref().try_into().ok()).map(u64::from_be_bytes);
        Ok(time.is_some_and(|time| now.saturating_sub(time) < DELIVERED))
    }

    /// Forgets deliveries older than `seconds`. How many.
    pub fn expire(&self, now: u64, seconds: u64) -> Result<usize, StoreError> {
        let mut gone = 0;
        for item in self.tree.iter() {
            let (key, value) = item.map_err(failed)?;
            let time = value.as_ref().try_into().map(u64::from_be_bytes).unwrap_or(0);
            if now.saturating_sub(time) >= seconds {
                self.tree.remove(key).map_err(failed)?;
                gone += 1;
            }
        }
        Ok(gone)
    }
}

/// What makes a delivery the same: Message-ID, mailbox, Date.
pub fn key(message_id: &str, uniqueid: &str, date: &str) -> [u8; 16] {
    let mut hasher = Sha1::new();
    for part in [message_id, uniqueid, date] {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().first_chunk::<16>().copied().unwrap_or_default()
}

fn failed(error: sled::Error) -> StoreError {
    StoreError::List(error.to_string())
}
