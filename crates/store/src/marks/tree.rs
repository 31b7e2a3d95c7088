//! The marks as they are in the database.

use sha1::{Digest, Sha1};

use crate::error::StoreError;

/// The marks of all users.
pub(crate) struct Marks {
    pub(super) tree: sled::Tree,
}

impl Marks {
    pub fn new(tree: sled::Tree) -> Marks {
        Marks { tree }
    }

    pub(super) fn ends(&self, key: &[u8]) -> Result<Option<u64>, StoreError> {
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
    pub(super) fn forget(&self, user: &str) -> Result<(), StoreError> {
        for key in self.tree.scan_prefix(prefix(user)).keys() {
            self.tree.remove(key.map_err(failed)?).map_err(failed)?;
        }
        Ok(())
    }
}

/// No user's name has a NUL, nor is one the beginning of another with it.
fn prefix(user: &str) -> Vec<u8> {
    [user.as_bytes(), b"\0"].concat()
}

pub(super) fn key(user: &str, about: &[&[u8]]) -> Vec<u8> {
    let mut hasher = Sha1::new();
    for part in about {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut key = prefix(user);
    key.extend_from_slice(&hasher.finalize());
    key
}

pub(super) fn failed(error: sled::Error) -> StoreError {
    StoreError::List(error.to_string())
}
