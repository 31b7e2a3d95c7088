//! Articles of a news server: where the message of a Message-ID is, and how one comes into all of its groups, once.
//!
//! ```text
//! a message comes ─publish─▶ its group is behind        the list changes ─▶ so is what is new in it
//! who asks for a Message-ID ─▶ what is behind is caught up, from the cache ─▶ the rows ─▶ the group's view has it, or the row goes
//! ```
//!
//! The rows are derived: each says up to which UID of which UIDVALIDITY its group is known. They may be lost, and are made again.
//! Only what a news service names is indexed ([`Store::serve_articles`]); without one this costs a look at an empty cell.

mod find;
mod post;
mod rows;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock},
};

use protocol::{
    event::{Event, Events},
    name::MailboxName,
};

use super::{error::StoreError, lock};

pub use find::Found;
pub use post::{Posted, Posting};
use rows::Rows;

/// What is known of articles.
pub(crate) struct Articles {
    rows: Rows,
    /// Which mailboxes are groups.
    serves: OnceLock<IsGroup>,
    behind: Mutex<Behind>,
    /// One catches up at a time, and the others have it, too.
    turn: tokio::sync::Mutex<()>,
}

type IsGroup = Box<dyn Fn(&MailboxName) -> bool + Send + Sync>;

/// What the rows do not know yet.
#[derive(Default)]
struct Behind {
    /// Each with a number that grows whenever something comes.
    names: BTreeMap<MailboxName, u64>,
    number: u64,
    /// Up to where changes of the list were looked at.
    seq: u64,
}

impl Articles {
    pub fn new(tree: sled::Tree) -> Articles {
        Articles {
            rows: Rows::new(tree),
            serves: OnceLock::new(),
            behind: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Hears of a change that holds.
    pub fn tell(&self, events: Events, name: impl FnOnce() -> Result<MailboxName, StoreError>) {
        if self.serves.get().is_some()
            && events.has(Event::MessageNew)
            && let Ok(name) = name()
        {
            self.add(name);
        }
    }

    fn is_group(&self, name: &MailboxName) -> bool {
        self.serves.get().is_some_and(|serves| serves(name))
    }

    /// Has a group caught up before the next look-up.
    fn add(&self, name: MailboxName) {
        if !self.is_group(&name) {
            return;
        }
        let mut behind = lock(&self.behind);
        behind.number += 1;
        let number = behind.number;
        behind.names.insert(name, number);
    }

    fn next(&self) -> Option<(MailboxName, u64)> {
        lock(&self.behind).names.first_key_value().map(|(name, number)| (name.clone(), *number))
    }

    /// It is caught up, unless something has come meanwhile.
    fn done(&self, name: &MailboxName, number: u64) {
        let mut behind = lock(&self.behind);
        if behind.names.get(name) == Some(&number) {
            behind.names.remove(name);
        }
    }
}

/// Opens the rows of a database.
pub(crate) fn open(tree: sled::Tree) -> Arc<Articles> {
    Arc::new(Articles::new(tree))
}
