//! Commands whose work has no bound but a budget: SEARCH, SORT, THREAD, LIST, LSUB. It is done on blocking threads, for so many
//! commands of one user at a time, and ends with the client's connection. What goes through messages is cut into slices, so
//! that all such commands of all users share a few threads, and tells its client now and then how far it is (RFC 9585).

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::imap::{Code, Refusal, Reply, Tag};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Interval, interval_at, timeout};
use work::aside::{Budget, Spent, aside, sliced};

use super::limits::{ASIDE, ASIDE_PATIENCE, SCANS, rows};
use super::reply::Stop;
use super::session::Session;

/// Whose commands are under way.
pub struct Aside {
    users: Mutex<HashMap<String, Arc<Semaphore>>>,
    /// Of slices of all users.
    gate: Arc<Semaphore>,
}

impl Default for Aside {
    fn default() -> Aside {
        Aside { users: Mutex::default(), gate: Arc::new(Semaphore::new(SCANS)) }
    }
}

/// How far a command is: messages of so many in all.
#[derive(Debug, Default)]
pub struct Progress {
    pub done: AtomicUsize,
    pub total: AtomicUsize,
}

impl Progress {
    /// The untagged line that tells of it.
    pub fn line(&self, tag: &Tag) -> Vec<u8> {
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        // A code ends with its bracket.
        let tag = Some(tag.as_str().to_owned()).filter(|tag| !tag.contains(']'));
        let code = Code::InProgress { tag, done: done.min(total), total };
        Reply::ok("Still working").code(code).line(None)
    }
}

/// The right to have one more command under way.
struct Turn<'a> {
    all: &'a Aside,
    user: String,
    permit: Option<OwnedSemaphorePermit>,
}

impl Aside {
    /// Waits until the user's other commands have ended.
    async fn turn(&self, user: &str) -> Result<Turn<'_>, Refusal> {
        let semaphore = {
            let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
            users.entry(user.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(ASIDE))).clone()
        };
        let mut turn = Turn { all: self, user: user.to_owned(), permit: None };
        turn.permit = timeout(ASIDE_PATIENCE, semaphore.acquire_owned()).await.ok().and_then(Result::ok);
        if turn.permit.is_none() {
            rows::ASIDE.met(format_args!("{user}: too many searches at the same time: one more is refused"));
            return Err(Refusal::TooManySearches);
        }
        Ok(turn)
    }
}

/// The time of the command is spent.
fn took_too_long(user: &str, limit: Duration) -> Stop {
    rows::search_maxtime
        .met(format_args!("{user}: a command took more than {limit:?} and was ended (search_maxtime)"));
    Refusal::TakesTooLong.into()
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut users = self.all.users.lock().unwrap_or_else(PoisonError::into_inner);
        // Only the map holds it: nobody works, nobody waits.
        if users.get(&self.user).is_some_and(|semaphore| Arc::strong_count(semaphore) == 1) {
            users.remove(&self.user);
        }
    }
}

impl Session {
    /// Does work on a blocking thread, until it is done, its time is spent or the client goes.
    pub async fn aside<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Budget) -> Result<T, Spent> + Send + 'static,
    ) -> Result<T, Stop> {
        let server = self.server.clone();
        let user = self.user()?.id().to_owned();
        let limit = server.imapd.search_maxtime;
        let done = async {
            let _turn = server.shared.aside.turn(&user).await?;
            aside(limit, work).await.map_err(|_| took_too_long(&user, limit))
        };
        self.awaiting(Ticks(None), Vec::new, done).await
    }

    /// Does work that goes through messages in slices: `work` gives a result, or nothing when its slice is over.
    pub async fn scan<T: Send + 'static>(
        &mut self,
        tag: &Tag,
        progress: &Arc<Progress>,
        work: impl FnMut(&Budget) -> Result<Option<T>, Spent> + Send + 'static,
    ) -> Result<T, Stop> {
        let limit = self.server.imapd.search_maxtime;
        self.scan_within(limit, tag, progress, work).await.map(|(done, _)| done)
    }

    /// The same for a part of a command, for which so much time is left; zero is no bound. With the time that it took.
    pub async fn scan_within<T: Send + 'static>(
        &mut self,
        limit: Duration,
        tag: &Tag,
        progress: &Arc<Progress>,
        work: impl FnMut(&Budget) -> Result<Option<T>, Spent> + Send + 'static,
    ) -> Result<(T, Duration), Stop> {
        let server = self.server.clone();
        let user = self.user()?.id().to_owned();
        let done = async {
            let _turn = server.shared.aside.turn(&user).await?;
            let done = sliced(limit, &server.shared.aside.gate, work).await;
            done.map_err(|_| took_too_long(&user, server.imapd.search_maxtime))
        };
        self.awaiting(self.ticks(), || progress.line(tag), done).await
    }

    /// Waits for work, tells the client how far it is by `line`, and ends it with the client.
    async fn awaiting<T>(
        &mut self,
        mut ticks: Ticks,
        line: impl Fn() -> Vec<u8>,
        work: impl Future<Output = Result<T, Stop>>,
    ) -> Result<T, Stop> {
        let server = self.server.clone();
        let mut done = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut done => return done,
                gone = self.conn.gone() => return Err(gone.into()),
                () = server.stop.cancelled() => return Err(Refusal::Ending.into()),
                () = ticks.next() => {
                    self.conn.put(line());
                    self.conn.flush().await?;
                }
            }
        }
    }

    /// The same for what is done to its end, whoever waits for it.
    pub async fn finish<T>(&mut self, tag: &Tag, work: impl Future<Output = T>) -> T {
        let (mut done, mut ticks, progress) = (std::pin::pin!(work), self.ticks(), Progress::default());
        loop {
            tokio::select! {
                biased;
                done = &mut done => return done,
                () = ticks.next() => self.conn.put(progress.line(tag)),
            }
            // The work goes on while a client takes its time. Whether it is gone is found when it is answered.
            let (mut flush, mut finished) = (std::pin::pin!(self.conn.flush()), None);
            loop {
                tokio::select! {
                    biased;
                    result = &mut done, if finished.is_none() => finished = Some(result),
                    _ = &mut flush => break,
                }
            }
            if let Some(result) = finished {
                return result;
            }
        }
    }

    fn ticks(&self) -> Ticks {
        let every = self.server.imapd.imap_inprogress_interval;
        Ticks((!every.is_zero()).then(|| interval_at(Instant::now() + every, every)))
    }
}

/// When to tell of progress: `imap_inprogress_interval`.
struct Ticks(Option<Interval>);

impl Ticks {
    async fn next(&mut self) {
        match &mut self.0 {
            Some(interval) => drop(interval.tick().await),
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_more_search_of_a_user_waits_for_another_to_end_and_is_refused_in_the_end() {
        let all = Aside::default();
        let mut turns = Vec::new();
        for _ in 0..ASIDE {
            turns.push(all.turn("fred").await.unwrap());
        }
        assert!(all.turn("wilma").await.is_ok());
        assert!(all.turn("fred").await.is_err());
        turns.pop();
        assert!(all.turn("fred").await.is_ok());
        turns.clear();
        assert!(all.users.lock().unwrap().is_empty());
    }
}
