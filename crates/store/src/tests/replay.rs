//! What a crash left in the commit log, while the store serves already.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::{Mutex, mpsc},
};

use super::{
    super::{codec::put_frame, *},
    *,
};

/// A directory as after a power failure: only the commit log, and what operations on mailboxes synced, is on disk.
async fn failed(mailboxes: &[&str]) -> (Bench, BTreeMap<String, PathBuf>) {
    let bench = Bench::new("");
    let store = bench.open().await;
    let mut places = BTreeMap::new();
    let mut empty = BTreeMap::new();
    for text in mailboxes {
        create(&store, text).await;
        let mailbox = store.mailbox(&name(text)).await.unwrap();
        let index = mailbox.dir().join(index::FILE);
        empty.insert(index.clone(), fs::read(&index).unwrap());
        places.insert(text.to_string(), mailbox.dir().strip_prefix(bench.dir.path()).unwrap().to_owned());
    }
    let limits = Limits { storage: Some(100), ..Limits::default() };
    store.set_quota(&admin(), &name(mailboxes[0]), limits, false).await.unwrap();
    for text in mailboxes {
        let mailbox = store.mailbox(&name(text)).await.unwrap();
        for n in 0..MESSAGES {
            append(&mailbox, &format!("m{n}")).await.unwrap();
        }
        store.subscribe("fred", &name(text), true).await.unwrap();
    }
    let crashed = bench.crashed();
    for (index, bytes) in empty {
        let index = crashed.dir.path().join(index.strip_prefix(bench.dir.path()).unwrap());
        fs::write(&index, bytes).unwrap();
        (1..=MESSAGES).for_each(|uid| fs::remove_file(index.with_file_name(format!("{uid}."))).unwrap());
    }
    (crashed, places)
}

