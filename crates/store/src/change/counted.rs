//! What a change uses more than before, counted before it holds.

use std::sync::Arc;

use protocol::name::MailboxName;

use crate::{Shared, error::StoreError, quota::Delta};

/// Usage that is counted. Unless the change comes to hold it is given back when this is dropped.
pub(super) struct Counted {
    shared: Arc<Shared>,
    root: Option<MailboxName>,
    delta: Option<Delta>,
}

impl Counted {
    /// Counts a change, or refuses it where it must fit and does not.
    pub fn new(
        shared: &Arc<Shared>,
        root: Option<MailboxName>,
        delta: Delta,
        must_fit: bool,
    ) -> Result<Counted, StoreError> {
        shared.quotas.add(root.as_ref(), delta, must_fit)?;
        Ok(Counted { shared: shared.clone(), root, delta: Some(delta) })
    }

    /// As two parts of it, of which each is given back by itself.
    pub fn split(mut self, (first, second): (Delta, Delta)) -> (Counted, Counted) {
        let (shared, root) = (self.shared.clone(), self.root.clone());
        self.delta = Some(first);
        (self, Counted { shared, root, delta: Some(second) })
    }

    pub fn holds(mut self) {
        self.delta = None;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(delta) = self.delta.take() {
            // It need not fit to be given back.
            let _ = self.shared.quotas.add(self.root.as_ref(), delta.negated(), false);
        }
    }
}
