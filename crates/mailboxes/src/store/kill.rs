//! A process that is killed at each step of keeping a list, on a real database, again and again on the same one; and what
//! it finds when it is started once more.
//!
//! The test runs itself as the process that dies: [`LIFE`] says where.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    sync::Mutex,
    time::Instant,
};

use super::{Row, Sled, Store, StoreError, Write, logged::Logged};
use crate::options::Role;

/// Directory, role, step, and which time the step is met, separated by line ends.
const LIFE: &str = "MAILBOXES_KILLED_AT";

/// Dies here, if that is what this process is for.
pub fn at(step: &str) {
    static LEFT: Mutex<Option<usize>> = Mutex::new(None);
    let Some((_, _, wanted, times)) = life() else { return };
    if wanted != step {
        return;
    }
    let mut left = LEFT.lock().unwrap();
    let now = left.get_or_insert(times);
    *now -= 1;
    if *now == 0 {
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        unreachable!("it was killed");
    }
}

fn life() -> Option<(String, Role, String, usize)> {
    let text = env::var(LIFE).ok()?;
    let mut parts = text.split('\n').map(str::to_owned);
    let directory = parts.next()?;
    let role = if parts.next()? == "Owner" { Role::Owner } else { Role::Replica };
    Some((directory, role, parts.next()?, parts.next()?.parse().ok()?))
}

/// The batch with this number: puts, replaces and removes the same few rows.
fn batch(number: u64) -> Vec<Write> {
    let value = || Some(format!("value {number}").into_bytes());
    let mut batch = vec![
        (format!("k{}", number % 23).into_bytes(), value()),
        (b"m".to_vec(), Some(number.to_string().into_bytes())),
    ];
    if number % 3 == 2 {
        batch.push((format!("k{}", (number + 5) % 23).into_bytes(), None));
    }
    if number.is_multiple_of(7) {
        batch.push((b"long".to_vec(), Some(vec![b'x'; 2000])));
    }
    batch
}

/// The rows after so many batches.
fn state(batches: u64) -> Vec<Row> {
    let model = super::Memory::new();
    (1..=batches).for_each(|number| model.apply(batch(number)).unwrap());
    all(&model)
}

fn all(store: &dyn Store) -> Vec<Row> {
    store.scan(b"", b"~", usize::MAX).unwrap()
}

fn count(store: &dyn Store) -> u64 {
    let stored = store.get(b"m").unwrap().unwrap_or_else(|| b"0".to_vec());
    String::from_utf8(stored).unwrap().parse().unwrap()
}

/// The process before may be about to let go.
fn open(directory: &Path, role: Role) -> Logged<Sled> {
    let until = Instant::now() + std::time::Duration::from_secs(20);
    let database = loop {
        match Sled::open(directory) {
            Err(StoreError::Busy(_)) if Instant::now() < until => std::thread::yield_now(),
            opened => break opened.unwrap(),
        }
    };
    Logged::with_turns(database, directory, role, TURN).unwrap()
}

/// Commits one batch after the other, and writes down which are acknowledged; ends cleanly if it is not killed.
fn live(directory: &Path, role: Role) {
    let store = open(directory, role);
    let (new, acknowledged) = (directory.join("acknowledged.new"), directory.join("acknowledged"));
    let first = count(&store) + 1;
    assert_eq!(all(&store), state(first - 1));
    // What is found once stays.
    fs::write(&acknowledged, (first - 1).to_string()).unwrap();
    for number in first..first + COMMITS {
        store.apply(batch(number)).unwrap();
        store.sync().unwrap();
        // The store's thread may be killed, and all with it, in the middle of this.
        fs::write(&new, number.to_string()).and_then(|()| fs::rename(&new, &acknowledged)).unwrap();
    }
    store.finish().unwrap();
}

/// Runs this test's program as a process that dies at a step, the n-th time it comes there. Whether it did.
fn life_that_ends_at(directory: &Path, role: Role, step: &str, times: usize) -> bool {
    let test = concat!(module_path!(), "::", "what_was_acknowledged_survives_a_kill_at_every_step");
    let (_, test) = test.split_once("::").unwrap();
    let child = Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(LIFE, format!("{}\n{role:?}\n{step}\n{times}", directory.display()))
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let killed = child.status.code().is_none();
    assert!(killed || child.status.success(), "{step}: {}", String::from_utf8_lossy(&child.stderr));
    killed
}

#[test]
fn what_was_acknowledged_survives_a_kill_at_every_step() {
    if let Some((directory, role, ..)) = life() {
        return live(Path::new(&directory), role);
    }
    STEPS.iter().for_each(|step| killed_at(Role::Owner, step));
}

#[test]
fn what_a_replica_has_written_survives_a_kill_at_every_step_of_its_own() {
    REPLICA_STEPS.iter().for_each(|step| killed_at(Role::Replica, step));
}

fn killed_at(role: Role, step: &str) {
    let dir = tempfile::tempdir().unwrap();
    let directory = dir.path().join("list.sled");
    for times in [1, 2, 4] {
        // The first one finds a log, mostly with both turns in it.
        let killed = (0..if times == 1 { 20 } else { 1 }).any(|_| {
            if times == 1 {
                life_that_ends_at(&directory, role, "turns: the old one's rows written", 2);
            }
            life_that_ends_at(&directory, role, step, times)
        });
        assert!(killed || times > 1, "{step} is never met");
        // Twice in a row, the second time while it brings back what the first one left.
        life_that_ends_at(&directory, role, "recovery: store written", 1);
        let store = open(&directory, role);
        let acknowledged = fs::read_to_string(directory.join("acknowledged"));
        let acknowledged = acknowledged.map_or(0, |text| text.parse::<u64>().unwrap());
        let found = count(&store);
        assert!(
            (acknowledged..=acknowledged + 1).contains(&found),
            "{step}: {acknowledged} were acknowledged, {found} found"
        );
        assert_eq!(all(&store), state(found), "{step}");
    }
}

/// Every step.
const STEPS: [&str; 15] = [
    "log: clearing",
    "log: header cleared",
    "log: the older turn cleared",
    "log: before the write",
    "log: grown",
    "log: written",
    "log: synced",
    "turns: taken",
    "store: a batch written",
    "turns: the old one's rows written",
    "turns: the old one's rows synced",
    "finish: store synced",
    "recovery: log read",
    "recovery: store written",
    "recovery: store synced",
];
/// Those that a replica's log takes otherwise.
const REPLICA_STEPS: [&str; 4] =
    ["log: written", "turns: taken", "store: the log synced", "store: a batch written"];
/// Bytes of a turn: a few commits. And how many a life makes.
const TURN: u64 = 600;
const COMMITS: u64 = 40;
