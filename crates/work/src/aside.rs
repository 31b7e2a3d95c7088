//! Work that grows with what a client sends, or with what it has stored, away from the threads that serve all clients.
//!
//! A session's task shares its thread with others: what takes longer than a few milliseconds there holds them up. Work
//! whose size is known and small is done on the spot ([`weighed`]). All other goes to a blocking thread ([`aside`]), with a
//! [`Budget`] that the work asks at each of its steps: it is spent when nobody waits for the result any more, since the
//! client is gone, and after a bounded time of the processor.
//!
//! Threads that work share the processors with those that serve. So all sessions of one user together have few of them, and
//! the rest of their work waits for its turn:
//!
//! | bound, of one user | value | when it is met |
//! | --- | --- | --- |
//! | [`aside`], [`sliced`] at a time | [`LONG`] | one more waits, [`PATIENCE`] at most, and counts as spent |
//! | [`weighed`], [`away`] at a time | [`SHORT`] | one more waits; each of them is as large as one message or mailbox |

use std::cell::Cell;
use std::future::Future;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;

use crate::limits::{LIGHT, LONG, PATIENCE, QUESTIONS, SHORT, SLICE, STEPS, rows};

/// How long some work may go on. It belongs to the thread that works.
#[derive(Debug)]
pub struct Budget {
    left: Arc<AtomicBool>,
    until: Duration,
    /// Where the slice ends.
    pause: Duration,
    /// Questions until the clock is looked at again.
    rest: Cell<u32>,
    spent: Cell<bool>,
    paused: Cell<bool>,
}

/// The budget was spent before the work was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this takes too long")]
pub struct Spent;

impl Budget {
    fn new(left: Arc<AtomicBool>, time: Duration) -> Budget {
        let now = processor_time();
        let until = if time.is_zero() { Duration::MAX } else { now.saturating_add(time) };
        let (spent, paused) = (Cell::new(false), Cell::new(false));
        Budget { left, until, pause: now.saturating_add(SLICE), rest: Cell::new(0), spent, paused }
    }

    /// An error if the work must end. Asked once for each step of some microseconds.
    pub fn check(&self) -> Result<(), Spent> {
        match self.rest.get().checked_sub(1) {
            Some(rest) => self.rest.set(rest),
            None => {
                self.rest.set(QUESTIONS);
                let now = processor_time();
                let over = self.left.load(Ordering::Relaxed) || now >= self.until;
                self.spent.set(self.spent.get() || over);
                self.paused.set(now >= self.pause);
            }
        }
        if self.spent.get() { Err(Spent) } else { Ok(()) }
    }

    /// Whether work that can be cut should let other work have the thread now; known to [`Budget::check`].
    pub fn is_slice_over(&self) -> bool {
        self.paused.get()
    }
}

/// What all sessions of one user may have done at the same time.
#[derive(Debug)]
pub struct Share {
    long: Arc<Semaphore>,
    short: Arc<Semaphore>,
}

tokio::task_local! {
    /// Of the user whose session the task serves.
    static SHARE: Mutex<Option<Arc<Share>>>;
}

impl Default for Share {
    fn default() -> Share {
        Share { long: Arc::new(Semaphore::new(LONG)), short: Arc::new(Semaphore::new(SHORT)) }
    }
}

impl Share {
    /// Serves a session. Its work counts to nobody until it [`Share::belongs`] to somebody.
    pub async fn scope<F: Future>(session: F) -> F::Output {
        SHARE.scope(Mutex::default(), session).await
    }

    /// The session that this task serves is of the share's user from now on; `None`: of nobody.
    pub fn belongs(share: Option<Arc<Share>>) {
        // Outside of a session nobody is counted.
        let _ = SHARE.try_with(|own| *own.lock().unwrap_or_else(PoisonError::into_inner) = share);
    }

    fn own() -> Option<Arc<Share>> {
        SHARE.try_with(|own| own.lock().unwrap_or_else(PoisonError::into_inner).clone()).ok().flatten()
    }
}

