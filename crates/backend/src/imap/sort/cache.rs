//! Columns of keys of mailboxes that were sorted lately: bounded in bytes, gone a while after their last use. What is kept of a
//! mailbox is the same for all who may read it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::keys::{Column, Keys, Kind};
use crate::imap::limits::{PREPARED, PREPARED_IDLE};
use store::Mailbox;

/// By mailbox id and UIDVALIDITY: another one of the same name has others.
#[derive(Default)]
pub struct Prepared {
    inner: Arc<Mutex<Inner>>,
}

type Id = (String, u32);

#[derive(Default)]
struct Inner {
    mailboxes: HashMap<Id, Entry>,
    /// Somebody looks for what is old.
    is_swept: bool,
}

struct Entry {
    keys: Keys,
    used: Instant,
}

impl Entry {
    fn bytes(&self) -> usize {
        self.keys.all().map(|column: &Arc<Column>| column.bytes()).sum()
    }
}

impl Prepared {
    pub fn get(&self, mailbox: &Mailbox) -> Keys {
        self.inner().of(&id(mailbox))
    }

    /// Keeps columns for the next time.
    pub fn put(&self, mailbox: &Mailbox, kinds: &[Kind], keys: &Keys) {
        let mut inner = self.inner();
        inner.put(id(mailbox), kinds, keys);
        if !std::mem::replace(&mut inner.is_swept, true) {
            let inner = Arc::downgrade(&self.inner);
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(PREPARED_IDLE).await;
                    let Some(inner) = inner.upgrade() else { return };
                    if inner.lock().unwrap_or_else(PoisonError::into_inner).sweep() {
                        return;
                    }
                }
            });
        }
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn of(&mut self, id: &Id) -> Keys {
        let Some(entry) = self.mailboxes.get_mut(id) else { return Keys::default() };
        entry.used = Instant::now();
        entry.keys.clone()
    }

    fn put(&mut self, id: Id, kinds: &[Kind], keys: &Keys) {
        let now = Instant::now();
        let entry = self.mailboxes.entry(id.clone()).or_insert(Entry { keys: Keys::default(), used: now });
        entry.used = now;
        entry.keys.take_over(kinds, keys);
        // What was used longest ago goes; at last this one.
        let mut bytes: usize = self.mailboxes.values().map(Entry::bytes).sum();
        while bytes > PREPARED {
            let oldest =
                self.mailboxes.iter().filter(|(other, _)| **other != id).min_by_key(|(_, entry)| entry.used);
            let oldest = oldest.map_or(&id, |(id, _)| id).clone();
            match self.mailboxes.remove(&oldest) {
                Some(gone) => bytes = bytes.saturating_sub(gone.bytes()),
                None => return,
            }
        }
    }

    /// Drops what is old. True if nothing is left, and nobody looks any more.
    fn sweep(&mut self) -> bool {
        self.mailboxes.retain(|_, entry| entry.used.elapsed() < PREPARED_IDLE);
        self.is_swept = !self.mailboxes.is_empty();
        !self.is_swept
    }
}

fn id(mailbox: &Mailbox) -> Id {
    (mailbox.uniqueid(), mailbox.view().uidvalidity)
}

#[cfg(test)]
mod tests {
    use super::super::keys::Row;
    use std::time::Duration;

    use super::*;

    fn keys(messages: u32) -> Keys {
        let uids: Vec<u32> = (1..=messages).collect();
        Keys::made_of(&[Kind::Sent], &uids, &vec![Row::default(); uids.len()])
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_uses_is_dropped() {
        let prepared = Prepared::default();
        let known = |uidvalidity| prepared.inner().of(&("a".into(), uidvalidity)).all().count();
        prepared.inner().put(("a".into(), 1), &[Kind::Sent], &keys(3));
        assert_eq!((known(1), known(2)), (1, 0));
        tokio::time::advance(PREPARED_IDLE / 2).await;
        assert!(!prepared.inner().sweep());
        assert_eq!(known(1), 1);
        tokio::time::advance(PREPARED_IDLE + Duration::from_secs(1)).await;
        assert!(prepared.inner().sweep());
        assert_eq!(known(1), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_mailbox_that_was_used_longest_ago_makes_room() {
        // Three fit, four do not.
        let keys = keys((PREPARED / 12 / 3) as u32);
        let mut inner = Inner::default();
        for name in ["a", "b", "c"] {
            inner.put((name.into(), 1), &[Kind::Sent], &keys);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        inner.of(&("a".into(), 1));
        inner.put(("d".into(), 1), &[Kind::Sent], &keys);
        let mut names: Vec<&str> = inner.mailboxes.keys().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "c", "d"]);
    }
}
