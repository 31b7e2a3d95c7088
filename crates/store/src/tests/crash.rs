//! Crashes: an index cut at every byte, a commit log cut at every byte, a directory as it stands between any two steps,
//! sled folders that are gone.

use std::{collections::BTreeSet, fs};

use protocol::flag::Flag;

use super::{super::*, *};

#[tokio::test(flavor = "multi_thread")]
async fn an_index_cut_at_any_byte_opens_with_a_prefix_of_what_was_done() {
    let bench = Bench::new("expunge_mode: delayed\n");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let mut states = vec![inbox.view()];
    for n in 0..4 {
        append(&inbox, &format!("m{n}")).await.unwrap();
        states.push(inbox.view());
    }
    let flags = vec![Flag::Deleted, Flag::Keyword("work".into())];
    let change = FlagChange { how: How::Set, flags, unchanged_since: None, may: FlagMask::ALL };
    inbox.store(&[2, 3], change).await.unwrap();
    states.push(inbox.view());
    inbox.expunge(None).await.unwrap();
    states.push(inbox.view());
    inbox.append(vec![message("a"), message("b")]).await.unwrap();
    states.push(inbox.view());
    let bytes = fs::read(inbox.dir().join(index::FILE)).unwrap();
    let mut seen = BTreeSet::new();
    for cut in 0..=bytes.len() {
        let Some(loaded) = index::parse(&bytes[..cut]) else { continue };
        let at = states.iter().position(|state| {
            state.records.iter().eq(loaded.view.records.iter())
                && state.expunged.iter().eq(loaded.view.expunged.iter())
                && state.keywords() == loaded.view.keywords()
        });
        // Before the first frame there is a header alone: an empty mailbox too.
        seen.insert(at.unwrap_or_else(|| panic!("cut at {cut}: no state that ever was")));
    }
    assert_eq!(seen.len(), states.len());
    for at in 24..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 0x40;
        let loaded = index::parse(&bad).unwrap();
        assert!(
            loaded.torn && states.iter().any(|s| s.records.iter().eq(loaded.view.records.iter())),
            "byte {at}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_comes_back_though_no_file_but_the_log_was_synced() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let empty = fs::read(inbox.dir().join(index::FILE)).unwrap();
    for n in 0..5 {
        append(&inbox, &format!("m{n}")).await.unwrap();
    }
    let whole = inbox.view();
    for lost in ["index", "messages", "both"] {
        let crashed = bench.crashed();
        let dir = crashed.dir.path().join("spool").join(&inbox.id[..2]).join(&inbox.id);
        if lost != "messages" {
            fs::write(dir.join(index::FILE), &empty).unwrap();
        }
        if lost != "index" {
            (1..=5).for_each(|uid| fs::remove_file(dir.join(format!("{uid}."))).unwrap());
        }
        let store = crashed.open().await;
        let back = store.mailbox(&name("user.fred")).await.unwrap();
        assert!(back.view().records.iter().eq(whole.records.iter()), "{lost}");
        assert!(back.message(3).await.unwrap().ends_with(b"Hello m2\r\n"));
        append(&back, "more").await.unwrap();
        assert_eq!(back.view().last_uid, 6);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_log_cut_anywhere_plays_back_what_is_whole() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let empty = fs::read(inbox.dir().join(index::FILE)).unwrap();
    append(&inbox, "one").await.unwrap();
    append(&inbox, "two").await.unwrap();
    let slot = |n: usize| bench.dir.path().join(format!("conf/murder/backend/log.{n}"));
    let active = (0..2).max_by_key(|n| fs::metadata(slot(*n)).unwrap().len()).unwrap();
    let log = fs::read(slot(active)).unwrap();
    let mut counts = BTreeSet::new();
    for cut in (24..=log.len()).step_by(37).chain([log.len()]) {
        let crashed = bench.crashed();
        let dir = crashed.dir.path().join("spool").join(&inbox.id[..2]).join(&inbox.id);
        fs::write(dir.join(index::FILE), &empty).unwrap();
        let path = crashed.dir.path().join(format!("conf/murder/backend/log.{active}"));
        fs::write(&path, &log[..cut]).unwrap();
        let store = crashed.open().await;
        let back = store.mailbox(&name("user.fred")).await.unwrap();
        counts.insert(back.view().exists());
        for record in back.view().records.iter() {
            assert_eq!(back.message(record.uid).await.unwrap().len() as u64, record.size);
        }
    }
    assert_eq!(counts, BTreeSet::from([0, 1, 2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_any_two_steps_of_an_operation_leaves_it_done_or_undone() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    create(&store, "user.fred.a").await;
    append(&store.mailbox(&name("user.fred.a")).await.unwrap(), "kept").await.unwrap();
    let (states, kill) = bench.kills();
    store.inner.journal.watch(kill);
    let fred = Actor::user("fred");
    store.create(&fred, &name("user.fred.b"), Create::default()).await.unwrap();
    store.rename(&fred, &name("user.fred.a"), &name("user.fred.z"), None).await.unwrap();
    store.rename(&admin(), &name("user.fred.z"), &name("user.fred.z"), Some("second")).await.unwrap();
    store
        .set_acl(&fred, &name("user.fred.z"), "jane", AclChange::Set(protocol::acl::Rights::ALL))
        .await
        .unwrap();
    store.delete(&admin(), &name("user.fred.b"), true).await.unwrap();
    store.close().await;
    let states = std::mem::take(&mut *states.lock().unwrap());
    assert!(states.len() >= 10, "{}", states.len());
    for (step, dir) in states {
        let crashed = Bench { dir, extra: String::new(), master: None, faults: Arc::default() };
        let store = crashed.open().await;
        let listed: BTreeSet<(String, String, String)> = store
            .list()
            .scan(None, 100)
            .unwrap()
            .entries
            .into_iter()
            .map(|(n, e)| (n.to_string(), e.location.partition().unwrap().to_owned(), e.acl.to_string()))
            .collect();
        let on_disk: BTreeSet<(String, String, String)> = rebuild::mailboxes(&crashed.imapd())
            .unwrap()
            .into_iter()
            .map(|f| (f.header.name, f.partition, f.header.acl))
            .collect();
        assert_eq!(listed, on_disk, "{step}");
        let kept = [name("user.fred.a"), name("user.fred.z")];
        let kept: Vec<_> = kept.iter().filter(|n| store.list().get(n).unwrap().is_some()).collect();
        assert_eq!(kept.len(), 1, "{step}");
        let mailbox = store.mailbox(kept[0]).await.unwrap();
        assert!(mailbox.message(1).await.unwrap().ends_with(b"Hello kept\r\n"), "{step}");
        assert_eq!(store.inner.journal.pending().unwrap(), 0, "{step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_sled_folders_the_store_is_rebuilt_from_the_spool() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    create(&store, "user.fred.a").await;
    create(&store, "shared").await;
    let limits = Limits { storage: Some(100), ..Limits::default() };
    store.set_quota(&admin(), &name("user.fred"), limits, false).await.unwrap();
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    append(&inbox, "one").await.unwrap();
    append(&inbox, "two").await.unwrap();
    store.subscribe("fred", &name("user.fred.a"), true).await.unwrap();
    let list = |store: &Store| -> Vec<_> {
        let entries = store.list().scan(None, 100).unwrap().entries;
        entries.into_iter().map(|(n, e)| (n, e.location, e.acl, e.local)).collect()
    };
    let (before, quota) = (list(&store), store.quota(&name("user.fred")).await);
    store.close().await;
    drop((store, inbox));
    let backend = bench.dir.path().join("conf/murder/backend");
    for item in fs::read_dir(&backend).unwrap() {
        let path = item.unwrap().path();
        if path.extension().is_some_and(|e| e == "sled") {
            fs::remove_dir_all(path).unwrap();
        }
    }
    let store = bench.open().await;
    assert_eq!(list(&store), before);
    assert_eq!(store.quota(&name("user.fred")).await, quota);
    assert_eq!(store.user_state("fred").await.unwrap().subscriptions.clone().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_gone_is_made_anew_from_the_messages() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    append(&inbox, "one").await.unwrap();
    append(&inbox, "two").await.unwrap();
    let (dir, uidvalidity) = (inbox.dir().clone(), inbox.view().uidvalidity);
    store.close().await;
    drop((store, inbox));
    fs::remove_file(dir.join(index::FILE)).unwrap();
    let header = Header::read(&dir).unwrap();
    let repaired = rebuild::repair(&dir, &header).unwrap();
    assert_eq!((repaired.adopted, repaired.lost), (2, 0));
    let store = bench.open().await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let view = inbox.view();
    assert_eq!((view.exists(), view.last_uid, view.uidvalidity), (2, 2, uidvalidity));
    assert!(inbox.structure_blocking(2).unwrap().size > 0);
}
