//! The commit log: one place where what is acknowledged is synced, for all mailboxes and users together.
//!
//! 1. Whoever changes a log (a mailbox's index, a user's log) hands in a [`Job`]: the frame that belongs at a certain
//!    offset of that log, the messages that come with it, and what to do when it holds.
//! 2. One thread takes all jobs that wait, writes them to the segment, syncs it **once**, then writes each frame and
//!    message to its own file (no sync), then tells each job.
//! 3. A full segment is put aside: everything is synced (`syncfs`), and the segment is free again ([`checkpoint`]).
//! 4. After a crash the segments are played back ([`recover`]): the same frames to the same offsets, the same messages
//!    to the same files. Doing it twice does no harm. Each log is, before it is opened; then the segment is freed as any other.
//!
//! A large change is written to its place before it is handed in, and its frame is sealed here ([`ahead`]).
//!
//! Jobs of one log are done in the order in which they were handed in, which is that of their offsets.

mod ahead;
mod checkpoint;
mod entry;
pub mod recover;
mod segment;
mod worker;

use std::{
    fs::File,
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

pub use ahead::Ahead;
pub use entry::{Note, Target};

use super::{
    error::{Doing, StoreError},
    header::{sync_dir, write_new},
    stage::Staged,
};
use crate::limits::QUEUE;

/// The handle on the commit thread. Cheap to clone.
#[derive(Clone)]
pub struct Commit {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Request>,
    pub faults: Arc<Faults>,
}

/// An append-only file under the commit log.
pub struct Log {
    pub target: Target,
    /// The directory that holds it, and the messages that come with its frames.
    pub dir: PathBuf,
    /// Its name in the directory.
    pub name: String,
    pub file: Mutex<Arc<File>>,
    /// Raised when a job failed: jobs that were made on top of it are refused.
    pub epoch: AtomicU64,
}

/// A change of one log.
pub struct Job {
    pub log: Arc<Log>,
    pub epoch: u64,
    pub generation: u64,
    pub content: Content,
    /// Messages, written before the frame.
    pub places: Vec<Place>,
    /// Message files that go once the change holds.
    pub unlink: Vec<u32>,
    /// Bytes for another file beside the log, at an offset; lost in a crash.
    pub cache: Option<(Arc<File>, u64, Vec<u8>)>,
    pub notes: Vec<Note>,
    /// A change of another log that holds if this one does, and only then: one entry of the segment has both.
    pub with: Option<Box<Job>>,
    pub done: Done,
}

impl Job {
    /// A change of the log alone, without messages.
    pub fn new(log: Arc<Log>, epoch: u64, generation: u64, content: Content, done: Done) -> Job {
        let (places, unlink, notes) = (Vec::new(), Vec::new(), Vec::new());
        Job { log, epoch, generation, content, places, unlink, cache: None, notes, with: None, done }
    }

    /// Ends the job, and the one that comes with it, without its being done.
    fn refuse(self, error: &StoreError) {
        let Job { with, done, .. } = self;
        done(Err(error.clone()));
        if let Some(with) = with {
            with.refuse(error);
        }
    }

    /// Whether what it was built on still stands.
    fn is_current(&self) -> bool {
        self.epoch == self.log.epoch() && self.with.as_ref().is_none_or(|with| with.is_current())
    }
}

/// Called once with the outcome. On an error it voids the log, if it is still at the job's epoch, and sets back what
/// was built on the job.
pub type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

pub enum Content {
    /// A frame, and the offset that it belongs at.
    Append { offset: u64, frame: Vec<u8> },
    /// The whole file anew, as the given generation: compaction. Synced at once.
    Replace(Vec<u8>),
}

/// A message that becomes a file of the log's directory.
pub struct Place {
    pub uid: u32,
    pub staged: Arc<Staged>,
}

pub type TakeNote = Box<dyn Fn(&Note) -> Result<(), StoreError> + Send + Sync>;

/// What the commit thread needs to know of the store round it.
pub struct Surroundings {
    /// Where the segments lie.
    pub dir: PathBuf,
    /// Plays back what is left to be, and syncs everything that was ever applied.
    pub sync_all: Box<dyn Fn() -> Result<(), StoreError> + Send + Sync>,
    /// Takes notes over (recent deliveries).
    pub note: TakeNote,
    pub faults: Arc<Faults>,
}

/// Told of each step of an operation: tests look at the disk there.
pub type Watcher = Box<dyn Fn(&str) + Send + Sync>;

/// Failures to order, for tests.
#[derive(Default)]
pub struct Faults {
    /// The next sync of the commit log fails.
    pub sync: AtomicBool,
    /// Writing to the commit log fails as on a full disk.
    pub full: AtomicBool,
    /// Called before each log that is played back for nobody in particular.
    pub play_back: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// Called after each step of a change.
    pub steps: OnceLock<Watcher>,
}

impl Faults {
    pub fn step(&self, step: &str) {
        if let Some(watcher) = self.steps.get() {
            watcher(step);
        }
    }
}

struct Shared {
    permits: Arc<Semaphore>,
    poison: OnceLock<Arc<str>>,
}

enum Request {
    Job(Box<Job>, OwnedSemaphorePermit),
    /// Free the staged files that the active segment holds.
    Free,
    /// Tell when all before it is applied or refused.
    Settle(oneshot::Sender<()>),
    Close(mpsc::Sender<()>),
}

/// The right to hand in one job: bounds the queue.
pub struct Permit(OwnedSemaphorePermit);

impl Commit {
    /// Starts the commit thread on the segments as they were left.
    pub fn start(surroundings: Surroundings, segments: Vec<recover::Left>) -> Result<Commit, StoreError> {
        let shared = Arc::new(Shared { permits: Arc::new(Semaphore::new(QUEUE)), poison: OnceLock::new() });
        let (queue, requests) = mpsc::channel();
        let faults = surroundings.faults.clone();
        worker::start(shared.clone(), Arc::new(surroundings), segments, requests)?;
        Ok(Commit { shared, queue, faults })
    }

    /// Waits for room in the queue.
    pub async fn permit(&self) -> Result<Permit, StoreError> {
        self.check()?;
        let permit = self.shared.permits.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        Ok(Permit(permit))
    }

    /// Hands in a job; `done` is called once, in any case.
    pub fn submit(&self, job: Job, permit: Permit) {
        if let Err(mpsc::SendError(Request::Job(job, _))) =
            self.queue.send(Request::Job(Box::new(job), permit.0))
        {
            job.refuse(&StoreError::Closed);
        }
    }

    /// Has the room freed that messages of the log still take in the staging directories, beside their mailboxes or
    /// though they are gone from there. Soon, not at once.
    pub fn free_staged(&self) {
        // Nothing is left to free where the thread has ended.
        let _ = self.queue.send(Request::Free);
    }

    /// Returns when each job that was handed in before is applied or refused.
    pub async fn settle(&self) {
        let (tell, told) = oneshot::channel();
        if self.queue.send(Request::Settle(tell)).is_ok() {
            // An error means that the thread is gone, and with it all jobs.
            let _ = told.await;
        }
    }

    /// Refuses while poisoned.
    pub fn check(&self) -> Result<(), StoreError> {
        self.poison().map_or(Ok(()), |why| Err(StoreError::Poisoned(why)))
    }

    /// Why nothing more is accepted, if so.
    pub fn poison(&self) -> Option<Arc<str>> {
        self.shared.poison.get().cloned()
    }

    /// Nothing more is accepted until the store is opened again: nobody knows what of a log is on disk.
    fn fail(&self, why: String) {
        tracing::error!(%why, "commit log: nothing more is accepted until restart");
        let _ = self.shared.poison.set(why.into());
    }

    /// Finishes what waits, syncs everything, frees the segments, ends the thread. Blocks.
    pub fn close(&self) {
        self.shared.permits.close();
        let (tell, told) = mpsc::channel();
        if self.queue.send(Request::Close(tell)).is_ok() {
            // An error means that the thread is gone, which is what is waited for.
            let _ = told.recv();
        }
    }
}

impl Log {
    pub fn new(target: Target, dir: PathBuf, name: &str, file: File) -> Log {
        Log { target, dir, name: name.to_owned(), file: Mutex::new(Arc::new(file)), epoch: AtomicU64::new(0) }
    }

    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Makes jobs that were built so far void. To be called under the lock that jobs are built under.
    pub fn void(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    pub fn file(&self) -> Arc<File> {
        self.file.lock().unwrap_or_else(|p| p.into_inner()).clone()
    }

    /// Puts a file of the next generation in its place: on disk when this returns. Nothing of the log may be on its way to the
    /// commit thread meanwhile. Blocks.
    pub fn replace(&self, bytes: &[u8], commit: &Commit) -> Result<(), StoreError> {
        let path = self.dir.join(&self.name);
        let (new, file) = write_new(&path, bytes)?;
        std::fs::rename(&new, &path).doing("rename", &new)?;
        *self.file.lock().unwrap_or_else(|p| p.into_inner()) = Arc::new(file);
        // What follows is logged for the new file: it must not be the old one again after a crash.
        sync_dir(&self.dir).inspect_err(|error| commit.fail(error.to_string()))
    }
}
