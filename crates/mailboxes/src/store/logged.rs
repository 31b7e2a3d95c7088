//! A store that commits to a log, and to the store behind it later: what a list is kept in.
//!
//! ```text
//! owner's    apply ─▶ fresh ──sync: one write, one fdatasync──▶ rows ──a thread, behind──▶ writing ─▶ the store
//! replica's  apply ──one write──▶ rows ──the log synced, a thread, behind──▶ writing ─▶ the store
//! ```
//!
//! Reads look at all four, newest first, so that nobody sees a difference. A row costs the store far more than the log, so
//! rows wait until few others come, or are many: a burst of changes does not pay for the store, and rows that are replaced
//! while they wait (a RESERVE by its ACTIVATE, the position by each change) reach it once. The store is synced when the log
//! goes on in its other file, and when the list is closed, which leaves an empty log; what a crash leaves in it is taken
//! back at the next opening, and waits for the store as before.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use protocol::mupdate::position::Position;

use super::{
    META, Pace, Row, Rows, Store, StoreError, Write,
    commits::{Commits, Files, Turn},
    step,
};
use crate::{
    limits::{BATCH, CALM, FULL, LINGER, MANY, REPLICA_LINGER},
    options::Role,
};

/// A store with a commit log in front.
pub struct Logged<S: Store> {
    shared: Arc<Shared<S>>,
    commits: Mutex<Commits>,
    thread: Option<JoinHandle<()>>,
}

struct Shared<S> {
    store: S,
    /// An owner's commits are synced one by one; a replica's before they go into the store.
    role: Role,
    files: Files,
    path: String,
    front: Mutex<Front>,
    moved: Condvar,
}

/// What the store does not have yet.
#[derive(Default)]
struct Front {
    /// Applied, not yet committed.
    fresh: Rows,
    /// Committed.
    rows: Rows,
    /// Committed, and on their way into the store.
    writing: Arc<Rows>,
    /// A turn of the log that ends with what is in `rows`.
    retire: Option<Turn>,
    /// A turn is on its way out.
    retiring: bool,
    closing: bool,
    /// The thread has ended, and the log is empty.
    ended: bool,
    finished: bool,
    failed: Option<StoreError>,
}

impl<S: Store> Logged<S> {
    /// Goes on with what the log beside the database in `directory` holds.
    pub fn open(store: S, directory: &Path, role: Role) -> Result<Self, StoreError> {
        Self::with_turns(store, directory, role, FULL)
    }

    /// The same with turns of so many bytes.
    pub(super) fn with_turns(store: S, directory: &Path, role: Role, full: u64) -> Result<Self, StoreError> {
        let path = directory.display().to_string();
        let (files, commits, front) = recover(&store, directory, full)?;
        let front = Mutex::new(front);
        let shared = Arc::new(Shared { store, role, files, path, front, moved: Condvar::new() });
        let run = {
            let shared = shared.clone();
            move || shared.write_behind()
        };
        let thread = thread::Builder::new().name("list-store".into()).spawn(run);
        let thread =
            thread.map_err(|e| StoreError::Io { doing: "start the store's thread", why: e.to_string() })?;
        Ok(Logged { shared, commits: Mutex::new(commits), thread: Some(thread) })
    }

    fn commits(&self) -> MutexGuard<'_, Commits> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on in the log's other file, as soon as that is free.
    fn take_turns(&self, commits: &mut Commits) -> Result<(), StoreError> {
        let mut front = self.shared.front();
        while front.failed.is_none() && (front.retire.is_some() || front.retiring) {
            front = self.shared.wait(front);
        }
        front.check()?;
        if self.shared.role == Role::Replica {
            // Of the next turn nothing may be on the disk before all of this one is.
            self.shared.files.sync(commits.turn()).map_err(|e| failure(&self.shared.path, e))?;
        }
        front.retire = Some(commits.turn());
        commits.take_turns();
        self.shared.moved.notify_all();
        step("turns: taken");
        Ok(())
    }

    /// Writes what is pending, and has it wait for the store.
    fn commit(&self, commits: &mut Commits) -> Result<(), StoreError> {
        if commits.is_full() {
            self.take_turns(commits)?;
        }
        let files = &self.shared.files;
        let written = match self.shared.role {
            Role::Owner => commits.commit(files),
            Role::Replica => commits.write(files),
        };
        let mut front = self.shared.front();
        if let Err(error) = written.map_err(|e| failure(&self.shared.path, e)) {
            // What the disk has is unknown: it is read anew at the next opening.
            front.failed = Some(error.clone());
            return Err(error);
        }
        let waiting = front.rows.len();
        let fresh = std::mem::take(&mut front.fresh);
        front.rows.extend(fresh);
        let news = waiting == 0 || (waiting < MANY && front.rows.len() >= MANY);
        drop(front);
        if news {
            self.shared.moved.notify_all();
        }
        Ok(())
    }

