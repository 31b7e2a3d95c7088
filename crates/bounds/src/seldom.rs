//! A limit that is met is logged once in a while, with how often it was met, not once for each attempt: who runs into it
//! must not fill the log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// One such log line.
#[derive(Debug)]
pub struct Seldom {
    period: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    met: u64,
    logged: Option<Instant>,
}

impl Seldom {
    pub const fn each_minute() -> Seldom {
        Seldom::every(Duration::from_secs(60))
    }

    pub const fn each_hour() -> Seldom {
        Seldom::every(Duration::from_secs(3600))
    }

    /// At most one line in each `period`.
    const fn every(period: Duration) -> Seldom {
        Seldom { period, state: Mutex::new(State { met: 0, logged: None }) }
    }

    /// Counts one more. When it is time for a line: how many there were since the last line, this one included.
    pub fn met(&self) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.met = state.met.saturating_add(1);
        if state.logged.is_some_and(|logged| now.duration_since(logged) < self.period) {
            return None;
        }
        state.logged = Some(now);
        Some(std::mem::take(&mut state.met))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_one_line_a_second() {
        let crowd = Seldom::every(Duration::from_secs(1));
        assert_eq!(crowd.met(), Some(1));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert!((0..500).all(|_| crowd.met().is_none()));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(crowd.met(), Some(501));
    }
}
