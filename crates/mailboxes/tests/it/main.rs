//! Lists on disk and in memory, through their public face.

#![allow(clippy::unwrap_used)]

mod clauses;
mod contract;
mod crashes;
mod damage;
mod linear;
mod masters;
mod model;
mod questions;
mod several;

use std::sync::Arc;

use mailboxes::{
    Change, CommitError, Entry, Expect, Follow, List, ListId, Options, Position, Pruned, store::Memory,
};
use protocol::{location::Location, mupdate::state::Refusal, mupdate::state::Write, name::MailboxName};

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

fn at(text: &str) -> Location {
    Location::parse(text).unwrap()
}

fn active(place: &str, acl: &str) -> Entry {
    Entry::active(at(place), acl)
}

fn names(list: &List) -> Vec<String> {
    list.scan(None, 10_000).unwrap().entries.into_iter().map(|(n, _)| n.to_string()).collect()
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let list = List::open_when_free(dir.path(), Options::owner()).unwrap();
    list.commit(vec![Change::reserve(name("user.fred"), at("be1!default"))]).await.unwrap();
    list.commit(vec![Change::activate(name("user.fred"), at("be1!default"), "fred\tlrs\t")]).await.unwrap();
    list.commit(vec![Change::reserve(name("user.mary"), at("be2!p"))]).await.unwrap();
    let position = list.close().await.unwrap();
    assert_eq!(position.seq, 3);
    assert_eq!(list.commit(vec![]).await, Err(CommitError::Closed));
    drop(list);

    let list = List::open_when_free(dir.path(), Options::owner()).unwrap();
    assert_eq!(list.position(), position);
    let fred = list.get(&name("user.fred")).unwrap().unwrap();
    assert_eq!((fred.is_active(), &*fred.acl, fred.seq), (true, "fred\tlrs\t", 2));
    list.loaded().await;
    assert_eq!(names(&list), ["user.fred", "user.mary"]);
    assert_eq!(list.reservations().len(), 1);
    assert!(List::open(dir.path(), Options::owner()).is_err_and(|e| e.is_busy()));
}

#[tokio::test]
async fn an_owners_list_that_lost_its_end_is_refused_as_damaged_and_a_replicas_goes_on_from_there() {
    let dir = tempfile::tempdir().unwrap();
    let list = List::open_when_free(dir.path(), Options::owner()).unwrap();
    for n in 0..200 {
        list.commit(vec![Change::reserve(name(&format!("user.u{n}")), at("be1!default"))]).await.unwrap();
    }
    list.close().await.unwrap();
    drop(list);
    let db = std::fs::OpenOptions::new().write(true).open(dir.path().join("list.sled/db")).unwrap();
    db.set_len(db.metadata().unwrap().len() / 2).unwrap();

    let refused = List::open_when_free(dir.path(), Options::owner()).expect_err("it is refused");
    assert!(refused.is_corrupt(), "{refused}");
    assert!(refused.to_string().contains(":1:200"), "{refused}");
    let list = List::open_when_free(dir.path(), Options::replica()).unwrap();
    assert!(list.position().seq < 200);
}

#[tokio::test]
async fn a_list_that_was_renewed_opens_again_also_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let list = List::open_when_free(dir.path(), Options::owner()).unwrap();
    list.commit(vec![Change::reserve(name("user.fred"), at("be1!default"))]).await.unwrap();
    let position = list.renew().await.unwrap();
    // what a crash would leave now
    let crashed = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("list.sled"), crashed.path().join("list.sled"));
    std::fs::create_dir(&to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(|f| f.unwrap()).filter(|f| f.path().is_file()) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
    assert_eq!(List::open_when_free(crashed.path(), Options::owner()).unwrap().position(), position);
    list.close().await.unwrap();
    drop(list);
    assert_eq!(List::open_when_free(dir.path(), Options::owner()).unwrap().position(), position);
}

