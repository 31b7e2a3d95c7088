//! What keeps dying: how long to wait before the next attempt, and when to give up. And how often a service may fork.
//!
//! | it died | the next start |
//! |---|---|
//! | after it had become ready | after 100, 200, 400, then always 500 ms; a death more than ten seconds after the last begins anew |
//! | before it was ready, and it has been ready once | after an eighth of the time since, from 100 ms to 5 s |
//! | before it was ready, and it never was | after 100, 200, 400, 800 ms; given up at the fifth death in a row |
//!
//! One process serves all clients: one that a client can make crash must not be given up for it.

use std::time::{Duration, Instant};

use retry::Backoff;

use crate::limits::{FIRST, LIMIT, LONGEST, ROW, SOON};

/// Deaths in a row. One more than ten seconds after the last begins a new row, as in Cyrus.
#[derive(Debug, Clone)]
pub struct Failures {
    count: u32,
    pauses: Backoff,
    last: Option<Instant>,
    /// The last death of a process that had become ready.
    ready: Option<Instant>,
}

/// What follows from one more death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try again after this long.
    Again(Duration),
    /// Too many, and it never was ready: leave it alone.
    GiveUp,
}

impl Default for Failures {
    fn default() -> Failures {
        Failures { count: 0, pauses: Backoff::new(FIRST), last: None, ready: None }
    }
}

impl Failures {
    /// Counts a death.
    pub fn record(&mut self, now: Instant, was_ready: bool) -> Verdict {
        if self.last.is_none_or(|last| now.saturating_duration_since(last) > ROW) {
            self.forget();
        }
        self.count += 1;
        self.last = Some(now);
        let pause = self.pauses.pause(LONGEST);
        if was_ready {
            self.ready = Some(now);
            return Verdict::Again(pause.min(SOON));
        }
        match self.ready {
            Some(ready) => Verdict::Again((now.saturating_duration_since(ready) / 8).clamp(FIRST, LONGEST)),
            None if self.count >= LIMIT => Verdict::GiveUp,
            None => Verdict::Again(pause),
        }
    }

    /// Counts a death of what must never be given up.
    pub fn record_for_ever(&mut self, now: Instant, was_ready: bool) -> Duration {
        let delay = match self.record(now, was_ready) {
            Verdict::Again(delay) => delay,
            Verdict::GiveUp => self.pauses.next(),
        };
        // How long it is left alone is not how long it lives.
        self.last = now.checked_add(delay);
        delay
    }

    /// Whether this death was the one that makes it too many.
    pub fn are_too_many_now(&self) -> bool {
        self.count == LIMIT
    }

    /// A fresh start, after a reload. What has been ready stays so.
    pub fn forget(&mut self) {
        (self.count, self.last) = (0, None);
        self.pauses.reset();
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

    /// True when `limit` forks per second (0: no limit) are reached; look again after [`crate::limits::RATE_PAUSE`].
    pub fn exceeds(&self, limit: u32, now: Instant) -> bool {
        limit > 0 && self.now(now) >= f64::from(limit)
    }

    fn now(&self, now: Instant) -> f64 {
        let elapsed = self.at.map_or(0.0, |at| now.duration_since(at).as_secs_f64());
        self.estimate * (-elapsed).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_never_becomes_ready_is_given_up_at_the_fifth_death_in_a_row() {
        let start = Instant::now();
        let mut failures = Failures::default();
        for delay in [100, 200, 400, 800] {
            assert_eq!(failures.record(start, false), Verdict::Again(MS * delay));
        }
        assert_eq!(failures.record(start, false), Verdict::GiveUp);
    }

    #[test]
    fn a_death_long_after_the_last_begins_a_new_row() {
        let start = Instant::now();
        for was_ready in [false, true] {
            let mut failures = Failures::default();
            for round in 0..20 {
                let now = start + Duration::from_secs(11 * round);
                assert_eq!(failures.record(now, was_ready), Verdict::Again(MS * 100));
            }
        }
    }

    #[test]
    fn what_becomes_ready_each_time_is_started_again_for_ever_within_half_a_second() {
        let mut now = Instant::now();
        let mut failures = Failures::default();
        let mut delays = Vec::new();
        for _ in 0..1000 {
            let Verdict::Again(delay) = failures.record(now, true) else { panic!("given up") };
            delays.push(delay.as_millis());
            now += delay + MS * 50;
        }
        assert_eq!(delays[..5], [100, 200, 400, 500, 500]);
        assert_eq!(delays.iter().max(), Some(&500));
    }

    #[test]
    fn what_was_ready_once_is_never_given_up_and_waits_longer_the_longer_it_is_not() {
        let mut now = Instant::now();
        let mut failures = Failures::default();
        failures.record(now, true);
        let mut last = Duration::ZERO;
        for _ in 0..100 {
            let Verdict::Again(delay) = failures.record(now, false) else { panic!("given up") };
            assert!(last <= delay && delay <= Duration::from_secs(5), "{last:?} {delay:?}");
            (last, now) = (delay, now + delay + MS * 50);
        }
        assert_eq!(last, Duration::from_secs(5));
        failures.forget();
        assert_eq!(failures.record(now, true), Verdict::Again(MS * 100), "it is ready again");
        assert_eq!(failures.record(now, false), Verdict::Again(MS * 100));
    }

    #[test]
    fn killed_every_700_ms_for_20_s_it_is_back_within_2_s_of_the_last_kill() {
        // For each time that it takes to become ready, and each moment of the last kill.
        for ready_after in (50..=600).step_by(50) {
            let mut failures = Failures::default();
            let start = Instant::now();
            // When it was started, or is to be.
            let mut begun = start.checked_sub(Duration::from_secs(60)).unwrap();
            for kill in 0..29 {
                let now = start + MS * 700 * kill;
                if begun <= now {
                    let was_ready = now - begun >= MS * ready_after;
                    let Verdict::Again(delay) = failures.record(now, was_ready) else { panic!("given up") };
                    begun = now + delay;
                }
                let back = (begun + MS * ready_after).saturating_duration_since(now);
                assert!(back <= Duration::from_secs(2), "{ready_after} ms: kill {kill}: {back:?}");
            }
        }
    }

    #[test]
    fn what_dies_as_soon_as_it_is_started_again_waits_longer_each_time() {
        let mut now = Instant::now();
        let mut failures = Failures::default();
        let mut delays = Vec::new();
        for _ in 0..30 {
            let delay = failures.record_for_ever(now, false);
            delays.push(delay);
            now += delay + MS * 50;
        }
        assert!(delays.windows(2).all(|pair| pair[0] <= pair[1]), "{delays:?}");
        assert_eq!(delays.last(), Some(&LONGEST));
        assert_eq!(failures.record_for_ever(now + Duration::from_secs(11), false), FIRST);
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
