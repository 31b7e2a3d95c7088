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

pub use keys::{Hash, Keys, Secret};

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use file::{Contents, Stamp};
use keys::VerifiedCache;

/// A handle on the database; clones share what was read. The file may not exist yet: then nobody can log in.
#[derive(Clone)]
pub struct PasswordDb {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    read: Mutex<Option<(Stamp, Arc<Contents>)>>,
    verified: VerifiedCache,
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
}

impl PasswordDb {
    pub fn new(path: impl Into<PathBuf>) -> PasswordDb {
        let shared = Shared { path: path.into(), read: Mutex::new(None), verified: VerifiedCache::new() };
        PasswordDb { shared: Arc::new(shared) }
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
        let secret = Secret::new(password)?;
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
    pub fn verify(&self, user: &str, password: &[u8]) -> Result<bool, PasswordError> {
        let contents = self.contents()?;
        let (keys, exists) = contents.keys(user, Hash::Sha256);
        if exists && self.shared.verified.contains(user, password, &keys) {
            return Ok(true);
        }
        let fits = keys.fit(Hash::Sha256, password) && exists;
        if fits {
            self.shared.verified.insert(user, password, &keys);
        }
        Ok(fits)
    }

    /// The SCRAM keys of `user`, or made-up ones that nobody can use. The second is whether the user exists.
    pub fn keys(&self, user: &str, hash: Hash) -> Result<(Keys, bool), PasswordError> {
        Ok(self.contents()?.keys(user, hash))
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
        *read = Some((stamp, contents.clone()));
        Ok(contents)
    }
}

impl Contents {
    fn keys(&self, user: &str, hash: Hash) -> (Keys, bool) {
        match self.users.get(user) {
            Some(secret) => (secret.keys(hash).clone(), true),
            None => (Keys::made_up(&self.secret, user, hash), false),
        }
    }
}

type Users = BTreeMap<String, Secret>;
