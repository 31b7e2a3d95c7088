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

use super::{Authority, Done, Group, Missed, Named, Outcome};
use crate::{
    entry::Entry,
    error::{Error, Pruned},
    store::StoreError,
};

/// One proposer's handle; clones share the list.
#[derive(Debug, Clone)]
pub struct Memory {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    position: Position,
    entries: BTreeMap<MailboxName, Entry>,
    /// The names that changed, by number.
    log: BTreeMap<u64, Vec<MailboxName>>,
    floor: u64,
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
        let (entries, log) = (BTreeMap::new(), BTreeMap::new());
        Memory { state: Arc::new(Mutex::new(State { position, entries, log, floor: 0, lost: None })) }
    }

    /// The answer to the next group does not arrive.
    pub fn lose_next_answer(&self, lost: Lost) {
        self.state().lost = Some(lost);
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
        let stale = group.proposals.iter().filter_map(|proposal| {
            let now = self.entries.get(&proposal.name);
            let stale = other || !proposal.was_seen(now);
            stale.then(|| (proposal.name.clone(), now.cloned()))
        });
        let stale: Vec<Named> = stale.collect();
        if !stale.is_empty() {
            return Outcome::Stale(stale);
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
