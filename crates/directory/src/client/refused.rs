//! Masters that did not take our password: whoever in this process would log in with the same one again gets the answer that it
//! got, for a while ([`Refusals`]).

use std::{
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
    time::Instant,
};

use identity::auth::{Refusals, client::Credentials};

use super::Error;
use crate::client::limits::REFUSED;

/// A login, known by its server, name and password.
pub(super) struct Attempt {
    key: u64,
}

/// Of the whole process: each operation of a backend logs in by itself.
struct Known {
    /// With a key of this process: no password can be found again.
    hasher: RandomState,
    refusals: Refusals<u64, Error>,
}

static KNOWN: LazyLock<Known> =
    LazyLock::new(|| Known { hasher: RandomState::new(), refusals: Refusals::new(REFUSED) });

impl Attempt {
    pub fn of(server: &str, credentials: &Credentials) -> Attempt {
        let Credentials { authname, authzid, password, allowed, .. } = credentials;
        Attempt { key: KNOWN.hasher.hash_one((server, authname, authzid, password, allowed)) }
    }

    /// The last answer, while it holds.
    pub fn admit(&self) -> Result<(), Error> {
        KNOWN.refusals.answer(&self.key, Instant::now()).map_or(Ok(()), Err)
    }

    /// What came of it.
    pub fn note(&self, error: Option<&Error>) {
        match error {
            Some(error @ Error::WrongPassword { .. }) => {
                KNOWN.refusals.refused(self.key, error.clone(), Instant::now());
            }
            // It was not heard, or not to its end.
            Some(_) => {}
            None => KNOWN.refusals.taken(&self.key),
        }
    }
}