    /// Brings everything into the store, and leaves an empty log. From here on nothing is taken.
    fn empty(&self) -> Result<(), StoreError> {
        let newest = self.commits().turn();
        let mut front = self.shared.front();
        front.closing = true;
        self.shared.moved.notify_all();
        while !front.ended {
            front = self.shared.wait(front);
        }
        front.check()?;
        if !front.finished {
            self.shared.store.sync()?;
            step("finish: store synced");
            self.shared.files.clear_all(newest).map_err(|e| failure(&self.shared.path, e))?;
            front.finished = true;
        }
        Ok(())
    }
}

/// Takes back what the log holds. Its newer turn waits for the store as if it had just been written; an older one, which
/// the process before was bringing there, is brought first, and leaves its file to what comes.
fn recover(store: &impl Store, directory: &Path, full: u64) -> Result<(Files, Commits, Front), StoreError> {
    let path = directory.display().to_string();
    let failed = |error| failure(&path, error);
    let files = Files::open(directory).map_err(failed)?;
    let mut replay = files.read().map_err(failed)?;
    step("recovery: log read");
    let newest = replay.pop();
    if let Some(older) = replay.pop() {
        let mut rows = Rows::new();
        older.batches.into_iter().for_each(|batch| rows.extend(batch));
        write(store, rows.into_iter())?;
        step("recovery: store written");
        store.sync()?;
        step("recovery: store synced");
        files.clear(older.turn).map_err(failed)?;
    }
    let mut front = Front::default();
    let commits = Commits::begin(&files, newest.as_ref(), full).map_err(failed)?;
    if let Some(newest) = newest {
        // What was written and not yet synced is shown only when it is on the disk.
        files.sync(newest.turn).map_err(failed)?;
        tracing::info!(commits = newest.batches.len(), "the mailbox list goes on with what its log holds");
        newest.batches.into_iter().for_each(|batch| front.rows.extend(batch));
        front.retire = Some(newest.turn);
    }
    Ok((files, commits, front))
}

/// In batches, which need not be atomic together: until all of them are synced, the log has them. The position goes last, so that
/// what damage leaves of the store later tells of less than there is, and never of more.
fn write(store: &impl Store, rows: impl Iterator<Item = Write>) -> Result<(), StoreError> {
    let (mut batch, mut position) = (Vec::with_capacity(BATCH), Vec::new());
    for row in rows {
        match row.0.first() {
            Some(&META) => position.push(row),
            _ => batch.push(row),
        }
        if batch.len() >= BATCH {
            store.apply(std::mem::take(&mut batch))?;
            step("store: a batch written");
        }
    }
    batch.append(&mut position);
    if batch.is_empty() {
        return Ok(());
    }
    store.apply(batch)?;
    step("store: a batch written");
    Ok(())
}

impl<S: Store> Shared<S> {
    fn front(&self) -> MutexGuard<'_, Front> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, front: MutexGuard<'a, Front>) -> MutexGuard<'a, Front> {
        self.moved.wait(front).unwrap_or_else(PoisonError::into_inner)
    }

    fn write_behind(&self) {
        let _end = AtEnd(self);
        while let Some((rows, retire)) = self.next() {
            let result = self.put(&rows, retire);
            let mut front = self.front();
            match result {
                Ok(()) => {
                    front.writing = Arc::default();
                    front.retiring = false;
                }
                Err(error) => {
                    tracing::error!(%error, "the mailbox list cannot be written");
                    front.failed = Some(error);
                }
            }
            let failed = front.failed.is_some();
            drop(front);
            self.moved.notify_all();
            if failed {
                return;
            }
        }
    }

    /// Waits for rows: until few others come, or many are there. None: all is done, and the list closed.
    fn next(&self) -> Option<(Arc<Rows>, Option<Turn>)> {
        let mut front = self.front();
        while front.rows.len() < MANY && front.retire.is_none() && !front.closing {
            if front.rows.is_empty() {
                front = self.wait(front);
                continue;
            }
            let before = front.rows.len();
            let (waited, timer) =
                self.moved.wait_timeout(front, LINGER).unwrap_or_else(PoisonError::into_inner);
            front = waited;
            if timer.timed_out() && front.rows.len() < before + CALM {
                break;
            }
        }
        let retire = front.retire.take();
        if front.rows.is_empty() && retire.is_none() {
            return None;
        }
        front.retiring = retire.is_some();
        front.writing = Arc::new(std::mem::take(&mut front.rows));
        Some((front.writing.clone(), retire))
    }

    fn put(&self, rows: &Rows, retire: Option<Turn>) -> Result<(), StoreError> {
        if self.role == Role::Replica {
            for turn in [Turn::First, Turn::Second] {
                self.files.sync(turn).map_err(|e| failure(&self.path, e))?;
            }
            step("store: the log synced");
        }
        write(&self.store, rows.iter().map(|(key, value)| (key.clone(), value.clone())))?;
        if let Some(turn) = retire {
            step("turns: the old one's rows written");
            self.store.sync()?;
            step("turns: the old one's rows synced");
            self.files.clear(turn).map_err(|e| failure(&self.path, e))?;
        }
        Ok(())
    }
}

