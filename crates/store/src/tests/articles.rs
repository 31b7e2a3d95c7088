//! Articles of a news server: into every group once, whatever happens in between.

use std::{collections::BTreeSet, fs};

use super::{super::*, *};

const GROUPS: [&str; 3] = ["comp.a", "comp.b", "comp.c"];

async fn served(bench: &Bench) -> Store {
    let store = bench.open().await;
    store.serve_articles(|name| name.as_str().starts_with("comp.")).await.unwrap();
    store
}

fn posting(id: &str) -> Posting {
    let text = format!("From: f@x\r\nNewsgroups: x,y\r\nMessage-ID: {id}\r\nSubject: s\r\n\r\nbody\r\n");
    Posting {
        mailboxes: GROUPS.iter().map(|group| name(group)).collect(),
        staged: Arc::new(Staged::in_memory(text.into_bytes().into())),
        message_id: id.to_owned(),
    }
}

/// Articles of each group.
async fn counts(store: &Store) -> Vec<usize> {
    let mut counts = Vec::new();
    for group in GROUPS {
        counts.push(store.mailbox(&name(group)).await.unwrap().view().exists());
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crosspost_that_a_crash_cut_short_is_wanted_again_and_then_in_every_group_once() {
    let bench = Bench::new("");
    let store = served(&bench).await;
    for group in GROUPS {
        create(&store, group).await;
    }
    let empty: Vec<_> = GROUPS.iter().map(|group| name(group)).collect();
    let mut dirs = Vec::new();
    for group in &empty {
        let mailbox = store.mailbox(group).await.unwrap();
        dirs.push((mailbox.id.clone(), fs::read(mailbox.dir().join(index::FILE)).unwrap()));
    }
    let slot = |n: usize| bench.dir.path().join(format!("conf/murder/backend/log.{n}"));
    let before = [0, 1].map(|n| fs::read(slot(n)).unwrap());
    assert!(store.wants_article("<1@x>").await.unwrap());
    store.post_article(posting("<1@x>")).await.unwrap();
    let after = [0, 1].map(|n| fs::read(slot(n)).unwrap());
    let active = (0..2).find(|n| before[*n] != after[*n]).unwrap();
    let first =
        before[active].iter().zip(&after[active]).position(|(a, b)| a != b).unwrap_or(before[active].len());
    let mut seen = BTreeSet::new();
    for cut in (first..after[active].len()).step_by(29).chain([after[active].len()]) {
        let crashed = bench.crashed();
        // Nothing but the log was synced.
        for (id, index) in &dirs {
            fs::write(crashed.dir.path().join("spool").join(&id[..2]).join(id).join(index::FILE), index)
                .unwrap();
        }
        let _ = fs::remove_dir_all(crashed.dir.path().join("conf/murder/backend/store.sled"));
        fs::write(
            crashed.dir.path().join(format!("conf/murder/backend/log.{active}")),
            &after[active][..cut],
        )
        .unwrap();
        let store = served(&crashed).await;
        let there = counts(&store).await;
        let whole = there == [1, 1, 1];
        assert_eq!(store.wants_article("<1@x>").await.unwrap(), !whole, "cut at {cut}: {there:?}");
        let posted = store.post_article(posting("<1@x>")).await.unwrap();
        assert_eq!(posted.stored.len(), 3 - there.iter().sum::<usize>(), "cut at {cut}");
        assert_eq!(counts(&store).await, [1, 1, 1], "cut at {cut}");
        assert!(!store.wants_article("<1@x>").await.unwrap(), "cut at {cut}");
        seen.insert(there.iter().sum::<usize>());
    }
    assert!(seen.contains(&0) && seen.contains(&3) && seen.len() > 2, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_article_from_many_sides_at_once_is_in_every_group_once() {
    let bench = Bench::new("");
    let store = served(&bench).await;
    for group in GROUPS {
        create(&store, group).await;
    }
    let posts = (0..8).map(|_| {
        tokio::spawn({
            let store = store.clone();
            async move { store.post_article(posting("<1@x>")).await.unwrap().stored.len() }
        })
    });
    let mut stored = 0;
    for post in posts {
        stored += post.await.unwrap();
    }
    assert_eq!((stored, counts(&store).await), (3, vec![1, 1, 1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn articles_are_found_after_the_database_was_lost() {
    let bench = Bench::new("");
    let store = served(&bench).await;
    for group in GROUPS {
        create(&store, group).await;
    }
    store.post_article(posting("<1@x>")).await.unwrap();
    store.close().await;
    let crashed = bench.crashed();
    fs::remove_dir_all(crashed.dir.path().join("conf/murder/backend/store.sled")).unwrap();
    let store = served(&crashed).await;
    let found = store.find_article("<1@x>").await.unwrap();
    let mut names: Vec<String> = found.iter().map(|found| found.name.to_string()).collect();
    names.sort();
    assert_eq!(names, GROUPS);
    assert!(store.post_article(posting("<1@x>")).await.unwrap().stored.is_empty());
}
