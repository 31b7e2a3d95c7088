//! An authority in memory, for tests: shared by several proposers, and numbered as a shared database numbers, one number
//! for all that happens at once. An answer can be lost on its way, and old changes can be forgotten.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use protocol::{
    mupdate::position::{ListId, Position},
    name::MailboxName,
};

use tokio::sync::mpsc;

use super::{Authority, Beside, Done, Group, Missed, Named, Outcome, Room, Shared};
use crate::{
    change::News,
    conflict::Conflict,
    cordon::Cordons,
    entry::Entry,
    error::{Error, Pruned},
    group::is_same,
    signal::{Signal, Watch},
    store::StoreError,
};

/// One proposer's handle; clones share the list.
#[derive(Debug, Clone)]
pub struct Memory {
    state: Arc<Mutex<State>>,
    moved: Arc<Signal<u64>>,
    live: Arc<Signal<bool>>,
}

#[derive(Debug)]
struct State {
    position: Position,
    entries: BTreeMap<MailboxName, Entry>,
    /// The names that changed, by number.
    log: BTreeMap<u64, Vec<MailboxName>>,
    floor: u64,
    cordons: Cordons,
    conflicts: BTreeMap<MailboxName, Conflict>,
    lost: Option<Lost>,
}

/// What becomes of a group whose answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    Done,
    Undone,
}

impl Memory {
    /// An empty list of this identity.
    pub fn new(id: ListId) -> Self {
        let position = Position { list: id, term: 1, seq: 0 };
        let state = State {
            position,
            entries: BTreeMap::new(),
            log: BTreeMap::new(),
            floor: 0,
            cordons: Cordons::new(),
            conflicts: BTreeMap::new(),
            lost: None,
        };
        let (moved, live) = (Arc::new(Signal::new(0)), Arc::new(Signal::new(true)));
        Memory { state: Arc::new(Mutex::new(state)), moved, live }
    }

    /// The answer to the next group does not arrive.
    pub fn lose_next_answer(&self, lost: Lost) {
        self.state().lost = Some(lost);
    }

    /// Nobody can ask it for now, or they can again.
    pub fn set_live(&self, live: bool) {
        self.live.set(live);
    }

    /// Forgets what changed up to a number.
    pub fn forget(&self, floor: u64) {
        let mut state = self.state();
        state.floor = floor.min(state.position.seq);
        state.log = state.log.split_off(&floor.saturating_add(1));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn propose(&mut self, group: &Group) -> Outcome {
        let other = group.by.list != self.position.list;
        let stale = group.seen().filter_map(|(name, seen)| {
            let now = self.entries.get(name);
            let stale = other || !is_same(seen, now);
            stale.then(|| (name.clone(), now.cloned()))
        });
        let stale: Vec<Named> = stale.collect();
        if !stale.is_empty() {
            return Outcome::Stale(stale);
        }
        let aside = group.conflicts.is_empty() && group.cordons.is_empty();
        if group.proposals.is_empty() && aside {
            let seq = self.position.seq;
            return Outcome::Done(Done { position: self.position, first: seq, floor: self.floor });
        }
        for (name, conflict) in &group.conflicts {
            match conflict {
                Some(conflict) => self.conflicts.insert(name.clone(), conflict.clone()),
                None => self.conflicts.remove(name),
            };
        }
        for (server, since) in &group.cordons {
            match since {
                Some(since) => self.cordons.insert(server.clone(), *since),
                None => self.cordons.remove(server),
            };
        }
        self.position.seq += 1;
        let seq = self.position.seq;
        for proposal in &group.proposals {
            match &proposal.new {
                Some(entry) => {
                    self.entries.insert(proposal.name.clone(), Entry { seq, ..entry.clone() });
                }
                None => drop(self.entries.remove(&proposal.name)),
            }
        }
        self.log.insert(seq, group.proposals.iter().map(|proposal| proposal.name.clone()).collect());
        Outcome::Done(Done { position: self.position, first: seq, floor: self.floor })
    }
}

impl Authority for Memory {
    async fn propose(&mut self, group: &Group) -> Outcome {
        let mut state = self.state();
        let lost = state.lost.take();
        let outcome = match lost {
            Some(Lost::Undone) => None,
            Some(Lost::Done) | None => Some(state.propose(group)),
        };
        let here = state.position.seq;
        drop(state);
        self.moved.set(here);
        match (lost, outcome) {
            (None, Some(outcome)) => outcome,
            _ => {
                let why = "the answer was lost".into();
                Outcome::Unknown(StoreError::Io { doing: "propose", why }.into())
            }
        }
    }

    async fn snapshot(&self, mut each: impl FnMut(&MailboxName, &Entry) + Send) -> Result<Position, Error> {
        let state = self.state();
        state.entries.iter().for_each(|(name, entry)| each(name, entry));
        Ok(state.position)
    }

    async fn changes(
        &self,
        after: Position,
        mut each: impl FnMut(Position, Vec<Named>) + Send,
    ) -> Result<Position, Missed> {
        let state = self.state();
        let here = state.position;
        if after.list != here.list || !(state.floor..=here.seq).contains(&after.seq) {
            return Err(Pruned.into());
        }
        for (seq, names) in state.log.range(after.seq.saturating_add(1)..) {
            let named = names.iter().map(|name| (name.clone(), state.entries.get(name).cloned()));
            each(Position { seq: *seq, ..here }, named.collect());
        }
        Ok(here)
    }

    async fn barrier(&self) -> Result<Position, Error> {
        Ok(self.state().position)
    }
}

impl Shared for Memory {
    fn room(&self) -> Room {
        Room { names: 120, octets: 1024 * 1024 }
    }

    async fn follow(&self, after: Position, news: mpsc::Sender<News>) -> Missed {
        let (mut at, mut moved) = (after, self.moved.watch());
        loop {
            moved.mark_seen();
            let mut found = Vec::new();
            let beside = self.beside().await.unwrap_or_default();
            match self.changes(at, |position, changes| found.push((position, changes))).await {
                Ok(upto) => at = upto,
                Err(missed) => return missed,
            }
            for (position, changes) in found {
                let cordons =
                    beside.cordons.iter().map(|(name, since)| (name.clone(), Some(*since))).collect();
                let one = News { position, changes, cordons, conflicts: Vec::new(), whole: false };
                if news.send(one).await.is_err() {
                    return Pruned.into();
                }
            }
            if moved.changed().await.is_err() {
                return Pruned.into();
            }
        }
    }

    async fn beside(&self) -> Result<Beside, Error> {
        let state = self.state();
        Ok(Beside { cordons: state.cordons.clone(), conflicts: state.conflicts.clone() })
    }

    fn live(&self) -> Watch<bool> {
        self.live.watch()
    }
}
