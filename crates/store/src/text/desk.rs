//! When an index is made: mailboxes wait in a queue, and one thread of the lowest priority goes from one to the next, a segment at a time.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use tokio::sync::oneshot;
use tracing::{debug, warn};

use crate::{
    error::StoreError,
    limits::{TEXT_QUEUE, rows},
    lock,
    view::View,
};

/// What has an index: an open mailbox.
pub trait Indexable: Send + Sync + 'static {
    fn texts(&self) -> &Texts;

    /// What a log line calls it.
    fn id(&self) -> &str;

    /// Does one step towards a complete index; it ends early when `stop` says so. Blocks.
    fn index_next(&self, stop: &dyn Fn() -> bool) -> Result<Step, StoreError>;
}

/// What one step has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    More,
    Done,
}

/// What a mailbox knows of its index while it is open.
#[derive(Default)]
pub struct Texts {
    /// Held by whoever changes its files: one at a time.
    pub building: Mutex<()>,
    /// It is in the queue.
    pub waits: AtomicBool,
    /// How much had come and gone when it was last put there.
    pub mark: AtomicU64,
}

impl Texts {
    pub fn of(view: &View) -> Texts {
        Texts { mark: AtomicU64::new(changes(view)), ..Texts::default() }
    }
}

/// Messages that ever came, and those that went.
pub fn changes(view: &View) -> u64 {
    (2 * u64::from(view.last_uid)).saturating_sub(view.exists() as u64)
}

/// The queue, and who works on it.
pub struct Desk {
    queue: Arc<Queue>,
    /// Started when there is something to do.
    thread: Mutex<Option<JoinHandle<()>>>,
    on: bool,
}

#[derive(Default)]
struct Queue {
    inner: Mutex<Waiting>,
    changed: Condvar,
    stop: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    mailboxes: VecDeque<Weak<dyn Indexable>>,
    /// One is worked on; tests wait for its end.
    is_busy: bool,
}

impl Desk {
    /// `on`: whether there is an index at all (`search_engine`).
    pub fn new(on: bool) -> Desk {
        Desk { queue: Arc::default(), thread: Mutex::default(), on }
    }

    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Whether what goes on must end.
    pub fn is_closing(&self) -> bool {
        self.queue.stop.load(Ordering::Relaxed)
    }

    /// Has a mailbox's index go on, some time.
    pub fn want<M: Indexable>(&self, mailbox: &Arc<M>) {
        if !self.on
            || self.queue.stop.load(Ordering::Relaxed)
            || mailbox.texts().waits.swap(true, Ordering::Relaxed)
        {
            return;
        }
        let mailbox: Arc<dyn Indexable> = mailbox.clone();
        self.queue.push(&mailbox);
        let mut thread = lock(&self.thread);
        if thread.is_none() {
            let queue = self.queue.clone();
            match thread::Builder::new().name("text index".into()).spawn(move || queue.work()) {
                Ok(started) => *thread = Some(started),
                Err(error) => warn!(%error, "no thread for text indexes"),
            }
        }
    }

    /// Ends the work, and waits for its end.
    pub fn close(&self) {
        self.queue.end();
        if let Some(thread) = lock(&self.thread).take() {
            // It has logged why, if it did not end well.
            let _ = thread.join();
        }
    }

    /// Returns when nothing waits.
    #[cfg(test)]
    pub fn settle(&self) {
        let mut waiting = lock(&self.queue.inner);
        while waiting.is_busy || !waiting.mailboxes.is_empty() {
            waiting = self.queue.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // The thread itself may be what drops it: it ends by itself.
        self.queue.end();
    }
}

impl Queue {
    fn push(&self, mailbox: &Arc<dyn Indexable>) {
        let mut waiting = lock(&self.inner);
        if waiting.mailboxes.len() >= TEXT_QUEUE {
            mailbox.texts().waits.store(false, Ordering::Relaxed);
            rows::TEXT_QUEUE
                .met("too many mailboxes wait for their text index: a later search asks for it again");
            return;
        }
        waiting.mailboxes.push_back(Arc::downgrade(mailbox));
        drop(waiting);
        self.changed.notify_all();
    }

    fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
        // Who is about to wait holds the lock, or sees the mark.
        drop(lock(&self.inner));
        self.changed.notify_all();
    }

    fn next(&self) -> Option<Weak<dyn Indexable>> {
        let mut waiting = lock(&self.inner);
        waiting.is_busy = false;
        self.changed.notify_all();
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(next) = waiting.mailboxes.pop_front() {
                waiting.is_busy = true;
                return Some(next);
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn work(&self) {
        lower_priority();
        while let Some(next) = self.next() {
            let Some(mailbox) = next.upgrade() else { continue };
            mailbox.texts().waits.store(false, Ordering::Relaxed);
            let stop = || self.stop.load(Ordering::Relaxed);
            // What one message does must not end it for all.
            let done = catch_unwind(AssertUnwindSafe(|| mailbox.index_next(&stop)));
            match done.unwrap_or(Err(StoreError::Closed)) {
                Ok(Step::Done) => {}
                // Others first.
                Ok(Step::More) if !mailbox.texts().waits.swap(true, Ordering::Relaxed) => self.push(&mailbox),
                Ok(Step::More) => {}
                Err(error) => debug!(%error, mailbox = mailbox.id(), "its text index is not complete"),
            }
        }
    }
}

/// Does work that nobody hurries for, on a thread of its own.
pub async fn at_leisure<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (tell, told) = oneshot::channel();
    let run = move || {
        lower_priority();
        // Who asked may be gone.
        let _ = tell.send(work());
    };
    let started = thread::Builder::new().name("text index".into()).spawn(run);
    started.map_err(|error| StoreError::Io { doing: "start a thread".into(), error: Arc::new(error) })?;
    told.await.unwrap_or(Err(StoreError::Closed))
}

/// Of this thread alone, on Linux. Without it the work is the same.
fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, LOWEST) {
        debug!(%error, "text indexes are made at the usual priority");
    }
}

/// The highest number, that is.
const LOWEST: i32 = 19;
