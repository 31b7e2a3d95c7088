//! A replica's disk, which follows its memory: batches wait here for a task of their own, in order.
//!
//! Nothing waits for the disk but the closing of the list, and a writer that is far ahead. What a crash cuts off, the
//! upstream sends again from the last position that was stored. A disk that fails is written no more, and the list
//! goes on in memory: what is stored stays whole, and is where the next start begins.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc, oneshot};

use crate::limits::{BEHIND, LOT};
use crate::{
    error::OpenError,
    store::{self, Rows, Store, StoreError, Write},
    work::Spawn,
};

pub(crate) struct Behind {
    batches: mpsc::UnboundedSender<Vec<Write>>,
    backlog: Arc<Backlog>,
    done: oneshot::Receiver<()>,
}

/// Rows that wait, and whoever waits for them to be fewer. While there are any, the disk must not be asked what changed.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    state: Mutex<State>,
    fewer: Notify,
}

#[derive(Debug, Default)]
struct State {
    rows: usize,
    /// The disk failed: it never catches up.
    failed: bool,
}

impl Behind {
    pub fn start(store: Arc<dyn Store>, backlog: Arc<Backlog>, spawn: Spawn) -> Result<Behind, OpenError> {
        let (batches, waiting) = mpsc::unbounded_channel();
        let (finished, done) = oneshot::channel();
        let task = write(store, backlog.clone(), waiting, finished);
        spawn("list-behind", Box::pin(task))
            .map_err(|e| StoreError::Io { doing: "start the disk's thread", why: e.to_string() })?;
        Ok(Behind { batches, backlog, done })
    }

    /// Announces rows, before anybody can see what they hold. Waits while more than a whole list has are
    /// queued already.
    pub async fn announce(&self, batch: &[Write]) {
        loop {
            let fewer = self.backlog.fewer.notified();
            {
                let mut state = self.backlog.state();
                if state.rows <= BEHIND {
                    state.rows += counted(batch);
                    return;
                }
            }
            fewer.await;
        }
    }

    /// Queues a batch of announced rows.
    pub fn put(&self, batch: Vec<Write>) {
        // The task ends only after this end is dropped.
        let _ = self.batches.send(batch);
    }

    /// Returns when everything is written.
    pub async fn finish(self) {
        drop(self.batches);
        // An error means that the task is gone: nothing more will be written.
        let _ = self.done.await;
    }
}

async fn write(
    store: Arc<dyn Store>,
    backlog: Arc<Backlog>,
    mut waiting: mpsc::UnboundedReceiver<Vec<Write>>,
    finished: oneshot::Sender<()>,
) {
    let mut works = true;
    while let Some(batch) = waiting.recv().await {
        let mut rows = counted(&batch);
        // As one batch they are atomic together, which is more than is asked for.
        let mut lot: Rows = batch.into_iter().collect();
        while lot.len() < LOT
            && let Ok(batch) = waiting.try_recv()
        {
            rows += counted(&batch);
            lot.extend(batch);
        }
        if works {
            store.pace().await;
            if let Err(error) = store.apply(lot.into_iter().collect()) {
                tracing::error!(%error, "the mailbox list is no longer written to disk, and goes on in memory");
                works = false;
            }
        }
        backlog.taken(rows, !works);
        store.linger();
    }
    // The store is released before the answer, so that whoever waits for it can open it again.
    drop(store);
    let _ = finished.send(());
}

impl Backlog {
    /// Whether the disk holds what memory holds.
    pub fn is_empty(&self) -> bool {
        let state = self.state();
        state.rows == 0 && !state.failed
    }

    fn taken(&self, rows: usize, failed: bool) {
        let mut state = self.state();
        state.rows -= rows;
        state.failed |= failed;
        drop(state);
        self.fewer.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The position is not announced: it goes with each batch.
fn counted(batch: &[Write]) -> usize {
    batch.iter().filter(|(row, _)| row.first() != Some(&store::META)).count()
}
