//! The password database: a file of SCRAM keys, never of passwords, shared by all nodes of a host.
//!
//! The file is text. Its first line names the format and holds a secret; each further line is a user:
//!
//! ```text
//! murder-passwords 1 <secret, base64>
//! fred<TAB>SCRAM-SHA-256$10000:<salt>$<stored key>:<server key><TAB>SCRAM-SHA-1$10000:…
//! ```
//!
//! Readers keep it in memory and look at each question whether the file was replaced. Writers hold a lock on
//! `<file>.lock`, write a new file beside it, sync it, and rename it over the old one, so that a reader or a crash
//! sees the one or the other whole. The secret makes the salt that a user who does not exist seems to have, the
//! same on every node, so that nobody learns from the exchange who exists (RFC 5802 section 9 leaves it open).
//!
//! All functions block on files and hashing: callers on the reactor use `spawn_blocking`.

mod file;
mod keys;
mod proofs;
mod slots;

pub use keys::{Hash, Keys, Secret};

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use file::{Contents, Stamp};
use proofs::Proofs;
use slots::HASHING;
use tracing::{info, warn};

use bounds::Seldom;

use crate::limits::{ITERATIONS, RENEWED_EACH};

/// A handle on the database; clones share what was read. The file may not exist yet: then nobody can log in.
#[derive(Clone)]
pub struct PasswordDb {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    read: Mutex<Option<(Stamp, Arc<Contents>)>>,
    proofs: Proofs,
    /// Rounds of the slow hash of new passwords.
    iterations: AtomicU32,
    /// When a password was hashed anew last.
    renewed: Mutex<Option<Instant>>,
}

/// What can go wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("{}: {why}", path.display())]
    Io { path: PathBuf, why: io::Error },
    #[error("{}:{line}: not a password line of this version", path.display())]
    Format { path: PathBuf, line: usize },
    #[error("a user name may not be empty or hold control characters")]
    BadName,
    #[error("a password may not be empty or hold control characters")]
    BadPassword,
    #[error("too many passwords are being checked")]
    Busy,
}

impl PasswordDb {
    pub fn new(path: impl Into<PathBuf>) -> PasswordDb {
        let shared = Shared {
            path: path.into(),
            read: Mutex::new(None),
            proofs: Proofs::new(),
            iterations: AtomicU32::new(ITERATIONS),
            renewed: Mutex::new(None),
        };
        PasswordDb { shared: Arc::new(shared) }
    }

    /// `password_iterations`: new passwords are hashed so often, and others when they are seen next, in a login that shows
    /// the password (LOGIN, PLAIN, USER and PASS).
    pub fn set_iterations(&self, iterations: u32) {
        self.shared.iterations.store(iterations, Ordering::Relaxed);
    }

    fn iterations(&self) -> u32 {
        self.shared.iterations.load(Ordering::Relaxed)
    }

    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Sets or replaces a user's password; on disk when it returns.
    pub fn set(&self, user: &str, password: &str) -> Result<(), PasswordError> {
        if user.is_empty() || user.chars().any(char::is_control) {
            return Err(PasswordError::BadName);
        }
        if password.is_empty() || password.chars().any(char::is_control) {
            return Err(PasswordError::BadPassword);
        }
        let secret = Secret::new(password, self.iterations())?;
        file::update(self.path(), |users| {
            users.insert(user.to_owned(), secret);
            true
        })?;
        Ok(())
    }

    /// True when there was such a user.
    pub fn delete(&self, user: &str) -> Result<bool, PasswordError> {
        file::update(self.path(), |users| users.remove(user).is_some())
    }

    /// All users, in order.
    pub fn list(&self) -> Result<Vec<String>, PasswordError> {
        Ok(self.contents()?.users.keys().cloned().collect())
    }

