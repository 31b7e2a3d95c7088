//! What is open: of each mailbox, and of each user's log, one value at a time.
//!
//! A value is alive for as long as anybody holds it, whoever that is: a session, a change that waits for the commit log, or
//! this table, which keeps those that were asked for last. While it lives the table finds it; while one is being opened,
//! whoever asks waits for that one; while a key is shut, nobody opens anything under it. All that is decided under one lock.
//!
//! ```text
//!             seek                    finish, ok                last holder gone
//!   nothing ─────────► being opened ─────────────► open ──────────────────────────► nothing
//!      ▲                    │ finish, failed         │ shut: who holds it is to leave
//!      └────────────────────┘◄───── shut ◄───────────┘
//! ```
//!
//! This file takes its lock from [`super::primitives`], so that a test runs the same lines under a scheduler of its own.

use std::{collections::HashMap, sync::PoisonError};

use tokio::sync::oneshot;

use super::primitives::{Arc, Mutex, MutexGuard, Weak};
use crate::StoreError;

/// The table. Cheap to clone.
pub struct Openings<T> {
    table: Arc<Mutex<Table<T>>>,
}

/// The one who asks for what is being opened hears of it here.
pub type Told<T> = oneshot::Receiver<Result<Arc<T>, StoreError>>;

/// What is known of a key.
pub enum Sought<T> {
    Open(Arc<T>),
    /// Somebody opens it.
    Wait(Told<T>),
    /// Nobody does: the ticket's holder is to open it.
    Vacant(Ticket<T>, Told<T>),
    Shut,
}

/// The answer to [`Openings::shut`].
pub enum Shutting<T> {
    /// It is shut until the guard is dropped. The value, where somebody still holds one.
    Done(Shut<T>, Option<Arc<T>>),
    /// It is being opened: to be asked again afterwards.
    Wait(Told<T>),
    /// It is shut already.
    Already,
}

/// The right, and the duty, to open something.
pub struct Ticket<T> {
    table: Weak<Mutex<Table<T>>>,
    key: String,
    life: u64,
    settled: bool,
}

/// Nothing is opened under the key while this lives.
pub struct Shut<T> {
    table: Arc<Mutex<Table<T>>>,
    key: String,
}

/// A value's place in the table, which it holds and gives back when it is dropped.
pub struct Place<T> {
    /// Weak: the table holds values.
    table: Weak<Mutex<Table<T>>>,
    key: String,
    life: u64,
}

struct Table<T> {
    slots: HashMap<String, Slot<T>>,
    /// Values kept open though nobody may use them, in a ring: a hand goes round and drops the first that was not asked for
    /// since it came by. Each has an open slot that knows its place.
    kept: Vec<Option<Kept<T>>>,
    hand: usize,
    /// Values that are kept at most.
    limit: usize,
    lives: u64,
}

enum Slot<T> {
    Opening { waiting: Vec<oneshot::Sender<Result<Arc<T>, StoreError>>> },
    Open { life: u64, value: Weak<T>, kept: Option<usize> },
    Shut,
}

struct Kept<T> {
    key: String,
    value: Arc<T>,
    asked: bool,
}

impl<T> Openings<T> {
    /// `limit`: how many are kept open that nobody uses, at least 1.
    pub fn new(limit: usize) -> Openings<T> {
        let table = Table { slots: HashMap::new(), kept: Vec::new(), hand: 0, limit: limit.max(1), lives: 0 };
        Openings { table: Arc::new(Mutex::new(table)) }
    }

    /// What is open under a key, or who opens it.
    pub fn seek(&self, key: &str) -> Sought<T> {
        let mut table = lock(&self.table);
        if let Some(value) = table.alive(key) {
            let dropped = table.keep(key, &value);
            drop(table);
            // Its place in the table is given back, which takes the lock.
            drop(dropped);
            return Sought::Open(value);
        }
        let (tell, told) = oneshot::channel();
        match table.slots.get_mut(key) {
            Some(Slot::Shut) => return Sought::Shut,
            Some(Slot::Opening { waiting }) => {
                waiting.push(tell);
                return Sought::Wait(told);
            }
            // The last holder of the value is gone.
            Some(Slot::Open { .. }) | None => {}
        }
        table.slots.insert(key.to_owned(), Slot::Opening { waiting: vec![tell] });
        table.lives += 1;
        let (life, weak) = (table.lives, Arc::downgrade(&self.table));
        Sought::Vacant(Ticket { table: weak, key: key.to_owned(), life, settled: false }, told)
    }

    /// What is open under a key, if anything is.
    pub fn peek(&self, key: &str) -> Option<Arc<T>> {
        lock(&self.table).alive(key)
    }

    /// All that are open.
    pub fn alive(&self) -> Vec<Arc<T>> {
        let open = |slot: &Slot<T>| match slot {
            Slot::Open { value, .. } => value.upgrade(),
            Slot::Opening { .. } | Slot::Shut => None,
        };
        // Dropped by the caller, without the lock.
        lock(&self.table).slots.values().filter_map(open).collect()
    }

