//! What readers see of a change that is not on disk yet, and what is left of one that a crash or a failure interrupts.

use std::sync::{
    Arc, Condvar, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use mailboxes::{
    Bounds, Change, CommitError, Entry, Follow, List, ListId, Options, Position, Pruned,
    store::{Memory, Row, Store, StoreError, Write},
};

use crate::{active, at, name, names};

/// Rows in memory, on a disk that can be held up and made to fail.
#[derive(Default)]
struct Rig {
    rows: Memory,
    held: Mutex<bool>,
    moved: Condvar,
    syncing: AtomicUsize,
    /// Writes that still work; then none does.
    writes_left: Mutex<Option<usize>>,
    /// Reading this name's row fails.
    unreadable: Mutex<Option<Vec<u8>>>,
}

impl Rig {
    fn hold(&self, held: bool) {
        *self.held.lock().unwrap() = held;
        self.moved.notify_all();
    }

    async fn is_syncing(&self) {
        while self.syncing.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    }
}

impl Store for Rig {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if self.unreadable.lock().unwrap().as_deref().is_some_and(|bad| key.ends_with(bad)) {
            return Err(StoreError::Corrupt("rig".into(), "unreadable".into()));
        }
        self.rows.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        self.rows.scan(from, to, limit)
    }

    fn apply(&self, batch: Vec<Write>) -> Result<(), StoreError> {
        if let Some(left) = self.writes_left.lock().unwrap().as_mut() {
            match left.checked_sub(1) {
                Some(less) => *left = less,
                None => return Err(StoreError::Io { doing: "write", why: "disk full".into() }),
            }
        }
        self.rows.apply(batch)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.syncing.fetch_add(1, Ordering::SeqCst);
        let held = self.held.lock().unwrap();
        drop(self.moved.wait_while(held, |held| *held).unwrap());
        self.syncing.fetch_sub(1, Ordering::SeqCst);
        self.rows.sync()
    }

    fn size(&self) -> u64 {
        0
    }
}

async fn changed(list: &List, since: u64) -> Vec<String> {
    list.changes_after(since, 100).await.unwrap().names.into_iter().map(|name| name.to_string()).collect()
}

#[tokio::test]
async fn nobody_sees_a_change_before_it_is_on_disk() {
    let rig = Arc::new(Rig::default());
    // Without tables every read comes from the store.
    let list = List::with_store(rig.clone(), Options::owner().without_tables()).unwrap();
    for n in ["user.a", "user.b"] {
        list.commit(vec![Change::activate(name(n), at("be1!p"), "old")]).await.unwrap();
    }
    rig.hold(true);
    let writing = tokio::spawn({
        let list = list.clone();
        async move {
            let change = Change::activate(name("user.a"), at("be1!p"), "new");
            list.commit(vec![
                change,
                Change::delete(name("user.b")),
                Change::put(name("user.c"), active("be1!p", "")),
            ])
            .await
        }
    });
    rig.is_syncing().await;
    assert_eq!(&*list.get(&name("user.a")).unwrap().unwrap().acl, "old");
    assert_eq!(list.get(&name("user.c")).unwrap(), None);
    assert_eq!(names(&list), ["user.a", "user.b"]);
    assert_eq!(list.position().seq, 2);
    // The rows of the earlier changes are gone already: who was away hears of them all the same.
    assert_eq!(changed(&list, 0).await, ["user.a", "user.b"]);
    rig.hold(false);
    writing.await.unwrap().unwrap();
    assert_eq!(names(&list), ["user.a", "user.c"]);
}

#[tokio::test]
async fn what_a_failing_disk_was_told_is_never_shown() {
    let rig = Arc::new(Rig::default());
    let list = List::with_store(rig.clone(), Options::owner().without_tables()).unwrap();
    list.commit(vec![Change::activate(name("user.a"), at("be1!p"), "old")]).await.unwrap();
    rig.rows.fail_syncs(true);
    let failed = list.commit(vec![Change::delete(name("user.a"))]).await;
    assert!(matches!(failed, Err(CommitError::Poisoned(_))));
    assert_eq!(names(&list), ["user.a"]);
    assert!(!list.failed().await.damaged);
    // Not even what asks for no mailbox is taken any more.
    assert!(matches!(list.renew().await, Err(CommitError::Poisoned(_))));
    assert!(matches!(list.resolve(name("user.a")).await, Err(CommitError::Poisoned(_))));
}

