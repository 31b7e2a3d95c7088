//! Crashes after each commit, cuts and changed bytes, and reading as if there were no log.

use std::{
    fs,
    sync::{OnceLock, Weak},
};

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
        let store = Logged::with_turns(disk.clone(), dir.path(), Role::Owner, full).unwrap();
        for (batch, state) in batches.iter().zip(states.iter().skip(1)) {
            // the log as it is at the crash, and a store that got no further, or further, than then
            commit(&store, batch.clone());
            let behind = Disk::default();
            let log = crashed(dir.path());
            behind.apply(all(&disk).into_iter().map(|(k, v)| (k, Some(v))).collect()).unwrap();
            let reopened = Logged::open(behind, log.path(), Role::Owner).unwrap();
            assert_eq!(&all(&reopened), state);
            assert_eq!(&all(&store), state);
        }
    }
}

/// A log of so many commits, where each of them ends, and the rows after each.
fn log_of(commits: usize) -> (Vec<u8>, Vec<u64>, Vec<Vec<Row>>) {
    let batches = batches(commits);
    let states = states(&batches);
    let dir = tempfile::tempdir().unwrap();
    let store = Logged::open(Disk::default(), dir.path(), Role::Owner).unwrap();
    let mut ends = vec![0];
    for batch in &batches {
        commit(&store, batch.clone());
        ends.push(store.commits().end());
    }
    (fs::read(dir.path().join("commits.0")).unwrap(), ends, states)
}

#[test]
fn a_log_cut_at_any_byte_gives_what_was_whole() {
    let (whole, ends, states) = log_of(12);
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
            let reopened = Logged::open(Disk::default(), copy.path(), Role::Owner).unwrap();
            assert_eq!(all(&reopened), states[kept], "cut at {cut}");
        }
    }
}

#[test]
fn a_byte_changed_in_a_commit_ends_the_log_there() {
    // A header that ends with a zero may have been cut off: of those there is nothing to tell.
    let (whole, ends, states) =
        std::iter::repeat_with(|| log_of(5)).find(|(whole, ..)| whole[23] != 0).unwrap();
    for at in 24..*ends.last().unwrap() as usize {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        let copy = tempfile::tempdir().unwrap();
        fs::write(copy.path().join("commits.0"), &changed).unwrap();
        let reopened = Logged::open(Disk::default(), copy.path(), Role::Owner).unwrap();
        let kept = ends.iter().rposition(|end| *end <= at as u64).unwrap();
        assert_eq!(all(&reopened), states[kept], "changed at {at}");
    }
    let mut changed = whole;
    changed[10] ^= 1;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("commits.0"), &changed).unwrap();
    assert!(matches!(Logged::open(Disk::default(), dir.path(), Role::Owner), Err(StoreError::Corrupt(..))));
}

#[test]
fn commits_of_an_earlier_run_do_not_come_back() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
    let store = Logged::open(disk.clone(), dir.path(), Role::Owner).unwrap();
    (0..5).for_each(|n| commit(&store, vec![put("k", &format!("old {n}"))]));
    drop(store);
    assert_eq!(all(&disk), [(b"k".to_vec(), b"old 4".to_vec())]);
    // commits of the same length at the same places
    let store = Logged::open(disk.clone(), dir.path(), Role::Owner).unwrap();
    commit(&store, vec![put("k", "new 0")]);
    let log = crashed(dir.path());
    let reopened = Logged::open(Disk::default(), log.path(), Role::Owner).unwrap();
    assert_eq!(all(&reopened), [(b"k".to_vec(), b"new 0".to_vec())]);
}

#[test]
fn commits_missing_before_a_later_turn_are_told() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
    let store = Logged::with_turns(disk, dir.path(), Role::Owner, 200).unwrap();
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
    assert!(matches!(Logged::open(Disk::default(), log.path(), Role::Owner), Err(StoreError::Corrupt(..))));
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = b"commits\x02".to_vec();
    bytes.resize(4096, 7);
    fs::write(dir.path().join("commits.1"), bytes).unwrap();
    let Err(error) = Logged::open(Disk::default(), dir.path(), Role::Owner) else { panic!("it was opened") };
    assert!(error.to_string().contains("format version 2"), "{error}");
}

#[test]
fn when_the_store_behind_fails_nothing_more_is_accepted_and_the_log_keeps_all() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
    let store = Logged::with_turns(disk.clone(), dir.path(), Role::Owner, 1).unwrap();
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
    let reopened = Logged::open(Disk::default(), dir.path(), Role::Owner).unwrap();
    let mut rows = all(&reopened);
    rows.truncate(acknowledged.len());
    assert!(!rows.is_empty());
    assert_eq!(rows, acknowledged);
}

#[test]
fn who_keeps_no_log_takes_over_what_is_in_one() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
    let store = Logged::open(Disk::default(), dir.path(), Role::Owner).unwrap();
    commit(&store, vec![put("k", "v")]);
    let log = crashed(dir.path());
    drop(Logged::open(disk.clone(), log.path(), Role::Replica).unwrap());
    assert_eq!(all(&disk), [(b"k".to_vec(), b"v".to_vec())]);
    disk.apply(vec![put("k", "later")]).unwrap();
    drop(Logged::open(disk.clone(), log.path(), Role::Replica).unwrap());
    assert_eq!(all(&disk), [(b"k".to_vec(), b"later".to_vec())]);
}

