//! Several lists over one authority, asked all at once, and an authority that does wrong on purpose: whoever checks histories must find it.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::sync::Arc;

use mailboxes::{
    Change, CommitError, Entry, Error, List, News, Options, Position,
    authority::{Authority, Beside, Group, Missed, Named, Outcome, Room, Shared},
    signal::Watch,
    store::Memory,
};
use protocol::{location::Location, name::MailboxName};
use tokio::sync::mpsc;

use crate::linear::{Answer, Ask, History};
use crate::questions::{Chance, Questions};

/// What an authority does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// It proves nothing: a list answers by what it happens to have.
    FindWithoutBarrier,
    /// What may have happened is said not to have happened.
    NoForUnknown,
    /// What was judged by an entry that has changed since happens anyway.
    WithoutFence,
}

/// An authority with a fault.
#[derive(Clone)]
pub struct Faulty<A> {
    pub inner: A,
    pub fault: Fault,
}

impl<A: Shared> Authority for Faulty<A> {
    async fn propose(&mut self, group: &Group) -> Outcome {
        match (self.inner.propose(group).await, self.fault) {
            (Outcome::Unknown(error), Fault::NoForUnknown) => Outcome::Undone(error),
            (Outcome::Stale(mut now), Fault::WithoutFence) => {
                let mut group = group.clone();
                loop {
                    for (name, entry) in now {
                        let proposals = group.proposals.iter_mut().filter(|one| one.name == name);
                        proposals.for_each(|one| one.seen = entry.clone());
                        let witnesses = group.witnesses.iter_mut().filter(|(one, _)| *one == name);
                        witnesses.for_each(|(_, seen)| *seen = entry.clone());
                    }
                    match self.inner.propose(&group).await {
                        Outcome::Stale(again) => now = again,
                        outcome => return outcome,
                    }
                }
            }
            (outcome, _) => outcome,
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
        let position = self.inner.barrier().await?;
        Ok(match self.fault {
            Fault::FindWithoutBarrier => Position { seq: 0, ..position },
            Fault::None | Fault::NoForUnknown | Fault::WithoutFence => position,
        })
    }
}

impl<A: Shared> Shared for Faulty<A> {
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

/// A master's list, which is complete.
pub async fn list(authority: impl Shared) -> List {
    let list =
        List::with_store(Arc::new(Memory::new()), Options::replica()).unwrap().share(authority).unwrap();
    let mut moves = list.watch();
    while !list.is_complete() {
        moves.changed().await.unwrap();
    }
    list
}

/// Several clients ask these lists at once, so many questions each; `meanwhile` is called before each of them. Then all is looked up at
/// each list.
pub async fn ask(
    lists: &[List],
    seed: u64,
    each: usize,
    meanwhile: impl Fn(u64) + Send + Sync + 'static,
) -> History {
    let (history, questions, meanwhile) = (History::default(), Questions::default(), Arc::new(meanwhile));
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let (lists, history, questions) = (lists.to_vec(), history.clone(), questions.clone());
        let (mut chance, meanwhile) = (Chance(seed.wrapping_add(client << 32)), meanwhile.clone());
        clients.push(tokio::spawn(async move {
            for _ in 0..each {
                meanwhile(chance.below(1000));
                let list = chance.below(lists.len() as u64) as usize;
                let (name, asked) = questions.next(client, 0, 1, &mut chance);
                one(&history, &format!("c{client}@m{list}"), &lists[list], &name, asked).await;
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    for (n, list) in lists.iter().enumerate() {
        for name in history.names() {
            one(&history, &format!("last@m{n}"), list, &name, Ask::Find).await;
        }
    }
    history
}

/// Asks one thing, as a server of the list does, and notes the answer.
async fn one(history: &History, by: &str, list: &List, name: &str, ask: Ask) {
    let (asked, key) = (history.ask(by, name, ask.clone()), MailboxName::parse(name).unwrap());
    let answer = match ask {
        Ask::Find => match list.barrier().await {
            Ok(()) => Answer::Found(list.get(&key).unwrap().map(|entry| {
                let acl = entry.is_active().then(|| entry.acl.to_string().into());
                (Location::parse(entry.location.as_str()).unwrap(), acl)
            })),
            Err(_) => return history.forget(asked),
        },
        Ask::Write(write) => match list.commit(vec![Change::mupdate(key, write)]).await {
            Ok(_) => Answer::Done,
            Err(CommitError::Refused { refusal, .. }) => Answer::Refused(refusal),
            Err(CommitError::Unknown(_)) => Answer::Lost,
            // It has not happened.
            Err(CommitError::Unavailable(_)) => return history.forget(asked),
            Err(other) => panic!("{other}"),
        },
    };
    history.answer(asked, answer);
}

const CLIENTS: u64 = 4;
