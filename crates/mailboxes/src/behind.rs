//! A replica's disk, which follows its memory: batches wait here for a thread of their own, in order.
//!
//! Nothing waits for the disk but the closing of the list, and a writer that is far ahead. What a crash cuts off, the
//! upstream sends again from the last position that was stored.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
};

use crate::{
    list::{Inner, OpenError},
    store::{self, StoreError, Write},
};

pub(crate) struct Behind {
    batches: Option<mpsc::Sender<Vec<Write>>>,
    backlog: Arc<Backlog>,
    thread: Option<JoinHandle<()>>,
}

/// Rows that wait, and who waits for them to be fewer. While there are any, the disk must not be asked what changed.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    rows: Mutex<usize>,
    fewer: Condvar,
}

impl Behind {
    pub fn start(inner: &Inner) -> Result<Behind, OpenError> {
        let (batches, waiting) = mpsc::channel::<Vec<Write>>();
        let backlog = inner.backlog.clone();
        let (store, poison, done) = (inner.store.clone(), inner.poison.clone(), backlog.clone());
        let run = move || {
            for batch in waiting {
                let rows = counted(&batch);
                if let Err(error) = store.apply(batch) {
                    tracing::error!(%error, "the mailbox list cannot be written");
                    *poison.write().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string().into());
                }
                *done.rows.lock().unwrap_or_else(PoisonError::into_inner) -= rows;
                done.fewer.notify_all();
            }
        };
        let thread = thread::Builder::new().name("list-behind".into()).spawn(run);
        let thread =
            thread.map_err(|e| StoreError::Io { doing: "start the disk's thread", why: e.to_string() })?;
        Ok(Behind { batches: Some(batches), backlog, thread: Some(thread) })
    }

    /// Says that rows will come, before anybody can see what they hold. Waits while more than a whole list has are
    /// queued already.
    pub fn announce(&self, batch: &[Write]) {
        let rows = self.backlog.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let fewer = self.backlog.fewer.wait_while(rows, |rows| *rows > LIMIT);
        *fewer.unwrap_or_else(PoisonError::into_inner) += counted(batch);
    }

    /// Queues a batch of announced rows.
    pub fn put(&self, batch: Vec<Write>) {
        if let Some(batches) = &self.batches {
            // The thread ends only after this end is dropped.
            let _ = batches.send(batch);
        }
    }
}

impl Backlog {
    pub fn is_empty(&self) -> bool {
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) == 0
    }
}

/// The position is not announced: it goes with each batch.
fn counted(batch: &[Write]) -> usize {
    batch.iter().filter(|(row, _)| row.first() != Some(&store::META)).count()
}

impl Drop for Behind {
    /// Waits until everything is written.
    fn drop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Rows that may wait: a first synchronisation of some million mailboxes.
const LIMIT: usize = 5_000_000;
