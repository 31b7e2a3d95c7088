//! What keeps dying: how long to wait before the next attempt, and when to give up. And how often a service may fork.

use std::time::{Duration, Instant};

/// Deaths in a row. One more than ten seconds after the last begins a new row, as in Cyrus.
#[derive(Debug, Default, Clone)]
pub struct Failures {
    count: u32,
    last: Option<Instant>,
}

/// What follows from one more death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try again after this long.
    Again(Duration),
    /// Too many: leave it alone.
    GiveUp,
}

impl Failures {
    /// Counts a death.
    pub fn record(&mut self, now: Instant) -> Verdict {
        if self.last.is_none_or(|last| now.duration_since(last) > ROW) {
            self.count = 0;
        }
        self.count += 1;
        self.last = Some(now);
        if self.count >= LIMIT { Verdict::GiveUp } else { Verdict::Again(self.delay()) }
    }

    /// Counts a death of what must never be given up.
    pub fn record_for_ever(&mut self, now: Instant) -> Duration {
        let delay = match self.record(now) {
            Verdict::Again(delay) => delay,
            Verdict::GiveUp => LONGEST.min(FIRST * 2u32.saturating_pow(self.count.min(16))),
        };
        // How long it is left alone is not how long it lives.
        self.last = now.checked_add(delay);
        delay
    }

    /// Whether this death was the one that makes it too many.
    pub fn are_too_many_now(&self) -> bool {
        self.count == LIMIT
    }

    /// A fresh start, after a reload.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// 100, 200, 400, 800 ms.
    fn delay(&self) -> Duration {
        FIRST * 2u32.saturating_pow(self.count.saturating_sub(1).min(16))
    }
}

/// An exponentially decaying estimate of forks per second; it halves each second.
#[derive(Debug, Default, Clone)]
pub struct ForkRate {
    estimate: f64,
    at: Option<Instant>,
}

impl ForkRate {
    /// Counts a fork.
    pub fn count(&mut self, now: Instant) {
        self.estimate = self.now(now) + std::f64::consts::LN_2;
        self.at = Some(now);
    }

    /// True when `limit` forks per second (0: no limit) are reached; look again after [`RATE_PAUSE`].
    pub fn exceeds(&self, limit: u32, now: Instant) -> bool {
        limit > 0 && self.now(now) >= f64::from(limit)
    }

    fn now(&self, now: Instant) -> f64 {
        let elapsed = self.at.map_or(0.0, |at| now.duration_since(at).as_secs_f64());
        self.estimate * (-elapsed).exp2()
    }
}

/// When a service over its fork rate is looked at again.
pub const RATE_PAUSE: Duration = Duration::from_millis(400);
/// How long a babysat service rests after too many deaths.
pub const PENALTY: Duration = Duration::from_secs(10);
const ROW: Duration = Duration::from_secs(10);
const LIMIT: u32 = 5;
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_death_in_a_row_ends_it_and_the_delay_grows_until_then() {
        let start = Instant::now();
        let mut failures = Failures::default();
        for delay in [100, 200, 400, 800] {
            assert_eq!(failures.record(start), Verdict::Again(Duration::from_millis(delay)));
        }
        assert_eq!(failures.record(start), Verdict::GiveUp);
    }

    #[test]
    fn a_death_long_after_the_last_begins_a_new_row() {
        let start = Instant::now();
        let mut failures = Failures::default();
        for round in 0..20 {
            let verdict = failures.record(start + Duration::from_secs(11 * round));
            assert_eq!(verdict, Verdict::Again(Duration::from_millis(100)));
        }
    }

    #[test]
    fn what_is_never_given_up_waits_ten_seconds_at_most() {
        let start = Instant::now();
        let mut failures = Failures::default();
        let delays: Vec<Duration> = (0..30).map(|_| failures.record_for_ever(start)).collect();
        assert!(delays.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(delays.last(), Some(&LONGEST));
    }

    #[test]
    fn what_dies_as_soon_as_it_is_started_again_waits_longer_each_time() {
        let mut now = Instant::now();
        let mut failures = Failures::default();
        let mut delays = Vec::new();
        for _ in 0..30 {
            let delay = failures.record_for_ever(now);
            delays.push(delay);
            now += delay + Duration::from_millis(50);
        }
        assert!(delays.windows(2).all(|pair| pair[0] <= pair[1]), "{delays:?}");
        assert_eq!(failures.record_for_ever(now + Duration::from_secs(11)), FIRST);
    }

    #[test]
    fn the_fork_rate_follows_what_happens_and_decays() {
        let start = Instant::now();
        let mut rate = ForkRate::default();
        for step in 0..200u32 {
            rate.count(start + Duration::from_millis(100) * step);
        }
        let end = start + Duration::from_secs(20);
        assert!(rate.exceeds(9, end) && !rate.exceeds(12, end) && !rate.exceeds(0, end));
        assert!(!rate.exceeds(2, end + Duration::from_secs(4)));
    }
}
