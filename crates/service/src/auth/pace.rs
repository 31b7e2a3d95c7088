//! Slowing those who guess passwords: each failure from an address makes the next answer later.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::peer::Peer;

/// Failures per address, shared by all listeners of a process.
#[derive(Clone, Default)]
pub struct Pace {
    failures: Arc<Mutex<HashMap<IpAddr, Failures>>>,
}

struct Failures {
    count: u32,
    last: Instant,
}

impl Pace {
    /// Notes a failure; the result is how long to wait before answering: `pause` after the first, doubled with each
    /// further one within [`MEMORY`], up to [`LONGEST`] times.
    pub(super) fn failed(&self, peer: &Peer, pause: Duration) -> Duration {
        let Some(ip) = peer.ip() else { return pause };
        let now = Instant::now();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= ADDRESSES {
            failures.retain(|_, failures| now.duration_since(failures.last) < MEMORY);
            // Still full: a flood from many addresses. Forgetting all costs less than growing.
            if failures.len() >= ADDRESSES {
                failures.clear();
            }
        }
        let entry = failures.entry(ip).or_insert(Failures { count: 0, last: now });
        if now.duration_since(entry.last) >= MEMORY {
            entry.count = 0;
        }
        entry.last = now;
        entry.count = entry.count.saturating_add(1);
        pause * (1 << (entry.count - 1).min(30)).min(LONGEST)
    }

    /// A good login clears the address.
    pub(super) fn succeeded(&self, peer: &Peer) {
        if let Some(ip) = peer.ip() {
            self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(&ip);
        }
    }
}

/// A failure counts that long.
const MEMORY: Duration = Duration::from_secs(600);
/// The pause grows to this many times `failedloginpause`: 24 s with its default.
const LONGEST: u32 = 8;
/// Addresses remembered.
const ADDRESSES: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_pause_and_a_success_forgets() {
        let any = "192.0.2.7:143".parse().unwrap();
        let peer = Peer::Tcp { remote: any, local: any };
        let pace = Pace::default();
        let pauses: Vec<u64> = (0..6).map(|_| pace.failed(&peer, Duration::from_secs(1)).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 8, 8]);
        pace.succeeded(&peer);
        assert_eq!(pace.failed(&peer, Duration::from_secs(1)).as_secs(), 1);
    }
}