    /// Whether `password` is `user`'s. Takes as long for a user who does not exist.
    ///
    /// # Errors
    /// [`PasswordError::Busy`]: too many wait for the slow hash.
    pub fn verify(&self, user: &str, password: &[u8]) -> Result<bool, PasswordError> {
        let contents = self.contents()?;
        let (keys, exists) = contents.keys(user, Hash::Sha256, self.iterations());
        if exists && self.shared.proofs.contains(user, password, &keys, Instant::now()) {
            return Ok(true);
        }
        let fits = {
            let _slot = HASHING.take()?;
            keys.fit(Hash::Sha256, password) && exists
        };
        if fits {
            self.shared.proofs.insert(user, password, &keys, Instant::now());
            if keys.iterations < self.iterations() {
                self.renew(user, password, &contents);
            }
        }
        Ok(fits)
    }

    /// Forgets that a user's password was verified: he is denied.
    pub fn forget(&self, user: &str) {
        self.shared.proofs.forget(user);
    }

    /// Hashes a password anew that was hashed with fewer rounds than are asked for now, one a second at most: each time the
    /// whole file is written. The login stands, whatever happens here.
    fn renew(&self, user: &str, password: &[u8], seen: &Contents) {
        let (Ok(password), Some(old)) = (std::str::from_utf8(password), seen.users.get(user)) else { return };
        {
            let now = Instant::now();
            let mut renewed = self.shared.renewed.lock().unwrap_or_else(PoisonError::into_inner);
            if renewed.is_some_and(|last| now.saturating_duration_since(last) < RENEWED_EACH) {
                return;
            }
            *renewed = Some(now);
        }
        let secret = HASHING.take().and_then(|_slot| Secret::new(password, self.iterations()));
        let written = secret.and_then(|secret| {
            file::update(self.path(), |users| match users.get_mut(user) {
                // Somebody may have given another one meanwhile.
                Some(current) if current == old => {
                    *current = secret;
                    true
                }
                _ => false,
            })
        });
        match written {
            Ok(true) => info!(user, "the password is kept with more rounds (password_iterations)"),
            Ok(false) => {}
            Err(error) => {
                if let Some(count) = UNRENEWED.met() {
                    warn!(
                        user,
                        count, "password_iterations: the password cannot be kept with more rounds: {error}"
                    );
                }
            }
        }
    }

    /// The SCRAM keys of `user`, or made-up ones that nobody can use. The second is whether the user exists.
    pub fn keys(&self, user: &str, hash: Hash) -> Result<(Keys, bool), PasswordError> {
        Ok(self.contents()?.keys(user, hash, self.iterations()))
    }

    fn contents(&self) -> Result<Arc<Contents>, PasswordError> {
        let stamp = Stamp::of(self.path())?;
        let mut read = self.shared.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seen, contents)) = read.as_ref()
            && *seen == stamp
        {
            return Ok(contents.clone());
        }
        let (stamp, contents) = file::read(self.path())?;
        let contents = Arc::new(contents);
        let same = |user: &str, stored: &[u8]| {
            contents.users.get(user).is_some_and(|secret| secret.keys(Hash::Sha256).stored == stored)
        };
        self.shared.proofs.keep(Instant::now(), same);
        *read = Some((stamp, contents.clone()));
        Ok(contents)
    }
}

impl Contents {
    /// Somebody who does not exist has as many rounds as a neighbour: not all passwords were hashed anew yet, and nobody is
    /// to tell those who exist by it.
    fn keys(&self, user: &str, hash: Hash, otherwise: u32) -> (Keys, bool) {
        if let Some(secret) = self.users.get(user) {
            return (secret.keys(hash).clone(), true);
        }
        let next = self.users.range(user.to_owned()..).next().or_else(|| self.users.iter().next());
        let iterations = next.map_or(otherwise, |(_, secret)| secret.keys(hash).iterations);
        (Keys::made_up(&self.secret, user, hash, iterations), false)
    }
}

type Users = BTreeMap<String, Secret>;

static UNRENEWED: Seldom = Seldom::each_hour();
