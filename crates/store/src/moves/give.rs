//! Giving away: mailboxes that are another server's now leave the list, and their copies are kept.

use protocol::name::MailboxName;

use super::{Frozen, Item};
use crate::{Store, error::StoreError};

impl Store {
    /// Takes mailboxes out of the list, in one commit, and keeps their copies: their names are answered with [`StoreError::Moved`],
    /// and their sessions leave. [`Frozen::gone_to`] comes first where it was not called. Asked for once more, after a crash, it does
    /// what is left.
    pub async fn give_away(
        &self,
        frozen: &Frozen,
        items: &[Item],
        to: &str,
        move_id: &str,
    ) -> Result<(), StoreError> {
        let _ = (frozen, items, to, move_id);
        Err(StoreError::NotSupported)
    }

    /// Removes a kept copy for good, and forgets the name. The caller has proof that the other server has the mailbox.
    /// [`StoreError::Exists`]: the mailbox is in this server's list.
    pub async fn purge(&self, name: &MailboxName) -> Result<(), StoreError> {
        let _ = name;
        Err(StoreError::NotSupported)
    }
}
