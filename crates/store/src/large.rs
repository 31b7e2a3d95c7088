//! Reading a large message piece by piece, from one open file.
//!
//! What the kernel has in memory is read on the spot: a hop to a blocking thread takes longer than the copy. What it would have
//! to read from the disk is read on a blocking thread.

use std::{
    fs::File,
    io::IoSliceMut,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::io::{ReadWriteFlags, preadv2};

use super::{
    blocking,
    error::{Doing, StoreError},
    mailbox::Mailbox,
};
use crate::limits::PIECE;

/// The file of a message. It can be read to its end though somebody expunges the message meanwhile.
pub struct LargeMessage {
    file: Arc<File>,
    path: Arc<Path>,
    size: u64,
    buffer: Vec<u8>,
}

impl Mailbox {
    /// Opens a message of which more is read than fits into one [`Mailbox::read`].
    pub async fn open_large(self: &Arc<Self>, uid: u32) -> Result<LargeMessage, StoreError> {
        let mailbox = self.clone();
        blocking(move || {
            let (file, path, size) = mailbox.open_message(uid)?;
            Ok(LargeMessage { file: Arc::new(file), path: path.into(), size, buffer: Vec::new() })
        })
        .await
    }

    /// A message's file, its path and its size. On a blocking thread of the caller's.
    pub(crate) fn open_message(&self, uid: u32) -> Result<(File, PathBuf, u64), StoreError> {
        let mut dir = self.dir();
        let (file, path) = loop {
            let path = dir.join(format!("{uid}."));
            match File::open(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    let now = self.dir();
                    if now == dir {
                        // Expunged by somebody else, files and all.
                        return Err(StoreError::NoMessage);
                    }
                    // It has another partition since.
                    dir = now;
                }
                other => break (other.doing("open", &path)?, path),
            }
        };
        let size = file.metadata().doing("read", &path)?.len();
        Ok((file, path, size))
    }
}

impl LargeMessage {
    /// Bytes from `at` on, not beyond `end`: [`PIECE`] at most, one at least. Empty where the message has ended.
    pub async fn piece(&mut self, at: u64, end: u64) -> Result<&[u8], StoreError> {
        let left = usize::try_from(end.min(self.size).saturating_sub(at)).unwrap_or(usize::MAX);
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(left.min(PIECE), 0);
        let read = match read_cached(&self.file, &mut buffer, at) {
            Some(read) => read,
            None => {
                let (file, path) = (self.file.clone(), self.path.clone());
                let read;
                (read, buffer) = blocking(move || {
                    let read = file.read_at(&mut buffer, at).doing("read", &path)?;
                    Ok((read, buffer))
                })
                .await?;
                read
            }
        };
        self.buffer = buffer;
        Ok(self.buffer.get(..read).unwrap_or_default())
    }
}

/// What the kernel has in memory of it; `None` where it has nothing, or cannot tell.
fn read_cached(file: &File, buffer: &mut [u8], at: u64) -> Option<usize> {
    preadv2(file, &mut [IoSliceMut::new(buffer)], at, ReadWriteFlags::NOWAIT).ok()
}
