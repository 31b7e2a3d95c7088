//! What a mailbox remembers of messages that are gone.

use super::*;
use crate::Ages;

/// UIDs that went since, told one by one.
fn gone(mailbox: &Mailbox, modseq: u64) -> Option<Vec<u32>> {
    let ranges = mailbox.view().vanished_since(modseq)?;
    Some(ranges.into_iter().flat_map(|(first, last)| first..=last).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn expunging_at_once_costs_no_client_its_knowledge_of_what_went() {
    for mode in ["immediate", "semidelayed", "delayed"] {
        let bench = Bench::new(&format!("expunge_mode: {mode}"));
        let store = bench.open().await;
        create(&store, "user.fred").await;
        let inbox = store.mailbox(&name("user.fred")).await.unwrap();
        inbox.append(vec![message("one"); 1000]).await.unwrap();
        let before = inbox.view().modseq();
        inbox.remove(&[3, 4, 900]).await.unwrap();
        let between = inbox.view().modseq();
        inbox.remove(&[5]).await.unwrap();
        let all = Ages { expunged: Some(0), ..Ages::default() };
        store.expire(&all).await.unwrap();
        assert_eq!(inbox.view().expunged.len(), 0);
        let told = |inbox: &Mailbox| (gone(inbox, before), gone(inbox, between), gone(inbox, 0));
        let want = (Some(vec![3, 4, 5, 900]), Some(vec![5]), Some(vec![3, 4, 5, 900]));
        assert_eq!(told(&inbox), want, "{mode}");
        assert_eq!(inbox.view().tombstones().len(), 3, "runs, not messages");

        // As a crash leaves it, and after a stop.
        let crashed = bench.crashed();
        let again = crashed.open().await;
        assert_eq!(told(&again.mailbox(&name("user.fred")).await.unwrap()), want, "{mode}");
        store.close().await;
        drop((inbox, store));
        let store = bench.open().await;
        assert_eq!(told(&store.mailbox(&name("user.fred")).await.unwrap()), want, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_is_dropped_and_only_that_raises_deletedmodseq() {
    let bench = Bench::new("expunge_history: 0\nexpunge_mode: immediate");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    inbox.append(vec![message("one"); 4]).await.unwrap();
    let first = inbox.remove(&[1]).await.map(|_| inbox.view().modseq()).unwrap();
    assert_eq!((inbox.view().deletedmodseq, gone(&inbox, 0)), (0, Some(vec![1])));
    // A clock that has gone on.
    inbox
        .change(|change| {
            change.now += 10;
            change.expunge(&[2], true, true);
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!((inbox.view().deletedmodseq, gone(&inbox, 0)), (first, None));
    assert_eq!(gone(&inbox, first), Some(vec![2]));
    store.close().await;
    drop((inbox, store));
    let inbox = bench.open().await.mailbox(&name("user.fred")).await.unwrap();
    assert_eq!((inbox.view().deletedmodseq, gone(&inbox, first)), (first, Some(vec![2])));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_made_anew_from_the_files_claims_to_know_nothing_of_what_went() {
    let bench = Bench::new("");
    let store = bench.open().await;
    create(&store, "user.fred").await;
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    inbox.append(vec![message("one"); 3]).await.unwrap();
    inbox.remove(&[1]).await.unwrap();
    let before = inbox.view().modseq();
    std::fs::write(inbox.dir().join(crate::index::FILE), b"nonsense").unwrap();
    drop(inbox);
    store.reconstruct(&crate::Which::default()).await.unwrap();
    let inbox = store.mailbox(&name("user.fred")).await.unwrap();
    let view = inbox.view();
    assert!(view.modseq() > before && view.deletedmodseq >= before, "{} {before}", view.modseq());
    assert_eq!(gone(&inbox, before), None);
    assert_eq!(gone(&inbox, view.modseq()), Some(vec![]));
}
