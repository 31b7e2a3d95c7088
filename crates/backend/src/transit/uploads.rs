//! Messages that came on a connection and belong to no mailbox yet, by their SHA-1.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::sync::{File, Guid};
use store::limits::STAGE_MEMORY;
use store::{Round, Staged, Staging, Store, StoreError};

use super::Refused;
use crate::limits::{UPLOADED, UPLOADED_BYTES, UPLOADED_MEMORY, rows};

/// What one connection has brought.
#[derive(Default)]
pub struct Uploads {
    messages: HashMap<Guid, Arc<Staged>>,
    bytes: u64,
    /// Bytes of those that are in memory.
    memory: u64,
}

impl Uploads {
    /// Begins to receive a message. `largest`: bytes that one may have.
    pub async fn begin(&self, store: &Store, file: &File, largest: u64) -> Result<Staging, Refused> {
        if file.size > largest {
            return Err(StoreError::TooLarge(largest).into());
        }
        let is_full = self.messages.len() >= UPLOADED;
        if is_full || self.bytes.saturating_add(file.size) > UPLOADED_BYTES {
            let row = if is_full { &rows::UPLOADED } else { &rows::UPLOADED_BYTES };
            row.met("a connection brings more messages than it says mailboxes of: no other is taken");
            return Err(Refused::Text("Too many messages without a mailbox"));
        }
        Ok(store.arriving(&file.partition, file.size).await?)
    }

    /// The message has come. One that is not what it was said to be is [`StoreError::Damaged`].
    pub async fn end(&mut self, file: &File, mut message: Staging) -> Result<(), Refused> {
        let in_memory = file.size <= STAGE_MEMORY as u64;
        if in_memory && self.memory.saturating_add(file.size) > UPLOADED_MEMORY {
            rows::UPLOADED_MEMORY.met("messages that come in and belong to no mailbox yet go to disk");
            message.spill().await?;
        } else if in_memory {
            self.memory += file.size;
        }
        let message = message.arrived(file.guid.0).await?;
        self.bytes += file.size;
        self.messages.insert(file.guid, message);
        Ok(())
    }

    /// Whether the message has come.
    pub fn has(&self, guid: &Guid) -> bool {
        self.messages.contains_key(guid)
    }

    /// Takes a message out: a mailbox has it now.
    pub fn take(&mut self, guid: &Guid) -> Option<Arc<Staged>> {
        let message = self.messages.remove(guid)?;
        self.forget(message.size);
        Some(message)
    }

    /// Puts messages back that no mailbox took after all.
    pub fn put_back(&mut self, messages: Round) {
        for (guid, message) in messages {
            self.bytes += message.size;
            if message.size <= STAGE_MEMORY as u64 {
                self.memory += message.size;
            }
            self.messages.insert(Guid(guid), message);
        }
    }

    /// Whether nothing of it is left.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    fn forget(&mut self, size: u64) {
        self.bytes = self.bytes.saturating_sub(size);
        if size <= STAGE_MEMORY as u64 {
            self.memory = self.memory.saturating_sub(size);
        }
    }
}