    /// Lets nothing be opened under a key. Whoever holds the value that was open is to be told.
    pub fn shut(&self, key: &str) -> Shutting<T> {
        let mut table = lock(&self.table);
        let value = table.alive(key);
        match table.slots.get_mut(key) {
            Some(Slot::Shut) => return Shutting::Already,
            Some(Slot::Opening { waiting }) => {
                let (tell, told) = oneshot::channel();
                waiting.push(tell);
                return Shutting::Wait(told);
            }
            Some(Slot::Open { kept: Some(at), .. }) => {
                let at = *at;
                // The value itself is held above.
                if let Some(kept) = table.kept.get_mut(at) {
                    *kept = None;
                }
            }
            Some(Slot::Open { kept: None, .. }) | None => {}
        }
        table.slots.insert(key.to_owned(), Slot::Shut);
        Shutting::Done(Shut { table: self.table.clone(), key: key.to_owned() }, value)
    }

    /// Keys that the table knows of.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        lock(&self.table).slots.len()
    }
}

impl<T> Table<T> {
    fn alive(&self, key: &str) -> Option<Arc<T>> {
        match self.slots.get(key) {
            Some(Slot::Open { value, .. }) => value.upgrade(),
            _ => None,
        }
    }

    /// Keeps a value that was asked for. What is no longer kept is the caller's to drop, without the lock.
    fn keep(&mut self, key: &str, value: &Arc<T>) -> Option<Arc<T>> {
        let Some(Slot::Open { kept, .. }) = self.slots.get(key) else { return None };
        if let Some(kept) = kept.and_then(|at| self.kept.get_mut(at)).and_then(Option::as_mut) {
            kept.asked = true;
            return None;
        }
        let (at, dropped) = self.room();
        if let Some(place) = self.kept.get_mut(at) {
            *place = Some(Kept { key: key.to_owned(), value: value.clone(), asked: false });
        }
        if let Some(Slot::Open { kept, .. }) = self.slots.get_mut(key) {
            *kept = Some(at);
        }
        dropped
    }

    /// A free place in the ring, and what was dropped for it. Each step forward was paid for by a question.
    fn room(&mut self) -> (usize, Option<Arc<T>>) {
        if self.kept.len() < self.limit {
            self.kept.push(None);
            return (self.kept.len() - 1, None);
        }
        loop {
            let at = self.hand;
            self.hand = (at + 1) % self.limit;
            match self.kept.get_mut(at).and_then(Option::take) {
                Some(kept) if kept.asked => {
                    if let Some(place) = self.kept.get_mut(at) {
                        *place = Some(Kept { asked: false, ..kept });
                    }
                }
                Some(unused) => {
                    if let Some(Slot::Open { kept, .. }) = self.slots.get_mut(&unused.key) {
                        *kept = None;
                    }
                    return (at, Some(unused.value));
                }
                None => return (at, None),
            }
        }
    }
}

impl<T> Ticket<T> {
    /// Opens it, and tells everybody who waits. The value holds the place that it is given.
    pub fn finish(mut self, open: impl FnOnce(Place<T>) -> Result<Arc<T>, StoreError>) {
        let opened = open(Place { table: self.table.clone(), key: self.key.clone(), life: self.life });
        self.settle(&opened);
    }

    fn settle(&mut self, opened: &Result<Arc<T>, StoreError>) {
        self.settled = true;
        let Some(shared) = self.table.upgrade() else { return };
        let mut table = lock(&shared);
        // Nobody but this ticket ends an opening.
        let Some(Slot::Opening { waiting }) = table.slots.remove(&self.key) else { return };
        let mut dropped = None;
        if let Ok(value) = opened {
            let slot = Slot::Open { life: self.life, value: Arc::downgrade(value), kept: None };
            table.slots.insert(self.key.clone(), slot);
            dropped = table.keep(&self.key, value);
        }
        drop(table);
        drop(dropped);
        for tell in waiting {
            // Who asked may be gone.
            let _ = tell.send(opened.clone());
        }
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        if !self.settled {
            self.settle(&Err(StoreError::Closed));
        }
    }
}

impl<T> Drop for Shut<T> {
    fn drop(&mut self) {
        lock(&self.table).slots.remove(&self.key);
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        let Some(shared) = self.table.upgrade() else { return };
        let mut table = lock(&shared);
        if matches!(table.slots.get(&self.key), Some(Slot::Open { life, .. }) if *life == self.life) {
            table.slots.remove(&self.key);
        }
    }
}

impl<T> Clone for Openings<T> {
    fn clone(&self) -> Openings<T> {
        Openings { table: self.table.clone() }
    }
}

/// Locks; a panic elsewhere does not spread.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
