//! Who is connected: at most `mupdate_connections_max`, and those who have not logged in never keep the others out.
//!
//! When all places are taken, the stranger that has been there longest is sent away for the next one who comes. To log in
//! takes a moment, so that it is hardly ever one who was about to. Without strangers, who comes is refused.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio_util::sync::CancellationToken;

#[derive(Debug, Default)]
pub(super) struct Crowd {
    connections: AtomicUsize,
    /// The longest there first.
    strangers: Mutex<VecDeque<CancellationToken>>,
}

/// One of the connections.
pub(super) struct Place {
    crowd: Arc<Crowd>,
}

/// One that has not logged in; dropped when it has.
pub(super) struct Stranger {
    crowd: Arc<Crowd>,
    sent_away: CancellationToken,
}

impl Crowd {
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// A place for one more, if there is one or can be.
    pub fn admit(self: &Arc<Self>, most: usize) -> Option<(Place, Stranger)> {
        let place = Place { crowd: self.clone() };
        if self.connections.fetch_add(1, Ordering::Relaxed) >= most {
            self.strangers().pop_front()?.cancel();
        }
        let sent_away = CancellationToken::new();
        self.strangers().push_back(sent_away.clone());
        Some((place, Stranger { crowd: self.clone(), sent_away }))
    }

    fn strangers(&self) -> MutexGuard<'_, VecDeque<CancellationToken>> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stranger {
    /// Returns when a stranger must go; never, for who is none.
    pub async fn is_sent_away(stranger: Option<&Stranger>) {
        match stranger {
            Some(stranger) => stranger.sent_away.cancelled().await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // Cancelled tokens have left the queue.
        if !self.sent_away.is_cancelled() {
            self.sent_away.cancel();
            self.crowd.strangers().retain(|token| !token.is_cancelled());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_stranger_makes_place_and_who_logged_in_stays() {
        let crowd = Arc::new(Crowd::default());
        let (_friend, logged_in) = crowd.admit(3).unwrap();
        drop(logged_in);
        let (first, second) = (crowd.admit(3).unwrap(), crowd.admit(3).unwrap());
        let third = crowd.admit(3).unwrap();
        assert!(first.1.sent_away.is_cancelled() && !second.1.sent_away.is_cancelled());
        drop(first);
        assert_eq!(crowd.connections(), 3);
        drop((second.1, third.1));
        assert!(crowd.admit(3).is_none(), "all have logged in");
        assert_eq!(crowd.connections(), 3);
    }
}
