//! The one writer of a list: group commit.
//!
//! ```text
//! requests ─▶ judge ─▶ an owner's:   propose to the authority ─▶ publish ─▶ answer
//!                  └─▶ a replica's:  publish ─▶ answer; its disk follows
//! ```
//!
//! It takes all requests that wait, judges each on top of those before it, has the authority make one atomic group of
//! what holds, publishes that to the tables in memory, and then answers them all. After a failed write or sync nothing
//! more is accepted: what the disk holds is unknown until it is opened again.

use std::sync::Arc;

use protocol::{
    location::ServerName,
    mupdate::position::{ListId, Position},
    name::MailboxName,
};
use tokio::sync::{mpsc, oneshot};

use crate::limits::{GROUP, QUEUE};
use crate::{
    authority::{Authority, Outcome},
    behind::Behind,
    change::{Change, Follow, News},
    conflict,
    cordon::Cordons,
    error::{CommitError, Error, OpenError},
    group::Done,
    history::History,
    judge::Draft,
    publish::Published,
    rows::Recorder,
    store::{StoreError, Write},
};

pub(crate) type Reply = oneshot::Sender<Result<Position, CommitError>>;

pub(crate) enum Request {
    Commit { changes: Vec<Change>, reply: Reply },
    Follow { follow: Follow, reply: Reply },
    News { news: News, reply: Reply },
    Renew { reply: Reply },
    Resolve { name: MailboxName, reply: Reply },
    Cordon { server: ServerName, cordoned: bool, reply: Reply },
    Cordons { all: Cordons, reply: Reply },
    Close { reply: Reply },
}

/// What makes a list's changes hold.
pub(crate) enum Keeper<A> {
    /// An owner's: this writer is the only one to propose.
    Owner(A),
    /// A replica's: the upstream has them, and memory is ahead of the disk.
    Replica { recorder: Recorder, behind: Behind },
}

/// Starts the writer. It ends with the last handle of the list, or at [`Request::Close`].
pub(crate) fn start<A: Authority>(
    published: Arc<Published>,
    keeper: Keeper<A>,
) -> Result<mpsc::Sender<Request>, OpenError> {
    let (queue, mut requests) = mpsc::channel(QUEUE);
    let spawn = published.options.spawn;
    // What is read from the disk itself is written in fewer and larger lots, too.
    let lingers = matches!(keeper, Keeper::Replica { .. }) && !published.options.tables;
    let task = async move {
        let mut writer = Writer { published, keeper };
        let mut group = Vec::with_capacity(GROUP);
        while requests.recv_many(&mut group, GROUP).await > 0 {
            if let Some(last) = writer.commit(std::mem::take(&mut group)).await {
                requests.close();
                // The store is released before the answer, so that whoever waits for it can open it again.
                let position = writer.finish().await;
                drop(requests);
                let _ = last.send(position);
                return;
            }
            if lingers {
                writer.published.disk.store.linger();
            }
        }
        let _ = writer.finish().await;
    };
    spawn("list-write", Box::pin(task))
        .map_err(|e| StoreError::Io { doing: "start the writer", why: e.to_string() })?;
    Ok(queue)
}

/// What a replica's disk has still to be given: rows that were announced, and the history that they lead to.
struct Rest {
    rows: Vec<Write>,
    history: History,
}

struct Writer<A> {
    published: Arc<Published>,
    keeper: Keeper<A>,
}