/// Says that the thread has ended, also where it panicked: then the log keeps what it did not bring.
struct AtEnd<'a, S>(&'a Shared<S>);

impl<S> Drop for AtEnd<'_, S> {
    fn drop(&mut self) {
        let mut front = self.0.front.lock().unwrap_or_else(PoisonError::into_inner);
        front.ended = true;
        if thread::panicking() && front.failed.is_none() {
            front.failed = Some(unwritten("its thread panicked"));
        }
        drop(front);
        self.0.moved.notify_all();
    }
}

impl Front {
    fn check(&self) -> Result<(), StoreError> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// From the newest to the oldest.
    fn layers(&self) -> [&Rows; 3] {
        [&self.fresh, &self.rows, &self.writing]
    }

    /// What is newer than the store in a range, as far as `limit` rows that are there.
    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Rows {
        let (mut found, mut puts) = (Rows::new(), 0);
        let mut layers = self.layers().map(|layer| layer.range(from.to_vec()..to.to_vec()).peekable());
        while puts < limit {
            let heads = layers.iter_mut().filter_map(|layer| layer.peek().map(|(key, _)| *key));
            let Some(key) = heads.min() else { break };
            let mut same = layers.iter_mut().filter_map(|layer| layer.next_if(|(head, _)| *head == key));
            let newest = same.next().and_then(|(_, value)| value.clone());
            same.for_each(drop);
            puts += usize::from(newest.is_some());
            found.insert(key.clone(), newest);
        }
        found
    }
}

impl<S: Store> Store for Logged<S> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        {
            let front = self.shared.front();
            if let Some(found) = front.layers().into_iter().find_map(|layer| layer.get(key)) {
                return Ok(found.clone());
            }
        }
        self.shared.store.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        // First what is newer: what leaves the front meanwhile is in the store by then.
        let newer = self.shared.front().range(from, to, limit);
        if newer.is_empty() {
            return self.shared.store.scan(from, to, limit);
        }
        let removed = newer.values().filter(|value| value.is_none()).count();
        let older = self.shared.store.scan(from, to, limit.saturating_add(removed))?;
        let mut rows: BTreeMap<_, _> = older.into_iter().collect();
        for (key, value) in newer {
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
        Ok(rows.into_iter().take(limit).collect())
    }

    fn apply(&self, batch: Vec<Write>) -> Result<(), StoreError> {
        let mut commits = self.commits();
        let mut front = self.shared.front();
        front.check()?;
        if front.closing {
            return Err(unwritten("it is closed"));
        }
        commits.push(&batch).map_err(|e| failure(&self.shared.path, e))?;
        front.fresh.extend(batch);
        drop(front);
        match self.shared.role {
            Role::Owner => Ok(()),
            Role::Replica => self.commit(&mut commits),
        }
    }

    fn sync(&self) -> Result<(), StoreError> {
        let mut commits = self.commits();
        self.shared.front().check()?;
        if !commits.has_pending() {
            return Ok(());
        }
        self.commit(&mut commits)
    }

    fn finish(&self) -> Result<(), StoreError> {
        self.sync()?;
        self.empty()
    }

    fn size(&self) -> u64 {
        self.shared.store.size() + self.shared.files.size()
    }

    fn pace(&self) -> Pace<'_> {
        self.shared.store.pace()
    }

    fn linger(&self) {
        thread::sleep(REPLICA_LINGER);
    }

    fn witness(&self, position: Position, last: bool) {
        self.shared.store.witness(position, last);
    }

    fn forget_witness(&self) -> Result<(), StoreError> {
        self.shared.store.forget_witness()
    }

    fn witnessed(&self) -> Option<Position> {
        self.shared.store.witnessed()
    }
}

impl<S: Store> Drop for Logged<S> {
    fn drop(&mut self) {
        let emptied = self.empty();
        if let Some(thread) = self.thread.take() {
            // What it panicked of was said by then.
            let _ = thread.join();
        }
        if let Err(error) = emptied {
            tracing::warn!(%error, "the log of the mailbox list is played back at the next start");
        }
    }
}

fn unwritten(why: &str) -> StoreError {
    StoreError::Io { doing: "write the mailbox list", why: why.to_owned() }
}

fn failure(path: &str, error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::InvalidData => StoreError::Corrupt(path.to_owned(), error.to_string()),
        _ => StoreError::Io { doing: "write the log of the mailbox list", why: format!("{path}: {error}") },
    }
}

#[cfg(test)]
mod tests;
