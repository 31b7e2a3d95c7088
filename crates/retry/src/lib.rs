//! How long to wait before the next attempt at what has failed. No clock in here: whoever waits knows what he waits for.
//!
//! | to | begin at |
//! | --- | --- |
//! | wait longer after each attempt | [`Backoff`] |
//! | keep those apart that failed at one moment | [`spread`], [`chance`] |

use std::time::Duration;

/// Pauses that double with each attempt.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    next: Duration,
}

impl Backoff {
    /// The pause after the first attempt.
    pub const fn new(first: Duration) -> Backoff {
        Backoff { first, next: first }
    }

    /// The pause after this attempt. The one after the next is twice as long, but no longer than `longest`, which may
    /// have been changed meanwhile.
    pub fn pause(&mut self, longest: Duration) -> Duration {
        let doubled = self.next.saturating_mul(2).min(longest);
        std::mem::replace(&mut self.next, doubled)
    }

    /// The pause after the next attempt.
    pub const fn next(&self) -> Duration {
        self.next
    }

    /// An attempt has succeeded: the next failure is the first of a new row.
    pub const fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Between a half and the whole of a pause, by a number that [`chance`] gives.
pub fn spread(pause: Duration, chance: u16) -> Duration {
    pause / 2 + part_of(pause / 2, chance)
}

/// Between nothing and the whole of it.
pub fn part_of(whole: Duration, chance: u16) -> Duration {
    whole * u32::from(chance) / u32::from(u16::MAX)
}

/// Any number. Without randomness always the same: those that failed at one moment come back together, which is no reason to
/// stay away.
pub fn chance() -> u16 {
    let mut bytes = [0; 2];
    let _ = getrandom::fill(&mut bytes);
    u16::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_pauses_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(MS * 250);
        let pauses: Vec<u128> = (0..8).map(|_| backoff.pause(MS * 5000).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
        backoff.reset();
        assert_eq!(backoff.next(), MS * 250);
        assert_eq!(backoff.pause(MS * 300), MS * 250);
        assert_eq!(backoff.pause(MS * 300), MS * 300);
        let mut endless = Backoff::new(MS);
        assert!((0..1000).map(|_| endless.pause(Duration::MAX)).all(|pause| pause >= MS));
    }

    #[test]
    fn a_pause_is_spread_over_its_second_half() {
        assert_eq!([0, u16::MAX].map(|chance| spread(MS * 1000, chance)), [MS * 500, MS * 1000]);
        assert_eq!([0, u16::MAX].map(|chance| part_of(MS * 1000, chance)), [Duration::ZERO, MS * 1000]);
        let middle = spread(MS * 1000, u16::MAX / 2);
        assert!(middle > MS * 749 && middle < MS * 751, "{middle:?}");
    }
}