/// A store that notes, with each row, what a power failure right after it could leave at worst: the log as it was last
/// synced, and a store that has all up to that row.
#[derive(Clone, Default)]
struct Noted {
    disk: Disk,
    log: Arc<OnceLock<Weak<Shared<Noted>>>>,
    left: Arc<Mutex<Vec<Left>>>,
}

/// Both files of the log, and the store's rows.
type Left = ([Vec<u8>; 2], Vec<Row>);

impl Store for Noted {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.disk.get(key)
    }
    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        self.disk.scan(from, to, limit)
    }
    fn apply(&self, batch: Vec<Write>) -> Result<(), StoreError> {
        let shared = self.log.get().and_then(Weak::upgrade);
        for row in batch {
            self.disk.apply(vec![row])?;
            if let Some(shared) = &shared {
                let log = shared.files.synced.lock().unwrap().clone();
                self.left.lock().unwrap().push((log, all(&self.disk)));
            }
        }
        Ok(())
    }
    fn sync(&self) -> Result<(), StoreError> {
        self.disk.sync()
    }
    fn size(&self) -> u64 {
        self.disk.size()
    }
}

#[test]
fn a_power_failure_leaves_a_replica_as_it_was_at_some_time() {
    let batches = batches(90);
    let states = states(&batches);
    for full in [300, 3000, FULL] {
        let (dir, noted) = (tempfile::tempdir().unwrap(), Noted::default());
        let store = Logged::with_turns(noted.clone(), dir.path(), Role::Replica, full).unwrap();
        noted.log.set(Arc::downgrade(&store.shared)).unwrap();
        for batch in &batches {
            store.apply(batch.clone()).unwrap();
        }
        assert_eq!(all(&store), states[90]);
        drop(store);
        let left = std::mem::take(&mut *noted.left.lock().unwrap());
        assert!(!left.is_empty());
        for (log, rows) in left {
            let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
            for (name, bytes) in ["commits.0", "commits.1"].iter().zip(log) {
                fs::write(dir.path().join(name), bytes).unwrap();
            }
            disk.apply(rows.into_iter().map(|(key, value)| (key, Some(value))).collect()).unwrap();
            let reopened = Logged::open(disk, dir.path(), Role::Replica).unwrap();
            let position = reopened.get(b"m").unwrap().unwrap();
            let position: usize = String::from_utf8(position).unwrap().parse().unwrap();
            assert_eq!(all(&reopened), states[position + 1]);
        }
    }
}

#[test]
fn the_position_goes_into_the_store_behind_all_that_it_stands_for() {
    let (dir, noted) = (tempfile::tempdir().unwrap(), Noted::default());
    let store = Logged::open(noted.clone(), dir.path(), Role::Replica).unwrap();
    noted.log.set(Arc::downgrade(&store.shared)).unwrap();
    for n in 1..=1200 {
        store.apply(vec![put(&format!("n{n:05}"), "v"), put("m", &n.to_string())]).unwrap();
    }
    drop(store);
    let left = noted.left.lock().unwrap();
    assert_eq!(left.len(), 1201);
    for (_, rows) in left.iter() {
        let position = rows
            .iter()
            .find(|(key, _)| key == b"m")
            .map_or(0, |(_, value)| String::from_utf8(value.clone()).unwrap().parse().unwrap());
        assert!(position < rows.len(), "{position}, and {} rows", rows.len());
    }
}

#[test]
fn rows_wait_for_the_store_while_many_come() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
    let store = Logged::open(disk.clone(), dir.path(), Role::Replica).unwrap();
    for n in 0..10_000 {
        store.apply(vec![put(&format!("k{n:05}"), "v")]).unwrap();
    }
    assert_eq!(store.get(b"k09999").unwrap().as_deref(), Some(&b"v"[..]));
    store.finish().unwrap();
    assert_eq!(all(&disk).len(), 10_000);
    // What is closed leaves nothing to take back.
    assert!(Files::open(dir.path()).unwrap().read().unwrap().is_empty());
}

#[test]
fn what_was_not_synced_before_a_crash_is_not_taken_for_what_comes_after_it() {
    // The first write of a turn was cut off: its header is missing, and its second record is there.
    let (dir, disk) = (tempfile::tempdir().unwrap(), Disk::default());
    let store = Logged::with_turns(disk.clone(), dir.path(), Role::Owner, 100).unwrap();
    while store.commits().turn() == Turn::First {
        commit(&store, vec![put("k", "first turn")]);
    }
    store.apply(vec![put("k", "same length A")]).unwrap();
    store.apply(vec![put("k", "never acknowledged")]).unwrap();
    store.sync().unwrap();
    let log = crashed(dir.path());
    let torn = log.path().join("commits.1");
    let mut bytes = fs::read(&torn).unwrap();
    bytes[..24].fill(0);
    fs::write(&torn, bytes).unwrap();
    let disk = Disk::default();
    let store = Logged::with_turns(disk, log.path(), Role::Owner, 100_000).unwrap();
    commit(&store, vec![put("k", "same length B")]);
    let again = crashed(log.path());
    let reopened = Logged::open(Disk::default(), again.path(), Role::Owner).unwrap();
    assert_eq!(reopened.get(b"k").unwrap().as_deref(), Some(&b"same length B"[..]));
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
        let store = Logged::with_turns(Disk::default(), dir.path(), Role::Owner, full).unwrap();
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
