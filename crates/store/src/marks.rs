//! What is remembered of a user for a while: whom an answer went to, which message a script has seen.
//!
//! A mark is a hash of what it is about, and the time at which it ends; an ended one is as good as none, and `cyr_expire -E` takes
//! it away. It is on disk when [`Store::mark`] returns. A mark that is lost costs one more answer, nothing else.

use sha1::{Digest, Sha1};

use super::{Store, blocking, error::StoreError};

/// The marks of all users.
pub(crate) struct Marks {
    tree: sled::Tree,
}

impl Marks {
    pub fn new(tree: sled::Tree) -> Marks {
        Marks { tree }
    }

    fn ends(&self, key: &[u8]) -> Result<Option<u64>, StoreError> {
        let found = self.tree.get(key).map_err(failed)?;
        Ok(found.and_then(|value| value.as_ref().try_into().ok()).map(u64::from_be_bytes))
    }

    /// Takes away the marks that have ended. How many.
    pub fn expire(&self, now: u64) -> Result<usize, StoreError> {
        let mut gone = 0;
        for item in self.tree.iter() {
            let (key, value) = item.map_err(failed)?;
            let ends = value.as_ref().try_into().map(u64::from_be_bytes).unwrap_or(0);
            if ends <= now {
                self.tree.remove(key).map_err(failed)?;
                gone += 1;
            }
        }
        Ok(gone)
    }

    /// Takes away all marks of a user.
    fn forget(&self, user: &str) -> Result<(), StoreError> {
        for key in self.tree.scan_prefix(prefix(user)).keys() {
            self.tree.remove(key.map_err(failed)?).map_err(failed)?;
        }
        Ok(())
    }
}

impl Store {
    /// Whether a user has the mark of this, and it has not ended. `about`: its parts, in an order that is the caller's.
    pub fn is_marked(&self, user: &str, about: &[&[u8]]) -> Result<bool, StoreError> {
        let ends = self.inner.marks.ends(&key(user, about))?;
        Ok(ends.is_some_and(|ends| ends > self.now()))
    }

    /// Marks this for so many seconds from now. A mark that is there ends at the new time. On disk when it returns.
    pub async fn mark(&self, user: &str, about: &[&[u8]], seconds: u64) -> Result<(), StoreError> {
        let ends = self.now().saturating_add(seconds);
        let (marks, db, key) = (self.inner.marks.clone(), self.inner.db.clone(), key(user, about));
        blocking(move || {
            marks.tree.insert(key, &ends.to_be_bytes()).map_err(failed)?;
            db.flush()
        })
        .await
    }

    /// Forgets the marks of a user who is gone, or is new here.
    pub(crate) fn forget_marks(&self, user: &str) -> Result<(), StoreError> {
        self.inner.marks.forget(user)
    }
}

/// No user's name has a NUL, nor is one the beginning of another with it.
fn prefix(user: &str) -> Vec<u8> {
    [user.as_bytes(), b"\0"].concat()
}

fn key(user: &str, about: &[&[u8]]) -> Vec<u8> {
    let mut hasher = Sha1::new();
    for part in about {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut key = prefix(user);
    key.extend_from_slice(&hasher.finalize());
    key
}

fn failed(error: sled::Error) -> StoreError {
    StoreError::List(error.to_string())
}
