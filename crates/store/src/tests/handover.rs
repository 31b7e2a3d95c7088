//! Handing mailboxes over: adopted on one side, given away on the other, killed at each step, taken back, purged.

use std::fs;

use super::{
    super::{
        moves::{Frozen, Incoming, Item, Round, UserData},
        *,
    },
    copies::copy,
    *,
};

const BE2: &str = "be2.example.org";

/// Where a crash left a store: the step, and the directory.
type Crashes = Arc<Mutex<Vec<(String, tempfile::TempDir)>>>;

/// Notes the directory at each step.
fn note_crashes(bench: &Bench, store: &Store) -> Crashes {
    let crashes = Crashes::default();
    let (dir, noted) = (bench.dir.path().to_owned(), crashes.clone());
    store.inner.journal.watch(Box::new(move |step: &str| {
        let copy = tempfile::tempdir().unwrap();
        copy_tree(&dir, copy.path());
        noted.lock().unwrap().push((step.to_owned(), copy));
    }));
    crashes
}

fn take(crashes: &Crashes) -> Vec<(String, Bench)> {
    let all = std::mem::take(&mut *crashes.lock().unwrap());
    let bench = |dir| Bench { dir, extra: String::new(), master: None, faults: Arc::default() };
    all.into_iter().map(|(step, dir)| (step, bench(dir))).collect()
}

fn item(text: &str, id: &str) -> Item {
    Item { name: name(text), uniqueid: id.to_owned(), partition: "default".into() }
}

/// A user with an INBOX of two messages that is a quota root, and a folder of one.
async fn user(store: &Store) -> Vec<Item> {
    let ids = [create(store, "user.fred").await, create(store, "user.fred.a").await];
    for (folder, subject) in [("user.fred", "one"), ("user.fred", "two"), ("user.fred.a", "three")] {
        append(&store.mailbox(&name(folder)).await.unwrap(), subject).await.unwrap();
    }
    let limits = Limits { storage: Some(100), ..Limits::default() };
    store.set_quota(&admin(), &name("user.fred"), limits, false).await.unwrap();
    store.subscribe("fred", &name("user.fred.a"), true).await.unwrap();
    let seen = Seen { recentuid: 1, lastchange: 9, uids: vec![(1, 1)] };
    store.set_seen("jane", &ids[1], seen).await.unwrap();
    vec![item("user.fred", &ids[0]), item("user.fred.a", &ids[1])]
}

fn root() -> MailboxName {
    name("user.fred")
}

async fn freeze(store: &Store, items: &[Item]) -> Frozen {
    let ids: Vec<String> = items.iter().map(|item| item.uniqueid.clone()).collect();
    store.freeze(&root(), &ids).await.unwrap()
}

/// Copies of all of them.
async fn copies(from: &Store, to: &Store, items: &[Item]) -> Vec<Incoming> {
    let mut all = Vec::new();
    for item in items {
        let mailbox = from.mailbox(&item.name).await.unwrap();
        let (incoming, snapshot) = copy(&mailbox, to, "m1").await;
        assert_eq!(incoming.digest().await.unwrap(), snapshot.digest());
        all.push(incoming);
    }
    to.keep_round(&all.iter().collect::<Vec<_>>()).await.unwrap();
    all
}

/// Moves the user, as the parts of a move do one after the other.
async fn hand_over(from: &Store, to: &Store, items: &[Item], server: &str) {
    let incoming = copies(from, to, items).await;
    let ids: Vec<String> = items.iter().map(|item| item.uniqueid.clone()).collect();
    let frozen = freeze(from, items).await;
    let data = from.user_data(Some("fred"), &ids).await.unwrap();
    to.take_user_data(&data).await.unwrap();
    to.adopt(&root(), incoming).await.unwrap();
    from.give_away(&frozen, items, server, "m1").await.unwrap();
    drop(frozen);
    to.finish_adoption(&root(), items).await.unwrap();
}

