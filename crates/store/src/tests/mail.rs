//! Messages: append, read, flags, expunge, copy, delivery, quota.

use std::{os::unix::fs::FileExt, sync::Arc};

use protocol::flag::Flag;

use mime::Shown;

use super::{super::*, *};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_appended_read_flagged_and_expunged_and_all_of_it_outlives_a_restart() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let mut watch = inbox.watch();
    let before = inbox.view();
    assert_eq!(append(&inbox, "one").await.unwrap(), 1);
    assert_eq!(append(&inbox, "two").await.unwrap(), 2);
    assert!(watch.has_changed().unwrap());
    let view = watch.borrow_and_update().clone();
    assert_eq!(view.since(&before).new, [1, 2]);
    assert_eq!((view.exists(), view.uidnext(), view.unseen()), (2, 3, 2));
    let bytes = inbox.message(2).await.unwrap();
    assert!(bytes.ends_with(b"Hello two\r\n"));
    assert_eq!(view.get(2).unwrap().size, bytes.len() as u64);
    let structure = inbox.structure_blocking(2).unwrap();
    assert_eq!(structure.header_size() as usize, bytes.len() - b"Hello two\r\n".len());
    assert_eq!(*structure, mime::Structure::parse(&bytes));

    let flags = vec![Flag::Seen, Flag::Deleted, Flag::Keyword("$Work".into())];
    let change = FlagChange { how: How::Add, flags, unchanged_since: None, may: FlagMask::ALL };
    let stored = inbox.store(&[1], change.clone()).await.unwrap();
    assert_eq!(stored.modified, Vec::<u32>::new());
    let conditional = FlagChange { unchanged_since: Some(stored.modseq - 1), ..change };
    assert_eq!(inbox.store(&[1, 2], conditional).await.unwrap().modified, [1]);
    let view = inbox.view();
    let words: Vec<String> = view.flags_of(view.get(1).unwrap()).map(|f| f.to_string()).collect();
    assert_eq!(words, ["\\Deleted", "\\Seen", "$Work"]);
    assert_eq!(inbox.expunge(Some(&[1])).await.unwrap(), [1]);
    assert_eq!(inbox.view().vanished_since(view.highestmodseq), Some(vec![(1, 1)]));
    let last = inbox.view();
    store.close().await;
    drop((inbox, store));

    let store = bench.open().await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let now = inbox.view();
    assert_eq!(now.records.iter().collect::<Vec<_>>(), last.records.iter().collect::<Vec<_>>());
    assert_eq!(now.expunged.iter().collect::<Vec<_>>(), last.expunged.iter().collect::<Vec<_>>());
    assert_eq!((now.last_uid, now.highestmodseq, now.keywords()), (2, last.highestmodseq, last.keywords()));
    assert!(inbox.cached(now.get(2).unwrap()).unwrap().is_printed());
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_limit_which_flags_a_store_changes() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "shared").await;
    let mailbox = store.mailbox(&name("shared")).await.unwrap();
    append(&mailbox, "one").await.unwrap();
    let all = FlagChange {
        how: How::Set,
        flags: vec![Flag::Flagged, Flag::Seen],
        unchanged_since: None,
        may: FlagMask::ALL,
    };
    mailbox.store(&[1], all).await.unwrap();
    let may = FlagMask { seen: true, deleted: false, others: false };
    let some = FlagChange { how: How::Set, flags: vec![Flag::Deleted], unchanged_since: None, may };
    mailbox.store(&[1], some).await.unwrap();
    let view = mailbox.view();
    assert_eq!(view.flags_of(view.get(1).unwrap()).collect::<Vec<_>>(), [Flag::Flagged]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_goes_through_a_file_and_is_linked_into_several_mailboxes() {
    use std::os::unix::fs::MetadataExt;
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.a").await;
    create(&store, "user.b").await;
    store
        .create(&admin(), &name("user.c"), Create { partition: Some("second".into()), ..Create::default() })
        .await
        .unwrap();
    let mut staging = store.stage(&name("user.a"), None).await.unwrap();
    staging.write(b"Subject: big\r\n\r\n").await.unwrap();
    for _ in 0..100 {
        staging.write(&[b'x'; 10_000]).await.unwrap();
    }
    let staged = Arc::new(staging.finish().await.unwrap());
    let new = NewMessage { staged, flags: Vec::new(), internaldate: None, annotations: Vec::new() };
    let mut inodes = Vec::new();
    for user in ["user.a", "user.b", "user.c"] {
        let mailbox = store.mailbox(&name(user)).await.unwrap();
        mailbox.append(vec![new.clone()]).await.unwrap();
        assert_eq!(mailbox.message(1).await.unwrap().len(), 1_000_016);
        inodes.push(std::fs::metadata(mailbox.dir().join("1.")).unwrap().ino());
    }
    assert_eq!(inodes[0], inodes[1]);
    assert_ne!(inodes[0], inodes[2]);
    drop(new);
    store.close().await;
    assert_eq!(std::fs::read_dir(bench.dir.path().join("spool/stage.")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_keep_flags_dates_and_keywords_few_or_many() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    store
        .create(
            &admin(),
            &name("user.fred.far"),
            Create { partition: Some("second".into()), ..Create::default() },
        )
        .await
        .unwrap();
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let far = store.mailbox(&name("user.fred.far")).await.unwrap();
    append(&far, "before").await.unwrap();
    let mut many = Vec::new();
    for n in 0..200 {
        let text = format!("Subject: {n}\r\n\r\n{}", "y".repeat(3000));
        let flags = vec![Flag::Keyword(format!("k{}", n % 3)), Flag::Flagged];
        many.push(NewMessage {
            staged: Arc::new(Staged::in_memory(text.into())),
            flags,
            internaldate: Some(n),
            annotations: Vec::new(),
        });
    }
    inbox.append(many).await.unwrap();
    let all: Vec<u32> = (1..=200).collect();
    for (uids, target) in [(&all[..2], &far), (&all[..], &far), (&all[..], &inbox)] {
        let pairs = store.copy(&inbox, uids.to_vec(), target, Along::all_of("fred"), false).await.unwrap();
        assert_eq!(pairs.len(), uids.len());
        let (from, to) = (inbox.view(), target.view());
        for (old, new) in pairs {
            let (old, new) = (from.get(old).unwrap(), to.get(new).unwrap());
            assert_eq!((old.guid, old.internaldate), (new.guid, new.internaldate));
            assert_eq!(from.flags_of(old).collect::<Vec<_>>(), to.flags_of(new).collect::<Vec<_>>());
            assert_eq!(inbox.message(old.uid).await.unwrap(), target.message(new.uid).await.unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_message_is_delivered_once_even_when_it_comes_twice_at_a_time() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    create(&store, "user.jane").await;
    let delivery = |user: &str| Delivery {
        mailbox: name(user),
        staged: message("x").staged,
        flags: Vec::new(),
        message_id: Some("<x@example.org>".into()),
        date: Some("now".into()),
        ignore_quota: false,
    };
    let (a, b, c) = tokio::join!(
        store.deliver(delivery("user.fred")),
        store.deliver(delivery("user.fred")),
        store.deliver(delivery("user.jane"))
    );
    let duplicates =
        [a.unwrap(), b.unwrap(), c.unwrap()].iter().filter(|d| **d == Delivered::Duplicate).count();
    assert_eq!(duplicates, 1);
    // A crash now must forget neither the message nor its delivery.
    let crashed = bench.crashed();
    drop(store);
    let store = crashed.open().await;
    assert_eq!(store.deliver(delivery("user.fred")).await.unwrap(), Delivered::Duplicate);
    assert_eq!(store.mailbox(&name("user.fred")).await.unwrap().view().exists(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_are_kept_as_mail_comes_and_goes() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let root = name("user.fred");
    create(&store, "user.fred").await;
    create(&store, "user.fred.a").await;
    let inbox = store.mailbox(&root).await.unwrap();
    append(&inbox, "one").await.unwrap();
    let limits = Limits { message: Some(2), mailbox: Some(3), ..Limits::default() };
    store.set_quota(&admin(), &root, limits, false).await.unwrap();
    let below = store.mailbox(&name("user.fred.a")).await.unwrap();
    append(&below, "two").await.unwrap();
    assert!(matches!(append(&below, "three").await, Err(StoreError::OverQuota)));
    let used = store.quota(&root).await.unwrap().usage;
    assert_eq!((used.message, used.mailbox), (2, 2));
    inbox.remove(&[1]).await.unwrap();
    append(&below, "three").await.unwrap();
    create(&store, "user.fred.b").await;
    let refused = store.create(&admin(), &name("user.fred.c"), Create::default()).await;
    assert!(matches!(refused, Err(StoreError::OverQuota)), "{refused:?}");
    let used = store.quota(&root).await.unwrap();
    let crashed = bench.crashed();
    store.close().await;
    drop((inbox, below, store));
    for bench in [&bench, &crashed] {
        assert_eq!(bench.open().await.quota(&root).await.unwrap(), used);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_and_seen_states_outlive_a_crash() {
    let bench = Bench::new("");
    let store = bench.open().await;
    store.subscribe("fred", &name("user.fred"), true).await.unwrap();
    store.subscribe("fred", &name("shared"), true).await.unwrap();
    store.subscribe("fred", &name("shared"), false).await.unwrap();
    let seen = Seen { recentuid: 4, lastchange: 7, uids: vec![(1, 4)] };
    store.set_seen("fred", "some-id", seen.clone()).await.unwrap();
    let crashed = bench.crashed();
    let store = crashed.open().await;
    assert_eq!(
        store.user_state("fred").await.unwrap().subscriptions.clone().into_iter().collect::<Vec<_>>(),
        [name("user.fred")]
    );
    assert_eq!(store.seen("fred", "some-id").await.unwrap(), seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn recent_is_given_to_one_session() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    append(&inbox, "one").await.unwrap();
    assert_eq!(inbox.claim_recent(), (0, 1));
    append(&inbox, "two").await.unwrap();
    assert_eq!(inbox.claim_recent(), (1, 2));
    assert_eq!(inbox.claim_recent(), (2, 2));
    inbox.keep_recent().await;
    assert_eq!(inbox.view().recentuid, 2);
    store.close().await;
    drop((store, inbox));
    let store = bench.open().await;
    assert_eq!(store.mailbox(&name("user.fred")).await.unwrap().claim_recent(), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_that_was_expunged_for_good_takes_no_room() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let mut staging = store.stage(&name("user.fred"), None).await.unwrap();
    staging.write(b"Subject: big\r\n\r\n").await.unwrap();
    staging.write(&vec![b'x'; crate::limits::STAGE_MEMORY * 2]).await.unwrap();
    let staged = Arc::new(staging.finish().await.unwrap());
    let new = NewMessage { staged, flags: Vec::new(), internaldate: None, annotations: Vec::new() };
    let uid = inbox.append(vec![new]).await.unwrap().uids[0];
    let partition = inbox.partition();
    let staged = || std::fs::read_dir(partition.join(stage::STAGE)).unwrap().count();
    assert_eq!(staged(), 1, "the commit log may need it after a crash");
    inbox.remove(&[uid]).await.unwrap();
    store.expire(&Ages { expunged: Some(0), ..Ages::default() }).await.unwrap();
    while staged() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(rebuild::messages(&inbox.dir()).unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_in_runs_is_what_is_read_one_by_one() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let large = |n: usize| NewMessage {
        staged: Arc::new(Staged::in_memory(format!("Subject: l{n}\r\n\r\n{}", "x".repeat(60_000)).into())),
        ..message("large")
    };
    let small = (0..300).map(|n| message(&format!("m{n}")));
    inbox.append(small.chain((0..40).map(large)).collect()).await.unwrap();
    let records: Vec<Record> = inbox.view().records().iter().cloned().collect();
    // One structure is damaged, and one message lost.
    inbox.home().cache.write_all_at(&[0xff; 9], records[100].cache + 3).unwrap();
    std::fs::remove_file(inbox.dir().join("50.")).unwrap();
    for bytes in [Extent::Nothing, Extent::Header, Extent::Head] {
        let wanted = Wanted { structure: Depth::Parts, bytes };
        let (mut at, mut runs) = (0, Vec::new());
        while at < records.len() {
            let run = inbox.read_run(&records[at..], wanted);
            runs.push(run.len());
            for (record, read) in records[at..].iter().zip(run) {
                let end = match bytes {
                    Extent::Nothing => 0,
                    Extent::Header => u64::from(record.header_size),
                    Extent::Head => u64::from(HEAD),
                };
                if record.uid == 50 && bytes != Extent::Nothing {
                    assert!(matches!(read, Err(StoreError::NoMessage)));
                    continue;
                }
                let read = read.unwrap();
                assert_eq!(read.structure, Some(inbox.structure_blocking(record.uid).unwrap()));
                let head = if end == 0 { "".into() } else { inbox.read(record.uid, 0..end).await.unwrap() };
                assert_eq!(read.head, head, "{}", record.uid);
            }
            at += runs.last().unwrap();
        }
        match bytes {
            // All of 340, then the large ones some 17 at a time.
            Extent::Nothing | Extent::Header => assert_eq!(runs, [340]),
            Extent::Head => assert!(runs.len() == 3 && runs.iter().all(|run| *run > 0), "{runs:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_message_is_sent_to_its_end_though_somebody_expunges_it_meanwhile() {
    let bench = Bench::new("expunge_mode: immediate");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let text: String = (0..120_000).map(|number| format!("{number}\r\n")).collect();
    let text = format!("Subject: large\r\n\r\n{text}");
    let large = NewMessage { staged: Arc::new(Staged::in_memory(text.clone().into())), ..message("large") };
    inbox.append(vec![large]).await.unwrap();
    let size = text.len() as u64;
    let mut open = inbox.open_large(1).await.unwrap();
    let (mut read, mut pieces) = (Vec::new(), 0);
    while let piece @ [_, ..] = open.piece(read.len() as u64, u64::MAX).await.unwrap() {
        read.extend_from_slice(piece);
        pieces += 1;
        if pieces == 1 {
            let flags = vec![Flag::Deleted];
            let change = FlagChange { how: How::Add, flags, unchanged_since: None, may: FlagMask::ALL };
            inbox.store(&[1], change).await.unwrap();
            assert_eq!(inbox.expunge(None).await.unwrap(), [1]);
        }
    }
    assert!(read == text.as_bytes(), "{} bytes of {size}", read.len());
    assert!(pieces >= 3, "{pieces}");
    assert_eq!(open.piece(5, 12).await.unwrap(), &text.as_bytes()[5..12]);
    assert_eq!(open.piece(size - 3, size + 9).await.unwrap(), &text.as_bytes()[text.len() - 3..]);
    assert!(open.piece(size + 1, u64::MAX).await.unwrap().is_empty());
    assert!(matches!(inbox.open_large(2).await, Err(StoreError::NoMessage)));
}

/// A message, and what version 1 of the cache kept of it.
const SMALL: &str = "Subject: x\r\nFrom: a@b\r\n\r\nhello\r\n";
const BARE: &[u8] = include_bytes!("../../../mime/src/bare.cached");

#[tokio::test(flavor = "multi_thread")]
async fn envelopes_are_shown_from_a_cache_of_today_and_of_the_first_version_without_the_messages() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let small = NewMessage { staged: Arc::new(Staged::in_memory(SMALL.into())), ..message("small") };
    inbox.append(vec![small; 4]).await.unwrap();
    let records: Vec<Record> = inbox.view().records().iter().cloned().collect();
    let put = |record: &Record, payload: &[u8]| {
        let mut frame = Vec::new();
        codec::put_frame(&mut frame, u64::from(record.uid), payload);
        inbox.home().cache.write_all_at(&frame, record.cache).unwrap();
    };
    // The second message was cached by the first version, the third and the fourth by one that is not known yet.
    put(&records[1], BARE);
    put(&records[2], b"\x09whatever it may be");
    put(&records[3], b"\x09whatever it may be");
    for uid in [1, 2, 4] {
        std::fs::remove_file(inbox.dir().join(format!("{uid}."))).unwrap();
    }
    let structure = mime::Structure::parse(SMALL.as_bytes());
    let run = inbox.read_run(&records, Wanted { structure: Depth::Shown, bytes: Extent::Nothing });
    for (read, by_message) in run.iter().take(3).zip([false, false, true]) {
        let Read { cached: Some(cached), structure: parts, .. } = read.as_ref().unwrap() else { panic!() };
        for shown in [Shown::Envelope, Shown::BodyStructure, Shown::Body] {
            let mut text = Vec::new();
            shown.print(&structure, &mut text);
            assert_eq!(cached.text(shown), Some(text.as_slice()));
        }
        assert_eq!(parts.is_some(), by_message);
        assert_eq!(cached.structure().as_ref(), Ok(&structure));
    }
    assert!(matches!(run[3], Err(StoreError::NoMessage)));
    // A copy has them as today's version writes them, whatever they were.
    create(&store, "user.fred.copy").await;
    let copy = store.mailbox(&name("user.fred.copy")).await.unwrap();
    std::fs::write(inbox.dir().join("2."), SMALL).unwrap();
    store.copy(&inbox, vec![2, 3], &copy, Along::all_of("fred"), false).await.unwrap();
    for record in copy.view().records().iter() {
        std::fs::remove_file(copy.dir().join(format!("{}.", record.uid))).unwrap();
        assert!(copy.cached(record).unwrap().bytes().starts_with(&[2]));
    }
}

/// What has to be done for one change keeps the commit log from all other mailboxes.
#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_messages_are_expunged_some_at_a_time() {
    let bench = Bench::new("expunge_mode: immediate");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    inbox.append(vec![message("one"); 2100]).await.unwrap();
    let before = inbox.view().highestmodseq;
    let all: Vec<u32> = (1..=2050).collect();
    assert_eq!(inbox.remove(&all).await.unwrap(), all);
    assert_eq!((inbox.view().exists(), inbox.view().highestmodseq - before), (50, 3));
    assert_eq!(inbox.expunge(None).await.unwrap(), Vec::<u32>::new());
}
