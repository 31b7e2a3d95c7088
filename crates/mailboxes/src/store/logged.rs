//! A store that commits to a log, and to the store behind it later: what an owner's list is kept in.
//!
//! ```text
//! apply ─▶ fresh ──sync: one write, one fdatasync──▶ rows ──a thread, behind──▶ writing ─▶ the store
//! ```
//!
//! Reads look at all four, newest first, so that nobody sees a difference. Rows that are replaced while they wait (a
//! RESERVE by its ACTIVATE, the position by each change) reach the store once. The store is synced when the log goes on
//! in its other file, and when the list is closed; what a crash leaves in the log is played back at the next opening.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use protocol::mupdate::position::Position;

use super::{
    Pace, Row, Store, StoreError, Write,
    commits::{Commits, FULL, Files, Turn},
};

/// A store with a commit log in front.
pub struct Logged<S: Store> {
    shared: Arc<Shared<S>>,
    commits: Mutex<Commits>,
    thread: Option<JoinHandle<()>>,
}

struct Shared<S> {
    store: S,
    files: Files,
    path: String,
    front: Mutex<Front>,
    moved: Condvar,
}

type Rows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

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
    failed: Option<StoreError>,
}

impl<S: Store> Logged<S> {
    /// Plays back what the log beside the database in `directory` holds, and starts anew.
    pub fn open(store: S, directory: &Path) -> Result<Self, StoreError> {
        Self::with_turns(store, directory, FULL)
    }

    /// The same with turns of so many bytes.
    fn with_turns(store: S, directory: &Path, full: u64) -> Result<Self, StoreError> {
        let path = directory.display().to_string();
        let files = recover(&store, directory)?;
        let commits = Commits::begin(&files, full).map_err(|e| failure(&path, e))?;
        let shared = Arc::new(Shared { store, files, path, front: Mutex::default(), moved: Condvar::new() });
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
        front.retire = Some(commits.turn());
        commits.take_turns();
        self.shared.moved.notify_all();
        Ok(())
    }
}

/// For a list that is no owner's: what an owner left in the log before is brought into the store.
pub(crate) fn settle(store: &dyn Store, directory: &Path) -> Result<(), StoreError> {
    match Files::exist(directory) {
        true => recover(store, directory).map(drop),
        false => Ok(()),
    }
}

/// Plays the log back, and clears it once the store has everything.
fn recover(store: &(impl Store + ?Sized), directory: &Path) -> Result<Files, StoreError> {
    let path = directory.display().to_string();
    let files = Files::open(directory).map_err(|e| failure(&path, e))?;
    let replay = files.read().map_err(|e| failure(&path, e))?;
    if !replay.batches.is_empty() {
        tracing::info!(commits = replay.batches.len(), "bringing the mailbox list up to date from its log");
        let mut rows = Rows::new();
        replay.batches.into_iter().for_each(|batch| rows.extend(batch));
        write(store, rows.into_iter())?;
        store.sync()?;
    }
    files.clear_all(replay.newest).map_err(|e| failure(&path, e))?;
    Ok(files)
}

/// In batches, which need not be atomic together: until all of them are synced, the log has them.
fn write(store: &(impl Store + ?Sized), mut rows: impl Iterator<Item = Write>) -> Result<(), StoreError> {
    loop {
        let batch: Vec<Write> = rows.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(());
        }
        store.apply(batch)?;
    }
}

