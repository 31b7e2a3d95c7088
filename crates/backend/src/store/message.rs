//! Reading messages and their structures.

use std::{fs::File, ops::Range, os::unix::fs::FileExt, sync::Arc};

use bytes::Bytes;

use super::{
    blocking,
    codec::{FRAME, take_frame},
    error::{Doing, StoreError},
    mailbox::Mailbox,
    record::Record,
};
use crate::mime::Structure;

impl Mailbox {
    /// Bytes of a message, cut to what there is.
    pub async fn read(self: &Arc<Self>, uid: u32, range: Range<u64>) -> Result<Bytes, StoreError> {
        let mailbox = self.clone();
        blocking(move || mailbox.read_blocking(uid, range)).await
    }

    /// The whole message.
    pub async fn message(self: &Arc<Self>, uid: u32) -> Result<Bytes, StoreError> {
        self.read(uid, 0..u64::MAX).await
    }

    /// The structure of a message, from the cache where it has it.
    pub async fn structure(self: &Arc<Self>, uid: u32) -> Result<Arc<Structure>, StoreError> {
        let mailbox = self.clone();
        blocking(move || mailbox.structure_blocking(uid)).await
    }

    /// As [`Mailbox::read`], on a blocking thread of the caller's: for SEARCH and FETCH over many messages.
    pub fn read_blocking(&self, uid: u32, range: Range<u64>) -> Result<Bytes, StoreError> {
        let path = self.dir.join(format!("{uid}."));
        let file = match File::open(&path) {
            // Expunged by somebody else, files and all.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(StoreError::NoMessage),
            other => other.doing("open", &path)?,
        };
        let size = file.metadata().doing("read", &path)?.len();
        let (start, end) = (range.start.min(size), range.end.min(size));
        let len = usize::try_from(end.saturating_sub(start)).map_err(|_| StoreError::TooLarge(size))?;
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, start).doing("read", &path)?;
        Ok(bytes.into())
    }

    /// As [`Mailbox::structure`], on a blocking thread of the caller's.
    pub fn structure_blocking(&self, uid: u32) -> Result<Arc<Structure>, StoreError> {
        let view = self.view();
        let record = view.get(uid).or_else(|| view.expunged.get(uid)).ok_or(StoreError::NoMessage)?;
        if let Some(bytes) = self.cached(record)
            && let Ok(structure) = Structure::decode(&bytes)
        {
            return Ok(Arc::new(structure));
        }
        // The cache is no more than that: what it lost is read from the message again.
        let message = self.read_blocking(uid, 0..u64::MAX)?;
        Ok(Arc::new(Structure::parse(&message)))
    }

    /// The encoded structure of a message as it lies in the cache file, if it does.
    pub(crate) fn cached(&self, record: &Record) -> Option<Vec<u8>> {
        let mut buffer = vec![0; FIRST_READ];
        let mut have = read_some(&self.cache, &mut buffer, record.cache).ok()?;
        let len = u32::from_le_bytes(buffer.get(..4)?.try_into().ok()?) as usize;
        if len > LARGEST {
            return None;
        }
        let whole = FRAME + len;
        if whole > have {
            buffer.resize(whole, 0);
            have += read_some(&self.cache, buffer.get_mut(have..)?, record.cache + have as u64).ok()?;
        }
        let (payload, _) = take_frame(buffer.get(..have)?, u64::from(record.uid))?;
        Some(payload.to_vec())
    }
}

fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + read as u64)? {
            0 => break,
            n => read += n,
        }
    }
    Ok(read)
}

/// Bytes that hold most structures.
const FIRST_READ: usize = 2048;
/// Bytes of a structure at most; a larger length is damage.
const LARGEST: usize = 64 << 20;
