//! A move under way, as those see it who wait for it or look at it, and how they reach it.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use moves::{MoveId, order};
use protocol::imap::{Code, Reply, Tag};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::limits::CATCH_UP;

/// What is wanted of a move that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Go,
    /// Back into the queue.
    Wait,
    GiveUp,
}

/// One move at its source. Counters move with each batch that is sent.
pub struct Live {
    id: MoveId,
    name: String,
    round: AtomicU32,
    messages: AtomicU64,
    bytes: AtomicU64,
    total_messages: AtomicU64,
    total_bytes: AtomicU64,
    /// Bytes in a second at most; 0: no limit.
    rate: AtomicU64,
    /// When the next batch may be sent; and since when there is something to measure.
    pace: Mutex<(Option<Instant>, Option<Instant>)>,
    wish: AtomicU8,
    wished: watch::Sender<()>,
    end: watch::Sender<Option<Result<(), String>>>,
}

impl Live {
    pub fn new(id: MoveId, name: &str) -> Live {
        Live {
            id,
            name: name.to_owned(),
            round: AtomicU32::new(0),
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            total_messages: AtomicU64::new(0),
            total_bytes: AtomicU64::new(0),
            rate: AtomicU64::new(0),
            pace: Mutex::default(),
            wish: AtomicU8::new(0),
            wished: watch::Sender::new(()),
            end: watch::Sender::new(None),
        }
    }

    pub fn id(&self) -> &MoveId {
        &self.id
    }

    /// What there is to send, about.
    pub fn expect(&self, messages: u64, bytes: u64) {
        self.total_messages.store(messages, Ordering::Relaxed);
        self.total_bytes.store(bytes, Ordering::Relaxed);
    }

    /// The copy begins, or begins anew.
    pub fn begin(&self, rate: u64) {
        self.messages.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        self.round.store(0, Ordering::Relaxed);
        self.rate.store(rate, Ordering::Relaxed);
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = (None, Some(Instant::now()));
    }

    pub fn round(&self, round: u32) {
        self.round.store(round, Ordering::Relaxed);
    }

    /// So much was sent: returns when more may be.
    pub async fn sent(&self, messages: u64, bytes: u64) {
        self.messages.fetch_add(messages, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let rate = self.rate.load(Ordering::Relaxed);
        if rate == 0 {
            return;
        }
        let takes = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let until = {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            // What was lost by a slow disk may be made up for, but not an hour of it.
            let from = pace.0.map_or(now, |next| next.max(now.checked_sub(CATCH_UP).unwrap_or(now)));
            *pace.0.insert(from + takes)
        };
        sleep_until(until).await;
    }

    pub fn wish(&self, wish: Wish) {
        self.wish.store(wish as u8, Ordering::Relaxed);
        self.wished.send_replace(());
    }

    pub fn wanted(&self) -> Wish {
        match self.wish.load(Ordering::Relaxed) {
            0 => Wish::Go,
            1 => Wish::Wait,
            _ => Wish::GiveUp,
        }
    }

    /// Returns when something else is wanted than that it goes on.
    pub async fn interrupted(&self) {
        let mut wished = self.wished.subscribe();
        while self.wanted() == Wish::Go {
            if wished.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// It is decided, and this is how.
    pub fn end(&self, how: Result<(), String>) {
        self.end.send_replace(Some(how));
    }

    /// Returns when it is decided. The error is a text for whoever asked.
    pub async fn ended(&self) -> Result<(), String> {
        let mut end = self.end.subscribe();
        let ended = end.wait_for(Option::is_some).await;
        ended.ok().and_then(|end| end.clone()).unwrap_or_else(|| Err("Server is shutting down".to_owned()))
    }

    pub fn shown(&self) -> order::Live {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (bytes, total) = (read(&self.bytes), read(&self.total_bytes));
        let began = self.pace.lock().unwrap_or_else(PoisonError::into_inner).1;
        let took = began.map_or(0.0, |began| began.elapsed().as_secs_f64());
        let rate = if took > 0.0 { (bytes as f64 / took) as u64 } else { 0 };
        order::Live {
            round: self.round.load(Ordering::Relaxed),
            messages: read(&self.messages),
            bytes,
            total_messages: read(&self.total_messages),
            total_bytes: total,
            rate,
            left: (rate > 0).then(|| total.saturating_sub(bytes) / rate),
        }
    }

    /// The untagged line for who waits.
    pub fn line(&self, tag: &Tag, waits: Option<&str>) -> Vec<u8> {
        let now = self.shown();
        let text = match waits {
            Some(why) => format!("{}: {why}", self.name),
            None => format!(
                "{}: round {}, {} of {} messages, {} of {} kB, {} kB/s",
                self.name,
                now.round,
                now.messages,
                now.total_messages.max(now.messages),
                now.bytes / 1000,
                now.total_bytes.max(now.bytes) / 1000,
                now.rate / 1000
            ),
        };
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        // A code ends with its bracket.
        let tag = Some(tag.as_str().to_owned()).filter(|tag| !tag.contains(']'));
        let (done, total) = (count(now.messages), count(now.total_messages.max(now.messages)));
        Reply::ok(text).code(Code::InProgress { tag, done, total }).line(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_move_keeps_to_its_rate() {
        let live = Live::new(MoveId::parse("1").unwrap(), "user.fred");
        live.begin(1000);
        let began = Instant::now();
        for _ in 0..10 {
            live.sent(1, 500).await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(5));
        let shown = live.shown();
        assert_eq!((shown.messages, shown.bytes, shown.rate), (10, 5000, 1000));
        live.begin(0);
        live.sent(1, 1 << 40).await;
        assert_eq!(began.elapsed(), Duration::from_secs(5));
    }

    #[test]
    fn who_waits_for_a_move_hears_how_far_it_is() {
        let (live, tag) = (Live::new(MoveId::parse("1").unwrap(), "user.fred"), Tag::of(b"a1 NOOP").unwrap());
        live.expect(10, 50_000);
        let line = |why| String::from_utf8(live.line(&tag, why)).unwrap();
        assert_eq!(
            line(None),
            "* OK [INPROGRESS (\"a1\" 0 10)] user.fred: round 0, 0 of 10 messages, 0 of 50 kB, 0 kB/s\r\n"
        );
        assert_eq!(
            line(Some("be2 takes 2 moves at once")),
            "* OK [INPROGRESS (\"a1\" 0 10)] user.fred: be2 takes 2 moves at once\r\n"
        );
    }
}
