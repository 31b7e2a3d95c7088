//! How a list is kept: its role, its bounds, and what it is given (a clock, chance, threads).

use crate::limits::{CHUNK, PAGE, PRUNE_EVERY, TOMBSTONE_AGE, TOMBSTONES, WINDOW};
use crate::work::{self, Spawn};

/// How a list is kept.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub role: Role,
    /// Whether the tables are loaded into memory. A daemon that only looks up single names does without.
    pub tables: bool,
    pub bounds: Bounds,
    /// Epoch seconds.
    pub clock: fn() -> u64,
    /// A number that never comes twice, for identities.
    pub chance: fn() -> u128,
    /// Runs the list's tasks.
    pub spawn: Spawn,
}

/// What is kept, and what is done at once. A simulation makes all of it small.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Deletions remembered, by number and by age in seconds.
    pub tombstones: usize,
    pub tombstone_age: u64,
    /// Changes between two prunings of these.
    pub prune_every: usize,
    /// Changes in memory, for subscribers.
    pub window: usize,
    /// Rows in one batch of a replica.
    pub chunk: usize,
    /// Rows that the loader takes under one lock.
    pub page: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            tombstones: TOMBSTONES,
            tombstone_age: TOMBSTONE_AGE,
            prune_every: PRUNE_EVERY,
            window: WINDOW,
            chunk: CHUNK,
            page: PAGE,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The authority: every commit is on disk before it is answered.
    Owner,
    /// Follows an upstream ([`List::follow`](crate::List::follow)); a crash may lose what the stream brings again.
    Replica,
}

impl Options {
    pub fn owner() -> Self {
        Options {
            role: Role::Owner,
            tables: true,
            bounds: Bounds::default(),
            clock: epoch_seconds,
            chance,
            spawn: work::on_a_thread,
        }
    }

    pub fn replica() -> Self {
        Options { role: Role::Replica, ..Self::owner() }
    }

    pub fn without_tables(self) -> Self {
        Options { tables: false, ..self }
    }
}

fn epoch_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Without a random source the clock must do: an identity has to differ, it guards nothing.
fn chance() -> u128 {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u128::from_be_bytes(bytes),
        Err(_) => {
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos()
        }
    }
}
