//! Work that grows with what a client sends, or with what it has stored, away from the threads that serve all clients.
//!
//! A session's task shares its thread with others: what takes longer than a few milliseconds there holds them up. Work
//! whose size is known and small is done on the spot ([`weighed`]). All other goes to a blocking thread ([`aside`]), with a
//! [`Budget`] that the work asks at each of its steps: it is spent when nobody waits for the result any more, since the
//! client is gone, and after a bounded time of the processor.

use std::cell::Cell;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long some work may go on. It belongs to the thread that works.
#[derive(Debug)]
pub struct Budget {
    left: Arc<AtomicBool>,
    until: Duration,
    /// Questions until the clock is looked at again.
    rest: Cell<u32>,
    spent: Cell<bool>,
}

/// The budget was spent before the work was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this takes too long")]
pub struct Spent;

impl Budget {
    fn new(left: Arc<AtomicBool>, time: Duration) -> Budget {
        let until = if time.is_zero() { Duration::MAX } else { processor_time().saturating_add(time) };
        Budget { left, until, rest: Cell::new(0), spent: Cell::new(false) }
    }

    /// An error if the work must end. Asked once for each step of some microseconds.
    pub fn check(&self) -> Result<(), Spent> {
        match self.rest.get().checked_sub(1) {
            Some(rest) => self.rest.set(rest),
            None => {
                self.rest.set(QUESTIONS);
                let over = self.left.load(Ordering::Relaxed) || processor_time() >= self.until;
                self.spent.set(self.spent.get() || over);
            }
        }
        if self.spent.get() { Err(Spent) } else { Ok(()) }
    }
}

/// Does work on a blocking thread. `time`: of the processor, at most; zero is no bound. Who drops the future ends the work.
pub async fn aside<T: Send + 'static>(
    time: Duration,
    work: impl FnOnce(&Budget) -> Result<T, Spent> + Send + 'static,
) -> Result<T, Spent> {
    let waits = Waits(Arc::default());
    let left = waits.0.clone();
    let done = on_blocking_thread(move || work(&Budget::new(left, time))).await;
    if done.is_err() {
        metrics::counter!("murder_commands_cut_total").increment(1);
    }
    done
}

/// Does work that takes time in proportion to `weight` (messages, names, or lots of some hundred bytes): on the spot if it
/// is light, else on a blocking thread.
pub async fn weighed<T: Send + 'static>(weight: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if weight <= LIGHT { work() } else { on_blocking_thread(work).await }
}

async fn on_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
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

/// Steps of a [`Pace`] between two rests.
const STEPS: usize = 128;
/// Messages, or names, that are looked at on the spot.
const LIGHT: usize = 256;
/// Questions that a budget answers between two looks at the clock.
const QUESTIONS: u32 = 32;

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
    async fn light_work_is_done_on_the_spot_and_heavy_work_elsewhere() {
        let here = std::thread::current().id();
        assert_eq!(weighed(LIGHT, || std::thread::current().id()).await, here);
        assert_ne!(weighed(LIGHT + 1, || std::thread::current().id()).await, here);
    }
}
