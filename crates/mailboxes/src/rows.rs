//! The rows that a group of changes becomes, in an owner's store or a replica's; and the forgetting of old deletions.

use std::sync::Arc;

use crate::limits::PRUNED_AT_ONCE;
use crate::{
    codec::{Reader, put_number},
    conflict::Conflict,
    cordon,
    disk::Disk,
    entry::Entry,
    error::Error,
    group::{Group, Proposal},
    history::History,
    options::Bounds,
    store::{self, Write},
};

/// Makes rows, and counts the deletions that are stored.
pub(crate) struct Recorder {
    disk: Arc<Disk>,
    bounds: Bounds,
    /// Deletions in the store, once they were counted.
    tombs: Option<usize>,
    /// Changes since old ones were last forgotten.
    since_prune: usize,
}

impl Recorder {
    pub fn new(disk: Arc<Disk>, bounds: Bounds) -> Recorder {
        Recorder { disk, bounds, tombs: None, since_prune: bounds.prune_every }
    }

    /// The rows of a group whose numbers are `shift` more than it was judged with; the history's row is not among them.
    /// Raises the history's floor by the deletions that are forgotten with it.
    pub fn rows(&mut self, group: &Group, shift: u64, history: &mut History) -> Result<Vec<Write>, Error> {
        let mut batch: Vec<Write> = Vec::with_capacity(group.proposals.len() * 2 + 1);
        for Proposal { name, new, seq, .. } in &group.proposals {
            let (key, seq) = (name.key(), seq.saturating_add(shift));
            match new {
                Some(entry) if shift == 0 => batch.push((store::name_row(&key), Some(entry.encode()))),
                Some(entry) => {
                    let entry = Entry { seq, ..entry.clone() };
                    batch.push((store::name_row(&key), Some(entry.encode())));
                }
                None => {
                    // Nobody asks for changes up to the floor.
                    if seq > history.floor {
                        let mut value = vec![VERSION];
                        put_number(&mut value, group.time);
                        batch.push((store::tomb_row(seq, &key), Some(value)));
                        self.tombs = self.tombs.map(|tombs| tombs.saturating_add(1));
                    }
                    batch.push((store::name_row(&key), None));
                }
            }
        }
        for (name, conflict) in &group.conflicts {
            let row = [&[store::CONFLICT][..], &name.key()].concat();
            batch.push((row, conflict.as_ref().map(Conflict::encode)));
        }
        for (server, since) in &group.cordons {
            let row = [&[store::CORDON][..], server.as_str().as_bytes()].concat();
            batch.push((row, since.map(cordon::encode)));
        }
        self.since_prune = self.since_prune.saturating_add(group.proposals.len());
        if self.since_prune >= self.bounds.prune_every {
            self.prune(history, group.time, &mut batch)?;
        }
        // Before the store has them.
        self.disk.set_floor(history.floor);
        Ok(batch)
    }

    /// Forgets the oldest deletions: those beyond the number kept, and those older than a week.
    fn prune(&mut self, history: &mut History, now: u64, batch: &mut Vec<Write>) -> Result<(), Error> {
        self.since_prune = 0;
        let bounds = self.bounds;
        let (from, to) = (store::tomb_row(0, &[]), [store::TOMB + 1]);
        let mut tombs = match self.tombs {
            Some(tombs) => tombs,
            None => {
                let mut found = 0;
                self.disk.deletions(0, u64::MAX, |_, _| found += 1)?;
                found
            }
        };
        let forgotten = |tombs: usize, value: &[u8]| {
            let mut reader = Reader(value.get(1..).unwrap_or_default());
            let age = now.saturating_sub(reader.number().unwrap_or(0));
            tombs > bounds.tombstones || age > bounds.tombstone_age
        };
        let oldest = self.disk.store.scan(&from, &to, 1)?;
        if oldest.first().is_some_and(|(_, value)| forgotten(tombs, value)) {
            for (row, value) in self.disk.store.scan(&from, &to, PRUNED_AT_ONCE)? {
                let Some((seq, _)) = store::tomb_parts(&row).filter(|_| forgotten(tombs, &value)) else {
                    break;
                };
                history.floor = history.floor.max(seq.min(history.position.seq));
                batch.push((row, None));
                tombs = tombs.saturating_sub(1);
            }
        }
        self.tombs = Some(tombs);
        Ok(())
    }
}

/// Of a deletion's row.
const VERSION: u8 = 1;
