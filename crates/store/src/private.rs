//! How much each user has noted privately on the messages of a mailbox. A mailbox that others read is not filled by one of them.

use std::{collections::BTreeMap, sync::Arc};

use super::annotations::{Annotations, SHARED};

/// Bytes of private annotations with their names, by user. None while there are none, as in most mailboxes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Private(Option<Arc<BTreeMap<Arc<str>, u64>>>);

impl Private {
    pub fn of(&self, user: &str) -> u64 {
        self.0.as_ref().and_then(|all| all.get(user)).copied().unwrap_or(0)
    }

    /// Counts the annotations of a message that comes, or goes.
    pub fn count(&mut self, annotations: &Annotations, arrives: bool) {
        for annotation in annotations.iter().flat_map(|all| all.iter()).filter(|a| a.user != SHARED) {
            let bytes = annotation.bytes();
            let all = Arc::make_mut(self.0.get_or_insert_default());
            match all.get_mut(annotation.user.as_str()) {
                Some(held) if arrives => *held += bytes,
                Some(held) if *held > bytes => *held -= bytes,
                Some(_) => drop(all.remove(annotation.user.as_str())),
                None if arrives => drop(all.insert(annotation.user.as_str().into(), bytes)),
                None => {}
            }
        }
        if self.0.as_ref().is_some_and(|all| all.is_empty()) {
            self.0 = None;
        }
    }
}
