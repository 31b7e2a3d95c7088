//! Adopting: incoming copies become this server's mailboxes.

use protocol::name::MailboxName;

use super::{Item, incoming::Incoming};
use crate::{Store, error::StoreError};

impl Store {
    /// Takes incoming copies into the list, all in one commit: from when this returns they are this server's, and are found. Quota
    /// roots among them count, and a quota never refuses a copy. The caller must remember that they are to be adopted until
    /// [`Store::finish_adoption`] has returned, and asks once more after a crash, for those of which [`Store::resume_incoming`] does
    /// not say that they are.
    ///
    /// [`StoreError::Exists`]: a name is another mailbox's here; nothing is done.
    pub async fn adopt(&self, root: &MailboxName, copies: Vec<Incoming>) -> Result<(), StoreError> {
        let _ = (root, copies);
        Err(StoreError::NotSupported)
    }

    /// Writes into the headers of adopted mailboxes whose they are, so that the spool alone says so too. Doing it twice does no harm.
    pub async fn finish_adoption(&self, root: &MailboxName, items: &[Item]) -> Result<(), StoreError> {
        let _ = (root, items);
        Err(StoreError::NotSupported)
    }

    /// Takes kept copies back, as of when they were given away: the server that has the mailboxes has lost them.
    pub async fn take_back(&self, root: &MailboxName, items: &[Item]) -> Result<(), StoreError> {
        let _ = (root, items);
        Err(StoreError::NotSupported)
    }
}
