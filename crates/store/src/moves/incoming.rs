//! An incoming copy: a mailbox that a move brings here, before it is this server's.

use std::{collections::HashMap, sync::Arc};

use super::{
    digest::Digest,
    snapshot::{Difference, Snapshot},
};
use crate::{Staged, Staging, Store, error::StoreError, header::Header};

/// A mailbox that a move brings here. It is in no list, and a rebuild passes over it; its files lie where they will stay. Only one
/// holds it at a time. What was not kept by [`Store::keep_round`] may be lost in a crash, and comes once more.
pub struct Incoming {
    _private: (),
}

/// Messages of a round, by their SHA-1.
pub type Round = HashMap<[u8; 20], Arc<Staged>>;

impl Store {
    /// Begins to take in an incoming copy, or goes on with the one that is there: of a move that was given up, or one that was given
    /// away from here. `header` is the source's; its unique id must be `[A-Za-z0-9-]{1,64}` ([`StoreError::BadName`]). `move_id` is
    /// written into the header.
    ///
    /// [`StoreError::Exists`]: this server has a mailbox of that id. [`StoreError::Busy`]: somebody holds it.
    pub async fn incoming(
        &self,
        move_id: &str,
        partition: &str,
        header: Header,
    ) -> Result<Incoming, StoreError> {
        let _ = (move_id, partition, header);
        Err(StoreError::NotSupported)
    }

    /// The incoming or kept copy of a unique id that is there, after a restart; none: there is none. [`StoreError::Exists`]: it is in
    /// the list, adopted already or never given away. [`StoreError::Busy`]: somebody holds it.
    pub async fn resume_incoming(
        &self,
        move_id: &str,
        partition: &str,
        uniqueid: &str,
    ) -> Result<Option<Incoming>, StoreError> {
        let _ = (move_id, partition, uniqueid);
        Err(StoreError::NotSupported)
    }

    /// Begins to receive a message of a move, of so many bytes, for a partition; to be ended by [`Staging::arrived`].
    pub async fn arriving(&self, partition: &str, size: u64) -> Result<Staging, StoreError> {
        let _ = (partition, size);
        Err(StoreError::NotSupported)
    }

    /// Ends a round: what was applied to these copies is on disk when this returns.
    pub async fn keep_round(&self, copies: &[&Incoming]) -> Result<(), StoreError> {
        let _ = copies;
        Err(StoreError::NotSupported)
    }

    /// Removes an incoming copy: the move came to nothing. A copy that was given away from here stays kept, as it is now.
    pub async fn forget_incoming(&self, copy: Incoming) -> Result<(), StoreError> {
        let _ = copy;
        Err(StoreError::NotSupported)
    }
}

impl Staging {
    /// The message is whole: it must have this SHA-1 ([`StoreError::Damaged`]). It is not synced: [`Store::keep_round`] does that for
    /// all of a round.
    pub async fn arrived(self, guid: [u8; 20]) -> Result<Arc<Staged>, StoreError> {
        let _ = guid;
        Err(StoreError::NotSupported)
    }
}

impl Incoming {
    /// The mailbox's id.
    pub fn uniqueid(&self) -> &str {
        ""
    }

    /// The copy as it is now, kept or not.
    pub fn snapshot(&self) -> Snapshot {
        unimplemented!()
    }

    /// The bit of a keyword in [`crate::Record::keywords`] of this copy; it is defined where it is new. For differences that have
    /// none of their own.
    pub fn keyword(&self, word: &str) -> Result<u128, StoreError> {
        let _ = word;
        Err(StoreError::NotSupported)
    }

    /// A message of the copy, for another copy that has the same. Blocks.
    pub fn message(&self, uid: u32) -> Result<Arc<Staged>, StoreError> {
        let _ = uid;
        Err(StoreError::NoMessage)
    }

    /// What two copies are compared by, as [`Snapshot::digest`] of the source. Costs what changed since it was last asked for.
    pub async fn digest(&self) -> Result<Digest, StoreError> {
        Err(StoreError::NotSupported)
    }

    /// Makes the copy what the difference says. The files of messages that are new come from `messages`, or are in the copy already
    /// under another UID. [`StoreError::NoMessage`]: one of a message that is not expunged is missing; nothing is changed.
    pub async fn apply(&self, difference: Difference, messages: &Round) -> Result<(), StoreError> {
        let _ = (difference, messages);
        Err(StoreError::NotSupported)
    }
}
