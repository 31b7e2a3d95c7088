//! Moves within one store: each message is in one place at any moment, whoever else moves it, and whatever breaks.

use std::{collections::BTreeSet, fs};

use super::*;
use crate::{Along, Limits};

async fn two(store: &Store) -> (Arc<Mailbox>, Arc<Mailbox>) {
    create(store, "user.fred").await;
    create(store, "user.fred.a").await;
    (store.mailbox(&name("user.fred")).await.unwrap(), store.mailbox(&name("user.fred.a")).await.unwrap())
}

async fn relocate(store: &Store, from: &Arc<Mailbox>, to: &Arc<Mailbox>) -> Vec<(u32, u32)> {
    let uids = from.view().records().iter().map(|record| record.uid).collect();
    store.relocate(from, uids, to, Along::all_of("fred"), false).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_sessions_move_at_once_arrives_once_and_each_hears_of_its_own() {
    for mode in ["immediate", "delayed"] {
        let bench = Bench::new(&format!("expunge_mode: {mode}"));
        let store = bench.open().await;
        let (inbox, other) = two(&store).await;
        let messages = (0..50).map(|n| message(&format!("m{n}"))).collect();
        let uids = inbox.append(messages).await.unwrap().uids;
        let movers = (0..4).map(|_| {
            let (store, inbox, other, uids) = (store.clone(), inbox.clone(), other.clone(), uids.clone());
            tokio::spawn(async move {
                store.relocate(&inbox, uids, &other, Along::all_of("fred"), false).await.unwrap()
            })
        });
        let mut moved = Vec::new();
        for mover in movers.collect::<Vec<_>>() {
            moved.extend(mover.await.unwrap());
        }
        let old: BTreeSet<u32> = moved.iter().map(|(old, _)| *old).collect();
        assert_eq!((moved.len(), old), (50, uids.into_iter().collect()), "{mode}");
        let guids: BTreeSet<[u8; 20]> = other.view().records().iter().map(|record| record.guid).collect();
        assert_eq!((other.view().exists(), guids.len(), inbox.view().exists()), (50, 50, 0), "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_move_to_and_fro_lose_and_double_nothing() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let (inbox, other) = two(&store).await;
    inbox.append((0..20).map(|n| message(&format!("m{n}"))).collect()).await.unwrap();
    let movers =
        [(inbox.clone(), other.clone()), (other.clone(), inbox.clone()), (inbox.clone(), inbox.clone())];
    let movers = movers.map(|(from, to)| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..20 {
                relocate(&store, &from, &to).await;
            }
        })
    });
    for mover in movers {
        mover.await.unwrap();
    }
    let (a, b) = (inbox.view(), other.view());
    let guids: BTreeSet<[u8; 20]> = a.records().iter().chain(b.records().iter()).map(|r| r.guid).collect();
    assert_eq!((a.exists() + b.exists(), guids.len()), (20, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_below_one_quota_root_fits_however_full_it_is_and_one_to_another_root_must_fit() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let (inbox, other) = two(&store).await;
    create(&store, "user.wilma").await;
    let wilma = store.mailbox(&name("user.wilma")).await.unwrap();
    inbox.append(vec![message("one"), message("two")]).await.unwrap();
    let limits = |message| Limits { message: Some(message), storage: Some(0), ..Limits::default() };
    for root in ["user.fred", "user.wilma"] {
        store.set_quota(&admin(), &name(root), limits(0), false).await.unwrap();
    }
    assert_eq!(relocate(&store, &inbox, &other).await.len(), 2);
    assert_eq!(relocate(&store, &other, &other).await.len(), 2);
    let uids = other.view().records().iter().map(|record| record.uid).collect();
    let refused = store.relocate(&other, uids, &wilma, Along::all_of("fred"), false).await;
    assert!(matches!(refused, Err(StoreError::OverQuota)), "{refused:?}");
    assert_eq!((other.view().exists(), wilma.view().exists()), (2, 0));
    assert_eq!(store.quota(&name("user.fred")).await.unwrap().usage.message, 2);
}

/// The states of both mailboxes, as numbers of messages, that a crash at any byte of the log leaves of an operation.
async fn cut_anywhere(work: impl AsyncFnOnce(&Store, &Arc<Mailbox>, &Arc<Mailbox>)) -> Vec<(usize, usize)> {
    let bench = Bench::new("expunge_mode: immediate");
    let store = bench.open().await;
    let (inbox, _) = two(&store).await;
    append(&inbox, "one").await.unwrap();
    store.close().await;
    drop((inbox, store));
    let store = bench.open().await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let other = store.mailbox(&name("user.fred.a")).await.unwrap();
    // As it is on disk before, which nothing has synced since.
    let before = bench.crashed();
    work(&store, &inbox, &other).await;
    let log = |bench: &Bench, slot| bench.dir.path().join(format!("conf/murder/backend/log.{slot}"));
    let segments =
        [0, 1].map(|slot| (fs::read(log(&before, slot)).unwrap(), fs::read(log(&bench, slot)).unwrap()));
    let slot = segments.iter().position(|(old, new)| old != new).unwrap();
    let (old, new) = &segments[slot];
    // What follows is zeros, and a frame may end with some.
    let end = new.iter().rposition(|byte| *byte != 0).unwrap() + 16;
    let mut new = new.clone();
    new.resize(new.len().max(end), 0);
    let mut found = Vec::new();
    for cut in (24..=end + 11).step_by(11) {
        let crashed = before.crashed();
        let cut = cut.min(end);
        let mut torn = new[..cut].to_vec();
        torn.extend(old.get(cut..).unwrap_or_default());
        fs::write(log(&crashed, slot), torn).unwrap();
        let store = crashed.open().await;
        let exists = async |text| store.mailbox(&name(text)).await.unwrap().view().exists();
        found.push((exists("user.fred").await, exists("user.fred.a").await));
    }
    found
}

/// How often nothing of it, and all of it, was there.
fn whole_or_not(found: &[(usize, usize)], before: (usize, usize), after: (usize, usize)) {
    assert!(found.iter().all(|state| [before, after].contains(state)), "{found:?}");
    let count = |wanted| found.iter().filter(|state| **state == wanted).count();
    assert!(before == after || count(before) > 3 && count(after) >= 1, "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_is_whole_or_not_at_all_wherever_the_log_ends() {
    let found = cut_anywhere(async |store, inbox, other| {
        assert_eq!(relocate(store, inbox, other).await, [(1, 1)]);
    });
    whole_or_not(&found.await, (1, 0), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_takes_the_place_of_another_comes_as_that_goes_wherever_the_log_ends() {
    let found = cut_anywhere(async |store, inbox, other| {
        let appended = store.replace((inbox, 1), other, message("two"), false).await.unwrap();
        assert_eq!(appended.uids, [1]);
    });
    whole_or_not(&found.await, (1, 0), (0, 1));
    let found = cut_anywhere(async |store, inbox, _| {
        let appended = store.replace((inbox, 1), inbox, message("two"), false).await.unwrap();
        assert_eq!((appended.uids, inbox.view().exists()), (vec![2], 1));
    });
    // Never two of them, never none.
    whole_or_not(&found.await, (1, 0), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sessions_that_replace_one_message_one_does() {
    for within in [true, false] {
        let bench = Bench::new("");
        let store = bench.open().await;
        let (inbox, other) = two(&store).await;
        append(&inbox, "one").await.unwrap();
        let to = if within { inbox.clone() } else { other.clone() };
        let replacing = (0..4).map(|n| {
            let (store, inbox, to) = (store.clone(), inbox.clone(), to.clone());
            tokio::spawn(
                async move { store.replace((&inbox, 1), &to, message(&format!("m{n}")), false).await },
            )
        });
        let (mut done, mut late) = (0, 0);
        for replaced in replacing.collect::<Vec<_>>() {
            match replaced.await.unwrap() {
                Ok(_) => done += 1,
                Err(StoreError::NoMessage) => late += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!((done, late, inbox.view().exists() + other.view().exists()), (1, 3, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_replaces_another_below_its_quota_root_needs_no_more_room_than_the_difference() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let (inbox, other) = two(&store).await;
    append(&inbox, "one").await.unwrap();
    let limits = Limits { message: Some(1), ..Limits::default() };
    store.set_quota(&admin(), &name("user.fred"), limits, false).await.unwrap();
    assert!(matches!(inbox.append(vec![message("x")]).await, Err(StoreError::OverQuota)));
    store.replace((&inbox, 1), &inbox, message("two"), false).await.unwrap();
    store.replace((&inbox, 2), &other, message("three"), false).await.unwrap();
    assert_eq!((inbox.view().exists(), other.view().exists()), (0, 1));
    assert_eq!(store.quota(&name("user.fred")).await.unwrap().usage.message, 1);
    create(&store, "user.wilma").await;
    let wilma = store.mailbox(&name("user.wilma")).await.unwrap();
    append(&wilma, "one").await.unwrap();
    let refused = store.replace((&wilma, 1), &inbox, message("four"), false).await;
    assert!(matches!(refused, Err(StoreError::OverQuota)), "{refused:?}");
    assert_eq!((wilma.view().exists(), inbox.view().exists()), (1, 0));
}
