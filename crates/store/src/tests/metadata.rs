use std::{collections::BTreeMap, fs::OpenOptions, os::unix::fs::FileExt, sync::Arc};

use super::{super::*, *};
use crate::{
    header,
    mailbox::{FlagChange, FlagMask, How},
    ops::SPECIAL_USE,
};
use protocol::flag::Flag;

use crate::limits::ANNOTATION_BYTES;

const COMMENT: &str = "/comment";

fn setting(entry: &str, user: &str, value: Option<&[u8]>) -> Setting {
    Setting { entry: entry.into(), user: user.into(), value: value.map(<[u8]>::to_vec) }
}

fn told(mailbox: &Mailbox, user: &str) -> Vec<(String, bool, String)> {
    let text = |value: Arc<[u8]>| String::from_utf8(value.to_vec()).unwrap();
    mailbox
        .annotations(user)
        .into_iter()
        .map(|(entry, private, value)| (entry, private, text(value)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_of_a_mailbox_last_raise_its_modseq_and_are_each_users_own() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let before = inbox.view().modseq();
    let set = async |settings| store.annotate(&inbox_name(), settings, Vec::new()).await;
    set(vec![
        setting(COMMENT, SHARED, Some(b"for all")),
        setting(COMMENT, "fred", Some(b"fred's\0\xff")),
        setting("/vendor/x", "wilma", Some(b"wilma's")),
    ])
    .await
    .unwrap();
    assert_eq!(inbox.view().modseq(), before + 1);
    set(vec![setting("/vendor/x", "wilma", None)]).await.unwrap();
    assert_eq!(inbox.view().modseq(), before + 2, "a private one counts too");
    // What a crash leaves, and what a compacted index holds, is the same.
    let crashed = bench.crashed();
    for store in [&store, &crashed.open().await] {
        let inbox = store.mailbox(&inbox_name()).await.unwrap();
        assert_eq!(inbox.annotation(COMMENT, "fred").as_deref(), Some(&b"fred's\0\xff"[..]));
        assert_eq!(inbox.annotation("/vendor/x", "wilma"), None);
        assert_eq!(told(&inbox, "wilma"), [(COMMENT.to_owned(), false, "for all".to_owned())]);
        assert_eq!(inbox.view().modseq(), before + 2);
        let compact = index::parse(&index::snapshot(&inbox.view(), 7)).unwrap().view;
        assert_eq!(compact.metadata, inbox.view().metadata);
        assert_eq!(compact.annotation_bytes, 7 + 8);
    }
}

fn inbox_name() -> MailboxName {
    name("user.fred")
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_that_an_earlier_build_kept_in_the_header_count_until_they_are_set_anew() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&inbox_name()).await.unwrap();
    let kept = BTreeMap::from([(SHARED.to_owned(), "old".to_owned()), ("fred".to_owned(), "own".to_owned())]);
    inbox.rewrite_header(|header| header.annotations = BTreeMap::from([(COMMENT.to_owned(), kept)])).unwrap();
    assert_eq!(told(&inbox, "fred").len(), 2);
    let settings = vec![setting(COMMENT, SHARED, Some(b"new")), setting(COMMENT, "fred", None)];
    store.annotate(&inbox_name(), settings, Vec::new()).await.unwrap();
    assert_eq!(told(&inbox, "fred"), [(COMMENT.to_owned(), false, "new".to_owned())]);
    assert_eq!(inbox.annotation(COMMENT, "fred"), None);
}

/// The index of a build that knew no annotations: written by its version, and found so by one of those builds.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_an_earlier_version_is_written_anew_before_the_first_annotation() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&inbox_name()).await.unwrap();
    let path = inbox.dir().join(index::FILE);
    let version = || std::fs::read(&path).unwrap()[8];
    append(&inbox, "one").await.unwrap();
    drop(inbox);
    store.close().await;
    drop(store);
    OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&1u32.to_le_bytes(), 8).unwrap();
    let store = bench.open().await;
    let inbox = store.mailbox(&inbox_name()).await.unwrap();
    append(&inbox, "two").await.unwrap();
    assert_eq!(version(), 1, "nothing new is in it");
    store.annotate(&inbox_name(), vec![setting(COMMENT, SHARED, Some(b"x"))], Vec::new()).await.unwrap();
    assert_eq!(version(), 2);
    append(&inbox, "three").await.unwrap();
    for store in [store.clone(), bench.crashed().open().await] {
        let inbox = store.mailbox(&inbox_name()).await.unwrap();
        assert_eq!((inbox.view().exists(), inbox.view().last_uid), (3, 3));
        assert_eq!(inbox.annotation(COMMENT, SHARED).as_deref(), Some(&b"x"[..]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_are_set_all_or_none() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    create(&store, "user.fred.Sent").await;
    create(&store, "user.fred.other").await;
    let sent = name("user.fred.Sent");
    let special = |uses: &[u8]| setting(SPECIAL_USE, "fred", Some(uses));
    store.annotate(&sent, vec![special(b"\\Sent")], Vec::new()).await.unwrap();
    assert_eq!(store.special_uses("fred").await.unwrap()[&sent], ["\\Sent"]);
    let other = name("user.fred.other");
    let large = vec![b'x'; VALUE_MAX + 1];
    for refused in [setting("/vendor/y", SHARED, Some(&large)), special(b"\\Sent"), special(b"\\What")] {
        let settings = vec![setting("/vendor/x", SHARED, Some(b"x")), refused];
        let options = vec![(header::SHARED_SEEN, true)];
        store.annotate(&other, settings, options).await.unwrap_err();
        let mailbox = store.mailbox(&other).await.unwrap();
        assert_eq!((mailbox.annotations("fred"), mailbox.header().options), (Vec::new(), 0));
    }
    // Where the quota is what refuses, the header is as before.
    let limits = Limits { annotation_storage: Some(1), ..Limits::default() };
    store.set_quota(&admin(), &inbox_name(), limits, false).await.unwrap();
    let settings = vec![special(b"\\Junk"), setting("/vendor/x", SHARED, Some(&large[..1025]))];
    let refused = store.annotate(&other, settings, Vec::new()).await;
    assert!(matches!(refused, Err(StoreError::OverQuota)), "{refused:?}");
    assert!(!store.special_uses("fred").await.unwrap().contains_key(&other));
    let settings = vec![special(b"\\Junk"), setting("/vendor/x", SHARED, Some(&large[..1024]))];
    store.annotate(&other, settings, Vec::new()).await.unwrap();
    assert_eq!(store.quota(&inbox_name()).await.unwrap().usage.annotation_storage, 1024);
    store.delete(&Actor::user("fred"), &other, false).await.unwrap_err();
    store.annotate(&other, vec![setting(SPECIAL_USE, "fred", None)], Vec::new()).await.unwrap();
    store.delete(&Actor::user("fred"), &other, false).await.unwrap();
    assert_eq!(store.quota(&inbox_name()).await.unwrap().usage.annotation_storage, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_keeps_its_annotations_where_it_is_copied_but_not_those_of_others() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    create(&store, "user.fred.a").await;
    let inbox = store.mailbox(&inbox_name()).await.unwrap();
    let target = store.mailbox(&name("user.fred.a")).await.unwrap();
    let uid = append(&inbox, "one").await.unwrap();
    let settings: Vec<Setting> =
        [SHARED, "fred", "wilma"].map(|user| setting(COMMENT, user, Some(user.as_bytes()))).into();
    let before = inbox.view().modseq();
    inbox.annotate_messages(&[uid], settings.clone(), None).await.unwrap();
    assert_eq!(inbox.view().get(uid).unwrap().modseq, before + 1);
    inbox.annotate_messages(&[uid, 99], settings.clone(), None).await.unwrap();
    assert_eq!(inbox.view().modseq(), before + 1, "they are so already");
    let refused = inbox.annotate_messages(&[uid], vec![], Some(before)).await.unwrap();
    assert_eq!(refused.modified, [uid]);
    store.copy(&inbox, vec![uid], &target, Along::all_of("fred"), false).await.unwrap();
    for store in [&store, &bench.crashed().open().await] {
        let view = store.mailbox(&name("user.fred.a")).await.unwrap().view();
        let copied = view.get(1).unwrap();
        let has = |user: &str| copied.annotation(COMMENT, user).map(<[u8]>::to_vec);
        assert_eq!((has(SHARED), has("fred"), has("wilma")), (Some(vec![]), Some(b"fred".to_vec()), None));
        assert_eq!(view.annotation_bytes, 4);
    }
    let large = vec![setting(COMMENT, SHARED, Some(&vec![0; VALUE_MAX + 1]))];
    let refused = inbox.annotate_messages(&[uid], large, None).await;
    assert!(matches!(refused, Err(StoreError::AnnotationTooLarge)));
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_take_a_bounded_amount_of_memory_however_many_messages_have_them() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    create(&store, "user.fred.a").await;
    let inbox = store.mailbox(&inbox_name()).await.unwrap();
    let other = store.mailbox(&name("user.fred.a")).await.unwrap();
    let largest = vec![b'x'; VALUE_MAX - 32];
    let refused = |result: Result<(), StoreError>| {
        assert!(matches!(result, Err(StoreError::TooManyAnnotations)), "{result:?}");
    };
    let note = |n: usize| setting(&format!("/vendor/x/{n:03}"), "fred", Some(&largest));
    // Of one message.
    let all: Vec<Setting> = (0..16).map(note).collect();
    let first = append(&inbox, "0").await.unwrap();
    inbox.annotate_messages(&[first], all.clone(), None).await.unwrap();
    refused(inbox.annotate_messages(&[first], vec![note(16)], None).await.map(drop));
    inbox
        .annotate_messages(&[first], vec![setting("/vendor/x/000", "fred", Some(b"y"))], None)
        .await
        .unwrap();
    inbox.annotate_messages(&[first], all.clone(), None).await.unwrap();
    // Of a mailbox: by COPY, by STORE, and its own.
    let copy = |to: Arc<Mailbox>| {
        let (store, inbox) = (store.clone(), inbox.clone());
        async move { store.copy(&inbox, vec![first], &to, Along::all_of("fred"), false).await.map(drop) }
    };
    for _ in 1..16 {
        copy(inbox.clone()).await.unwrap();
    }
    let (full, last) = (inbox.view().annotation_bytes(), append(&inbox, "1").await.unwrap());
    assert!((ANNOTATION_BYTES - 16 * 1024..=ANNOTATION_BYTES).contains(&full), "{full}");
    refused(copy(inbox.clone()).await);
    refused(inbox.annotate_messages(&[last], all.clone(), None).await.map(drop));
    refused(store.annotate(&inbox_name(), vec![note(0)], Vec::new()).await);
    assert_eq!((inbox.view().annotation_bytes(), inbox.view().exists()), (full, 17), "nothing is half done");
    // Names count, too.
    let empty = |n: usize| setting(&format!("/vendor/x/{}{n:03}", "y".repeat(1000)), "fred", Some(b""));
    refused(inbox.annotate_messages(&[last], (0..100).map(empty).collect(), None).await.map(drop));
    copy(other.clone()).await.unwrap();
    // What goes leaves room.
    let moved = store.relocate(&inbox, vec![first], &other, Along::all_of("fred"), false).await.unwrap();
    assert_eq!(moved.len(), 1);
    inbox.annotate_messages(&[last], all, None).await.unwrap();
    // The server's, of one user.
    store.annotate_server("fred", (0..256).map(note).collect()).await.unwrap();
    refused(store.annotate_server("fred", vec![note(256)]).await);
    store.annotate_server("wilma", vec![setting(COMMENT, "wilma", Some(b"x"))]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_own_a_mailbox_cannot_fill_it_with_private_annotations() {
    let bench = Bench::new("");
    let store = bench.open().await;
    for mailbox in ["user.fred", "user.fred.a", "user.wilma"] {
        create(&store, mailbox).await;
    }
    let inbox = store.mailbox(&inbox_name()).await.unwrap();
    let own = store.mailbox(&name("user.wilma")).await.unwrap();
    let uids = inbox.append((0..8).map(|n| message(&format!("{n}"))).collect()).await.unwrap().uids;
    let refused = |result: Result<(), StoreError>| {
        assert!(matches!(result, Err(StoreError::TooManyAnnotations)), "{result:?}");
    };
    let value = vec![b'x'; 60_000];
    let notes = |user: &str, size: usize| -> Vec<Setting> {
        (0..8).map(|n| setting(&format!("/vendor/x/{n}"), user, Some(&value[..size]))).collect()
    };
    let note = async |user: &str, uids: &[u32], size: usize| {
        inbox.annotate_messages(uids, notes(user, size), None).await.map(drop)
    };
    note("wilma", &uids[..2], 60_000).await.unwrap();
    refused(note("wilma", &uids[2..3], 60_000).await);
    let held = inbox.view().annotation_bytes();
    assert_eq!(held, 16 * 60_000, "nothing is half done");
    // Neither by a copy nor by a message that comes with them; where she owns the mailbox, she may.
    refused(store.copy(&inbox, uids[..2].into(), &inbox, Along::all_of("wilma"), false).await.map(drop));
    let with_notes = NewMessage { annotations: notes("wilma", 60_000), ..message("noted") };
    refused(inbox.append(vec![with_notes]).await.map(drop));
    for _ in 0..2 {
        store.copy(&inbox, uids[..2].into(), &own, Along::all_of("wilma"), false).await.unwrap();
    }
    // Smaller ones take the place of larger ones, also of an index that is read back; others and the owner have room.
    note("wilma", &uids[..1], 10_000).await.unwrap();
    for store in [store.clone(), bench.crashed().open().await] {
        let inbox = store.mailbox(&inbox_name()).await.unwrap();
        let more = async |uid: u32| inbox.annotate_messages(&[uid], notes("wilma", 50_000), None).await;
        more(uids[2]).await.unwrap();
        refused(more(uids[3]).await.map(drop));
        let other = store.mailbox(&name("user.fred.a")).await.unwrap();
        store.relocate(&inbox, vec![uids[2]], &other, Along::all_of("wilma"), false).await.unwrap();
        more(uids[3]).await.unwrap();
    }
    note("barney", &uids[4..6], 60_000).await.unwrap();
    note("fred", &uids[4..7], 60_000).await.unwrap();
    note(SHARED, &uids[4..7], 10_000).await.unwrap();
    // The mailbox's own.
    let set = async |user: &str, count: usize, size: usize| {
        let settings = (0..count).map(|n| setting(&format!("/vendor/x/{n:02}"), user, Some(&value[..size])));
        store.annotate(&inbox_name(), settings.collect(), Vec::new()).await
    };
    set("wilma", 17, 60_000).await.unwrap();
    refused(set("wilma", 18, 60_000).await);
    set("wilma", 18, 50_000).await.unwrap();
    set("fred", 18, 60_000).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_annotations_of_the_server_can_be_made_smaller_where_they_are_at_the_limit() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let largest = vec![b'x'; VALUE_MAX - 32];
    let note = |n: usize, size: usize| setting(&format!("/vendor/x/{n:03}"), "fred", Some(&largest[..size]));
    store.annotate_server("fred", (0..256).map(|n| note(n, largest.len())).collect()).await.unwrap();
    let set = async |settings| store.annotate_server("fred", settings).await;
    set(vec![note(7, largest.len() - 1)]).await.unwrap();
    set(vec![note(7, largest.len())]).await.unwrap();
    let swapped = vec![setting("/vendor/x/008", "fred", None), note(300, largest.len())];
    set(swapped).await.unwrap();
    let refused = set(vec![note(8, largest.len())]).await;
    assert!(matches!(refused, Err(StoreError::TooManyAnnotations)), "{refused:?}");
    // As many as can be: one goes as another comes.
    let few = (0..1000).map(|n| setting(&format!("/vendor/y/{n:03}"), "wilma", Some(b"x"))).collect();
    store.annotate_server("wilma", few).await.unwrap();
    let swapped =
        vec![setting("/vendor/y/000", "wilma", None), setting("/vendor/y/new", "wilma", Some(b"x"))];
    store.annotate_server("wilma", swapped).await.unwrap();
    let more = vec![setting("/vendor/y/more", "wilma", Some(b"x"))];
    store.annotate_server("wilma", more).await.unwrap_err();
}

/// As builds without that limit left some.
#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_with_more_annotations_than_a_mailbox_can_have_is_copied_and_moved_whole() {
    let bench = Bench::new("");
    let store = bench.open().await;
    for mailbox in ["user.fred", "user.fred.a", "user.fred.b", "user.wilma"] {
        create(&store, mailbox).await;
    }
    let inbox = store.mailbox(&inbox_name()).await.unwrap();
    let uids = inbox.append((0..20).map(|n| message(&format!("{n}"))).collect()).await.unwrap().uids;
    let of = uids.clone();
    inbox
        .change_of(1, move |change| {
            for uid in of {
                let note = |user: &str| crate::record::Annotation {
                    entry: COMMENT.into(),
                    user: user.into(),
                    value: vec![b'x'; 500_000],
                };
                let annotations = vec![note(SHARED), note("wilma")];
                change.op(crate::op::Op::Annotate { uid, modseq: change.modseq(), annotations });
            }
            Ok(())
        })
        .await
        .unwrap();
    let full = inbox.view().annotation_bytes();
    assert!(full > ANNOTATION_BYTES);
    let targets = ["user.fred.a", "user.fred.b"].map(name);
    let [a, b] = [store.mailbox(&targets[0]).await.unwrap(), store.mailbox(&targets[1]).await.unwrap()];
    store.copy(&inbox, uids.clone(), &a, Along::all_of("wilma"), false).await.unwrap();
    assert_eq!(a.view().annotation_bytes(), full);
    // A second time it would be larger than it ever was.
    let again = store.copy(&inbox, uids[..1].into(), &a, Along::all_of("wilma"), false).await;
    assert!(matches!(again, Err(StoreError::TooManyAnnotations)), "{again:?}");
    let moved = store.relocate(&inbox, uids, &b, Along::all_of("wilma"), false).await.unwrap();
    assert_eq!((moved.len(), b.view().annotation_bytes(), inbox.view().exists()), (20, full, 0));
    // As a whole it goes wherever it is named.
    store.rename(&admin(), &targets[1], &name("user.wilma.b"), None).await.unwrap();
    let renamed = store.mailbox(&name("user.wilma.b")).await.unwrap();
    assert_eq!((renamed.view().exists(), renamed.view().annotation_bytes()), (20, full));
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_of_the_server_are_everybodys_or_one_users() {
    let bench = Bench::new("");
    let store = bench.open().await;
    store.annotate_server(SHARED, vec![setting(COMMENT, SHARED, Some(b"all"))]).await.unwrap();
    store.annotate_server("fred", vec![setting(COMMENT, "fred", Some(b"fred"))]).await.unwrap();
    store.subscribe("fred", &inbox_name(), true).await.unwrap();
    for store in [&store, &bench.crashed().open().await] {
        let has = async |user: &str| store.server_annotations(user).await.unwrap().get(COMMENT).cloned();
        assert_eq!(has(SHARED).await.as_deref(), Some(&b"all"[..]));
        assert_eq!(has("fred").await.as_deref(), Some(&b"fred"[..]));
        assert_eq!(has("wilma").await, None);
        assert!(store.user_state("fred").await.unwrap().subscriptions.contains(&inbox_name()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_129th_keyword_is_refused_and_one_that_no_message_has_makes_room() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&inbox_name()).await.unwrap();
    append(&inbox, "one").await.unwrap();
    append(&inbox, "two").await.unwrap();
    let words =
        |from: usize, to: usize| (from..to).map(|n| Flag::Keyword(format!("k{n}"))).collect::<Vec<_>>();
    let change = |how, flags| FlagChange { how, flags, unchanged_since: None, may: FlagMask::ALL };
    inbox.store(&[1], change(How::Add, words(0, 128))).await.unwrap();
    let before = inbox.view().modseq();
    let refused = inbox.store(&[2], change(How::Add, words(127, 129))).await;
    assert!(matches!(refused, Err(StoreError::TooManyKeywords)), "{refused:?}");
    assert_eq!((inbox.view().modseq(), inbox.view().get(2).unwrap().keywords), (before, 0), "refused whole");
    inbox.store(&[2], change(How::Add, words(100, 128))).await.unwrap();
    // Two messages have k127, and nobody has k0 any longer.
    inbox.store(&[1], change(How::Remove, words(0, 1))).await.unwrap();
    inbox.store(&[2], change(How::Add, vec![Flag::Keyword("new".into())])).await.unwrap();
    for store in [&store, &bench.crashed().open().await] {
        let view = store.mailbox(&inbox_name()).await.unwrap().view();
        let of =
            |uid: u32| view.flags_of(view.get(uid).unwrap()).map(|flag| flag.to_string()).collect::<Vec<_>>();
        assert!(of(2).contains(&"new".to_owned()) && !of(1).contains(&"new".to_owned()));
        assert_eq!((of(1).len(), of(2).len()), (127, 29));
    }
    // cyr_expire gives up those that nobody needs.
    inbox.store(&[1, 2], change(How::Set, words(5, 6))).await.unwrap();
    let done = store.expire(&Ages { keywords: true, ..Ages::default() }).await.unwrap();
    assert_eq!(done.keywords, 127);
    let compact = index::parse(&index::snapshot(&inbox.view(), 9)).unwrap().view;
    for view in [&*inbox.view(), &compact] {
        assert_eq!(view.keywords().iter().filter(|word| !word.is_empty()).count(), 1);
        assert_eq!(view.keyword_bit("K5"), Some(1 << 5));
        assert_eq!((view.keyword_bit(""), view.keyword_bit("k6")), (None, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_renamed_keeps_rights_subscriptions_special_uses_and_annotations() {
    let bench = Bench::new("allowusermoves: yes\n");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    create(&store, "user.fred.Sent").await;
    create(&store, "shared").await;
    let sent = name("user.fred.Sent");
    let settings =
        vec![setting(SPECIAL_USE, "fred", Some(b"\\Sent")), setting(COMMENT, "fred", Some(b"mine"))];
    store.annotate(&sent, settings, Vec::new()).await.unwrap();
    store.annotate_server("fred", vec![setting(COMMENT, "fred", Some(b"own"))]).await.unwrap();
    for subscribed in [&sent, &name("shared")] {
        store.subscribe("fred", subscribed, true).await.unwrap();
    }
    let seen = Seen { recentuid: 3, lastchange: 1, uids: vec![(1, 2)] };
    store.set_seen("fred", "an id", seen.clone()).await.unwrap();
    store.rename(&admin(), &inbox_name(), &name("user.wilma"), None).await.unwrap();
    let moved = name("user.wilma.Sent");
    let entry = store.list().get(&moved).unwrap().unwrap();
    let acl = protocol::acl::Acl::parse(&entry.acl);
    assert!(acl.get("wilma").is_some() && acl.get("fred").is_none(), "{}", entry.acl);
    assert_eq!(store.special_uses("wilma").await.unwrap()[&moved], ["\\Sent"]);
    let mailbox = store.mailbox(&moved).await.unwrap();
    assert_eq!(mailbox.annotation(COMMENT, "wilma").as_deref(), Some(&b"mine"[..]));
    assert_eq!(mailbox.annotation(COMMENT, "fred"), None);
    let state = store.user_state("wilma").await.unwrap();
    assert_eq!(state.subscriptions.iter().collect::<Vec<_>>(), [&name("shared"), &moved]);
    assert_eq!(state.seen["an id"], seen);
    assert_eq!(state.annotations[COMMENT].as_ref(), b"own");
    let old = store.user_state("fred").await.unwrap();
    assert!(old.subscriptions.is_empty() && old.annotations.is_empty());
}
