//! A message on its way in: small ones stay in memory, larger ones go to a file on the partition as they arrive.

use std::path::PathBuf;

use bytes::Bytes;

use super::error::StoreError;

/// A message being received. Dropping it forgets what came.
pub struct Staging {
    dir: PathBuf,
}

/// A whole message, ready for any number of mailboxes.
pub struct Staged {
    /// Bytes.
    pub size: u64,
    /// Bytes of the header with its blank line.
    pub header_size: u32,
    /// SHA-1.
    pub guid: [u8; 20],
    /// Encoded [`crate::mime::Structure`].
    pub structure: Bytes,
}

impl Staging {
    /// Takes more bytes.
    pub async fn write(&mut self, _bytes: &[u8]) -> Result<(), StoreError> {
        let _ = &self.dir;
        Err(StoreError::Closed)
    }

    /// Bytes taken so far.
    pub fn len(&self) -> u64 {
        0
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads the structure; a large message is synced.
    pub async fn finish(self) -> Result<Staged, StoreError> {
        Err(StoreError::Closed)
    }
}
