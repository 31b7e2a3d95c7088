//! The commands that are done aside: each waits for its turn, tells how far it is, and ends with its client.

use std::sync::Arc;
use std::time::Duration;

use protocol::imap::{Refusal, Tag};
use tokio::time::{Instant, Interval, interval_at};
use work::aside::{Budget, Spent, aside, sliced};

use super::Progress;
use crate::imap::limits::rows;
use crate::imap::reply::Stop;
use crate::imap::session::Session;

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
        let progress = Progress::default();
        self.finish_telling(|| progress.line(tag), work).await
    }

    /// The same for what has more to tell.
    pub async fn finish_telling<T>(
        &mut self,
        line: impl Fn() -> Vec<u8>,
        work: impl Future<Output = T>,
    ) -> T {
        let (mut done, mut ticks) = (std::pin::pin!(work), self.ticks());
        loop {
            tokio::select! {
                biased;
                done = &mut done => return done,
                () = ticks.next() => self.conn.put(line()),
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

/// The time of the command is spent.
fn took_too_long(user: &str, limit: Duration) -> Stop {
    rows::search_maxtime
        .met(format_args!("{user}: a command took more than {limit:?} and was ended (search_maxtime)"));
    Refusal::TakesTooLong.into()
}