#[tokio::test]
async fn what_was_written_and_not_synced_is_not_read_back_before_it_is_on_disk() {
    let rig = Arc::new(Rig::default());
    let list = List::with_store(rig.clone(), Options::owner().without_tables()).unwrap();
    rig.rows.fail_syncs(true);
    list.commit(vec![Change::activate(name("user.a"), at("be1!p"), "")]).await.unwrap_err();
    // The operating system still gives what the disk does not have.
    assert!(List::with_store(rig.clone(), Options::owner()).is_err());
    rig.rows.fail_syncs(false);
    assert_eq!(names(&List::with_store(rig, Options::owner()).unwrap()), ["user.a"]);
}

#[tokio::test]
async fn a_request_that_cannot_be_judged_to_its_end_leaves_nothing_behind() {
    let rig = Arc::new(Rig::default());
    let list = List::with_store(rig.clone(), Options::owner().without_tables()).unwrap();
    list.commit(vec![Change::activate(name("user.b"), at("be1!p"), "")]).await.unwrap();
    *rig.unreadable.lock().unwrap() = Some(name("user.b").key());
    let change = vec![Change::put(name("user.a"), active("be1!p", "")), Change::delete(name("user.b"))];
    assert!(matches!(list.commit(change).await, Err(CommitError::Poisoned(_))));
    assert!(list.failed().await.damaged);
    *rig.unreadable.lock().unwrap() = None;
    let again = List::with_store(rig, Options::owner().without_tables()).unwrap();
    assert_eq!(names(&again), ["user.b"]);
    assert_eq!(again.position().seq, 1);
}

fn many(count: usize) -> Vec<(protocol::name::MailboxName, Option<Entry>)> {
    (0..count).map(|n| (name(&format!("user.n{n:02}")), Some(active("be1!p", "")))).collect()
}

fn at_seq(seq: u64) -> Position {
    Position { list: ListId(7), term: 1, seq }
}

fn small() -> Options {
    let bounds = Bounds { chunk: 4, ..Bounds::default() };
    Options { bounds, ..Options::replica().without_tables() }
}

#[tokio::test]
async fn a_replica_that_died_in_its_first_synchronisation_does_not_call_itself_complete() {
    for whole_batches in 2..5 {
        let rig = Arc::new(Rig::default());
        let list = List::with_store(rig.clone(), small()).unwrap();
        *rig.writes_left.lock().unwrap() = Some(whole_batches);
        let first = Follow { changes: many(20), position: Some(at_seq(30)), complete: true, whole: true };
        list.follow(first).await.unwrap_err();
        *rig.writes_left.lock().unwrap() = None;
        let again = List::with_store(rig, small()).unwrap();
        assert!(!again.is_complete(), "after {whole_batches} batches");
        assert!(!names(&again).is_empty());
        assert_ne!(again.position().list, ListId(7));
    }
}

#[tokio::test]
async fn a_replica_that_died_in_a_later_one_is_as_complete_as_before_and_resumes_from_nowhere() {
    let rig = Arc::new(Rig::default());
    let list = List::with_store(rig.clone(), small()).unwrap();
    let first = Follow { changes: many(3), position: Some(at_seq(30)), complete: true, whole: true };
    list.follow(first).await.unwrap();
    *rig.writes_left.lock().unwrap() = Some(3);
    let next = Follow { changes: many(20), position: Some(at_seq(60)), complete: true, whole: false };
    list.follow(next).await.unwrap_err();
    *rig.writes_left.lock().unwrap() = None;
    let again = List::with_store(rig, small()).unwrap();
    assert!(again.is_complete());
    assert_ne!(again.position().list, ListId(7));
}

#[tokio::test]
async fn a_replica_whose_disk_is_full_goes_on_in_memory() {
    let rig = Arc::new(Rig::default());
    let list = List::with_store(rig.clone(), Options::replica()).unwrap();
    list.loaded().await;
    let follow = |changes, seq| Follow { changes, position: Some(at_seq(seq)), complete: true, whole: false };
    list.follow(follow(many(3), 30)).await.unwrap();
    *rig.writes_left.lock().unwrap() = Some(0);
    list.follow(follow(many(5), 40)).await.unwrap();
    list.follow(follow(vec![(name("user.n00"), None)], 41)).await.unwrap();
    assert_eq!(names(&list).len(), 4);
    assert_eq!(list.failure(), None);
    // What it has on disk is not what it has, so that it is not asked.
    assert_eq!(list.changes_after(20, 10).await, Err(Pruned));
    list.close().await.unwrap();
    *rig.writes_left.lock().unwrap() = None;
    let again = List::with_store(rig, Options::replica()).unwrap();
    assert!(again.position().seq <= 40);
}