impl<S: Store> Shared<S> {
    fn front(&self) -> MutexGuard<'_, Front> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, front: MutexGuard<'a, Front>) -> MutexGuard<'a, Front> {
        self.moved.wait(front).unwrap_or_else(PoisonError::into_inner)
    }

    fn write_behind(&self) {
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

    /// Waits for rows: a moment, so that they are few, unless many are there. None: all is done, and the list closed.
    fn next(&self) -> Option<(Arc<Rows>, Option<Turn>)> {
        let mut front = self.front();
        while front.rows.len() < MANY && front.retire.is_none() && !front.closing {
            if front.rows.is_empty() {
                front = self.wait(front);
                continue;
            }
            let (waited, timer) =
                self.moved.wait_timeout(front, LINGER).unwrap_or_else(PoisonError::into_inner);
            front = waited;
            if timer.timed_out() {
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
        write(&self.store, rows.iter().map(|(key, value)| (key.clone(), value.clone())))?;
        if let Some(turn) = retire {
            self.store.sync()?;
            self.files.clear(turn).map_err(|e| failure(&self.path, e))?;
        }
        Ok(())
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
        commits.push(&batch).map_err(|e| failure(&self.shared.path, e))?;
        front.fresh.extend(batch);
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        let mut commits = self.commits();
        self.shared.front().check()?;
        if !commits.has_pending() {
            return Ok(());
        }
        if commits.is_full() {
            self.take_turns(&mut commits)?;
        }
        let written = commits.write(&self.shared.files).map_err(|e| failure(&self.shared.path, e));
        let mut front = self.shared.front();
        if let Err(error) = written {
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

    fn size(&self) -> u64 {
        self.shared.store.size() + self.shared.files.size()
    }

    fn pace(&self) -> Pace<'_> {
        self.shared.store.pace()
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
    /// Brings everything into the store, and leaves an empty log.
    fn drop(&mut self) {
        self.shared.front().closing = true;
        self.shared.moved.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has not brought everything: the log keeps it.
            if thread.join().is_err() {
                return;
            }
        }
        if self.shared.front().failed.is_some() {
            return;
        }
        let newest = self.commits().turn();
        let cleared =
            self.shared.store.sync().and_then(|()| {
                self.shared.files.clear_all(newest).map_err(|e| failure(&self.shared.path, e))
            });
        if let Err(error) = cleared {
            tracing::warn!(%error, "the log of the mailbox list is played back at the next start");
        }
    }
}

fn failure(path: &str, error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::InvalidData => StoreError::Corrupt(path.to_owned(), error.to_string()),
        _ => StoreError::Io { doing: "write the log of the mailbox list", why: format!("{path}: {error}") },
    }
}

/// How long rows wait for others to come or to replace them, and how many are not waited for.
const LINGER: Duration = Duration::from_millis(200);
const MANY: usize = 16_384;
/// Rows written to the store at a time.
const BATCH: usize = 1000;

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::{super::Memory, *};

    /// A store whose contents outlive who uses it, as a disk's do.
    #[derive(Clone, Default)]
    struct Disk(Arc<Memory>);

    impl Store for Disk {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.0.get(key)
        }
        fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
            self.0.scan(from, to, limit)
        }
        fn apply(&self, batch: Vec<Write>) -> Result<(), StoreError> {
            self.0.apply(batch)
        }
        fn sync(&self) -> Result<(), StoreError> {
            self.0.sync()
        }
        fn size(&self) -> u64 {
            self.0.size()
        }
    }

    fn put(key: &str, value: &str) -> Write {
        (key.into(), Some(value.into()))
    }

    fn all(store: &impl Store) -> Vec<Row> {
        store.scan(b"", b"~", usize::MAX).unwrap()
    }

    fn commit(store: &impl Store, batch: Vec<Write>) {
        store.apply(batch).unwrap();
        store.sync().unwrap();
    }

    /// What a power failure would leave of the log right now, in a directory of its own.
    fn crashed(log: &Path) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        for name in ["commits.0", "commits.1"] {
            fs::copy(log.join(name), copy.path().join(name)).unwrap();
        }
        copy
    }

    /// Batches that put, replace and remove the same few rows.
    fn batches(count: usize) -> Vec<Vec<Write>> {
        (0..count)
            .map(|n| {
                let mut batch =
                    vec![put(&format!("k{}", n % 7), &format!("value {n}")), put("m", &n.to_string())];
                if n % 3 == 2 {
                    batch.push((format!("k{}", (n + 3) % 7).into(), None));
                }
                batch
            })
            .collect()
    }

    /// The rows after each number of batches.
    fn states(batches: &[Vec<Write>]) -> Vec<Vec<Row>> {
        let model = Memory::new();
        let mut states = vec![Vec::new()];
        for batch in batches {
            model.apply(batch.clone()).unwrap();
            states.push(all(&model));
        }
        states
    }

    #[test]
    fn a_crash_after_any_commit_loses_none_whatever_the_store_had() {
        let batches = batches(60);
        let states = states(&batches);
        // turns of a few commits each, and one that never ends
        for full in [1, 150, 1000, FULL] {
            let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
            let store = Logged::with_turns(disk.clone(), dir.path(), full).unwrap();
            for (batch, state) in batches.iter().zip(states.iter().skip(1)) {
                // the log as it is at the crash, and a store that got no further, or further, than then
                commit(&store, batch.clone());
                let behind = Disk::default();
                let log = crashed(dir.path());
                behind.apply(all(&disk).into_iter().map(|(k, v)| (k, Some(v))).collect()).unwrap();
                let reopened = Logged::open(behind, log.path()).unwrap();
                assert_eq!(&all(&reopened), state);
                assert_eq!(&all(&store), state);
            }
        }
    }

    #[test]
    fn a_log_cut_at_any_byte_gives_what_was_whole() {
        let batches = batches(12);
        let states = states(&batches);
        let dir = tempfile::tempdir().unwrap();
        let store = Logged::open(Disk::default(), dir.path()).unwrap();
        let mut ends = vec![0];
        for batch in &batches {
            commit(&store, batch.clone());
            ends.push(store.commits().end());
        }
        let whole = fs::read(dir.path().join("commits.0")).unwrap();
        let last = *ends.last().unwrap() as usize;
        for cut in 0..=last {
            let mut torn = whole[..cut].to_vec();
            for zeros in [0, whole.len() - cut] {
                torn.resize(cut + zeros, 0);
                // zeros may be what stood there
                let agree = torn.iter().zip(&whole).take_while(|(a, b)| a == b).count();
                let kept = ends.iter().rposition(|end| *end <= agree as u64).unwrap();
                let copy = tempfile::tempdir().unwrap();
                fs::write(copy.path().join("commits.0"), &torn).unwrap();
                let reopened = Logged::open(Disk::default(), copy.path()).unwrap();
                assert_eq!(all(&reopened), states[kept], "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_byte_changed_in_a_commit_ends_the_log_there() {
        let batches = batches(5);
        let states = states(&batches);
        let dir = tempfile::tempdir().unwrap();
        let store = Logged::open(Disk::default(), dir.path()).unwrap();
        let mut ends = vec![0];
        for batch in &batches {
            commit(&store, batch.clone());
            ends.push(store.commits().end());
        }
        let whole = fs::read(dir.path().join("commits.0")).unwrap();
        for at in 24..*ends.last().unwrap() as usize {
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            let copy = tempfile::tempdir().unwrap();
            fs::write(copy.path().join("commits.0"), &changed).unwrap();
            let reopened = Logged::open(Disk::default(), copy.path()).unwrap();
            let kept = ends.iter().rposition(|end| *end <= at as u64).unwrap();
            assert_eq!(all(&reopened), states[kept], "changed at {at}");
        }
        let mut changed = whole;
        changed[10] ^= 1;
        fs::write(dir.path().join("commits.0"), &changed).unwrap();
        assert!(matches!(Logged::open(Disk::default(), dir.path()), Err(StoreError::Corrupt(..))));
    }

    #[test]
    fn commits_of_an_earlier_run_do_not_come_back() {
        let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
        let store = Logged::open(disk.clone(), dir.path()).unwrap();
        (0..5).for_each(|n| commit(&store, vec![put("k", &format!("old {n}"))]));
        drop(store);
        assert_eq!(all(&disk), [(b"k".to_vec(), b"old 4".to_vec())]);
        // commits of the same length at the same places
        let store = Logged::open(disk.clone(), dir.path()).unwrap();
        commit(&store, vec![put("k", "new 0")]);
        let log = crashed(dir.path());
        let reopened = Logged::open(Disk::default(), log.path()).unwrap();
        assert_eq!(all(&reopened), [(b"k".to_vec(), b"new 0".to_vec())]);
    }

    #[test]
    fn commits_missing_before_a_later_turn_are_told() {
        let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
        let store = Logged::with_turns(disk, dir.path(), 200).unwrap();
        let mut log = crashed(dir.path());
        for n in 0.. {
            commit(&store, vec![put("k", &format!("value {n}"))]);
            log = crashed(dir.path());
            let files = Files::open(log.path()).unwrap();
            let both = ["commits.0", "commits.1"]
                .iter()
                .all(|f| fs::read(log.path().join(f)).unwrap().first().is_some_and(|&b| b != 0));
            if both && files.read().is_ok() {
                break;
            }
        }
        let generation = |name: &str| fs::read(log.path().join(name)).unwrap()[8..16].to_vec();
        let first_is_older = generation("commits.0") < generation("commits.1");
        let older = log.path().join(if first_is_older { "commits.0" } else { "commits.1" });
        let mut bytes = fs::read(&older).unwrap();
        bytes[40] ^= 1;
        fs::write(&older, bytes).unwrap();
        assert!(matches!(Logged::open(Disk::default(), log.path()), Err(StoreError::Corrupt(..))));
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = b"commits\x02".to_vec();
        bytes.resize(4096, 7);
        fs::write(dir.path().join("commits.1"), bytes).unwrap();
        let Err(error) = Logged::open(Disk::default(), dir.path()) else { panic!("it was opened") };
        assert!(error.to_string().contains("format version 2"), "{error}");
    }

    #[test]
    fn when_the_store_behind_fails_nothing_more_is_accepted_and_the_log_keeps_all() {
        let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
        let store = Logged::with_turns(disk.clone(), dir.path(), 1).unwrap();
        disk.0.fail_syncs(true);
        let mut acknowledged = Vec::new();
        for n in 0.. {
            let row = put(&format!("k{n:04}"), "v");
            if store.apply(vec![row.clone()]).and_then(|()| store.sync()).is_err() {
                break;
            }
            acknowledged.push((row.0, b"v".to_vec()));
        }
        assert!(store.apply(vec![put("more", "v")]).is_err());
        drop(store);
        let reopened = Logged::open(Disk::default(), dir.path()).unwrap();
        let mut rows = all(&reopened);
        rows.truncate(acknowledged.len());
        assert!(!rows.is_empty());
        assert_eq!(rows, acknowledged);
    }

    #[test]
    fn who_keeps_no_log_takes_over_what_is_in_one() {
        let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
        let store = Logged::open(Disk::default(), dir.path()).unwrap();
        commit(&store, vec![put("k", "v")]);
        let log = crashed(dir.path());
        settle(&disk, log.path()).unwrap();
        assert_eq!(all(&disk), [(b"k".to_vec(), b"v".to_vec())]);
        disk.apply(vec![put("k", "later")]).unwrap();
        settle(&disk, log.path()).unwrap();
        assert_eq!(all(&disk), [(b"k".to_vec(), b"later".to_vec())]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_reads_as_if_there_were_no_log(
            ops in proptest::collection::vec(
                (proptest::collection::vec(("[a-d]{1,2}", proptest::option::weighted(0.6, "[x-z]{0,9}")), 1..6), any::<bool>()),
                1..60,
            ),
            from in "[a-d]{0,2}",
            to in "[a-e]{0,2}",
            limit in 0usize..9,
            full in 1u64..400,
        ) {
            let (dir, model) = (tempfile::tempdir().unwrap(), Memory::new());
            let store = Logged::with_turns(Disk::default(), dir.path(), full).unwrap();
            for (batch, synced) in ops {
                let batch: Vec<Write> =
                    batch.into_iter().map(|(k, v)| (k.into_bytes(), v.map(String::into_bytes))).collect();
                model.apply(batch.clone()).unwrap();
                store.apply(batch).unwrap();
                if synced {
                    store.sync().unwrap();
                }
                let (from, to) = (from.as_bytes(), to.as_bytes());
                prop_assert_eq!(store.scan(from, to, limit).unwrap(), model.scan(from, to, limit).unwrap());
                prop_assert_eq!(store.get(from).unwrap(), model.get(from).unwrap());
            }
        }
    }
}
