//! More mailboxes in use than are kept open.

use std::collections::BTreeMap;

use super::{super::*, *};

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn with_more_mailboxes_than_are_kept_open_no_uid_is_given_twice_and_nothing_is_lost() {
    let bench = Bench::new("");
    let store = bench.open().await;
    let names: Vec<String> = (0..IN_USE + 40).map(|n| format!("user.u{n}")).collect();
    let made = names.iter().map(|name| {
        let (store, name) = (store.clone(), name.clone());
        tokio::spawn(async move { create(&store, &name).await })
    });
    for made in made.collect::<Vec<_>>() {
        made.await.unwrap();
    }
    // So many are in use all the time.
    let mut used = Vec::new();
    for text in &names[..IN_USE] {
        used.push(store.mailbox(&name(text)).await.unwrap());
    }
    let names = names[IN_USE..].to_vec();
    // Each goes its own way through the others, and asks for each of them several times at once.
    let ways = (0..WAYS).map(|way| {
        let (store, names) = (store.clone(), names.clone());
        tokio::spawn(async move {
            let mut given = Vec::new();
            for n in 0..names.len() {
                let place = (n * (2 * way + 1) + 7 * way) % names.len();
                let asked = (0..AT_ONCE).map(|ask| {
                    let (store, name) = (store.clone(), name(&names[place]));
                    let text = format!("t{way}-{n}-{ask}");
                    tokio::spawn(async move {
                        let mailbox = store.mailbox(&name).await.unwrap();
                        (append(&mailbox, &text).await.unwrap(), format!("Hello {text}\r\n"))
                    })
                });
                for asked in asked.collect::<Vec<_>>() {
                    let (uid, text) = asked.await.unwrap();
                    given.push((place, uid, text));
                }
            }
            given
        })
    });
    let mut given: BTreeMap<(usize, u32), String> = BTreeMap::new();
    for way in ways.collect::<Vec<_>>() {
        for (place, uid, text) in way.await.unwrap() {
            let before = given.insert((place, uid), text);
            assert_eq!(before, None, "UID {uid} of {} was given twice", names[place]);
        }
    }
    drop(used);
    store.close().await;
    assert!(store.inner.open.len() <= IN_USE, "{} stay open", store.inner.open.len());
    drop(store);
    let store = bench.open().await;
    for ((place, uid), text) in &given {
        let mailbox = store.mailbox(&name(&names[*place])).await.unwrap();
        let message = mailbox.message(*uid).await.unwrap();
        assert!(message.ends_with(text.as_bytes()), "{} of {}", uid, names[*place]);
    }
    let counted = names.iter().enumerate().map(|(place, name)| (place, name.as_str()));
    for (place, text) in counted {
        let there = store.mailbox(&name(text)).await.unwrap().view().exists();
        assert_eq!(there, given.range((place, 0)..(place + 1, 0)).count(), "{text}");
    }
}

/// Mailboxes that are in use throughout.
const IN_USE: usize = 512;
/// Clients, and how often each asks for a mailbox at once.
const WAYS: usize = 8;
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_in_another_keeps_its_mail_whatever_happens_to_the_outer_one() {
    let mut bench = Bench::new("");
    bench.extra = format!("partition-inner: {}/spool/news\n", bench.dir.path().display());
    let store = bench.open().await;
    let inner = Create { partition: Some("inner".into()), ..Create::default() };
    store.create(&admin(), &name("news"), inner).await.unwrap();
    append(&store.mailbox(&name("news")).await.unwrap(), "kept").await.unwrap();
    create(&store, "user.fred").await;
    append(&store.mailbox(&name("user.fred")).await.unwrap(), "lost").await.unwrap();
    store.delete(&admin(), &name("user.fred"), true).await.unwrap();
    store.close().await;
    drop(store);
    // What the outer one's mailboxes leave is cleared when the store opens, and the list is made from the spool.
    std::fs::remove_dir_all(bench.dir.path().join("conf")).unwrap();
    let store = bench.open().await;
    let entry = store.list().get(&name("news")).unwrap().unwrap();
    assert_eq!(entry.location.as_str(), "be1.example.org!inner");
    assert_eq!(store.mailbox(&name("news")).await.unwrap().view().exists(), 1);
    assert_eq!(rebuild::mailboxes(&bench.imapd()).unwrap().len(), 1);
}
