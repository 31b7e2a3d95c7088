//! Several masters' lists on one etcd.

use std::sync::Arc;

use mailboxes::{Change, CommitError, List, Options, store::Memory};
use protocol::mupdate::state::Refusal;

use crate::clauses::{active, name};
use crate::cluster::Cluster;
use crate::several::{self, Fault, Faulty};

/// A master's list, which is complete.
pub async fn master(cluster: &Cluster, servername: &str) -> List {
    let etcd = cluster.open(servername, 120).await;
    let list = List::with_store(Arc::new(Memory::new()), Options::replica()).unwrap().share(etcd).unwrap();
    complete(&list).await;
    list
}

pub async fn complete(list: &List) {
    let mut moves = list.watch();
    while !list.is_complete() {
        moves.changed().await.unwrap();
    }
}

pub fn claim(text: &str, place: &str) -> Change {
    Change::reserve(name(text), active(place, "").location)
}

fn same(a: &List, b: &List) -> bool {
    let all = |list: &List| list.scan(None, 100_000).unwrap().entries;
    a.position() == b.position() && all(a) == all(b)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_master_acknowledged_the_others_show_after_a_barrier_at_the_same_position() {
    let Some(cluster) = Cluster::start(1, &[]).await else { return };
    let (a, b) = (master(&cluster, "a").await, master(&cluster, "b").await);
    assert_eq!(a.position(), b.position());
    for n in 0..50 {
        let (one, other) = if n % 2 == 0 { (&a, &b) } else { (&b, &a) };
        let text = format!("user.u{n}");
        let at = one.commit(vec![claim(&text, "be1!p")]).await.unwrap();
        other.barrier().await.unwrap();
        let entry = other.get(&name(&text)).unwrap().unwrap();
        assert_eq!((entry.seq, entry.is_active()), (at.seq, false));
        assert!(other.position().seq >= at.seq);
    }
    a.barrier().await.unwrap();
    b.barrier().await.unwrap();
    assert!(same(&a, &b));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_masters_that_are_asked_for_one_name_one_gets_it_and_the_other_says_why_not() {
    let Some(cluster) = Cluster::start(1, &[]).await else { return };
    let (a, b) = (master(&cluster, "a").await, master(&cluster, "b").await);
    for n in 0..40 {
        let text = format!("user.u{n}");
        let (first, second) =
            tokio::join!(a.commit(vec![claim(&text, "be1!p")]), b.commit(vec![claim(&text, "be2!p")]));
        let refusal = |outcome: &Result<_, CommitError>| {
            matches!(outcome, Err(CommitError::Refused { refusal: Refusal::Exists, .. }))
        };
        assert!(
            first.is_ok() && refusal(&second) || second.is_ok() && refusal(&first),
            "{first:?} {second:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_comes_back_goes_on_from_its_own_disk_and_one_that_is_too_late_reads_all() {
    let Some(cluster) = Cluster::start(1, &[]).await else { return };
    let directory = tempfile::tempdir().unwrap();
    let a = master(&cluster, "a").await;
    let open = async || {
        let etcd = cluster.open("b", 120).await;
        List::open_when_free(directory.path(), Options::replica()).unwrap().share(etcd).unwrap()
    };
    for late in [false, true] {
        let b = open().await;
        complete(&b).await;
        b.loaded().await;
        b.close().await.unwrap();
        drop(b);
        for n in 0..300 {
            a.commit(vec![claim(&format!("user.late{late}.u{n}"), "be1!p")]).await.unwrap();
        }
        a.commit(vec![Change::delete(name("user.latefalse.u7"))]).await.unwrap();
        if late {
            cluster.compact().await;
        }
        let b = open().await;
        b.barrier().await.unwrap();
        b.loaded().await;
        assert!(same(&a, &b), "{} {}", a.count(), b.count());
        // What it judges by has the right numbers.
        b.commit(vec![Change::delete(name(&format!("user.late{late}.u1")))]).await.unwrap();
        a.barrier().await.unwrap();
        b.close().await.unwrap();
    }
}

/// None: what the clients of three masters were told can be true.
async fn lie(cluster: &Cluster, fault: Fault, seed: u64) -> Option<String> {
    let mut lists = Vec::new();
    for servername in ["a", "b", "c"] {
        let inner = cluster.open(servername, 120).await;
        lists.push(several::list(Faulty { inner, fault }).await);
    }
    let history = several::ask(&lists, seed, 100, |_| {}).await;
    history.lie()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_three_masters_say_can_be_true_and_where_they_find_without_a_barrier_that_is_found() {
    let Some(cluster) = Cluster::start(1, &[]).await else { return };
    assert_eq!(lie(&cluster, Fault::None, 1).await, None);
    // The names are the same ones: each history is of a list of its own.
    for seed in 2..20 {
        let Some(cluster) = Cluster::start(1, &[]).await else { return };
        if lie(&cluster, Fault::FindWithoutBarrier, seed).await.is_some() {
            return;
        }
    }
    panic!("a FIND without a barrier is not found");
}
