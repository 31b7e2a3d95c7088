//! A disk that survives its node: what was synced is kept, what was not may be lost at a crash, and on bad days it fails.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mailboxes::store::{Pace, Row, Store, StoreError, Write};
use protocol::mupdate::position::Position;

use crate::chance;

/// Cheap to clone.
#[derive(Clone, Default)]
pub struct Disk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    durable: BTreeMap<Vec<u8>, Vec<u8>>,
    /// With what is not on disk yet.
    current: BTreeMap<Vec<u8>, Vec<u8>>,
    pending: Vec<Vec<Write>>,
    witness: Option<Position>,
    /// Counts the crashes: who opened it before one reads and writes no more.
    generation: u64,
    faults: Faults,
}

/// What is wrong with a disk. The last two are for good.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    pub write_fails: bool,
    pub sync_fails: bool,
    pub slow: bool,
    /// It says that it synced, and did not: no list can bear that.
    pub lies: bool,
    /// It leaves out some of what it is told: no list can bear that either.
    pub forgets: bool,
}

impl Disk {
    pub fn open(&self) -> Handle {
        let generation = self.state().generation;
        Handle { disk: self.clone(), generation }
    }

    pub fn set(&self, faults: Faults) {
        let mut state = self.state();
        let Faults { lies, forgets, .. } = state.faults;
        state.faults = Faults { lies: lies || faults.lies, forgets: forgets || faults.forgets, ..faults };
    }

    /// The power is gone. Of what was not synced, some of the first batches may be there all the same.
    pub fn crash(&self) {
        let mut state = self.state();
        let state = &mut *state;
        let kept = chance::below(state.pending.len() + 1);
        let pending = std::mem::take(&mut state.pending);
        chance::note(|| format!("disk: {kept} of {} batches kept", pending.len()));
        pending.into_iter().take(kept).for_each(|batch| write(&mut state.durable, batch));
        state.current = state.durable.clone();
        state.generation += 1;
    }

    /// A new disk in its place.
    pub fn replace(&self) {
        let mut state = self.state();
        let (generation, faults) = (state.generation + 1, state.faults);
        *state = State { generation, faults, ..State::default() };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(rows: &mut BTreeMap<Vec<u8>, Vec<u8>>, batch: Vec<Write>) {
    for (key, value) in batch {
        match value {
            Some(value) => rows.insert(key, value),
            None => rows.remove(&key),
        };
    }
}

/// A disk as the node's process has it open.
pub struct Handle {
    disk: Disk,
    generation: u64,
}

impl Handle {
    /// The disk, unless the process that opened it is dead.
    fn live(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.disk.state();
        if state.generation == self.generation { Ok(state) } else { Err(failure("open")) }
    }
}

fn failure(doing: &'static str) -> StoreError {
    StoreError::Io { doing, why: "injected failure".into() }
}

impl Store for Handle {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.live()?.current.get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        let state = self.live()?;
        if from >= to {
            return Ok(Vec::new());
        }
        let rows = state.current.range(from.to_vec()..to.to_vec()).take(limit);
        Ok(rows.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn apply(&self, mut batch: Vec<Write>) -> Result<(), StoreError> {
        let mut state = self.live()?;
        if state.faults.write_fails {
            return Err(failure("write"));
        }
        if state.faults.forgets && chance::odds(5) {
            batch.retain(|(row, _)| row.first() != Some(&b'n'));
        }
        write(&mut state.current, batch.clone());
        state.pending.push(batch);
        // In the end everything is written, synced or not.
        if state.pending.len() > UNSYNCED {
            let first = state.pending.remove(0);
            write(&mut state.durable, first);
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        let mut state = self.live()?;
        if state.faults.sync_fails {
            return Err(failure("sync"));
        }
        if !state.faults.lies {
            let pending = std::mem::take(&mut state.pending);
            pending.into_iter().for_each(|batch| write(&mut state.durable, batch));
        }
        Ok(())
    }

    fn size(&self) -> u64 {
        0
    }

    fn pace(&self) -> Pace<'_> {
        let slow = self.disk.state().faults.slow;
        let pause = chance::millis(if slow { 100..900 } else { 0..15 });
        Box::pin(async move {
            if pause > Duration::ZERO {
                tokio::time::sleep(pause).await;
            }
        })
    }

    fn witness(&self, position: Position, _: bool) {
        if let Ok(mut state) = self.live() {
            state.witness = Some(position);
        }
    }

    fn forget_witness(&self) -> Result<(), StoreError> {
        self.live()?.witness = None;
        Ok(())
    }

    fn witnessed(&self) -> Option<Position> {
        let state = self.disk.state();
        state.witness.filter(|_| !state.faults.lies)
    }
}

/// Batches that a disk keeps in its cache at most.
const UNSYNCED: usize = 12;