/// The user's mailboxes are here, whole.
async fn is_here(store: &Store, step: &str) {
    for (folder, uid, text) in [("user.fred", 2, "two"), ("user.fred.a", 1, "three")] {
        let mailbox =
            store.mailbox(&name(folder)).await.unwrap_or_else(|error| panic!("{step}: {folder}: {error}"));
        assert!(
            mailbox.message(uid).await.unwrap().ends_with(format!("Hello {text}\r\n").as_bytes()),
            "{step}"
        );
        let header = mailbox.header();
        assert!(!header.incoming && header.moved.is_none() && header.incoming_id.is_none(), "{step}");
    }
    let quota = store.quota(&root()).await.unwrap_or_else(|| panic!("{step}: no quota"));
    assert_eq!((quota.usage.message, quota.usage.mailbox, quota.limits.storage), (3, 2, Some(100)), "{step}");
    assert_eq!(store.kept(), [], "{step}");
}

/// They are somewhere else, and the copies are kept.
async fn is_away(store: &Store, items: &[Item], step: &str) {
    for item in items {
        let error =
            store.mailbox(&item.name).await.err().unwrap_or_else(|| panic!("{step}: {} is here", item.name));
        assert!(matches!(error, StoreError::Moved(to) if to == BE2), "{step}");
        assert_eq!(store.moved_to(&item.name).as_deref(), Some(BE2), "{step}");
        let dir = disk::mailbox_dir(&store.partition_path("default").unwrap(), &item.uniqueid);
        assert!(Header::read(&dir).unwrap().moved.is_some_and(|moved| moved.to == BE2), "{step}");
    }
    assert!(store.quota(&root()).await.is_none(), "{step}");
    let kept: Vec<String> = store.kept().into_iter().map(|kept| kept.uniqueid).collect();
    assert_eq!(kept, items.iter().map(|item| item.uniqueid.clone()).collect::<Vec<_>>(), "{step}");
}

