//! One list of several, over an authority in memory that is slow, deaf or contrary when told to be.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use protocol::{
    location::Location,
    mupdate::position::{ListId, Position},
    name::MailboxName,
};
use tokio::sync::{Semaphore, mpsc};

use crate::{
    Change, CommitError, Entry, Error, List, News, Options,
    authority::{Authority, Beside, Group, Lost, Memory, Missed, Named, Outcome, Room, Shared},
    limits::ROUNDS,
    signal::Watch,
    store,
};

#[derive(Clone)]
struct Rigged {
    inner: Memory,
    /// A barrier takes one of these, and does not give it back.
    passes: Arc<Semaphore>,
    barriers: Arc<AtomicUsize>,
    proposed: Arc<AtomicUsize>,
    /// The most names of one group.
    largest: Arc<AtomicUsize>,
    contrary: bool,
}

impl Rigged {
    fn new() -> Rigged {
        Rigged {
            inner: Memory::new(ListId(1)),
            passes: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            barriers: Arc::default(),
            proposed: Arc::default(),
            largest: Arc::default(),
            contrary: false,
        }
    }

    async fn list(&self) -> List {
        let store = Arc::new(store::Memory::new());
        let list = List::with_store(store, Options::replica()).unwrap().share(self.clone()).unwrap();
        let mut moves = list.watch();
        while !list.is_complete() {
            moves.changed().await.unwrap();
        }
        list
    }
}

impl Authority for Rigged {
    async fn propose(&mut self, group: &Group) -> Outcome {
        self.proposed.fetch_add(1, Ordering::Relaxed);
        self.largest.fetch_max(group.proposals.len(), Ordering::Relaxed);
        match self.contrary {
            true => Outcome::Stale(Vec::new()),
            false => self.inner.propose(group).await,
        }
    }

    async fn snapshot(&self, each: impl FnMut(&MailboxName, &Entry) + Send) -> Result<Position, Error> {
        self.inner.snapshot(each).await
    }

    async fn changes(
        &self,
        after: Position,
        each: impl FnMut(Position, Vec<Named>) + Send,
    ) -> Result<Position, Missed> {
        self.inner.changes(after, each).await
    }

    async fn barrier(&self) -> Result<Position, Error> {
        self.barriers.fetch_add(1, Ordering::Relaxed);
        let position = self.inner.barrier().await;
        self.passes.acquire().await.unwrap().forget();
        position
    }
}

impl Shared for Rigged {
    fn room(&self) -> Room {
        self.inner.room()
    }

    async fn follow(&self, after: Position, news: mpsc::Sender<News>) -> Missed {
        self.inner.follow(after, news).await
    }

    async fn beside(&self) -> Result<Beside, Error> {
        self.inner.beside().await
    }

    fn live(&self) -> Watch<bool> {
        self.inner.live()
    }
}

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

fn claim(text: &str) -> Change {
    Change::reserve(name(text), Location::parse("be1!p").unwrap())
}

#[tokio::test]
async fn a_master_that_cannot_ask_takes_no_change_and_proves_nothing_until_it_can() {
    let rigged = Rigged::new();
    let list = rigged.list().await;
    list.commit(vec![claim("user.a")]).await.unwrap();
    rigged.inner.set_live(false);
    assert!(matches!(list.commit(vec![claim("user.b")]).await, Err(CommitError::Unavailable(_))));
    assert!(matches!(list.barrier().await, Err(CommitError::Unavailable(_))));
    // What it has it still has.
    assert!(list.get(&name("user.a")).unwrap().is_some());
    rigged.inner.set_live(true);
    list.commit(vec![claim("user.b")]).await.unwrap();
    list.barrier().await.unwrap();
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_not_refused_and_shows_where_it_has_happened() {
    let rigged = Rigged::new();
    let list = rigged.list().await;
    for (lost, text) in [(Lost::Done, "user.done"), (Lost::Undone, "user.undone")] {
        rigged.inner.lose_next_answer(lost);
        assert!(matches!(list.commit(vec![claim(text)]).await, Err(CommitError::Unknown(_))), "{text}");
        list.barrier().await.unwrap();
        assert_eq!(list.get(&name(text)).unwrap().is_some(), lost == Lost::Done, "{text}");
    }
}

#[tokio::test]
async fn whoever_asks_while_a_proof_is_on_its_way_shares_the_next_one() {
    let rigged = Rigged::new();
    let list = rigged.list().await;
    let used = rigged.passes.available_permits();
    rigged.passes.forget_permits(used);
    let before = rigged.barriers.load(Ordering::Relaxed);
    let asked = || rigged.barriers.load(Ordering::Relaxed) - before;
    let ask = || {
        let list = list.clone();
        tokio::spawn(async move { list.barrier().await })
    };
    let first = ask();
    while asked() == 0 {
        tokio::task::yield_now().await;
    }
    let others: Vec<_> = (0..20).map(|_| ask()).collect();
    // All of them wait before the first has its proof.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    rigged.passes.add_permits(1);
    first.await.unwrap().unwrap();
    assert!(others.iter().all(|other| !other.is_finished()), "the first proof is older than their question");
    rigged.passes.add_permits(Semaphore::MAX_PERMITS / 2);
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert_eq!(asked(), 2);
}

#[tokio::test]
async fn no_group_is_larger_than_the_authority_takes() {
    let rigged = Rigged::new();
    let list = rigged.list().await;
    let room = rigged.room().names;
    let many =
        |from: usize, count: usize| (from..from + count).map(|n| claim(&format!("user.u{n}"))).collect();
    let whole: Vec<Change> = many(0, room);
    list.commit(whole).await.unwrap();
    let waiting: Vec<_> = (0..300)
        .map(|n| {
            let (list, one) = (list.clone(), claim(&format!("user.one{n}")));
            tokio::spawn(async move { list.commit(vec![one]).await })
        })
        .collect();
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    assert_eq!(list.count(), room + 300);
    assert!(rigged.largest.load(Ordering::Relaxed) <= room);
    let too_many: Vec<Change> = many(1000, room + 1);
    assert!(matches!(list.commit(too_many).await, Err(CommitError::Unavailable(_))));
}

#[tokio::test]
async fn a_change_that_others_are_always_faster_than_ends_as_unavailable() {
    let rigged = Rigged { contrary: true, ..Rigged::new() };
    let list = rigged.list().await;
    let outcome = list.commit(vec![claim("user.a")]).await;
    assert!(matches!(outcome, Err(CommitError::Unavailable(_))), "{outcome:?}");
    assert_eq!(rigged.proposed.load(Ordering::Relaxed), ROUNDS);
}