async fn is_whole(store: &Store, text: &str, messages: usize) {
    let mailbox = store.mailbox(&name(text)).await.unwrap();
    assert_eq!(mailbox.view().exists(), messages, "{text}");
    for record in mailbox.view().records().iter() {
        let message = mailbox.message(record.uid).await.unwrap();
        assert_eq!(message.len() as u64, record.size, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_answers_before_the_rest_of_the_log_is_played_back() {
    let all = ["user.fred", "user.fred.a", "user.fred.b", "user.jane"];
    let (crashed, places) = failed(&all).await;
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    // An error means that the test goes on.
    let watcher = Box::new(move || {
        let _ = held.lock().unwrap().recv();
    });
    assert!(crashed.faults.play_back.set(watcher).is_ok());
    let store = crashed.open().await;
    is_whole(&store, "user.fred.a", MESSAGES).await;
    append(&store.mailbox(&name("user.fred.a")).await.unwrap(), "new").await.unwrap();
    assert_eq!(store.user_log("fred").await.unwrap().state().subscriptions.len(), 4);
    let waiting = crashed.dir.path().join(&places["user.jane"]);
    assert!(!waiting.join("1.").exists(), "the log was played back before anybody asked");
    // It crashes once more, with everything still to be done.
    let again = crashed.crashed();
    drop(release);
    for store in [again.open().await, store] {
        is_whole(&store, "user.fred.a", MESSAGES + 1).await;
        is_whole(&store, "user.fred.b", MESSAGES).await;
        is_whole(&store, "user.fred", MESSAGES).await;
        is_whole(&store, "user.jane", MESSAGES).await;
        let used = store.quota(&name("user.fred")).await.unwrap().usage;
        assert_eq!((used.message, used.mailbox), (3 * MESSAGES as u64 + 1, 3));
        store.close().await;
    }
    // What was closed has nothing to be played back.
    drop(crashed.faults);
    let crashed = Bench { faults: Arc::default(), ..crashed };
    let watcher = Box::new(|| panic!("there is nothing to be played back"));
    assert!(crashed.faults.play_back.set(watcher).is_ok());
    crashed.open().await.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_crash_at_any_step_of_the_play_back_loses_nothing() {
    let all = ["user.fred", "user.fred.a", "user.fred.b"];
    let (crashed, _) = failed(&all).await;
    let states = Arc::new(Mutex::new(Vec::new()));
    let kill = {
        let (place, states) = (crashed.dir.path().to_owned(), states.clone());
        move || {
            let copy = tempfile::tempdir().unwrap();
            copy_tree(&place, copy.path());
            states.lock().unwrap().push(copy);
        }
    };
    assert!(crashed.faults.play_back.set(Box::new(kill)).is_ok());
    let store = crashed.open().await;
    store.close().await;
    let states = std::mem::take(&mut *states.lock().unwrap());
    assert!(states.len() > all.len(), "{}", states.len());
    for dir in states {
        let bench = Bench { dir, extra: String::new(), master: None, faults: Arc::default() };
        let store = bench.open().await;
        for text in all {
            is_whole(&store, text, MESSAGES).await;
        }
        assert_eq!(store.user_log("fred").await.unwrap().state().subscriptions.len(), 3);
        assert_eq!(store.quota(&name("user.fred")).await.unwrap().usage.message, 3 * MESSAGES as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_its_place_already_is_not_written_again() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    for n in 0..MESSAGES {
        append(&inbox, &format!("m{n}")).await.unwrap();
    }
    let crashed = bench.crashed();
    let dir = crashed.dir.path().join(inbox.dir().strip_prefix(bench.dir.path()).unwrap());
    let files = || -> BTreeMap<String, (u64, i64, i64)> {
        let named = (1..=MESSAGES).map(|uid| format!("{uid}.")).chain([index::FILE.to_owned()]);
        let read = |name: String| {
            let file = fs::metadata(dir.join(&name)).unwrap();
            (name, (file.ino(), file.mtime(), file.mtime_nsec()))
        };
        named.map(read).collect()
    };
    let before = files();
    let store = crashed.open().await;
    is_whole(&store, "user.fred", MESSAGES).await;
    store.close().await;
    assert_eq!(files(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_behind_a_torn_entry_does_not_come_back_behind_a_new_one() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let empty = fs::read(inbox.dir().join(index::FILE)).unwrap();
    for n in 0..3 {
        append(&inbox, &format!("m{n}")).await.unwrap();
    }
    let crashed = bench.crashed();
    let slot = |n: usize| crashed.dir.path().join(format!("conf/murder/backend/log.{n}"));
    let active = (0..2).max_by_key(|n| fs::metadata(slot(*n)).unwrap().len()).unwrap();
    let mut log = fs::read(slot(active)).unwrap();
    let number = u64::from_le_bytes(log[16..24].try_into().unwrap());
    // The second of three entries is torn. The other segment waits to be freed, so that this one is written on.
    let (first, len) = codec::take_frame(&log[24..], number).unwrap();
    let mut older = log[..16].to_vec();
    older.extend_from_slice(&(number - 1).to_le_bytes());
    let crc = crc32fast::hash(&older[16..24]).to_le_bytes();
    older[12..16].copy_from_slice(&crc);
    put_frame(&mut older, number - 1, first);
    fs::write(slot(1 - active), older).unwrap();
    log[24 + len + 20] ^= 0xff;
    fs::write(slot(active), log).unwrap();
    let dir = crashed.dir.path().join(inbox.dir().strip_prefix(bench.dir.path()).unwrap());
    fs::write(dir.join(index::FILE), &empty).unwrap();
    // The new entry is to be as long as the torn one, offsets and all.
    let cache = fs::File::options().write(true).open(dir.join(mailbox::CACHE)).unwrap();
    cache.set_len(inbox.view().get(2).unwrap().cache).unwrap();
    let store = crashed.open().await;
    is_whole(&store, "user.fred", 1).await;
    append(&store.mailbox(&name("user.fred")).await.unwrap(), "n1").await.unwrap();
    let again = crashed.crashed();
    let store = again.open().await;
    is_whole(&store, "user.fred", 2).await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    assert!(inbox.message(2).await.unwrap().ends_with(b"Hello n1\r\n"));
}

const MESSAGES: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_that_cannot_be_put_back_now_is_not_given_up() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let text = format!("Subject: large\r\n\r\n{}", "x\r\n".repeat(100_000));
    let mut staging = store.stage(&name("user.fred"), None).await.unwrap();
    staging.write(text.as_bytes()).await.unwrap();
    let staged = Arc::new(staging.finish().await.unwrap());
    let new = NewMessage { staged, flags: Vec::new(), internaldate: None, annotations: Vec::new() };
    inbox.append(vec![new]).await.unwrap();
    let crashed = bench.crashed();
    let place = crashed.dir.path().join("spool").join(&inbox.id[..2]).join(&inbox.id).join("1.");
    fs::remove_file(&place).unwrap();
    // As any failure but one: a full disk, no descriptors, too many links.
    fs::create_dir(&place).unwrap();
    let reopened = crashed.open().await;
    assert!(reopened.mailbox(&name("user.fred")).await.is_err(), "the message is given up");
    fs::remove_dir(&place).unwrap();
    let back = reopened.mailbox(&name("user.fred")).await.unwrap();
    assert_eq!(back.message(1).await.unwrap(), text.as_bytes());
}