#[tokio::test]
async fn a_replica_without_tables_takes_up_again_when_its_disk_has_room() {
    let rig = Arc::new(Rig::default());
    let list = List::with_store(rig.clone(), small()).unwrap();
    let follow = |changes, seq| Follow { changes, position: Some(at_seq(seq)), complete: true, whole: false };
    list.follow(follow(many(3), 30)).await.unwrap();
    *rig.writes_left.lock().unwrap() = Some(2);
    assert!(matches!(list.follow(follow(many(20), 60)).await, Err(CommitError::Unwritten(_))));
    assert_eq!((list.position(), list.failure()), (at_seq(30), None));
    *rig.writes_left.lock().unwrap() = None;
    list.follow(follow(many(20), 60)).await.unwrap();
    assert_eq!((list.position(), names(&list).len()), (at_seq(60), 20));
    assert!(list.can_resume(at_seq(30)));
    assert_eq!(changed(&list, 30).await.len(), 20);
}

#[tokio::test]
async fn nobody_resumes_from_where_a_replica_never_was() {
    let list = List::with_store(Arc::new(Memory::new()), Options::replica()).unwrap();
    list.loaded().await;
    let follow = |changes, seq, whole| Follow { changes, position: Some(at_seq(seq)), complete: true, whole };
    list.follow(follow(many(3), 30, true)).await.unwrap();
    list.follow(follow(vec![(name("user.n01"), None)], 35, false)).await.unwrap();
    assert!(list.can_resume(at_seq(30)) && list.can_resume(at_seq(33)));
    // A full listing tells how it ended, not what came and went: somebody at 38 may have what is gone by 50.
    list.follow(follow(vec![(name("user.n02"), None)], 50, true)).await.unwrap();
    assert!(!list.can_resume(at_seq(38)) && !list.can_resume(at_seq(35)) && list.can_resume(at_seq(50)));
    // Who has been here all the time goes on.
    assert_eq!(changed(&list, 35).await, ["user.n02"]);
    assert!(!list.can_resume(at_seq(51)) && !list.can_resume(Position { list: ListId(8), ..at_seq(50) }));
    // An upstream that went back has lost changes: its numbers mean others now.
    list.follow(follow(vec![(name("user.n00"), None)], 40, true)).await.unwrap();
    assert_eq!(list.changes_after(35, 10).await, Err(Pruned));
    assert!(!list.can_resume(at_seq(50)) && list.can_resume(at_seq(40)));
}

#[tokio::test]
async fn numbers_that_a_replica_gave_itself_do_not_outlive_it() {
    let rows = Arc::new(Memory::new());
    let list = List::with_store(rows.clone(), Options::replica()).unwrap();
    list.loaded().await;
    let from_cyrus = Follow { changes: many(3), position: None, complete: true, whole: true };
    let before = list.follow(from_cyrus).await.unwrap();
    list.close().await.unwrap();
    let again = List::with_store(rows, Options::replica()).unwrap();
    assert!(again.is_complete());
    assert!(!again.can_resume(before));
    assert_ne!(again.position().list, before.list);
}

#[tokio::test]
async fn deletions_are_remembered_by_number_and_by_age() {
    use std::sync::atomic::AtomicU64;
    static NOW: AtomicU64 = AtomicU64::new(1000);
    let bounds = Bounds { tombstones: 5, tombstone_age: 100, prune_every: 1, window: 2, ..Bounds::default() };
    let options = Options { bounds, clock: || NOW.load(Ordering::Relaxed), ..Options::owner() };
    let list = List::with_store(Arc::new(Memory::new()), options).unwrap();
    for n in 0..10 {
        let mailbox = name(&format!("user.n{n}"));
        list.commit(vec![Change::activate(mailbox.clone(), at("be1!p"), "")]).await.unwrap();
        list.commit(vec![Change::delete(mailbox)]).await.unwrap();
    }
    let here = list.position();
    // Five are remembered, and one more that was about to be forgotten.
    assert!(!list.can_resume(Position { seq: 4, ..here }));
    assert!(list.can_resume(Position { seq: 10, ..here }));
    assert_eq!(changed(&list, 15).await.len(), 3);
    NOW.store(1101, Ordering::Relaxed);
    list.commit(vec![Change::activate(name("user.x"), at("be1!p"), "")]).await.unwrap();
    assert_eq!(list.changes_after(15, 10).await, Err(Pruned));
    assert!(list.can_resume(here));
    assert_eq!(changed(&list, here.seq).await, ["user.x"]);
}
