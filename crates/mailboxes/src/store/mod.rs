//! Where a list is kept: an ordered map of byte strings with atomic batches. [`Sled`] on disk, with a commit log in front
//! ([`Logged`]); [`Memory`] for tests and simulation.
//!
//! Rows, by the first byte of the key:
//!
//! ```text
//! m            the list's position and history                 `History`
//! n key        entry of the name                               `Entry`
//! t seq key    a deletion; seq is big-endian                   version, epoch seconds
//! c key        a conflict over the name                        `Conflict`
//! s server     a server that takes no new mailboxes            version, epoch seconds
//! ```

mod commits;
#[cfg(test)]
mod kill;
mod logged;
mod memory;
mod sled;

use std::{collections::BTreeMap, future::Future, pin::Pin};

use protocol::mupdate::position::Position;

pub use self::{logged::Logged, memory::Memory, sled::Sled};

/// A storage failure.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("{doing}: {why}")]
    Io { doing: &'static str, why: String },
    /// Another process owns the database.
    #[error("{0}: in use by another process")]
    Busy(String),
    /// What is stored cannot be read.
    #[error("{0}: damaged: {1}")]
    Corrupt(String, String),
}

/// One write of a batch; none removes the row.
pub type Write = (Vec<u8>, Option<Vec<u8>>);

/// Writes of several batches: the last on each row.
pub(crate) type Rows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Key and value.
pub type Row = (Vec<u8>, Vec<u8>);

/// An ordered map of rows.
pub trait Store: Send + Sync + 'static {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// At most `limit` rows with `from <= key < to`, in order.
    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError>;

    /// All writes or none, in memory at once, on disk after [`Store::sync`].
    fn apply(&self, batch: Vec<Write>) -> Result<(), StoreError>;

    /// Returns when all that was applied survives a power failure. Blocks.
    fn sync(&self) -> Result<(), StoreError>;

    /// As [`Store::sync`], the last time: nothing more will be applied, though who reads may stay. Blocks.
    fn finish(&self) -> Result<(), StoreError> {
        self.sync()
    }

    /// Bytes on disk.
    fn size(&self) -> u64;

    /// Waits before the list goes on, where it may be interrupted: a simulated disk takes its time here. A real one
    /// does that in [`Store::apply`] and [`Store::sync`].
    fn pace(&self) -> Pace<'_> {
        Box::pin(std::future::ready(()))
    }

    /// Blocks a moment, so that a replica's next rows are more, and some of them replaced already.
    fn linger(&self) {}

    /// Notes beside the rows that an owner's list is on disk up to here: should its rows ever tell of less, some were
    /// lost. Not for every sync, but for the last one.
    fn witness(&self, _position: Position, _last: bool) {}

    /// Forgets what was noted: the list is about to be numbered anew, or is no owner's any more.
    fn forget_witness(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// What was noted last.
    fn witnessed(&self) -> Option<Position> {
        None
    }
}

/// A wait of a store.
pub type Pace<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

pub(crate) const META: u8 = b'm';
pub(crate) const NAME: u8 = b'n';
pub(crate) const TOMB: u8 = b't';
pub(crate) const CONFLICT: u8 = b'c';
pub(crate) const CORDON: u8 = b's';

pub(crate) fn name_row(key: &[u8]) -> Vec<u8> {
    [&[NAME], key].concat()
}

pub(crate) fn tomb_row(seq: u64, key: &[u8]) -> Vec<u8> {
    [&[TOMB][..], &seq.to_be_bytes(), key].concat()
}

/// The number and the name's key of a deletion's row.
pub(crate) fn tomb_parts(row: &[u8]) -> Option<(u64, &[u8])> {
    let (_, rest) = row.split_first()?;
    let (seq, key) = rest.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*seq), key))
}

/// Marks a step of keeping what was acknowledged: a crash here must lose nothing. A test kills its process at each.
#[inline]
fn step(_what: &str) {
    #[cfg(test)]
    kill::at(_what);
}