#[tokio::test]
async fn a_master_that_was_a_slave_for_a_while_opens_its_list() {
    let dir = tempfile::tempdir().unwrap();
    let list = List::open_when_free(dir.path(), Options::owner()).unwrap();
    list.commit(vec![Change::reserve(name("user.fred"), at("be1!default"))]).await.unwrap();
    list.close().await.unwrap();
    drop(list);
    let list = List::open_when_free(dir.path(), Options::replica()).unwrap();
    let mut elsewhere = list.position();
    (elsewhere.list, elsewhere.seq) = (mailboxes::ListId(7), 0);
    let taken = Follow { position: Some(elsewhere), changes: vec![], complete: true, whole: true };
    list.follow(taken).await.unwrap();
    list.close().await.unwrap();
    drop(list);
    assert_eq!(List::open_when_free(dir.path(), Options::owner()).unwrap().position(), elsewhere);
}

#[tokio::test]
async fn a_request_is_done_whole_or_not_at_all() {
    let list = List::memory();
    list.commit(vec![Change::activate(name("user.a"), at("be1!p"), "")]).await.unwrap();
    let before = list.position();
    let refused = list
        .commit(vec![
            Change::delete(name("user.a")),
            Change::put(name("user.b"), active("be1!p", "")),
            Change::mupdate(name("user.c"), Write::Delete),
        ])
        .await;
    assert_eq!(refused, Err(CommitError::Refused { name: name("user.c"), refusal: Refusal::Missing }));
    assert_eq!(list.position(), before);
    assert_eq!(names(&list), ["user.a"]);

    let changed =
        list.commit(vec![Change::delete(name("user.a")).expecting(Expect::Active("be2".into()))]).await;
    assert_eq!(changed, Err(CommitError::Changed { name: name("user.a") }));
    list.commit(vec![Change::delete(name("user.a")).expecting(Expect::Active("be1".into()))]).await.unwrap();
    assert_eq!(names(&list), Vec::<String>::new());
}

#[tokio::test]
async fn a_cursor_sees_each_changed_name_once_and_deletions_too() {
    for reopened in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut list = List::open_when_free(dir.path(), Options::owner()).unwrap();
        for n in ["user.a", "user.b", "user.c"] {
            list.commit(vec![Change::activate(name(n), at("be1!p"), "")]).await.unwrap();
        }
        let cursor = list.position().seq;
        list.commit(vec![Change::activate(name("user.b"), at("be1!p"), "x\tl\t")]).await.unwrap();
        list.commit(vec![Change::delete(name("user.a"))]).await.unwrap();
        list.commit(vec![Change::activate(name("user.b"), at("be1!p"), "y\tl\t")]).await.unwrap();
        if reopened {
            list.close().await.unwrap();
            drop(list);
            list = List::open_when_free(dir.path(), Options::owner()).unwrap();
        }
        let changes = list.changes_after(cursor, 100).await.unwrap();
        assert_eq!(changes.upto, list.position().seq);
        assert_eq!(changes.names, [name("user.a"), name("user.b")]);
        assert_eq!(list.changes_after(0, 100).await.unwrap().names.len(), 3);
        let paged = list.changes_after(cursor, 1).await.unwrap();
        assert!((1..=2).contains(&paged.names.len()) && paged.upto > cursor);
        assert!(list.changes_after(changes.upto, 100).await.unwrap().names.is_empty());
    }
}

