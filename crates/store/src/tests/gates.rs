//! Gates: whoever changes what moves waits, and nothing that was acknowledged is missed by the snapshot.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

use protocol::flag::Flag;

use super::{super::*, *};

/// Polls something that is to wait some times.
async fn waits<T>(future: impl Future<Output = T>) -> bool {
    let mut future = pin!(future);
    for _ in 0..100 {
        if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}

fn seen(last: u32) -> Seen {
    Seen { recentuid: last, lastchange: i64::from(last), uids: vec![(1, last)] }
}

fn flagged() -> FlagChange {
    FlagChange { how: How::Add, flags: vec![Flag::Flagged], unchanged_since: None, may: FlagMask::ALL }
}

#[tokio::test]
async fn who_changes_what_is_frozen_waits_and_goes_on_when_the_move_is_given_up() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let id = create(&store, "user.fred").await;
    create(&store, "user.jane").await;
    let (inbox, other) =
        (store.mailbox(&name("user.fred")).await.unwrap(), store.mailbox(&name("user.jane")).await.unwrap());
    append(&inbox, "before").await.unwrap();
    let frozen = store.freeze(&name("user.fred"), std::slice::from_ref(&id)).await.unwrap();
    let before = inbox.snapshot();
    assert!(waits(append(&inbox, "waits")).await);
    assert!(waits(inbox.store(&[1], flagged())).await);
    assert!(waits(store.relocate(&inbox, vec![1], &other, Along::all_of("fred"), false)).await);
    assert!(waits(store.subscribe("fred", &name("user.fred"), true)).await);
    assert!(waits(store.annotate_server("fred", Vec::new())).await);
    assert!(waits(store.set_seen("jane", &id, seen(1))).await);
    assert!(waits(store.create(&admin(), &name("user.fred.new"), Create::default())).await);
    assert!(matches!(inbox.rewrite_header(|header| header.acl.clear()), Err(StoreError::Frozen)));
    // What does not move goes on, and so does reading.
    append(&other, "goes on").await.unwrap();
    store.subscribe("jane", &name("user.jane"), true).await.unwrap();
    store.set_seen("fred", &other.uniqueid(), seen(1)).await.unwrap();
    store.create(&admin(), &name("user.jane.new"), Create::default()).await.unwrap();
    assert!(inbox.message(1).await.unwrap().ends_with(b"Hello before\r\n"));
    assert_eq!(inbox.snapshot().digest(), before.digest());
    let waiting = tokio::spawn({
        let inbox = inbox.clone();
        async move { append(&inbox, "after").await }
    });
    tokio::task::yield_now().await;
    drop(frozen);
    assert!(waiting.await.unwrap().unwrap() >= 2);
    store.subscribe("fred", &name("user.fred"), true).await.unwrap();
    store.set_seen("jane", &id, seen(2)).await.unwrap();
    create(&store, "user.fred.later").await;
}

#[tokio::test]
async fn who_waits_hears_that_the_mailbox_has_moved_and_so_does_whoever_comes_later() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let id = create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    append(&inbox, "one").await.unwrap();
    let frozen = store.freeze(&name("user.fred"), std::slice::from_ref(&id)).await.unwrap();
    let waiting = tokio::spawn({
        let inbox = inbox.clone();
        async move { append(&inbox, "two").await }
    });
    tokio::task::yield_now().await;
    frozen.gone_to("be2.example.org");
    let moved = |error: StoreError| matches!(error, StoreError::Moved(to) if to == "be2.example.org");
    assert!(moved(waiting.await.unwrap().unwrap_err()));
    drop(frozen);
    assert!(moved(append(&inbox, "three").await.unwrap_err()));
    assert!(moved(store.subscribe("fred", &name("user.fred"), true).await.unwrap_err()));
    assert!(moved(store.set_seen("jane", &id, seen(1)).await.unwrap_err()));
    assert!(moved(store.mailbox(&name("user.fred")).await.err().unwrap()));
    assert_eq!(inbox.moved_to().as_deref(), Some("be2.example.org"));
    assert!(StoreError::Moved(String::new()).is_temporary() && StoreError::Frozen.is_temporary());
}

