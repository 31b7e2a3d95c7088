//! The contract of an authority, as one test over all of them: what each must do for lists to be true.

use std::{collections::BTreeMap, sync::Arc};

use mailboxes::{
    Bounds, Entry, History, ListId, Options, Position,
    authority::{Authority, Done, Group, Local, Lost, Memory, Missed, Named, Outcome, Proposal},
    store::{self, Logged, Sled},
};
use proptest::prelude::*;
use protocol::name::MailboxName;
use tempfile::TempDir;

use crate::{active, name};

type List = BTreeMap<MailboxName, Entry>;

/// An authority, and how it is made to forget old changes.
trait Rig {
    type Authority: Authority;

    fn authority(&mut self) -> &mut Self::Authority;

    /// Forgets changes; more may happen meanwhile.
    async fn forget(&mut self);
}

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

/// Each clause, for each authority.
macro_rules! contract {
    ($($clause:ident)*) => {
        mod on_disk {
            $(#[tokio::test]
            async fn $clause() {
                super::$clause(&mut super::OnDisk::new()).await;
            })*
        }
        mod in_memory {
            $(#[tokio::test]
            async fn $clause() {
                super::$clause(&mut super::Memory::new(super::ListId(7))).await;
            })*
        }
    };
}

contract! {
    a_group_happens_as_a_whole_and_is_numbered_in_its_order
    what_was_judged_by_an_entry_that_has_changed_since_does_not_happen_and_nothing_with_it
    a_name_that_came_or_went_or_both_is_not_as_it_was_seen
    a_group_happens_though_others_changed_other_names_since_it_was_judged
    of_two_that_were_judged_alike_one_gets_the_name
    whoever_follows_from_any_position_comes_to_the_snapshot
    nobody_follows_from_what_is_forgotten_or_never_was
    a_barrier_is_no_less_than_what_was_answered
    a_thousand_names_happen_at_once
}

/// A group of (name, entry seen, new entry).
fn group(by: Position, changes: Vec<(&str, Option<Entry>, Option<Entry>)>) -> Group {
    let mut history = History { position: by, own: true, complete: true, floor: 0, jump: 0 };
    let mut proposals = Vec::new();
    for (text, seen, mut new) in changes {
        history.position.seq += 1;
        let seq = history.position.seq;
        if let Some(entry) = &mut new {
            entry.seq = seq;
        }
        proposals.push(Proposal { name: name(text), seen, new, seq });
    }
    Group { by, proposals, conflicts: Vec::new(), cordons: Vec::new(), history, time: 1 }
}

async fn propose(rig: &mut impl Rig, group: &Group) -> Done {
    match rig.authority().propose(group).await {
        Outcome::Done(done) => done,
        other => panic!("{other:?}"),
    }
}

async fn refused(rig: &mut impl Rig, group: &Group) -> Vec<Named> {
    match rig.authority().propose(group).await {
        Outcome::Stale(stale) => stale,
        other => panic!("{other:?}"),
    }
}

async fn snapshot(rig: &mut impl Rig) -> (Position, List) {
    let mut list = List::new();
    let read = rig.authority().snapshot(|name, entry| {
        assert!(list.last_key_value().is_none_or(|(last, _)| last < name), "they come in order");
        list.insert(name.clone(), entry.clone());
    });
    (read.await.unwrap(), list)
}

/// Judged by what is there now.
async fn change(rig: &mut impl Rig, names: &[&str], new: Option<Entry>) -> Done {
    let (by, list) = snapshot(rig).await;
    let changes = names.iter().map(|n| (*n, list.get(&name(n)).cloned(), new.clone())).collect();
    propose(rig, &group(by, changes)).await
}

async fn put(rig: &mut impl Rig, names: &[&str]) -> Done {
    change(rig, names, Some(active("be1!p", "anyone\tl\t"))).await
}

async fn remove(rig: &mut impl Rig, names: &[&str]) -> Done {
    change(rig, names, None).await
}

/// Takes over what changed since a copy was made.
async fn follow(rig: &mut impl Rig, at: &mut Position, copy: &mut List) -> Result<(), Missed> {
    let mut last = *at;
    let read = rig.authority().changes(*at, |position, names| {
        assert!(position.seq > last.seq, "numbers come in order, each once");
        last = position;
        for (name, entry) in names {
            match entry {
                Some(entry) => copy.insert(name, entry),
                None => copy.remove(&name),
            };
        }
    });
    let upto = read.await?;
    assert!(upto.seq >= last.seq);
    *at = upto;
    Ok(())
}

async fn a_group_happens_as_a_whole_and_is_numbered_in_its_order(rig: &mut impl Rig) {
    let (before, list) = snapshot(rig).await;
    assert!(list.is_empty());
    let done = put(rig, &["user.b", "user.a", "user.c"]).await;
    assert!(before.seq < done.first && done.first <= done.position.seq);
    assert_eq!((before.list, before.term), (done.position.list, done.position.term));
    let (position, list) = snapshot(rig).await;
    assert_eq!(position, done.position);
    let seq = |n| list[&name(n)].seq;
    assert_eq!(seq("user.b"), done.first);
    assert!(seq("user.b") <= seq("user.a") && seq("user.a") <= seq("user.c"));
    assert!(seq("user.c") <= position.seq);
    assert_eq!(&*list[&name("user.a")].acl, "anyone\tl\t");
    assert_eq!(list.len(), 3);
}

