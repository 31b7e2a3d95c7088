//! The contract of an authority, as one test over all of them: what each must do for lists to be true.

use std::sync::Arc;

use mailboxes::{
    Bounds, ListId, Options, Position,
    authority::{Authority, Local, Lost, Memory, Missed, Outcome},
    store::{self, Logged, Sled},
};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::clauses::{Rig, active, contract, follow, group, name, propose, put, remove, snapshot};

contract!(on_disk, Some(super::OnDisk::new()));
contract!(in_memory, Some(super::Memory::new(super::ListId(7))));

struct OnDisk {
    authority: Local,
    _directory: TempDir,
}

impl OnDisk {
    fn new() -> OnDisk {
        let directory = tempfile::tempdir().unwrap();
        OnDisk { authority: local(&directory), _directory: directory }
    }
}

fn local(directory: &TempDir) -> Local {
    let path = directory.path().join("list.sled");
    let store = Logged::open(Sled::open(&path).unwrap(), &path, mailboxes::Role::Owner).unwrap();
    Local::open(Arc::new(store), &options()).unwrap()
}

fn options() -> Options {
    Options { bounds: Bounds { tombstones: 2, prune_every: 1, ..Bounds::default() }, ..Options::owner() }
}

impl Rig for OnDisk {
    type Authority = Local;

    fn authority(&mut self) -> &mut Local {
        &mut self.authority
    }

    async fn forget(&mut self) {
        for n in 0..4 {
            let name = format!("shared.gone{n}");
            put(self, &[&name]).await;
            remove(self, &[&name]).await;
        }
    }
}

impl Rig for Memory {
    type Authority = Memory;

    fn authority(&mut self) -> &mut Memory {
        self
    }

    async fn forget(&mut self) {
        let here = self.barrier().await.unwrap();
        Memory::forget(self, here.seq);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Two that know nothing of each other, one of them always a step behind.
    #[test]
    fn both_authorities_take_and_refuse_the_same(
        steps in prop::collection::vec((0..5usize, any::<bool>(), any::<bool>()), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let rows = Arc::new(store::Memory::new());
        let mut disk = OnDisk {
            authority: Local::open(rows, &options()).unwrap(),
            _directory: tempfile::tempdir().unwrap(),
        };
        let mut memory = Memory::new(ListId(7));
        let both = (run(&runtime, &mut disk, &steps), run(&runtime, &mut memory, &steps));
        prop_assert_eq!(both.0, both.1);
    }
}

/// What became of each step, and the names in the end.
fn run(
    runtime: &tokio::runtime::Runtime,
    rig: &mut impl Rig,
    steps: &[(usize, bool, bool)],
) -> (Vec<bool>, Vec<String>) {
    runtime.block_on(async {
        let (mut before, mut taken) = (snapshot(rig).await, Vec::new());
        for (n, late, there) in steps {
            let now = snapshot(rig).await;
            let (by, list) = if *late { &before } else { &now };
            let text = format!("user.u{n}");
            let new = there.then(|| active("be1!p", ""));
            let asked = group(*by, vec![(&text, list.get(&name(&text)).cloned(), new)]);
            taken.push(matches!(rig.authority().propose(&asked).await, Outcome::Done(_)));
            before = now;
        }
        (taken, snapshot(rig).await.1.into_keys().map(|n| n.to_string()).collect())
    })
}

#[tokio::test]
async fn what_was_done_is_there_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = OnDisk { authority: local(&directory), _directory: tempfile::tempdir().unwrap() };
    put(&mut rig, &["user.a", "user.b"]).await;
    remove(&mut rig, &["user.b"]).await;
    let wanted = snapshot(&mut rig).await;
    let crashed = tempfile::tempdir().unwrap();
    crate::damage::copy(directory.path(), crashed.path());
    let mut again = OnDisk { authority: local(&crashed), _directory: crashed };
    assert_eq!(snapshot(&mut again).await, wanted);
}

#[tokio::test]
async fn after_a_sync_that_failed_the_outcome_is_unknown_and_so_is_that_of_all_that_follow() {
    let rows = Arc::new(store::Memory::new());
    let authority = Local::open(rows.clone(), &options()).unwrap();
    let mut rig = OnDisk { authority, _directory: tempfile::tempdir().unwrap() };
    put(&mut rig, &["user.a"]).await;
    let (by, seen) = snapshot(&mut rig).await;
    let asked = group(by, vec![("user.a", seen.get(&name("user.a")).cloned(), None)]);
    for fails in [true, false] {
        rows.fail_syncs(fails);
        assert!(matches!(rig.authority.propose(&asked).await, Outcome::Unknown(_)));
        // What may not be on disk is not shown.
        assert_eq!(snapshot(&mut rig).await, (by, seen.clone()));
    }
}

#[tokio::test]
async fn whether_a_group_whose_answer_was_lost_happened_is_told_by_asking_again() {
    for (lost, happened) in [(Lost::Done, true), (Lost::Undone, false)] {
        let mut memory = Memory::new(ListId(7));
        let (by, _) = snapshot(&mut memory).await;
        let asked = group(by, vec![("user.a", None, Some(active("be1!p", "")))]);
        memory.lose_next_answer(lost);
        assert!(matches!(memory.propose(&asked).await, Outcome::Unknown(_)));
        match memory.propose(&asked).await {
            Outcome::Stale(now) => assert!(happened && now[0].1.is_some()),
            other => assert!(!happened && matches!(other, Outcome::Done(_)), "{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_list_with_a_new_identity_goes_on_with_its_numbers_and_nobody_resumes() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = OnDisk { authority: local(&directory), _directory: tempfile::tempdir().unwrap() };
    put(&mut rig, &["user.a"]).await;
    let (mut old, mut copy) = snapshot(&mut rig).await;
    let mut renewal = group(old, Vec::new());
    renewal.history.position = Position { list: ListId(9), term: 1, seq: old.seq + 1 };
    renewal.history.floor = old.seq + 1;
    let done = propose(&mut rig, &renewal).await;
    assert_eq!((done.position, done.floor), (renewal.history.position, old.seq + 1));
    assert!(matches!(follow(&mut rig, &mut old, &mut copy).await, Err(Missed::Pruned(_))));
    drop(rig);
    let mut again = OnDisk { authority: local(&directory), _directory: directory };
    assert_eq!(snapshot(&mut again).await, (done.position, copy));
}