/// As a lost list is made anew from the spool.
fn lose_list(bench: &Bench) {
    for folder in ["list.sled", "store.sled"] {
        fs::remove_dir_all(bench.dir.path().join("conf/murder/backend").join(folder)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_moves_with_all_that_is_his_and_is_answered_with_where_he_went() {
    let (from, to) = (Bench::new(""), Bench::new(""));
    let (source, store) = (from.open().await, to.open().await);
    let items = user(&source).await;
    let session = source.mailbox(&root()).await.unwrap();
    let reading = session.clone();
    hand_over(&source, &store, &items, BE2).await;
    is_here(&store, "moved").await;
    is_away(&source, &items, "moved").await;
    assert!(store.user_state("fred").await.unwrap().subscriptions.contains(&name("user.fred.a")));
    assert_eq!(store.seen("jane", &items[1].uniqueid).await.unwrap().uids, [(1, 1)]);
    // Who had it open leaves it, and may read on.
    assert!(session.view().gone && session.moved_to().as_deref() == Some(BE2));
    assert!(reading.message(1).await.unwrap().ends_with(b"Hello one\r\n"));
    let moved = |result: Result<u32, StoreError>| matches!(result, Err(StoreError::Moved(_)));
    assert!(moved(append(&session, "late").await));
    let below = source.create(&admin(), &name("user.fred.b"), Create::default()).await;
    assert!(matches!(below, Err(StoreError::Moved(_))), "{below:?}");
    assert!(matches!(source.autocreate("fred", &[], true).await, Err(StoreError::Moved(_))));
    assert!(matches!(source.delete(&admin(), &root(), false).await, Err(StoreError::Moved(_))));
    // It is the same after a start, and after one that finds no list.
    source.close().await;
    store.close().await;
    drop((source, store, session, reading));
    for lost in [false, true] {
        if lost {
            lose_list(&from);
            lose_list(&to);
        }
        let (source, store) = (from.open().await, to.open().await);
        is_here(&store, "started").await;
        is_away(&source, &items, "started").await;
        source.close().await;
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_step_of_adopting_leaves_copies_that_are_adopted_the_next_time() {
    let (from, to) = (Bench::new(""), Bench::new(""));
    let (source, store) = (from.open().await, to.open().await);
    let items = user(&source).await;
    let incoming = copies(&source, &store, &items).await;
    let crashes = note_crashes(&to, &store);
    store.adopt(&root(), incoming).await.unwrap();
    store.inner.journal.step("adopted");
    store.finish_adoption(&root(), &items).await.unwrap();
    store.inner.journal.step("finished");
    let crashes = take(&crashes);
    assert!(crashes.len() >= 5, "{}", crashes.len());
    for (step, bench) in crashes {
        for lost in [false, true] {
            let bench = bench.crashed();
            if lost {
                lose_list(&bench);
            }
            let store = bench.open().await;
            let mut left = Vec::new();
            for item in &items {
                match store.resume_incoming("m1", "default", &item.uniqueid).await {
                    Ok(Some(copy)) => left.push(copy),
                    Err(StoreError::Exists) => {}
                    other => panic!("{step}: {:?}", other.err()),
                }
            }
            // All or none.
            assert!(left.is_empty() || left.len() == items.len(), "{step}");
            store.adopt(&root(), left).await.unwrap();
            store.finish_adoption(&root(), &items).await.unwrap();
            is_here(&store, &step).await;
            store.close().await;
            drop(store);
            lose_list(&bench);
            is_here(&bench.open().await, &step).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_step_of_giving_away_leaves_all_here_or_all_away() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let items = user(&store).await;
    let crashes = note_crashes(&bench, &store);
    let frozen = freeze(&store, &items).await;
    store.inner.journal.step("frozen");
    store.give_away(&frozen, &items, BE2, "m1").await.unwrap();
    drop(frozen);
    store.inner.journal.step("given away");
    let crashes = take(&crashes);
    assert!(crashes.len() >= 5, "{}", crashes.len());
    let mut away = 0;
    for (step, bench) in crashes {
        let store = bench.open().await;
        match store.list().get(&root()).unwrap() {
            Some(_) => is_here(&store, &step).await,
            None => away += 1,
        }
        // The move knows that it was decided, and asks once more.
        let frozen = freeze(&store, &items).await;
        store.give_away(&frozen, &items, BE2, "m1").await.unwrap();
        drop(frozen);
        is_away(&store, &items, &step).await;
        store.close().await;
        drop(store);
        lose_list(&bench);
        is_away(&bench.open().await, &items, &step).await;
    }
    assert_eq!(away, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_back_goes_on_from_the_kept_copy_and_a_crash_in_it_loses_neither() {
    let (from, to) = (Bench::new(""), Bench::new(""));
    let (source, store) = (from.open().await, to.open().await);
    let items = user(&source).await;
    hand_over(&source, &store, &items, BE2).await;
    let inbox = store.mailbox(&root()).await.unwrap();
    inbox.remove(&[1]).await.unwrap();
    append(&inbox, "four").await.unwrap();
    store.subscribe("fred", &name("user.fred.a"), false).await.unwrap();
    // What is there is not sent again.
    let kept = source.resume_incoming("m2", "default", &items[0].uniqueid).await.unwrap().unwrap();
    assert_eq!(kept.snapshot().numbers().last_uid, 2);
    let (snapshot, mut held) = (inbox.snapshot(), Round::new());
    let mut new = snapshot.whole();
    new.records.retain(|record| record.uid > 2);
    new.expunged.clear();
    super::copies::carry(&snapshot, &source, &new, &mut held).await;
    assert_eq!(held.len(), 1);
    kept.apply(snapshot.whole(), &held).await.unwrap();
    source.keep_round(&[&kept]).await.unwrap();
    assert_eq!(kept.digest().await.unwrap(), snapshot.digest());
    is_away(&source, &items, "coming back").await;
    // Given up: it stays kept.
    source.forget_incoming(kept).await.unwrap();
    is_away(&from.crashed().open().await, &items, "given up").await;
    let crashes = note_crashes(&from, &source);
    hand_over(&store, &source, &items, "be1.example.org").await;
    let back = source.mailbox(&root()).await.unwrap();
    assert_eq!(back.view().records().iter().map(|record| record.uid).collect::<Vec<_>>(), [2, 3]);
    is_here_again(&source).await;
    for (step, bench) in take(&crashes) {
        let store = bench.open().await;
        let listed = store.list().get(&root()).unwrap().is_some();
        let kept = store.kept().len();
        assert!(if listed { kept == 0 } else { kept == items.len() }, "{step}: {listed} {kept}");
    }
    assert!(!source.user_state("fred").await.unwrap().subscriptions.contains(&name("user.fred.a")));
    assert!(matches!(store.mailbox(&root()).await, Err(StoreError::Moved(to)) if to == "be1.example.org"));
    assert!(append(&back, "five").await.is_ok());
    source.subscribe("fred", &root(), true).await.unwrap();
}

async fn is_here_again(store: &Store) {
    assert_eq!(store.kept(), []);
    let quota = store.quota(&root()).await.unwrap();
    assert_eq!((quota.usage.message, quota.usage.mailbox), (3, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_copy_is_taken_back_whole_or_purged_for_good() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let items = user(&store).await;
    assert!(matches!(store.purge(&items[0].uniqueid).await, Err(StoreError::NoMailbox)));
    let frozen = freeze(&store, &items).await;
    store.give_away(&frozen, &items, BE2, "m1").await.unwrap();
    drop(frozen);
    store.take_back(&root(), &items).await.unwrap();
    is_here(&store, "taken back").await;
    append(&store.mailbox(&root()).await.unwrap(), "five").await.unwrap();
    let frozen = freeze(&store, &items).await;
    store.give_away(&frozen, &items, BE2, "m3").await.unwrap();
    drop(frozen);
    for item in &items {
        store.purge(&item.uniqueid).await.unwrap();
    }
    assert_eq!(store.kept(), []);
    assert!(matches!(store.mailbox(&root()).await, Err(StoreError::NoMailbox)));
    let dir = disk::mailbox_dir(&store.partition_path("default").unwrap(), &items[0].uniqueid);
    assert!(!dir.exists());
    create(&store, "user.fred").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_kept_copy_goes_what_was_its_owners_and_what_others_have_seen_of_it() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let items = user(&store).await;
    create(&store, "user.jane").await;
    store.subscribe("fred", &root(), true).await.unwrap();
    let seen = |uid| crate::Seen { recentuid: uid, lastchange: 7, uids: vec![(1, uid)] };
    store.take_seen("jane", &items[0].uniqueid, seen(3)).await.unwrap();
    store.take_seen("fred", "jane's", seen(2)).await.unwrap();
    let frozen = freeze(&store, &items).await;
    store.give_away(&frozen, &items, BE2, "m1").await.unwrap();
    drop(frozen);
    for item in &items {
        store.purge(&item.uniqueid).await.unwrap();
    }
    for store in [store, bench.crashed().open().await] {
        let fred = store.user_log("fred").await.unwrap().state();
        assert!(fred.subscriptions.is_empty() && fred.annotations.is_empty());
        // Of what stays here.
        assert_eq!(fred.seen.keys().collect::<Vec<_>>(), ["jane's"]);
        assert!(store.user_log("jane").await.unwrap().state().seen.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_know_of_a_mailbox_does_not_hear_that_it_has_moved() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let items = user(&store).await;
    let frozen = freeze(&store, &items).await;
    store.give_away(&frozen, &items, BE2, "m1").await.unwrap();
    drop(frozen);
    store.close().await;
    drop(store);
    let store = bench.open().await;
    let told = |user: &str, admin| {
        let who = Actor::user(user);
        store.absence(&root(), who.who(), admin)
    };
    assert!(matches!(told("fred", false), StoreError::Moved(to) if to == BE2));
    assert!(matches!(told("cyrus", true), StoreError::Moved(_)));
    assert!(matches!(told("jane", false), StoreError::NoMailbox));
    assert!(matches!(
        store.absence(&name("user.zoe"), Actor::user("zoe").who(), false),
        StoreError::NoMailbox
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_given_away_is_made_anew_where_the_master_has_it_no_more() {
    let bench = Bench::with_master();
    let store = bench.open().await;
    let items = user(&store).await;
    let master = bench.master.clone().unwrap();
    let frozen = freeze(&store, &items).await;
    for item in &items {
        let elsewhere = protocol::location::Location::parse("be2.example.org!default").unwrap();
        let held = super::Held { active: true, location: elsewhere, acl: String::new() };
        master.entries.lock().unwrap().insert(item.name.clone(), held);
    }
    store.give_away(&frozen, &items, BE2, "m1").await.unwrap();
    drop(frozen);
    let made = store.create(&admin(), &root(), Create::default()).await;
    assert!(matches!(made, Err(StoreError::Moved(_))), "{made:?}");
    master.entries.lock().unwrap().clear();
    let id = create(&store, "user.fred").await;
    append(&store.mailbox(&root()).await.unwrap(), "new").await.unwrap();
    // The copy of the old one is kept beside it, also over a start.
    let crashed = bench.crashed();
    let store = crashed.open().await;
    assert_eq!(store.kept().len(), 2);
    assert_eq!(store.mailbox(&root()).await.unwrap().uniqueid(), id);
    store.purge(&items[0].uniqueid).await.unwrap();
    assert!(store.mailbox(&root()).await.unwrap().message(1).await.is_ok());
}

/// As earlier builds wrote it, and as they read what this one writes.
#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_build_reads_the_headers_and_passes_over_what_was_given_away() {
    #[derive(serde::Deserialize)]
    struct Earlier {
        #[serde(default)]
        incoming: bool,
    }
    let bench = Bench::new("");
    let store = bench.open().await;
    let items = user(&store).await;
    let dir = disk::mailbox_dir(&store.partition_path("default").unwrap(), &items[0].uniqueid);
    let text = || fs::read_to_string(dir.join(header::FILE)).unwrap();
    let read =
        |text: &str| serde_json::from_str::<Earlier>(text.split_once('\n').unwrap().1).unwrap().incoming;
    let plain = text();
    assert!(!read(&plain) && !plain.contains("moved") && !plain.contains("incoming_id"), "{plain}");
    let frozen = freeze(&store, &items).await;
    store.give_away(&frozen, &items, BE2, "m1").await.unwrap();
    assert!(read(&text()));
    let older = serde_json::from_str::<Header>(plain.split_once('\n').unwrap().1).unwrap();
    assert!(older.moved.is_none() && older.incoming_id.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_not_adopted_under_the_name_of_another_mailbox() {
    let (from, to) = (Bench::new(""), Bench::new(""));
    let (source, store) = (from.open().await, to.open().await);
    let items = user(&source).await;
    create(&store, "user.fred").await;
    create(&store, "user.fred.a").await;
    let incoming = copies(&source, &store, &items).await;
    assert!(matches!(store.adopt(&root(), incoming).await, Err(StoreError::Exists)));
    assert!(store.mailbox(&root()).await.unwrap().view().exists() == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_who_tries_once_more_after_a_move_does_not_deliver_a_second_copy() {
    let (from, to) = (Bench::new("duplicatesuppression: yes\n"), Bench::new("duplicatesuppression: yes\n"));
    let (source, store) = (from.open().await, to.open().await);
    let items = user(&source).await;
    let delivery = || Delivery {
        mailbox: root(),
        staged: message("mail").staged,
        flags: Vec::new(),
        message_id: Some("<mail@example.org>".into()),
        date: None,
        ignore_quota: false,
    };
    assert!(matches!(source.deliver(delivery()).await.unwrap(), Delivered::Stored { .. }));
    hand_over(&source, &store, &items, BE2).await;
    assert!(matches!(source.deliver(delivery()).await, Err(StoreError::Moved(_))));
    assert_eq!(store.deliver(delivery()).await.unwrap(), Delivered::Duplicate);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_seen_what_is_found_without_a_note_of_it_and_after_a_crash() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let id = create(&store, "shared").await;
    for user in ["jane", "a.b+c@example.org", "é"] {
        store.set_seen(user, &id, Seen { recentuid: 1, lastchange: 2, uids: vec![(1, 1)] }).await.unwrap();
    }
    store.set_seen("bob", "another", Seen { recentuid: 1, ..Seen::default() }).await.unwrap();
    let users = |data: UserData| data.seen.into_keys().map(|(user, _)| user).collect::<Vec<_>>();
    let all = ["a.b+c@example.org", "jane", "é"];
    let crashed = bench.crashed();
    assert_eq!(users(store.user_data(None, std::slice::from_ref(&id)).await.unwrap()), all);
    store.set_seen("zoe", &id, Seen { recentuid: 1, ..Seen::default() }).await.unwrap();
    assert_eq!(users(store.user_data(None, std::slice::from_ref(&id)).await.unwrap()).len(), 4);
    let after_crash = bench.crashed();
    assert_eq!(users(crashed.open().await.user_data(None, std::slice::from_ref(&id)).await.unwrap()), all);
    let store = after_crash.open().await;
    store.close().await;
    drop(store);
    assert_eq!(
        users(after_crash.open().await.user_data(None, std::slice::from_ref(&id)).await.unwrap()).len(),
        4
    );
}
