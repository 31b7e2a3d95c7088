//! A list that one of several masters has: all of them propose to one authority, and nobody leads.
//!
//! ```text
//! writes ─▶ propose: judge on the tables ─▶ authority ─▶ Done at r ─▶ the tables have r ─▶ answered
//!                    ▲                       │  ▲
//!                 tables ◀── writer ◀── feed ◀──┘  │         news is the only way into the tables
//! reads ──▶ barrier: everything that any master has acknowledged ┘ is in the tables
//! ```
//!
//! The disk is a replica's: what a crash cuts off comes again as news. Three tasks end with the last handle of the list.

mod barrier;
mod feed;
mod propose;

use std::sync::Arc;

use protocol::mupdate::position::Position;
use tokio::sync::{mpsc, oneshot};

use crate::{
    authority::Shared,
    error::{CommitError, OpenError},
    limits::QUEUE,
    publish::Published,
    signal::{Gone, Signal, Watch},
    store::StoreError,
    work::Task,
    writer::Request,
};

/// Who waits for a proof.
type Asked = oneshot::Sender<Result<Position, CommitError>>;

/// The doors of the three tasks.
pub(crate) struct Doors {
    pub writes: mpsc::Sender<Request>,
    pub barriers: mpsc::Sender<Asked>,
    pub live: Watch<bool>,
    /// Ends with the last handle.
    _open: Signal<()>,
}

/// What each of the tasks needs.
struct Desk<A> {
    authority: A,
    published: Arc<Published>,
    live: Watch<bool>,
    open: Watch<()>,
}

/// Starts the tasks of a list whose writer takes from `queue`.
pub(crate) fn start<A: Shared>(
    authority: A,
    published: &Arc<Published>,
    queue: mpsc::Sender<Request>,
) -> Result<Doors, OpenError> {
    let (writes, waiting) = mpsc::channel(QUEUE);
    let (barriers, asked) = mpsc::channel(QUEUE);
    let (open, live) = (Signal::new(()), authority.live());
    let desk = || Desk {
        authority: authority.clone(),
        published: published.clone(),
        live: live.clone(),
        open: open.watch(),
    };
    spawn(published, "list-feed", Box::pin(feed::run(desk(), queue)))?;
    spawn(published, "list-propose", Box::pin(propose::run(desk(), waiting)))?;
    spawn(published, "list-barrier", Box::pin(barrier::run(desk(), asked)))?;
    Ok(Doors { writes, barriers, live, _open: open })
}

fn spawn(published: &Published, name: &'static str, task: Task) -> Result<(), OpenError> {
    (published.options.spawn)(name, task)
        .map_err(|e| StoreError::Io { doing: "start a task of the mailbox list", why: e.to_string() }.into())
}

impl<A> Desk<A> {
    /// Returns when the tables have everything up to a position. It fails where they never will, or nobody knows when.
    async fn reach(&self, position: Position) -> Result<(), CommitError> {
        let here = self.published.position.get();
        if has(&here, position) {
            return Ok(());
        }
        let (mut tables, mut live, mut open) =
            (self.published.position.watch(), self.live.clone(), self.open.clone());
        tokio::select! {
            biased;
            reached = tables.wait_for(|here| has(here, position) || here.list != position.list) => match reached {
                Ok(here) if has(&here, position) => Ok(()),
                Ok(_) => Err(CommitError::Unknown("the list was replaced meanwhile".into())),
                Err(Gone) => Err(CommitError::Closed),
            },
            _ = live.wait_for(|live| !live) => Err(CommitError::Unknown(UNHEARD.into())),
            _ = open.changed() => Err(CommitError::Closed),
        }
    }
}

fn has(here: &Position, wanted: Position) -> bool {
    (here.list, here.term) == (wanted.list, wanted.term) && here.seq >= wanted.seq
}

/// Why nothing can be said.
const UNHEARD: &str = "the masters' database does not answer";

#[cfg(test)]
mod tests;
