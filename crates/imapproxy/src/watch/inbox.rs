//! What the backends have said of watched mailboxes, until the session tells it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::limits::{WATCHED_BYTES, WATCHED_NEWS, rows};

/// Filled by the tasks of the links, emptied by the session.
#[derive(Default)]
pub struct Inbox {
    held: Mutex<Held>,
    came: Arc<Notify>,
}

/// A LIST line of a backend's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub server: String,
    pub attributes: Vec<String>,
    pub name: String,
    /// What it was called before.
    pub old: Option<String>,
}

/// A response of a backend's that is passed on as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub server: String,
    /// As the client calls it; empty: the server itself.
    pub mailbox: String,
    /// It says what messages there are.
    pub counts: bool,
    pub line: Vec<u8>,
}

/// All there is.
#[derive(Debug, Default)]
pub struct News {
    /// STATUS and METADATA, in the order in which they came first.
    pub lines: Vec<Told>,
    pub listed: Vec<Listed>,
    /// Backends that are watched from now on, or again.
    pub linked: BTreeSet<String>,
    /// All that the user is subscribed to.
    pub subscribed: Option<HashSet<String>>,
    /// There is more than is kept, or a backend is gone for too long.
    pub overflow: bool,
    /// An administrator has ended the session at a backend: with these words.
    pub kicked: Option<String>,
}

#[derive(Default)]
struct Held {
    news: News,
    /// Lines by their places, and the places of those that newer ones replace.
    lines: BTreeMap<u64, Told>,
    at: HashMap<Vec<u8>, u64>,
    next: u64,
    bytes: usize,
    waits: bool,
    /// The client's wish is being asked for, and what it wished before holds if it is refused.
    trial: Option<Trial>,
}

/// What a wish has met that is being asked for.
#[derive(Default)]
struct Trial {
    refused: bool,
}

impl Inbox {
    /// A line; one with the same `key` takes the place of the other.
    pub fn line(&self, key: Vec<u8>, told: Told) {
        self.put(|held| {
            held.bytes += told.line.len();
            let next = held.next;
            let at = *held.at.entry(key).or_insert(next);
            held.next += u64::from(at == next);
            if let Some(before) = held.lines.insert(at, told) {
                held.bytes = held.bytes.saturating_sub(before.line.len());
            }
        });
    }

    pub fn listed(&self, listed: Listed) {
        self.put(|held| {
            held.bytes += listed.name.len() + listed.old.as_ref().map_or(0, String::len);
            held.news.listed.push(listed);
        });
    }

    pub fn linked(&self, server: &str) {
        self.put(|held| {
            held.news.linked.insert(server.to_owned());
        });
    }

    pub fn subscribed(&self, all: HashSet<String>) {
        self.put(|held| held.news.subscribed = Some(all));
    }

    pub fn overflow(&self) {
        self.put(|held| held.news.overflow = true);
    }

    /// The session asks for something else, and hears itself who refuses it.
    pub fn begin_trial(&self) {
        self.held().trial = Some(Trial::default());
    }

    /// `kept`: what was asked for holds from now on, and what refuses it later ends it.
    pub fn end_trial(&self, kept: bool) {
        let trial = self.held().trial.take();
        if kept && trial.is_some_and(|trial| trial.refused) {
            self.overflow();
        }
    }

    /// A backend does not tell what it was asked for. That ends what is told, unless it is a wish on trial.
    pub fn refused(&self) {
        let on_trial = self.held().trial.as_mut().map(|trial| trial.refused = true).is_some();
        if !on_trial {
            self.overflow();
        }
    }

    pub fn kicked(&self, text: String) {
        self.put(|held| held.news.kicked = Some(text));
    }

    fn put(&self, put: impl FnOnce(&mut Held)) {
        let mut held = self.held();
        if !held.news.overflow {
            put(&mut held);
        }
        if held.lines.len() + held.news.listed.len() > WATCHED_NEWS || held.bytes > WATCHED_BYTES {
            rows::WATCHED_NEWS.met("a client of NOTIFY that does not take its news gets no more of them");
            held.news.overflow = true;
        }
        if held.news.overflow {
            let news = News { overflow: true, kicked: held.news.kicked.take(), ..News::default() };
            *held = Held { news, trial: held.trial.take(), ..Held::default() };
        }
        held.waits = true;
        drop(held);
        self.came.notify_one();
    }

    pub fn take(&self) -> News {
        let mut held = self.held();
        let trial = held.trial.take();
        let held = std::mem::replace(&mut *held, Held { trial, ..Held::default() });
        News { lines: held.lines.into_values().collect(), ..held.news }
    }

    pub fn is_quiet(&self) -> bool {
        !self.held().waits
    }

    /// Returns when there is something. Cancel-safe.
    pub fn heard(self: &Arc<Self>) -> impl Future<Output = ()> + use<> {
        let inbox = self.clone();
        async move {
            while inbox.is_quiet() {
                inbox.came.notified().await;
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_takes_nothing_holds_the_latest_of_each_mailbox_and_a_bounded_number() {
        let inbox = Inbox::default();
        let told = |n: usize, text: &str| Told {
            server: "be1".to_owned(),
            mailbox: format!("m{n}"),
            counts: true,
            line: text.as_bytes().to_vec(),
        };
        let line = |n: usize, text: &str| inbox.line(format!("m{n}").into_bytes(), told(n, text));
        for round in 0..3000 {
            line(1, &format!("{round}"));
            line(0, "x");
        }
        let news = inbox.take();
        assert_eq!(news.lines, [told(1, "2999"), told(0, "x")]);
        assert!(inbox.is_quiet());
        (0..WATCHED_NEWS * 2).for_each(|n| line(n, "x"));
        let news = inbox.take();
        assert!(news.overflow && news.lines.is_empty());
    }
}