impl<A: Authority> Writer<A> {
    /// Does one group; gives the reply of a request to close, if there was one.
    async fn commit(&mut self, group: Vec<Request>) -> Option<Reply> {
        let (history, time) = (self.published.read().history, (self.published.options.clock)());
        let mut draft = Draft::new(history, time);
        let (mut answers, mut close) = (Vec::with_capacity(group.len()), None);
        for request in group {
            // Reading may fail in the middle of the group: nothing after that is taken, and nothing at all is stored.
            if let (Some(why), false) = (self.published.failure(), matches!(request, Request::Close { .. })) {
                request.answer(Err(CommitError::Poisoned(why)));
                continue;
            }
            match request {
                Request::Commit { changes, reply } => answers.push((reply, self.judge(&mut draft, changes))),
                Request::Follow { follow, reply } => answers.push((reply, self.follow(&mut draft, follow))),
                Request::News { news, reply } => answers.push((reply, self.news(&mut draft, news))),
                Request::Renew { reply } => answers.push((reply, Ok(draft.renew(self.new_id())))),
                Request::Resolve { name, reply } => answers.push((reply, Ok(draft.settle(name)))),
                Request::Cordon { server, cordoned, reply } => {
                    let known = self.published.read().cordons.clone();
                    answers.push((reply, draft.cordon(server, cordoned, &known)));
                }
                Request::Cordons { all, reply } => {
                    let known = self.published.read().cordons.clone();
                    answers.push((reply, Ok(draft.follow_cordons(&all, &known))));
                }
                Request::Close { reply } => close = Some(reply),
            }
        }
        let mut rest = None;
        let kept = match self.published.failure() {
            Some(why) => Err(CommitError::Poisoned(why)),
            None => self.keep(draft, &history, &mut rest).await,
        };
        for (reply, answer) in answers {
            // Whoever asked may have gone; the change stands.
            let _ = reply.send(match &kept {
                Ok(None) => answer,
                Ok(Some(done)) => answer.map(|judged| done.answer(history.position, judged)),
                Err(error) => Err(error.clone()),
            });
        }
        if let (Some(rest), Keeper::Replica { behind, .. }) = (rest, &self.keeper) {
            let chunk = self.published.options.bounds.chunk;
            chunks(rest.rows, chunk, &history, &rest.history).for_each(|batch| behind.put(batch));
        }
        close
    }

    /// Writes what is still to be written, and releases the store.
    async fn finish(self) -> Result<Position, CommitError> {
        let owner = match self.keeper {
            Keeper::Owner(_) => true,
            Keeper::Replica { behind, .. } => {
                behind.finish().await;
                false
            }
        };
        let position = self.published.read().history.position;
        let store = &self.published.disk.store;
        match store.finish() {
            Ok(()) if owner && self.published.failure().is_none() => store.witness(position, true),
            Ok(()) => {}
            Err(error) => tracing::error!(%error, "cannot sync the mailbox list at its closing"),
        }
        Ok(position)
    }

    fn judge(&self, draft: &mut Draft, changes: Vec<Change>) -> Result<Position, CommitError> {
        draft.judge(changes, |name| {
            self.published.get(name).map_err(|error| CommitError::Poisoned(self.failed(&error)))
        })
    }

    fn follow(&self, draft: &mut Draft, follow: Follow) -> Result<Position, CommitError> {
        match &self.keeper {
            Keeper::Owner(_) => Err(CommitError::ReadOnly),
            Keeper::Replica { .. } => Ok(draft.follow(follow, || self.new_id())),
        }
    }

    fn news(&self, draft: &mut Draft, news: News) -> Result<Position, CommitError> {
        match &self.keeper {
            Keeper::Owner(_) => Err(CommitError::ReadOnly),
            Keeper::Replica { .. } => Ok(draft.news(news, || self.new_id())),
        }
    }

