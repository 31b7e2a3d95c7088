//! A circuit breaker per server and protocol: what has just been out of reach is not waited for again.
//!
//! A slow failure (a time-out) opens it: everyone is refused at once, until a probe in the background has seen the
//! server's greeting. A quick one (connection refused) keeps it open for a moment only, since a new attempt costs
//! nothing and a restarted backend must be found at once. No clock in here: the caller hands in the time.

use std::time::Instant;

use crate::limits::COOLING;

/// The state of one server.
#[derive(Debug, Default)]
pub enum Breaker {
    #[default]
    Closed,
    /// Refuse until then, without probing.
    Cooling { until: Instant, why: String },
    /// Refuse until a probe succeeds.
    Open { why: String },
}

/// What the caller has to do after reporting a failure.
#[derive(Debug, PartialEq, Eq)]
pub enum Todo {
    Nothing,
    /// Begin probing in the background: the breaker has just opened.
    Probe,
}

impl Breaker {
    /// `Err` with the cause when the server must not be tried now.
    pub fn admit(&self, now: Instant) -> Result<(), String> {
        match self {
            Breaker::Closed => Ok(()),
            Breaker::Cooling { until, .. } if *until <= now => Ok(()),
            Breaker::Cooling { why, .. } | Breaker::Open { why } => Err(why.clone()),
        }
    }

    /// The server answered: to a probe or to a connection.
    pub fn succeeded(&mut self) {
        *self = Breaker::Closed;
    }

    /// The server was out of reach; `slow` if that was noticed by a time-out only.
    pub fn failed(&mut self, now: Instant, slow: bool, why: String) -> Todo {
        match (&self, slow) {
            (Breaker::Open { .. }, _) => Todo::Nothing,
            (_, true) => {
                *self = Breaker::Open { why };
                Todo::Probe
            }
            (_, false) => {
                *self = Breaker::Cooling { until: now + COOLING, why };
                Todo::Nothing
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::{PROBE, PROBE_LONGEST};

    #[test]
    fn a_time_out_opens_it_until_a_probe_succeeds() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        assert!(breaker.admit(now).is_ok());
        assert_eq!(breaker.failed(now, true, "slow".into()), Todo::Probe);
        assert_eq!(breaker.failed(now, true, "slow".into()), Todo::Nothing, "one prober is enough");
        assert_eq!(breaker.admit(now + Duration::from_secs(3600)), Err("slow".into()));
        breaker.succeeded();
        assert!(breaker.admit(now).is_ok());
    }

    #[test]
    fn a_refused_connection_is_tried_again_a_moment_later() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        assert_eq!(breaker.failed(now, false, "refused".into()), Todo::Nothing);
        assert!(breaker.admit(now).is_err());
        assert!(breaker.admit(now + COOLING).is_ok());
    }

    #[test]
    fn probes_slow_down_to_five_seconds() {
        let mut probes = retry::Backoff::new(PROBE);
        let pauses: Vec<u128> = (0..8).map(|_| probes.pause(PROBE_LONGEST).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
    }
}
