//! The rows, in one tree, so that what is noted together is kept together:
//!
//! ```text
//! 'a' hash(16) mailbox   uidvalidity(4) uid(4)        an article; the hash is that of its Message-ID without brackets
//! 'g' mailbox            uidvalidity(4) uid(4)        up to where a group is known
//! ```

use protocol::name::MailboxName;
use sha1::{Digest, Sha1};

use crate::error::StoreError;

/// The rows of articles and groups.
pub(super) struct Rows {
    tree: sled::Tree,
}

/// A message by its mailbox's UIDVALIDITY and its UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub uidvalidity: u32,
    pub uid: u32,
}

impl Rows {
    pub fn new(tree: sled::Tree) -> Rows {
        Rows { tree }
    }

    /// Up to where a group is known.
    pub fn known(&self, name: &MailboxName) -> Result<Option<At>, StoreError> {
        let value = self.tree.get(group(name)).map_err(failed)?;
        Ok(value.and_then(|value| At::read(&value)))
    }

    /// Notes articles of a group (message-ids without brackets), and that it is known up to there: both, or neither.
    pub fn note<'a>(
        &self,
        name: &MailboxName,
        articles: impl IntoIterator<Item = (&'a [u8], u32)>,
        upto: At,
    ) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (id, uid) in articles {
            batch.insert(article(id, name), &At { uid, ..upto }.bytes());
        }
        batch.insert(group(name), &upto.bytes());
        self.tree.apply_batch(batch).map_err(failed)
    }

    /// Where the article of a message-id was.
    pub fn find(&self, id: &[u8]) -> Result<Vec<(MailboxName, At)>, StoreError> {
        let prefix = hashed(id);
        let mut found = Vec::new();
        for row in self.tree.scan_prefix(&prefix) {
            let (key, value) = row.map_err(failed)?;
            let name = key.get(prefix.len()..).and_then(|name| str::from_utf8(name).ok());
            let name = name.and_then(|name| MailboxName::parse(name).ok());
            found.extend(name.zip(At::read(&value)));
        }
        Ok(found)
    }

    /// Forgets an article, unless it has come anew.
    pub fn forget(&self, id: &[u8], name: &MailboxName, at: At) -> Result<(), StoreError> {
        let _ = self
            .tree
            .compare_and_swap(article(id, name), Some(&at.bytes()[..]), None::<&[u8]>)
            .map_err(failed)?;
        Ok(())
    }

    /// All articles, those after a key, as many at a time: for whoever sweeps.
    pub fn page(&self, after: &[u8], most: usize) -> Result<Vec<(Vec<u8>, MailboxName, At)>, StoreError> {
        use std::ops::Bound::{Excluded, Unbounded};
        let mut found = Vec::new();
        for row in self.tree.range::<&[u8], _>((Excluded(after.max(b"a")), Unbounded)).take(most) {
            let (key, value) = row.map_err(failed)?;
            if key.first() != Some(&b'a') {
                break;
            }
            let name = key.get(PREFIX..).and_then(|name| str::from_utf8(name).ok());
            if let Some((name, at)) =
                name.and_then(|name| MailboxName::parse(name).ok()).zip(At::read(&value))
            {
                found.push((key.to_vec(), name, at));
            }
        }
        Ok(found)
    }

    /// Forgets a row of [`Rows::page`], unless the article has come anew.
    pub fn forget_row(&self, key: &[u8], at: At) -> Result<(), StoreError> {
        let _ = self.tree.compare_and_swap(key, Some(&at.bytes()[..]), None::<&[u8]>).map_err(failed)?;
        Ok(())
    }
}

impl At {
    fn bytes(self) -> [u8; 8] {
        (u64::from(self.uidvalidity) << 32 | u64::from(self.uid)).to_be_bytes()
    }

    fn read(bytes: &[u8]) -> Option<At> {
        let both = u64::from_be_bytes(bytes.try_into().ok()?);
        Some(At { uidvalidity: (both >> 32) as u32, uid: both as u32 })
    }
}

fn hashed(id: &[u8]) -> Vec<u8> {
    let mut key = vec![b'a'];
    key.extend_from_slice(Sha1::digest(id).get(..PREFIX - 1).unwrap_or_default());
    key
}

fn article(id: &[u8], name: &MailboxName) -> Vec<u8> {
    let mut key = hashed(id);
    key.extend_from_slice(name.as_str().as_bytes());
    key
}

fn group(name: &MailboxName) -> Vec<u8> {
    [b"g", name.as_str().as_bytes()].concat()
}

fn failed(error: sled::Error) -> StoreError {
    StoreError::List(error.to_string())
}

/// Bytes of a key before the name.
const PREFIX: usize = 17;