    /// Makes the draft hold, and shows it. An owner's gets its numbers, where they are not as they were judged.
    async fn keep(
        &mut self,
        mut draft: Draft,
        before: &History,
        rest: &mut Option<Rest>,
    ) -> Result<Option<Done>, CommitError> {
        if !draft.claims.is_empty() {
            let claims = std::mem::take(&mut draft.claims);
            let known = conflict::remember(&self.published.read().conflicts, claims, draft.group.time);
            draft.group.conflicts.extend(known);
        }
        let group = &draft.group;
        let aside = group.conflicts.is_empty() && group.cordons.is_empty();
        if group.proposals.is_empty() && aside && group.history == *before {
            return Ok(None);
        }
        let authority = match &mut self.keeper {
            Keeper::Owner(authority) => authority,
            Keeper::Replica { .. } => {
                *rest = self.keep_replica(draft, before).await?;
                return Ok(None);
            }
        };
        match authority.propose(&draft.group).await {
            Outcome::Done(done) => {
                draft.adopt(&done);
                self.published.publish(draft.finish());
                Ok(Some(done))
            }
            // What the tables show is not what holds.
            Outcome::Stale(_) => {
                let why = "somebody else has changed the mailbox list";
                Err(CommitError::Poisoned(self.published.fail(why, false)))
            }
            Outcome::Undone(error) | Outcome::Unknown(error) => {
                Err(CommitError::Poisoned(self.failed(&error)))
            }
        }
    }

    /// A replica's draft is seen at once, and the disk follows, after those who asked were answered; while its tables are not loaded, and so cannot be read,
    /// it is stored first.
    async fn keep_replica(
        &mut self,
        mut draft: Draft,
        before: &History,
    ) -> Result<Option<Rest>, CommitError> {
        let Keeper::Replica { recorder, behind } = &mut self.keeper else { return Ok(None) };
        let mut history = draft.group.history;
        let rows = recorder.rows(&draft.group, 0, &mut history);
        draft.group.history = history;
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => return Err(CommitError::Poisoned(self.failed(&error))),
        };
        let chunk = self.published.options.bounds.chunk;
        if self.published.read().loaded {
            behind.announce(&rows).await;
            self.published.publish(draft.finish());
            return Ok(Some(Rest { rows, history }));
        }
        let store = &self.published.disk.store;
        for batch in chunks(rows, chunk, before, &history) {
            store.apply(batch).map_err(|error| self.unwritten(&error))?;
            store.pace().await;
        }
        self.published.publish(draft.finish());
        Ok(None)
    }

    fn new_id(&self) -> ListId {
        ListId((self.published.options.chance)())
    }

    /// From now on nothing more is accepted.
    fn failed(&self, error: &Error) -> Arc<str> {
        self.published.fail(&error.to_string(), error.is_damage())
    }

    /// A replica's upstream sends it again, whatever the disk has now.
    fn unwritten(&self, error: &StoreError) -> CommitError {
        match error {
            StoreError::Corrupt(..) => CommitError::Poisoned(self.published.fail(&error.to_string(), true)),
            _ => CommitError::Unwritten(error.to_string().into()),
        }
    }
}

/// A replica's rows with the history that they lead to. Many of them go in several batches, in key order: until the last
/// one is written, the stored position is one that nobody can resume from, and no more complete than before.
fn chunks(
    mut rows: Vec<Write>,
    chunk: usize,
    before: &History,
    history: &History,
) -> impl Iterator<Item = Vec<Write>> + use<> {
    let (mut first, done) = (None, history.row());
    if rows.len() > chunk {
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        first = Some(vec![history.unfinished(before).row()]);
    }
    let (mut rows, mut ended) = (rows.into_iter().peekable(), false);
    let rest = std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let mut batch: Vec<Write> = rows.by_ref().take(chunk).collect();
        ended = rows.peek().is_none();
        if ended {
            batch.push(done.clone());
        }
        Some(batch)
    });
    first.into_iter().chain(rest)
}

impl Request {
    pub fn answer(self, answer: Result<Position, CommitError>) {
        match self {
            Request::Commit { reply, .. }
            | Request::Follow { reply, .. }
            | Request::News { reply, .. }
            | Request::Renew { reply }
            | Request::Resolve { reply, .. }
            | Request::Cordon { reply, .. }
            | Request::Cordons { reply, .. }
            | Request::Close { reply } => {
                let _ = reply.send(answer);
            }
        }
    }
}

#[cfg(test)]
mod tests;
