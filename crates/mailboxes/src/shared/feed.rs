//! The way into the tables: what happens at the authority, in its order. Where the disk's copy leaves off it goes on; where that is
//! too long ago, or another list, everything is read.

use std::collections::{BTreeMap, HashSet};

use protocol::{mupdate::position::Position, name::MailboxName};
use tokio::sync::{mpsc, oneshot};

use super::Desk;
use crate::{
    authority::{Missed, Shared},
    change::News,
    cordon,
    entry::Entry,
    error::{CommitError, Error},
    limits::{LIST_PAGE, NEWS_WAITING},
    writer::Request,
};

pub(super) async fn run<A: Shared>(desk: Desk<A>, queue: mpsc::Sender<Request>) {
    let mut open = desk.open.clone();
    let feeding = async {
        let mut pruned = false;
        loop {
            match round(&desk, &queue, std::mem::take(&mut pruned)).await {
                Ok(Missed::Pruned(_)) => pruned = true,
                Ok(Missed::Unreadable(error)) => tracing::info!(%error, "the masters' database breaks off"),
                Err(Ended::Unreadable(error)) => {
                    tracing::info!(%error, "the masters' database cannot be read")
                }
                Err(Ended::Closed) => return,
            }
        }
    };
    tokio::select! {
        () = feeding => {}
        _ = open.changed() => {}
    }
}

/// Why nothing more comes.
enum Ended {
    /// It may be tried again.
    Unreadable(Error),
    Closed,
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Ended::Unreadable(error)
    }
}

/// Comes to where the authority is, and follows it until that ends.
async fn round<A: Shared>(
    desk: &Desk<A>,
    queue: &mpsc::Sender<Request>,
    pruned: bool,
) -> Result<Missed, Ended> {
    let there = desk.authority.barrier().await?;
    let history = desk.published.read().history;
    let goes_on =
        history.complete && !history.own && history.is_of(there) && history.position.seq <= there.seq;
    let at = match goes_on && !pruned {
        true => history.position,
        false => {
            let whole = whole(desk).await?;
            let position = whole.position;
            put(queue, whole).await?.await.map_err(|_| Ended::Closed)?.map_err(ended)?;
            tracing::info!(%position, "the mailbox list was read whole from the masters' database");
            position
        }
    };
    let (news, mut comes) = mpsc::channel(NEWS_WAITING);
    let following = desk.authority.follow(at, news);
    let passing = async {
        while let Some(news) = comes.recv().await {
            put(queue, news).await?;
        }
        Ok(())
    };
    // The news that came before the end are passed on first.
    let (missed, passed) = tokio::join!(following, passing);
    passed.map(|()| missed)
}

fn ended(error: CommitError) -> Ended {
    tracing::error!(%error, "the mailbox list takes no news");
    Ended::Closed
}

/// Hands news to the writer, which does them in order.
async fn put(
    queue: &mpsc::Sender<Request>,
    news: News,
) -> Result<oneshot::Receiver<Result<Position, CommitError>>, Ended> {
    let (reply, answer) = oneshot::channel();
    queue.send(Request::News { news, reply }).await.map_err(|_| Ended::Closed)?;
    Ok(answer)
}

/// What makes the list equal to the authority's, wherever it was.
async fn whole<A: Shared>(desk: &Desk<A>) -> Result<News, Error> {
    let mut there: Vec<(MailboxName, Entry)> = Vec::new();
    let position = desk.authority.snapshot(|name, entry| there.push((name.clone(), entry.clone()))).await?;
    // No older than the entries; what is newer in it comes once more.
    let beside = desk.authority.beside().await?;
    let mut changes: Vec<(MailboxName, Option<Entry>)> = gone(desk, &there)?;
    changes.extend(there.into_iter().map(|(name, entry)| (name, Some(entry))));
    let tables = desk.published.read();
    let cordons = cordon::difference(&tables.cordons, &beside.cordons);
    let mut conflicts: BTreeMap<_, _> = tables.conflicts.keys().map(|name| (name.clone(), None)).collect();
    conflicts.extend(beside.conflicts.into_iter().map(|(name, conflict)| (name, Some(conflict))));
    Ok(News { position, changes, cordons, conflicts: conflicts.into_iter().collect(), whole: true })
}

/// The names that are here, and not there any more.
fn gone<A>(
    desk: &Desk<A>,
    there: &[(MailboxName, Entry)],
) -> Result<Vec<(MailboxName, Option<Entry>)>, Error> {
    let names: HashSet<&MailboxName> = there.iter().map(|(name, _)| name).collect();
    let (mut gone, mut after) = (Vec::new(), None);
    loop {
        let page = desk.published.scan(after.as_ref(), LIST_PAGE)?;
        let here = page.entries.iter().filter(|(name, _)| !names.contains(name));
        gone.extend(here.map(|(name, _)| (name.clone(), None)));
        after = page.entries.last().map(|(name, _)| name.clone()).or(after);
        if !page.more {
            return Ok(gone);
        }
    }
}
