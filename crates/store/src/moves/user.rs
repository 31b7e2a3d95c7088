//! What is kept of users across mailboxes, as a move takes it along.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use protocol::name::MailboxName;

use super::digest::Digest;
use crate::{Store, error::StoreError, userlog::Seen};

/// What a move takes along of users' logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserData {
    /// Whose INBOX moves; none: a shared mailbox moves.
    pub owner: Option<String>,
    /// The owner's.
    pub subscriptions: BTreeSet<MailboxName>,
    /// The owner's annotations of the server.
    pub annotations: BTreeMap<String, Arc<[u8]>>,
    /// Seen states in the mailboxes that move: by user and unique id.
    pub seen: BTreeMap<(String, String), Seen>,
}

impl UserData {
    /// What two copies of it are compared by.
    pub fn digest(&self) -> Digest {
        Digest([0; 32])
    }
}

impl Store {
    /// What there is of users' logs for a move of these mailboxes: all that is the owner's, and everybody's seen states.
    pub async fn user_data(&self, owner: Option<&str>, ids: &[String]) -> Result<UserData, StoreError> {
        let _ = (owner, ids);
        Err(StoreError::NotSupported)
    }

    /// Takes it over: the owner's subscriptions and annotations as they are there; of each seen state the later one, and what both
    /// say where they are of one second.
    pub async fn take_user_data(&self, data: &UserData) -> Result<(), StoreError> {
        let _ = data;
        Err(StoreError::NotSupported)
    }
}