async fn what_was_judged_by_an_entry_that_has_changed_since_does_not_happen_and_nothing_with_it(
    rig: &mut impl Rig,
) {
    put(rig, &["user.a", "user.b"]).await;
    let (by, seen) = snapshot(rig).await;
    put(rig, &["user.a"]).await;
    let (position, now) = snapshot(rig).await;
    let see = |n: &str| seen.get(&name(n)).cloned();
    let late = group(
        by,
        vec![
            ("user.b", see("user.b"), None),
            ("user.a", see("user.a"), None),
            ("user.c", None, see("user.b")),
        ],
    );
    let (a, entry) = (name("user.a"), now[&name("user.a")].clone());
    assert_eq!(refused(rig, &late).await, [(a, Some(entry))]);
    assert_eq!(snapshot(rig).await, (position, now));
}

async fn a_name_that_came_or_went_or_both_is_not_as_it_was_seen(rig: &mut impl Rig) {
    put(rig, &["user.a", "user.b"]).await;
    let (by, seen) = snapshot(rig).await;
    remove(rig, &["user.a", "user.b"]).await;
    put(rig, &["user.b", "user.c"]).await;
    let (_, now) = snapshot(rig).await;
    for n in ["user.a", "user.b", "user.c"] {
        let before = seen.get(&name(n)).cloned();
        let late = group(by, vec![(n, before, Some(active("be2!p", "")))]);
        assert_eq!(refused(rig, &late).await, [(name(n), now.get(&name(n)).cloned())]);
    }
}

async fn a_group_happens_though_others_changed_other_names_since_it_was_judged(rig: &mut impl Rig) {
    put(rig, &["user.a", "user.b"]).await;
    let (by, seen) = snapshot(rig).await;
    let others = put(rig, &["user.b", "user.c"]).await;
    let (mut at, mut copy) = snapshot(rig).await;
    let mine = vec![
        ("user.a", seen.get(&name("user.a")).cloned(), None),
        ("user.d", None, Some(active("be2!p", ""))),
    ];
    let done = propose(rig, &group(by, mine)).await;
    assert!(done.first > others.position.seq);
    let (position, list) = snapshot(rig).await;
    assert_eq!(position, done.position);
    assert_eq!(list.keys().map(|n| n.to_string()).collect::<Vec<_>>(), ["user.b", "user.c", "user.d"]);
    assert!(list[&name("user.d")].seq >= done.first && list[&name("user.d")].seq <= position.seq);
    // The numbers that it was judged with were others'.
    follow(rig, &mut at, &mut copy).await.unwrap();
    assert_eq!((at, copy), (position, list));
}

async fn of_two_that_were_judged_alike_one_gets_the_name(rig: &mut impl Rig) {
    let (by, _) = snapshot(rig).await;
    let claim = |place| group(by, vec![("user.a", None, Some(active(place, "")))]);
    propose(rig, &claim("be1!p")).await;
    let stale = refused(rig, &claim("be2!p")).await;
    assert_eq!(stale[0].1.as_ref().unwrap().location.as_str(), "be1!p");
}

async fn whoever_follows_from_any_position_comes_to_the_snapshot(rig: &mut impl Rig) {
    let mut copies = vec![snapshot(rig).await];
    for n in 0..30 {
        let names: Vec<String> = (0..1 + n % 3).map(|more| format!("user.u{}", (n * 7 + more) % 5)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        match n % 4 == 3 {
            true => drop(remove(rig, &names).await),
            false => drop(put(rig, &names).await),
        }
        copies.push(snapshot(rig).await);
    }
    let wanted = copies.last().cloned().unwrap();
    for (mut at, mut copy) in copies {
        match follow(rig, &mut at, &mut copy).await {
            Ok(()) => assert_eq!((at, copy), wanted),
            // What it would have to delete is forgotten.
            Err(missed) => assert!(matches!(missed, Missed::Pruned(_)) && at != wanted.0, "{missed}"),
        }
    }
}

async fn nobody_follows_from_what_is_forgotten_or_never_was(rig: &mut impl Rig) {
    put(rig, &["user.a"]).await;
    let (mut old, mut copy) = snapshot(rig).await;
    let other = Position { list: ListId(old.list.0 ^ 1), ..old };
    remove(rig, &["user.a"]).await;
    let (now, _) = snapshot(rig).await;
    let ahead = Position { seq: now.seq + 1, ..now };
    for mut at in [other, ahead] {
        assert!(matches!(follow(rig, &mut at, &mut copy).await, Err(Missed::Pruned(_))), "{at}");
    }
    rig.forget().await;
    assert!(matches!(follow(rig, &mut old, &mut copy).await, Err(Missed::Pruned(_))));
    // From here one can go on.
    let (mut at, mut copy) = snapshot(rig).await;
    put(rig, &["user.b"]).await;
    follow(rig, &mut at, &mut copy).await.unwrap();
    assert_eq!((at, copy), snapshot(rig).await);
}

async fn a_barrier_is_no_less_than_what_was_answered(rig: &mut impl Rig) {
    for n in ["user.a", "user.b"] {
        let done = put(rig, &[n]).await;
        let barrier = rig.authority().barrier().await.unwrap();
        assert!(barrier.list == done.position.list && barrier.seq >= done.position.seq);
    }
}

async fn a_thousand_names_happen_at_once(rig: &mut impl Rig) {
    let names: Vec<String> = (0..1000).map(|n| format!("user.u{n:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let done = put(rig, &names).await;
    let (position, list) = snapshot(rig).await;
    assert_eq!((position, list.len()), (done.position, 1000));
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
