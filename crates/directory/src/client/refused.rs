//! Servers that did not take our password: whoever in this process would log in with the same one again hears the answer that it
//! got, for a while that doubles, and the server is not asked. It would count the login as a stranger's guess, and slow the next one.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use identity::auth::client::Credentials;

use super::Error;

/// A login, known by its server, name and password.
pub(super) struct Attempt {
    key: u64,
}

/// What came of the last one.
struct Refusal {
    error: Error,
    pause: Duration,
    until: Instant,
}

/// Of the whole process: each operation of a backend logs in by itself.
#[derive(Default)]
struct Known {
    /// With a key of this process: no password can be found again.
    hasher: RandomState,
    refusals: Mutex<HashMap<u64, Refusal>>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(Known::default);

impl Attempt {
    pub fn of(server: &str, credentials: &Credentials) -> Attempt {
        let Credentials { authname, authzid, password, allowed, .. } = credentials;
        Attempt { key: KNOWN.hasher.hash_one((server, authname, authzid, password, allowed)) }
    }

    /// The last answer, while it holds.
    pub fn admit(&self) -> Result<(), Error> {
        let refusals = KNOWN.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        match refusals.get(&self.key).filter(|refusal| Instant::now() < refusal.until) {
            Some(refusal) => Err(refusal.error.clone()),
            None => Ok(()),
        }
    }

    /// What came of it.
    pub fn note(&self, error: Option<&Error>) {
        let mut refusals = KNOWN.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some(error @ Error::WrongPassword { .. }) => {
                let before = refusals.get(&self.key).map(|refusal| refusal.pause * 2);
                let pause = before.unwrap_or(FIRST_PAUSE).min(LONGEST_PAUSE);
                // A node has one master: more than a few are passwords that were tried.
                if refusals.len() >= MOST {
                    refusals.clear();
                }
                refusals
                    .insert(self.key, Refusal { error: error.clone(), pause, until: Instant::now() + pause });
            }
            // It was not heard, or not to its end.
            Some(_) => {}
            None => drop(refusals.remove(&self.key)),
        }
    }
}

/// A server's own pause after wrong passwords grows to 24 s (`failedloginpause`): who comes later than that is not slowed.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Refusals remembered.
const MOST: usize = 64;
