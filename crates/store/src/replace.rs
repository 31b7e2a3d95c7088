//! REPLACE (RFC 8508): one message comes and another goes, in one commit.

use std::sync::Arc;

use super::{
    Store,
    change::Change,
    error::StoreError,
    mailbox::{Appended, Mailbox, NewMessage, add},
};

impl Store {
    /// Adds a message to `to`, and expunges the one of this UID in `from`, which may be the same mailbox: after a crash, too, both or
    /// neither. A message that is gone already is [`StoreError::NoMessage`], and nothing comes. Within one quota root what goes is
    /// counted against what comes.
    pub async fn replace(
        &self,
        (from, uid): (&Arc<Mailbox>, u32),
        to: &Arc<Mailbox>,
        message: NewMessage,
        ignore_quota: bool,
    ) -> Result<Appended, StoreError> {
        let messages = to.localise(vec![message]).await?;
        let (unlink, forget) = self.inner.shared.expunge_mode();
        let arrive = move |change: &mut Change| {
            if ignore_quota {
                change.ignore_quota();
            }
            add(change, &messages)
        };
        let is_there = move |change: &Change| match change.view().get(uid) {
            Some(_) => Ok(()),
            None => Err(StoreError::NoMessage),
        };
        if from.uniqueid() == to.uniqueid() {
            return to
                .change_of(1, move |change| {
                    is_there(change)?;
                    let appended = arrive(change)?;
                    change.expunge(&[uid], unlink, forget);
                    Ok(appended)
                })
                .await;
        }
        to.change_both(from, 1, move |change, source| {
            is_there(source)?;
            let appended = arrive(change)?;
            source.expunge(&[uid], unlink, forget);
            Ok(appended)
        })
        .await
    }
}