#[tokio::test]
async fn a_change_waits_some_seconds_and_not_for_ever() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let id = create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let _frozen = store.freeze(&name("user.fred"), &[id]).await.unwrap();
    let _held = store.hold(&[name("user.jane")]);
    tokio::time::pause();
    assert!(matches!(append(&inbox, "late").await, Err(StoreError::Frozen)));
    assert!(matches!(
        store.create(&admin(), &name("user.fred.new"), Create::default()).await,
        Err(StoreError::Frozen)
    ));
    assert!(matches!(store.mailbox(&name("user.jane")).await, Err(StoreError::Frozen)));
}

#[tokio::test]
async fn a_gate_is_closed_before_its_mailbox_is_open() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let id = create(&store, "user.fred").await;
    store.close().await;
    drop(store);
    let store = bench.open().await;
    let _frozen = store.freeze(&name("user.fred"), &[id]).await.unwrap();
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    assert!(waits(append(&inbox, "waits")).await);
}

#[tokio::test]
async fn a_name_that_is_held_is_waited_for_and_is_never_said_not_to_exist() {
    let bench = Bench::new("autocreate_quota: 1000\n");
    let store = bench.open().await;
    let held = store.hold(&[name("user.fred")]);
    assert!(waits(store.mailbox(&name("user.fred"))).await);
    assert!(waits(store.autocreate("fred", &[], false)).await);
    assert!(waits(store.create(&admin(), &name("user.fred.below"), Create::default())).await);
    drop(held);
    assert!(matches!(store.mailbox(&name("user.fred")).await, Err(StoreError::NoMailbox)));
    assert!(store.autocreate("fred", &[], false).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_that_was_acknowledged_is_missing_from_a_snapshot_taken_behind_the_gates() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let id = create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let acknowledged = Arc::new(Mutex::new((Vec::new(), 0u32)));
    let mut writers = Vec::new();
    for n in 0..4u32 {
        let (store, inbox, id) = (store.clone(), inbox.clone(), id.clone());
        let (stop, acknowledged) = (stop.clone(), acknowledged.clone());
        writers.push(tokio::spawn(async move {
            let mut last = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                match n {
                    3 => {
                        last += 1;
                        store.set_seen("jane", &id, seen(last)).await.unwrap();
                        acknowledged.lock().unwrap().1 = last;
                    }
                    _ => {
                        let uid = append(&inbox, &format!("m{n}-{last}")).await.unwrap();
                        acknowledged.lock().unwrap().0.push(uid);
                        last += 1;
                    }
                }
            }
        }));
    }
    for _ in 0..30 {
        let frozen = store.freeze(&name("user.fred"), std::slice::from_ref(&id)).await.unwrap();
        let (snapshot, data) =
            (inbox.snapshot(), store.user_data(Some("fred"), std::slice::from_ref(&id)).await.unwrap());
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        store.inner.shared.commit.settle().await;
        {
            let acknowledged = acknowledged.lock().unwrap();
            assert!(acknowledged.0.iter().all(|uid| snapshot.records().get(*uid).is_some()));
            let told = data.seen.values().map(|seen| seen.recentuid).max().unwrap_or(0);
            assert!(told >= acknowledged.1, "{told} {}", acknowledged.1);
        }
        assert_eq!(inbox.snapshot().digest_after(&snapshot), snapshot.digest());
        assert_eq!(
            store.user_data(Some("fred"), std::slice::from_ref(&id)).await.unwrap().digest(),
            data.digest()
        );
        let before = acknowledged.lock().unwrap().0.len();
        drop(frozen);
        while acknowledged.lock().unwrap().0.len() == before {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
}
