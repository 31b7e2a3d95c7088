//! Servers that do not take a login of ours: each further one would be refused like the last, and be slowed by the server as a
//! stranger's guess is. So the server is asked again only after a pause, which doubles; everybody meanwhile gets the same
//! answer at once. No clock in here: the caller hands in the time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use retry::Backoff;

use crate::limits::{REFUSED_FIRST, REFUSED_LONGEST};

/// By login (its server, and what makes it another one), what the server answered.
#[derive(Debug)]
pub struct Refusals<L, A> {
    known: Mutex<HashMap<L, Refusal<A>>>,
    most: usize,
}

#[derive(Debug)]
struct Refusal<A> {
    answer: A,
    pauses: Backoff,
    until: Instant,
}

impl<L: Eq + Hash, A: Clone> Refusals<L, A> {
    /// Remembers so many; one more, and all are forgotten.
    pub fn new(most: usize) -> Refusals<L, A> {
        Refusals { known: Mutex::new(HashMap::new()), most }
    }

    /// The last answer, while the server need not be asked.
    pub fn answer(&self, login: &L, now: Instant) -> Option<A> {
        self.known().get(login).filter(|refusal| now < refusal.until).map(|refusal| refusal.answer.clone())
    }

    /// The server has refused the login.
    pub fn refused(&self, login: L, answer: A, now: Instant) {
        let mut known = self.known();
        let before = known.get(&login).map(|refusal| refusal.pauses.clone());
        let mut pauses = before.unwrap_or(Backoff::new(REFUSED_FIRST));
        let until = now + pauses.pause(REFUSED_LONGEST);
        if known.len() >= self.most {
            known.clear();
        }
        known.insert(login, Refusal { answer, pauses, until });
    }

    /// The server has taken it.
    pub fn taken(&self, login: &L) {
        self.known().remove(login);
    }

    /// There may be another password now.
    pub fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> MutexGuard<'_, HashMap<L, Refusal<A>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_pause_grows_until_the_password_is_right() {
        let (refusals, mut now) = (Refusals::new(10), Instant::now());
        let mut asked = 0;
        let began = now;
        while now < began + Duration::from_secs(600) {
            if refusals.answer(&"be1", now).is_none() {
                asked += 1;
                refusals.refused("be1", "authentication failure", now);
            }
            assert_eq!(refusals.answer(&"be1", now), Some("authentication failure"));
            assert_eq!(refusals.answer(&"be2", now), None, "another server may have another password");
            now += Duration::from_secs(1);
        }
        assert!((20..=25).contains(&asked), "{asked} times in ten minutes");
        refusals.taken(&"be1");
        assert_eq!(refusals.answer(&"be1", now), None);
        refusals.refused("be1", "authentication failure", now);
        refusals.forget();
        assert_eq!(refusals.answer(&"be1", now), None);
    }
}
