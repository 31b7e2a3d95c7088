//! Mailbox operations, alone and with a master that agrees, refuses, or fails at each word.

use protocol::acl::Rights;

use super::{super::*, *};

/// Sets one annotation of a mailbox.
async fn set(
    store: &Store,
    mailbox: &str,
    entry: &str,
    user: &str,
    value: Option<&str>,
) -> Result<(), StoreError> {
    let value = value.map(|value| value.as_bytes().to_vec());
    let setting = Setting { entry: entry.into(), user: user.into(), value };
    store.annotate(&name(mailbox), vec![setting], Vec::new()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn create_reserves_then_makes_then_activates() {
    let bench = Bench::with_master();
    let store = bench.open().await;
    let master = bench.master.clone().unwrap();
    let id = create(&store, "user.fred").await;
    assert_eq!(master.take_log(), ["RESERVE user.fred", "ACTIVATE user.fred"]);
    create(&store, "user.fred.a.b").await;
    let words = ["user.fred.a", "user.fred.a.b"].map(|n| [format!("RESERVE {n}"), format!("ACTIVATE {n}")]);
    assert_eq!(master.take_log(), words.concat());
    let held = master.entries.lock().unwrap().get(&name("user.fred.a")).cloned().unwrap();
    assert_eq!(held.location.as_str(), "be1.example.org!default");
    assert_eq!(held.acl, "fred\tlrswipkxtecdan\t");
    let mailbox = store.mailbox(&name("user.fred")).await.unwrap();
    assert_eq!(mailbox.uniqueid(), id);
    let again = store.create(&admin(), &name("user.fred"), Create::default()).await;
    assert!(matches!(again, Err(StoreError::Exists)));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_of_an_operation_whatever_word_the_master_fails_at() {
    let bench = Bench::with_master();
    let store = bench.open().await;
    let master = bench.master.clone().unwrap();
    create(&store, "user.fred").await;
    create(&store, "user.fred.old").await;
    let fred = Actor::user("fred");
    let acl = |store: &Store| store.list().get(&name("user.fred.old")).unwrap().unwrap().acl;
    let before = acl(&store);
    for words in 0..2 {
        master.fail_after(Some(words));
        let made = store.create(&fred, &name("user.fred.new"), Create::default()).await;
        assert!(matches!(made, Err(StoreError::Master(_))), "{made:?}");
        assert!(store.list().get(&name("user.fred.new")).unwrap().is_none());
        let renamed = store.rename(&fred, &name("user.fred.old"), &name("user.fred.new"), None).await;
        assert!(matches!(renamed, Err(StoreError::Master(_))), "{renamed:?}");
        assert!(store.list().get(&name("user.fred.new")).unwrap().is_none());
        let mailbox = store.mailbox(&name("user.fred.old")).await.unwrap();
        assert_eq!(mailbox.header().name, "user.fred.old");
        let deleted = store.delete(&fred, &name("user.fred.old"), false).await;
        assert!(matches!(deleted, Err(StoreError::Master(_))), "{deleted:?}");
    }
    master.fail_after(Some(0));
    let set = store.set_acl(&fred, &name("user.fred.old"), "jane", AclChange::Set(Rights::READ)).await;
    assert!(matches!(set, Err(StoreError::Master(MasterError::Down))));
    assert_eq!(acl(&store), before);
    let headers = rebuild::mailboxes(&bench.imapd()).unwrap();
    let mut names: Vec<_> = headers.iter().map(|f| f.header.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["user.fred", "user.fred.old"]);
    // Mail comes and is read without the master.
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    append(&inbox, "still").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_takes_the_whole_tree_or_leaves_it_as_it_is() {
    let bench = Bench::with_master();
    let store = bench.open().await;
    let tree = ["user.fred", "user.fred.a", "user.fred.a.b", "user.fred.a.c", "user.fred.a.c.d"];
    for text in tree {
        create(&store, text).await;
    }
    let all = async |store: &Store| -> Vec<String> {
        let page = store.list().scan(None, 100).unwrap();
        page.entries.iter().map(|(name, _)| name.to_string()).collect()
    };
    let rename = async |to: &str| store.rename(&admin(), &name("user.fred.a"), &name(to), None).await;
    create(&store, "user.fred.z.c").await;
    let taken = rename("user.fred.z").await;
    assert!(matches!(taken, Err(StoreError::Exists)), "{taken:?}");
    store.delete(&admin(), &name("user.fred.z.c"), false).await.unwrap();
    let before = all(&store).await;
    // RESERVE and ACTIVATE of one mailbox and another, and then no more.
    for words in 0..11 {
        bench.master.as_ref().unwrap().fail_after(Some(words));
        let refused = rename("user.fred.y").await;
        bench.master.as_ref().unwrap().fail_after(None);
        if refused.is_ok() {
            break;
        }
        assert_eq!(all(&store).await, before, "after {words} words of the master");
    }
    rename("user.fred.y").await.unwrap();
    let after: Vec<String> = before.iter().map(|text| text.replace("user.fred.a", "user.fred.y")).collect();
    assert_eq!(all(&store).await, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_takes_the_tree_and_keeps_messages_and_ids() {
    let bench = Bench::with_master();
    let store = bench.open().await;
    let master = bench.master.clone().unwrap();
    create(&store, "user.fred").await;
    create(&store, "user.fred.a").await;
    create(&store, "user.fred.a.b").await;
    let before = store.mailbox(&name("user.fred.a.b")).await.unwrap();
    append(&before, "kept").await.unwrap();
    master.take_log();
    let fred = Actor::user("fred");
    let renamed = store.rename(&fred, &name("user.fred.a"), &name("user.fred.z"), None).await.unwrap();
    assert_eq!(renamed.moved.len(), 2);
    assert_eq!(
        master.take_log(),
        ["a user.fred.z", "a.b user.fred.z.b"]
            .map(|pair| pair.split_once(' ').unwrap())
            .map(|(from, to)| [
                format!("RESERVE {to}"),
                format!("ACTIVATE {to}"),
                format!("DELETE user.fred.{from}")
            ])
            .concat()
    );
    let after = store.mailbox(&name("user.fred.z.b")).await.unwrap();
    assert!(Arc::ptr_eq(&before, &after));
    assert_eq!((after.view().exists(), after.header().name_history[0].name.as_str()), (1, "user.fred.a.b"));
    // INBOX: only its messages move.
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    append(&inbox, "one").await.unwrap();
    store.rename(&fred, &name("user.fred"), &name("user.fred.gone"), None).await.unwrap();
    assert_eq!(inbox.view().exists(), 0);
    assert_eq!(store.mailbox(&name("user.fred.gone")).await.unwrap().view().exists(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_delete_keeps_the_mailbox_below_deleted_and_a_second_delete_ends_it() {
    let bench = Bench::with_master();
    let store = bench.open().await;
    create(&store, "user.fred").await;
    create(&store, "user.fred.a").await;
    let root = name("user.fred");
    store.set_quota(&admin(), &root, Limits { message: Some(9), ..Limits::default() }, false).await.unwrap();
    let mailbox = store.mailbox(&name("user.fred.a")).await.unwrap();
    append(&mailbox, "one").await.unwrap();
    let fred = Actor::user("fred");
    assert!(matches!(store.delete(&fred, &root, false).await, Err(StoreError::NotSupported)));
    store.delete(&fred, &name("user.fred.a"), false).await.unwrap();
    assert_eq!(store.quota(&root).await.unwrap().usage.message, 0);
    let page = store.list().scan(None, 10).unwrap();
    let gone = page.entries.iter().map(|(n, _)| n.clone()).find(|n| store.namespace().is_deleted(n)).unwrap();
    assert_eq!(store.mailbox(&gone).await.unwrap().view().exists(), 1);
    assert!(matches!(store.delete(&fred, &gone, false).await, Err(StoreError::NoMailbox)));
    // The name is free, and gets a UIDVALIDITY of its own.
    create(&store, "user.fred.a").await;
    let new = store.mailbox(&name("user.fred.a")).await.unwrap();
    assert!(new.view().uidvalidity > mailbox.view().uidvalidity);
    store.delete(&admin(), &gone, false).await.unwrap();
    assert!(mailbox.view().gone);
    assert!(!mailbox.dir().exists());
    let held = bench.master.clone().unwrap();
    assert!(!held.entries.lock().unwrap().contains_key(&gone));
    // A user goes with all that is below.
    store.delete(&admin(), &root, false).await.unwrap();
    let left = store.list().scan(None, 10).unwrap().entries;
    assert!(left.iter().all(|(n, _)| store.namespace().is_deleted(n)), "{left:?}");
    assert_eq!(store.quota(&root).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_refused_as_the_rights_say() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    create(&store, "shared").await;
    let (fred, jane) = (Actor::user("fred"), Actor::user("jane"));
    let denied = |r: Result<String, StoreError>| assert!(matches!(r, Err(StoreError::Denied)), "{r:?}");
    denied(store.create(&jane, &name("user.fred.x"), Create::default()).await);
    denied(store.create(&jane, &name("shared.x"), Create::default()).await);
    denied(store.create(&jane, &name("top"), Create::default()).await);
    denied(store.create(&jane, &name("user.fred"), Create::default()).await);
    denied(store.create(&admin(), &name("user.ghost.x"), Create::default()).await);
    assert!(matches!(store.delete(&jane, &name("user.fred"), false).await, Err(StoreError::NoMailbox)));
    assert!(matches!(store.delete(&jane, &name("shared"), false).await, Err(StoreError::Denied)));
    create(&store, "shared.below").await;
    assert!(matches!(store.delete(&admin(), &name("shared"), false).await, Err(StoreError::HasChildren)));
    store
        .set_acl(&fred, &name("user.fred"), "jane", AclChange::Set(Rights::LOOKUP | Rights::CREATE))
        .await
        .unwrap();
    store.create(&jane, &name("user.fred.x"), Create::default()).await.unwrap();
    let partition = Create { partition: Some("nowhere".into()), ..Create::default() };
    let refused = store.create(&admin(), &name("user.x"), partition).await;
    assert!(matches!(refused, Err(StoreError::BadPartition)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_moves_to_another_partition_with_its_mail() {
    let bench = Bench::with_master();
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let old = store.mailbox(&name("user.fred")).await.unwrap();
    append(&old, "one").await.unwrap();
    store.rename(&admin(), &name("user.fred"), &name("user.fred"), Some("second")).await.unwrap();
    // Whoever has it open goes on with it.
    assert!(!old.view().gone && old.message(1).await.is_ok());
    assert_eq!(old.location().partition(), Some("second"));
    append(&old, "one and a half").await.unwrap();
    let new = store.mailbox(&name("user.fred")).await.unwrap();
    assert_eq!((new.location().partition(), new.uniqueid()), (Some("second"), old.uniqueid()));
    assert!(new.message(1).await.unwrap().starts_with(b"From: "));
    append(&new, "two").await.unwrap();
    let held =
        bench.master.clone().unwrap().entries.lock().unwrap().get(&name("user.fred")).cloned().unwrap();
    assert_eq!(held.location.as_str(), "be1.example.org!second");
    drop((old, new));
    let crashed = bench.crashed();
    let store = crashed.open().await;
    assert_eq!(store.mailbox(&name("user.fred")).await.unwrap().view().exists(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_comes_while_a_mailbox_changes_its_partition_is_all_there_afterwards() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let mailbox = store.mailbox(&name("user.fred")).await.unwrap();
    for n in 0..50 {
        append(&mailbox, &n.to_string()).await.unwrap();
    }
    let (over, mut writers) = (Arc::new(std::sync::atomic::AtomicBool::new(false)), Vec::new());
    for writer in 0..4 {
        let (mailbox, over) = (mailbox.clone(), over.clone());
        writers.push(tokio::spawn(async move {
            let mut done: u32 = 0;
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                append(&mailbox, &format!("{writer}.{done}")).await.unwrap();
                mailbox.message(1).await.unwrap();
                done += 1;
            }
            done
        }));
    }
    for partition in ["second", "default", "second"] {
        store.rename(&admin(), &name("user.fred"), &name("user.fred"), Some(partition)).await.unwrap();
    }
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut all = 50;
    for writer in writers {
        all += writer.await.unwrap();
    }
    assert_eq!(mailbox.view().exists(), all as usize);
    drop(mailbox);
    let crashed = bench.crashed();
    let store = crashed.open().await;
    let mailbox = store.mailbox(&name("user.fred")).await.unwrap();
    assert_eq!((mailbox.view().exists(), mailbox.location().partition()), (all as usize, Some("second")));
    for uid in 1..=all {
        assert!(mailbox.message(uid).await.is_ok(), "{uid}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn special_uses_are_known_unique_and_protected() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let fred = Actor::user("fred");
    let with = |used: &str| Create { special_use: vec![used.into()], ..Create::default() };
    store.create(&fred, &name("user.fred.Sent"), with("\\sent")).await.unwrap();
    for (mailbox, used) in
        [("user.fred.S2", "\\Sent"), ("user.fred.x", "\\Nonsense"), ("user.fred.a.b", "\\Junk")]
    {
        let refused = store.create(&fred, &name(mailbox), with(used)).await;
        assert!(matches!(refused, Err(StoreError::BadUse(_))), "{refused:?}");
    }
    let uses = store.special_uses("fred").await.unwrap();
    assert_eq!(uses.into_iter().collect::<Vec<_>>(), [(name("user.fred.Sent"), vec!["\\Sent".to_owned()])]);
    assert!(matches!(store.delete(&fred, &name("user.fred.Sent"), false).await, Err(StoreError::Protected)));
    set(&store, "user.fred.Sent", "/specialuse", "fred", None).await.unwrap();
    assert!(store.special_uses("fred").await.unwrap().is_empty());
    store.delete(&fred, &name("user.fred.Sent"), false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_is_made_with_its_folders_where_the_configuration_says_so() {
    let bench = Bench::new(
        "autocreate_quota: 1000\nautocreate_inbox_folders: Drafts | Sent\nautocreate_subscribe_folders: Sent\n",
    );
    let store = bench.open().await;
    assert!(!store.autocreate("fred", &[], true).await.unwrap());
    assert!(store.autocreate("fred", &[], false).await.unwrap());
    let limits = store.quota(&name("user.fred")).await.unwrap().limits;
    assert_eq!(limits.storage, Some(1000));
    store.mailbox(&name("user.fred.Drafts")).await.unwrap();
    let subscribed = store.user_state("fred").await.unwrap().subscriptions.clone();
    assert_eq!(subscribed.into_iter().collect::<Vec<_>>(), [name("user.fred"), name("user.fred.Sent")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_system_counts_once_as_room_and_one_that_gets_no_mailboxes_not_at_all() {
    let room = async |options: &str| Bench::new(options).open().await.free_space();
    let both = room("").await;
    assert!(both.len() == 1 && both[0].1 >= both[0].0, "two partitions of one disk: {both:?}");
    assert_eq!(room("partition_select_exclude: second\n").await.len(), 1);
    assert_eq!(room("partition_select_exclude: second, default\n").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn expiry_ends_deleted_mailboxes_expunged_messages_and_old_deliveries() {
    let bench = Bench::with_master();
    let store = bench.open().await;
    create(&store, "user.fred").await;
    create(&store, "user.fred.a").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    append(&inbox, "one").await.unwrap();
    append(&inbox, "two").await.unwrap();
    inbox.remove(&[1]).await.unwrap();
    assert!(inbox.dir().join("1.").exists());
    std::fs::write(inbox.dir().join("1.").with_file_name("0009."), b"not ours").unwrap();
    store.delete(&admin(), &name("user.fred.a"), false).await.unwrap();
    let young = Ages { deleted: Some(60), delivered: Some(60), expunged: Some(60), ..Ages::default() };
    let done = store.expire(&young).await.unwrap();
    assert_eq!((done.deleted, done.expunged, done.failed), (0, 0, 0));
    let all = Ages { deleted: Some(0), delivered: Some(0), expunged: Some(0), ..Ages::default() };
    let done = store.expire(&all).await.unwrap();
    assert_eq!((done.deleted, done.expunged, done.failed), (1, 1, 0));
    assert!(!inbox.dir().join("1.").exists() && inbox.dir().join("2.").exists());
    assert_eq!(inbox.view().vanished_since(0), Some(vec![(1, 1)]));
    assert_eq!(store.list().scan(None, 10).unwrap().entries.len(), 1);
    assert_eq!(bench.master.clone().unwrap().entries.lock().unwrap().len(), 1);
    set(&store, "user.fred", "/vendor/cmu/cyrus-imapd/noexpire_until", SHARED, Some("0")).await.unwrap();
    set(&store, "user.fred", "/vendor/cmu/cyrus-imapd/expire", SHARED, Some("24h")).await.unwrap();
    assert_eq!(store.expire(&all).await.unwrap().expired, 0, "noexpire_until");
    set(&store, "user.fred", "/vendor/cmu/cyrus-imapd/noexpire_until", SHARED, None).await.unwrap();
    assert_eq!(store.expire(&all).await.unwrap().expired, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_mailbox_is_reconstructed_while_the_store_runs() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    append(&inbox, "one").await.unwrap();
    append(&inbox, "two").await.unwrap();
    std::fs::remove_file(inbox.dir().join("1.")).unwrap();
    std::fs::write(inbox.dir().join("7."), b"Subject: found\r\n\r\n").unwrap();
    let done = store.reconstruct(&Which::default()).await.unwrap();
    assert_eq!(done.lines, ["user.fred: 1 files adopted: 1 records without a file expunged"]);
    assert!(inbox.view().gone);
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let uids: Vec<u32> = inbox.view().records().iter().map(|r| r.uid).collect();
    assert_eq!(uids, [2, 7]);
    assert_eq!(append(&inbox, "three").await.unwrap(), 8);
    // A mailbox that the list lost is found again.
    store.list().commit(vec![mailboxes::Change::delete(name("user.fred"))]).await.unwrap();
    store.reconstruct(&Which { find: true, ..Which::default() }).await.unwrap();
    assert_eq!(store.mailbox(&name("user.fred")).await.unwrap().view().exists(), 3);
}
