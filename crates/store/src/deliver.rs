//! Delivery: a message into a mailbox, once.

use std::sync::Arc;

use protocol::{flag::Flag, name::MailboxName};

use super::{
    Store, commit::Note, duplicate, error::StoreError, header::DUPLICATE_DELIVER, mailbox::NewMessage,
    stage::Staged,
};

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
    pub async fn deliver(&self, delivery: Delivery) -> Result<Delivered, StoreError> {
        let mailbox = self.mailbox(&delivery.mailbox).await?;
        let suppress =
            self.policy().duplicatesuppression && mailbox.header().options & DUPLICATE_DELIVER == 0;
        let now = self.inner.shared.now() as u64;
        let note = delivery.message_id.as_deref().filter(|_| suppress).map(|id| Note {
            key: duplicate::key(id, &mailbox.id, delivery.date.as_deref().unwrap_or_default()),
            time: now,
        });
        // The same message twice at a time: the second waits for what becomes of the first.
        let _turn = match &note {
            Some(note) => Some(self.inner.turns.take(&format!("delivery {:?}", note.key)).await?),
            None => None,
        };
        if let Some(note) = &note
            && self.inner.duplicates.has(&note.key, now)?
        {
            return Ok(Delivered::Duplicate);
        }
        let message = NewMessage {
            staged: delivery.staged,
            flags: delivery.flags,
            internaldate: None,
            annotations: Vec::new(),
        };
        let added =
            mailbox.append_noted(vec![message], note.into_iter().collect(), delivery.ignore_quota).await?;
        let uid = added.uids.first().copied().unwrap_or_default();
        Ok(Delivered::Stored { uidvalidity: added.uidvalidity, uid })
    }
}
