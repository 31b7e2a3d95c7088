//! The authority of one process: a store, synced before each answer. An owner's list has it.

use std::sync::Arc;

use protocol::{mupdate::position::Position, name::MailboxName};

use super::{Authority, Done, Group, Missed, Named, Outcome};
use crate::{
    disk::Disk,
    entry::Entry,
    error::{Error, OpenError, Pruned},
    group::is_same,
    history::History,
    options::{Options, Role},
    rows::Recorder,
    store::Store,
};

/// A store as the source of truth. Nobody else writes into it.
pub struct Local {
    disk: Arc<Disk>,
    recorder: Recorder,
    history: History,
    /// A write failed: what the store holds is not known before it is opened again.
    failed: Option<Error>,
}

impl Local {
    /// Takes a store, and gives it a history where it has none. Blocks.
    pub fn open(store: Arc<dyn Store>, options: &Options) -> Result<Local, OpenError> {
        let options = Options { role: Role::Owner, ..*options };
        // What a process before wrote and could not sync is shown only when it is on disk.
        store.sync()?;
        let history = History::open(&*store, &options)?;
        let disk = Arc::new(Disk::new(store, history.floor));
        Ok(Local { recorder: Recorder::new(disk.clone(), options.bounds), disk, history, failed: None })
    }

    /// What its list is read from.
    pub(crate) fn disk(&self) -> &Arc<Disk> {
        &self.disk
    }

    pub fn history(&self) -> History {
        self.history
    }

    /// The names that are not as they were seen, and how they are.
    fn stale(&self, group: &Group) -> Result<Vec<Named>, Error> {
        if group.by == self.history.position {
            return Ok(Vec::new());
        }
        let mut stale = Vec::new();
        let other = !self.history.is_of(group.by);
        for (name, seen) in group.seen() {
            let now = self.disk.get(name)?;
            // Numbers of another list mean nothing here.
            if other || !is_same(seen, now.as_ref()) {
                stale.push((name.clone(), now));
            }
        }
        Ok(stale)
    }

    /// Writes and syncs. Until all is on disk, readers get what was there before.
    async fn write(&mut self, group: &Group) -> Result<Done, Error> {
        // What came between shifts the numbers.
        let shift = self.history.position.seq.saturating_sub(group.by.seq);
        let mut history = group.history;
        history.position.seq = history.position.seq.saturating_add(shift);
        history.floor = match group.renames() {
            true => history.floor.saturating_add(shift),
            false => history.floor.max(self.history.floor),
        };
        let mut batch = self.recorder.rows(group, shift, &mut history)?;
        batch.push(history.row());
        self.disk.begin_write(group.proposals.iter().map(|proposal| (&proposal.name, &proposal.seen)));
        let store = &self.disk.store;
        if group.renames() {
            // A crash must not leave the witness of other numbers.
            store.forget_witness()?;
        }
        store.apply(batch)?;
        store.pace().await;
        store.sync()?;
        store.witness(history.position, false);
        self.disk.end_write();
        self.history = history;
        let first = group.by.seq.saturating_add(shift).saturating_add(1);
        Ok(Done { position: history.position, first, floor: history.floor })
    }
}

impl Authority for Local {
    async fn propose(&mut self, group: &Group) -> Outcome {
        if let Some(error) = &self.failed {
            return Outcome::Unknown(error.clone());
        }
        match self.stale(group) {
            Ok(stale) if stale.is_empty() => {}
            Ok(stale) => return Outcome::Stale(stale),
            Err(error) => return Outcome::Unknown(error),
        }
        match self.write(group).await {
            Ok(done) => Outcome::Done(done),
            Err(error) => {
                self.failed = Some(error.clone());
                Outcome::Unknown(error)
            }
        }
    }

    async fn snapshot(&self, mut each: impl FnMut(&MailboxName, &Entry) + Send) -> Result<Position, Error> {
        // Nothing is proposed while this is borrowed.
        self.disk.entries(|name, entry| each(name, entry))?;
        Ok(self.history.position)
    }

    async fn changes(
        &self,
        after: Position,
        mut each: impl FnMut(Position, Vec<Named>) + Send,
    ) -> Result<Position, Missed> {
        let here = self.history.position;
        if !self.history.is_of(after) || after.seq < self.history.floor || after.seq > here.seq {
            return Err(Pruned.into());
        }
        let mut found: Vec<(u64, Named)> = Vec::new();
        self.disk.deletions(after.seq, here.seq, |seq, key| {
            found.extend(MailboxName::from_key(key).map(|name| (seq, (name, None))));
        })?;
        self.disk.entries(|name, entry| {
            if entry.seq > after.seq {
                found.push((entry.seq, (name.clone(), Some(entry.clone()))));
            }
        })?;
        found.sort_by_key(|(seq, _)| *seq);
        let mut found = found.into_iter().peekable();
        while let Some((seq, first)) = found.next() {
            let mut names = vec![first];
            while let Some((_, named)) = found.next_if(|(next, _)| *next == seq) {
                names.push(named);
            }
            each(Position { seq, ..here }, names);
        }
        Ok(here)
    }

    async fn barrier(&self) -> Result<Position, Error> {
        Ok(self.history.position)
    }
}
