//! Changes of very many messages: what the commit thread has to do with them, and what a crash leaves of them at each step.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{FileExt, MetadataExt},
    sync::atomic::Ordering,
};

use protocol::flag::Flag;

use super::{super::*, *};
use crate::limits::MANY;

/// More than are changed through the commit log.
const MESSAGES: usize = MANY + 10;

/// A mailbox that has many messages, an empty one, and one of somebody else.
async fn mailboxes(store: &Store) -> [Arc<Mailbox>; 3] {
    let mut made = Vec::new();
    for text in ["user.fred", "user.fred.to", "user.jane"] {
        create(store, text).await;
        made.push(store.mailbox(&name(text)).await.unwrap());
    }
    let many = (0..MESSAGES).map(|n| message(&format!("m{n}"))).collect();
    made[0].append(many).await.unwrap();
    made.try_into().ok().unwrap()
}

fn uids(mailbox: &Mailbox) -> Vec<u32> {
    mailbox.view().records().iter().map(|record| record.uid).collect()
}

/// UIDs that have a file.
fn files(mailbox: &Mailbox) -> Vec<u32> {
    rebuild::messages(&mailbox.dir()).unwrap().into_keys().collect()
}

fn along() -> copy::Along {
    copy::Along::all_of("fred")
}

/// Every message is what it was, whichever its UID is now.
async fn is_whole(mailbox: &Arc<Mailbox>) {
    let view = mailbox.view();
    for record in view.records().iter() {
        let message = mailbox.message(record.uid).await.unwrap();
        assert_eq!(message.len() as u64, record.size);
        assert_eq!(<[u8; 20]>::from(<sha1::Sha1 as sha1::Digest>::digest(&message)), record.guid);
    }
    assert_eq!(files(mailbox), uids(mailbox));
}

fn segments(bench: &Bench) -> Vec<(Vec<u8>, u64)> {
    let read = |slot: usize| {
        let bytes = fs::read(bench.dir.path().join(format!("conf/murder/backend/log.{slot}"))).unwrap();
        // One that was never written on is empty.
        let number = u64::from_le_bytes(bytes.get(16..24)?.try_into().unwrap());
        Some((bytes, number & !(1 << 63)))
    };
    (0..2).filter_map(read).collect()
}

/// Bytes of the largest entry of the commit log.
fn largest(bench: &Bench) -> usize {
    let mut largest = 0;
    for (bytes, number) in segments(bench) {
        let mut at = 24;
        while let Some((payload, len)) = codec::take_frame(&bytes[at..], number) {
            largest = largest.max(payload.len());
            at += len;
        }
    }
    largest
}

#[tokio::test(flavor = "multi_thread")]
async fn what_very_many_messages_bring_is_not_the_commit_threads_work() {
    let bench = Bench::new("expunge_mode: immediate\n");
    let store = bench.open().await;
    let [many, to, _] = mailboxes(&store).await;
    store.copy(&many, uids(&many), &to, along(), false).await.unwrap();
    store.relocate(&many, uids(&many), &to, along(), false).await.unwrap();
    let change = FlagChange {
        how: How::Add,
        flags: vec![Flag::Flagged, Flag::Keyword("work".into())],
        unchanged_since: None,
        may: FlagMask::ALL,
    };
    to.store(&uids(&to), change).await.unwrap();
    store.relocate(&to, uids(&to), &to, along(), false).await.unwrap();
    assert_eq!((many.view().exists(), to.view().exists()), (0, 2 * MESSAGES));
    is_whole(&many).await;
    is_whole(&to).await;
    assert_eq!(fs::read_dir(bench.dir.path().join("spool/stage.")).unwrap().count(), 0);
    // Messages that are written to their places are no entry's, and so is all of a change but its seal.
    assert!(largest(&bench) < 512, "{} bytes", largest(&bench));
    let crashed = bench.crashed();
    let back = crashed.open().await;
    let to = back.mailbox(&name("user.fred.to")).await.unwrap();
    assert!(to.view().records().iter().all(|record| record.has(System::FLAGGED)));
    is_whole(&to).await;
}