/// Waits for the user's turn, where it is a user's.
async fn turn(gate: Option<Arc<Semaphore>>) -> Option<OwnedSemaphorePermit> {
    // No gate is ever closed.
    gate?.acquire_owned().await.ok()
}

/// Does work on a blocking thread. `time`: of the processor, at most; zero is no bound. Who drops the future ends the work.
pub async fn aside<T: Send + 'static>(
    time: Duration,
    work: impl FnOnce(&Budget) -> Result<T, Spent> + Send + 'static,
) -> Result<T, Spent> {
    let waits = Waits(Arc::default());
    let left = waits.0.clone();
    let done = match tokio::time::timeout(PATIENCE, turn(Share::own().map(|share| share.long.clone()))).await
    {
        Ok(turn) => on_blocking_thread(turn, move || work(&Budget::new(left, time))).await,
        Err(_) => {
            rows::LONG.met("a user's searches are as many as may be under way: one more is given up");
            Err(Spent)
        }
    };
    done.map_err(|_| cut())
}

/// Does the same work in slices, between which others have the thread: each is done when `gate`, which is there for all users,
/// lets one more through. `work` gives a result, or nothing when its slice is over. With the time of the processor that it took.
pub async fn sliced<T: Send + 'static>(
    time: Duration,
    gate: &Arc<Semaphore>,
    mut work: impl FnMut(&Budget) -> Result<Option<T>, Spent> + Send + 'static,
) -> Result<(T, Duration), Spent> {
    let waits = Waits(Arc::default());
    let own = turn(Share::own().map(|share| share.long.clone()));
    let Ok(own) = tokio::time::timeout(PATIENCE, own).await else {
        rows::LONG.met("a user's searches are as many as may be under way: one more is given up");
        return Err(cut());
    };
    let own = Arc::new(own);
    let mut used = Duration::ZERO;
    while time.is_zero() || used < time {
        let slot = tokio::time::timeout(PATIENCE, turn(Some(gate.clone()))).await.map_err(|_| cut())?;
        let left = time.saturating_sub(used);
        let (own, waited) = (own.clone(), waits.0.clone());
        let slice = move || {
            let _own = own;
            let began = processor_time();
            let done = work(&Budget::new(waited, left));
            (done, processor_time().saturating_sub(began), work)
        };
        let (done, took, rest) = on_blocking_thread(slot, slice).await;
        match done {
            Ok(Some(done)) => return Ok((done, used.saturating_add(took))),
            Ok(None) => (used, work) = (used.saturating_add(took), rest),
            Err(Spent) => break,
        }
    }
    Err(cut())
}

fn cut() -> Spent {
    metrics::counter!("murder_commands_cut_total").increment(1);
    Spent
}

/// Does work that takes time in proportion to `weight` (messages, names, or lots of some hundred bytes): on the spot if it
/// is light, else on a blocking thread.
pub async fn weighed<T: Send + 'static>(weight: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if weight <= LIGHT {
        return work();
    }
    let turn = turn(Share::own().map(|share| share.short.clone())).await;
    on_blocking_thread(turn, work).await
}

/// Begins such work on a blocking thread, to be waited for later. If nobody will, it ends with the step that is under way.
pub fn away<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> AbortOnDropHandle<T> {
    let gate = Share::own().map(|share| share.short.clone());
    AbortOnDropHandle::new(tokio::spawn(async move { on_blocking_thread(turn(gate).await, work).await }))
}