#[tokio::test]
async fn a_replica_takes_its_upstreams_numbers_or_counts_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let list = List::open_when_free(dir.path(), Options::replica()).unwrap();
    list.loaded().await;
    assert!(!list.is_complete());
    let own = list.position().list;
    let entry = active("be1!p", "anyone\tl\t");
    let put = |n: &str| (name(n), Some(entry.clone()));

    let from_cyrus =
        Follow { changes: vec![put("user.a"), put("user.b")], position: None, complete: true, whole: false };
    let position = list.follow(from_cyrus).await.unwrap();
    assert_eq!((position.list, position.seq), (own, 1));
    assert!(list.is_complete());

    let upstream = Position { list: ListId(7), term: 3, seq: 100 };
    let changes = vec![(name("user.a"), None), put("user.c")];
    list.follow(Follow { changes, position: Some(upstream), complete: true, whole: false }).await.unwrap();
    assert_eq!(list.position(), upstream);
    assert_eq!(names(&list), ["user.b", "user.c"]);
    assert_eq!(list.changes_after(2, 10).await, Err(Pruned));

    let later = Position { seq: 105, ..upstream };
    let changes = vec![(name("user.b"), None)];
    list.follow(Follow { changes, position: Some(later), complete: true, whole: false }).await.unwrap();
    assert_eq!(list.changes_after(100, 10).await.unwrap().names, [name("user.b")]);

    let position =
        list.follow(Follow { changes: vec![], position: None, complete: true, whole: false }).await.unwrap();
    assert!(position.list != upstream.list && position.list != own);
    assert_eq!(list.commit(vec![]).await, Err(CommitError::ReadOnly));
}

#[tokio::test]
async fn after_a_failed_sync_nothing_more_is_accepted() {
    let store = Arc::new(Memory::new());
    let list = List::with_store(store.clone(), Options::owner()).unwrap();
    list.commit(vec![Change::put(name("user.a"), active("be1!p", ""))]).await.unwrap();
    store.fail_syncs(true);
    let b = || vec![Change::put(name("user.b"), active("be1!p", ""))];
    assert!(matches!(list.commit(b()).await, Err(CommitError::Poisoned(_))));
    store.fail_syncs(false);
    assert!(matches!(list.commit(b()).await, Err(CommitError::Poisoned(_))));
    assert!(list.get(&name("user.a")).unwrap().is_some());
}

#[tokio::test]
async fn a_user_sees_his_own_and_what_is_granted_in_key_order() {
    let list = List::memory();
    for (n, acl) in [
        ("user.fred", "fred\tlrs\t"),
        ("user.fred.a-b", "fred\tlrs\t"),
        ("user.fred.a.b", "fred\tlrs\t"),
        ("user.fredrik", "fredrik\tlrs\t"),
        ("user.mary.plans", "mary\tlrs\tfred\tlr\t"),
        ("shared.news", "anyone\tlr\t"),
        ("shared.staff", "group:staff\tlr\t"),
    ] {
        list.commit(vec![Change::activate(name(n), at("be1!p"), acl)]).await.unwrap();
    }
    let see = |groups: &[String]| -> Vec<String> {
        let found = list.visible_to(Some(&name("user.fred")), "fred", groups).unwrap();
        found.into_iter().map(|(n, _)| n.to_string()).collect()
    };
    let own = ["shared.news", "user.fred", "user.fred.a.b", "user.fred.a-b", "user.mary.plans"];
    assert_eq!(see(&["sales".into()]), own);
    assert_eq!(see(&["staff".into()]).get(1).map(String::as_str), Some("shared.staff"));
    list.loaded().await;
    assert_eq!(see(&["sales".into()]), own);
    assert_eq!(see(&["staff".into()]).get(1).map(String::as_str), Some("shared.staff"));
}

#[tokio::test]
async fn two_servers_that_claim_a_mailbox_are_recorded_until_it_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let list = List::open_when_free(dir.path(), Options::owner()).unwrap();
    for place in ["be1!p", "be1!other", "be2!p", "be1!p"] {
        list.commit(vec![Change::activate(name("user.a"), at(place), "")]).await.unwrap();
    }
    list.close().await.unwrap();
    drop(list);
    let list = List::open_when_free(dir.path(), Options::owner()).unwrap();
    let conflicts = list.conflicts();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(
        (conflicts[0].lost.as_str(), conflicts[0].won.as_str(), conflicts[0].times),
        ("be2!p", "be1!p", 2)
    );
    list.commit(vec![Change::mupdate(name("user.a"), Write::Delete)]).await.unwrap();
    assert!(list.conflicts().is_empty());
}