/// A message that is moved is in one of two mailboxes, and one that is copied is there or not, at whichever step the store dies.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_step_of_a_change_of_many_leaves_it_done_or_undone() {
    let bench = Bench::new("expunge_mode: immediate\n");
    let store = bench.open().await;
    let [many, to, _] = mailboxes(&store).await;
    let (states, kill) = bench.kills();
    assert!(bench.faults.steps.set(kill).is_ok());
    store.copy(&many, uids(&many), &to, along(), false).await.unwrap();
    let copied = states.lock().unwrap().len();
    store.relocate(&many, uids(&many), &to, along(), false).await.unwrap();
    let states = std::mem::take(&mut *states.lock().unwrap());
    let mut seen = BTreeSet::new();
    for (at, (step, dir)) in states.into_iter().enumerate() {
        let crashed = Bench { dir, extra: bench.extra.clone(), master: None, faults: Arc::default() };
        let store = crashed.open().await;
        let [many, to] = ["user.fred", "user.fred.to"].map(name);
        let (many, to) = (store.mailbox(&many).await.unwrap(), store.mailbox(&to).await.unwrap());
        let counts = (many.view().exists(), to.view().exists());
        let allowed = match at < copied {
            true => [(MESSAGES, 0), (MESSAGES, MESSAGES)],
            false => [(MESSAGES, MESSAGES), (0, 2 * MESSAGES)],
        };
        let is_logged = step == "logged" || step == "applied";
        assert_eq!(counts, allowed[usize::from(is_logged)], "{step}");
        is_whole(&to).await;
        seen.insert((counts, step));
        // UIDs that were on their way may be given again: what was linked is not written over.
        let new: Vec<_> = (0..5).map(|n| message(&format!("other {n}"))).collect();
        to.append(new).await.unwrap();
        is_whole(&to).await;
        for record in many.view().records().iter() {
            assert_eq!(many.message(record.uid).await.unwrap().len() as u64, record.size);
        }
        assert!(!to.dir().join("index.cut").exists(), "nothing was damaged");
    }
    assert!(seen.len() >= 9, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_many_that_is_refused_leaves_nothing_and_the_next_ones_hold() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let [many, to, _] = mailboxes(&store).await;
    bench.faults.full.store(true, Ordering::Relaxed);
    let refused = store.relocate(&many, uids(&many), &to, along(), false).await;
    assert!(matches!(refused, Err(StoreError::NoSpace)), "{refused:?}");
    bench.faults.full.store(false, Ordering::Relaxed);
    assert_eq!(to.view().exists(), 0);
    let uid = append(&to, "next").await.unwrap();
    assert!(uid as usize > MESSAGES, "UIDs are not given twice");
    store.copy(&many, uids(&many), &to, along(), false).await.unwrap();
    append(&many, "next").await.unwrap();
    let crashed = bench.crashed();
    for store in [&store, &crashed.open().await] {
        let [many, to] = ["user.fred", "user.fred.to"].map(name);
        let (many, to) = (store.mailbox(&many).await.unwrap(), store.mailbox(&to).await.unwrap());
        assert_eq!((many.view().exists(), to.view().exists()), (MESSAGES + 1, MESSAGES + 1));
        is_whole(&many).await;
        for record in to.view().records().iter() {
            assert_eq!(to.message(record.uid).await.unwrap().len() as u64, record.size);
        }
    }
    // More than the quota allows: refused before a file is made.
    let limits = Limits { message: Some(3 * MESSAGES as u64), ..Limits::default() };
    store.set_quota(&admin(), &name("user.fred"), limits, false).await.unwrap();
    let before = files(&to);
    let refused = store.copy(&many, uids(&many), &to, along(), false).await;
    assert!(matches!(refused, Err(StoreError::OverQuota)), "{refused:?}");
    assert_eq!(files(&to), before);
    store.relocate(&many, uids(&many), &to, along(), false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_gets_the_uid_of_one_that_never_came_does_not_change_what_that_was_linked_to() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let [many, to, jane] = mailboxes(&store).await;
    let before = many.message(1).await.unwrap();
    // As after a power failure that kept the link, and nothing else of the change.
    fs::hard_link(many.dir().join("1."), to.dir().join("1.")).unwrap();
    append(&to, "another").await.unwrap();
    fs::hard_link(many.dir().join("1."), jane.dir().join("1.")).unwrap();
    store.copy(&to, vec![1], &jane, along(), false).await.unwrap();
    assert_eq!(many.message(1).await.unwrap(), before);
    assert!(to.message(1).await.unwrap().ends_with(b"Hello another\r\n"));
    assert!(jane.message(1).await.unwrap().ends_with(b"Hello another\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_compacted_beside_the_commit_thread_and_what_follows_is_in_the_new_one() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let [many, ..] = mailboxes(&store).await;
    let index = many.dir().join(index::FILE);
    let first = fs::metadata(&index).unwrap().ino();
    let mut on = false;
    while fs::metadata(&index).unwrap().ino() == first {
        on = !on;
        let how = if on { How::Add } else { How::Remove };
        let change =
            FlagChange { how, flags: vec![Flag::Flagged], unchanged_since: None, may: FlagMask::ALL };
        many.store(&uids(&many), change).await.unwrap();
    }
    assert!(largest(&bench) < 512, "{} bytes", largest(&bench));
    append(&many, "after").await.unwrap();
    let crashed = bench.crashed();
    let store = crashed.open().await;
    let back = store.mailbox(&name("user.fred")).await.unwrap();
    assert!(back.view().records().iter().eq(many.view().records().iter()));
    is_whole(&back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_without_its_body_is_the_end_of_an_index() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let [many, to, _] = mailboxes(&store).await;
    append(&to, "first").await.unwrap();
    let end = fs::metadata(to.dir().join(index::FILE)).unwrap().len();
    store.copy(&many, uids(&many), &to, along(), false).await.unwrap();
    store.close().await;
    for torn in [end + 4, end + 8, end + 100] {
        let crashed = bench.crashed();
        let dir = crashed.dir.path().join(to.dir().strip_prefix(bench.dir.path()).unwrap());
        let index = fs::File::options().write(true).open(dir.join(index::FILE)).unwrap();
        index.set_len(torn).unwrap();
        index.write_all_at(b"\0", torn - 1).unwrap();
        let store = crashed.open().await;
        assert_eq!(uids(&store.mailbox(&name("user.fred.to")).await.unwrap()), [1]);
        // A tail that cannot be read says nothing of files: they are reconstruct's.
        assert_eq!(files(&store.mailbox(&name("user.fred.to")).await.unwrap()).len(), MESSAGES + 1);
    }
}