/// The work keeps the turn to its end, though nobody waits for it any more.
async fn on_blocking_thread<T: Send + 'static>(
    turn: Option<OwnedSemaphorePermit>,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let work = move || {
        let _turn = turn;
        work()
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            // As if it had happened on the spot.
            Ok(panic) => panic::resume_unwind(panic),
            // The runtime ends, and with it whoever waits.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Lets others have the thread now and then, in a loop whose steps may all be ready at once.
#[derive(Debug, Default)]
pub struct Pace {
    steps: usize,
}

impl Pace {
    /// After each step of some microseconds.
    pub async fn step(&mut self) {
        self.steps(1).await;
    }

    /// After what took the time of so many.
    pub async fn steps(&mut self, steps: usize) {
        self.steps = self.steps.saturating_add(steps);
        if self.steps >= STEPS {
            self.steps = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// The result of work is waited for as long as this lives.
struct Waits(Arc<AtomicBool>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Time of the processor that this thread has had.
fn processor_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_ends_when_nobody_waits_for_it() {
        let (ended, end) = tokio::sync::oneshot::channel();
        let (began, begin) = tokio::sync::oneshot::channel();
        let work = aside(Duration::from_secs(3600), move |budget| {
            let _ = began.send(());
            while budget.check().is_ok() {}
            let _ = ended.send(());
            Ok(())
        });
        tokio::select! {
            _ = work => panic!("it does not end by itself"),
            _ = begin => {}
        }
        end.await.unwrap();
    }

    #[tokio::test]
    async fn work_ends_when_its_time_is_spent() {
        let work = aside(Duration::from_millis(5), |budget| {
            loop {
                budget.check()?;
            }
        });
        assert_eq!(work.await, Err::<(), _>(Spent));
    }

    #[tokio::test]
    async fn work_in_slices_lets_others_through_and_ends_when_its_time_is_spent() {
        let gate = Arc::new(Semaphore::new(1));
        let (mut slices, mut steps) = (0, 0);
        let work = sliced(Duration::ZERO, &gate, move |budget| {
            slices += 1;
            while !budget.is_slice_over() {
                budget.check()?;
                steps += 1;
            }
            Ok((slices == 3).then_some((slices, steps)))
        });
        let ((slices, steps), took) = work.await.unwrap();
        assert!(slices == 3 && steps > 3 && took >= 3 * SLICE);
        let work = sliced(Duration::from_millis(120), &gate, |budget| {
            while !budget.is_slice_over() {
                budget.check()?;
            }
            Ok(None::<()>)
        });
        assert_eq!(work.await, Err(Spent));
        assert_eq!(gate.available_permits(), 1);
    }

    #[test]
    fn many_sessions_of_one_user_leave_threads_to_others() {
        // One thread more than a user may have: on it another one is served, whatever the first has asked for.
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.max_blocking_threads(LONG + SHORT + 1).enable_time().build().unwrap();
        runtime.block_on(async {
            let (fred, wilma) = (Arc::new(Share::default()), Arc::new(Share::default()));
            let (release, wall) = std::sync::mpsc::channel::<()>();
            let wall = Arc::new(Mutex::new(wall));
            let mut freds = tokio::task::JoinSet::new();
            for n in 0..60 {
                let (share, wall) = (fred.clone(), wall.clone());
                freds.spawn(Share::scope(async move {
                    Share::belongs(Some(share));
                    // Until the other end is dropped.
                    let work = move || wall.lock().unwrap().recv().is_err();
                    match n % 3 {
                        0 => weighed(LIGHT + 1, work).await,
                        1 => away(work).await.unwrap(),
                        _ => aside(Duration::ZERO, move |_| Ok(work())).await.unwrap(),
                    }
                }));
            }
            let other = Share::scope(async {
                Share::belongs(Some(wilma));
                weighed(LIGHT + 1, || ()).await;
            });
            for _ in 0..200 {
                tokio::task::yield_now().await;
            }
            let served = tokio::time::timeout(Duration::from_secs(20), other).await;
            drop(release);
            assert!(served.is_ok(), "another user waits for the sixty sessions");
            assert!(freds.join_all().await.into_iter().all(|done| done));
        });
    }

    #[tokio::test]
    async fn light_work_is_done_on_the_spot_and_heavy_work_elsewhere() {
        let here = std::thread::current().id();
        assert_eq!(weighed(LIGHT, || std::thread::current().id()).await, here);
        assert_ne!(weighed(LIGHT + 1, || std::thread::current().id()).await, here);
    }
}
