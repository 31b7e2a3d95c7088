//! A message between its arrival and its delivery: in memory while it is small, else in a file without a name that goes
//! away with it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use crate::settings::IN_MEMORY;

/// A whole message.
#[derive(Debug)]
pub enum Message {
    Memory(Arc<[u8]>),
    /// A file of `size` bytes in the spool directory; unlinked when dropped, unless it was linked elsewhere.
    File {
        file: Arc<tempfile::NamedTempFile>,
        size: u64,
    },
}

/// Why a message could not be spooled.
#[derive(Debug)]
pub struct SpoolError(pub io::Error);

impl Message {
    pub fn size(&self) -> u64 {
        match self {
            Message::Memory(bytes) => bytes.len() as u64,
            Message::File { size, .. } => *size,
        }
    }

    /// Reads the message from its beginning; several readers may be at it at once.
    pub async fn reader(&self) -> io::Result<MessageReader> {
        Ok(match self {
            Message::Memory(bytes) => MessageReader::Memory { bytes: bytes.clone(), at: 0 },
            Message::File { file, .. } => MessageReader::File(File::open(file.path()).await?),
        })
    }

    /// The whole message in memory.
    pub async fn bytes(&self) -> io::Result<Arc<[u8]>> {
        match self {
            Message::Memory(bytes) => Ok(bytes.clone()),
            Message::File { file, .. } => Ok(tokio::fs::read(file.path()).await?.into()),
        }
    }
}

/// Reads a message piece by piece.
#[derive(Debug)]
pub enum MessageReader {
    Memory { bytes: Arc<[u8]>, at: usize },
    File(File),
}

impl MessageReader {
    /// The next piece, in `buf`'s place; false at the end.
    pub async fn next(&mut self, buf: &mut Vec<u8>) -> io::Result<bool> {
        buf.clear();
        match self {
            MessageReader::Memory { bytes, at } => {
                let end = bytes.len().min(*at + PIECE);
                buf.extend_from_slice(bytes.get(*at..end).unwrap_or_default());
                *at = end;
            }
            MessageReader::File(file) => {
                file.take(PIECE as u64).read_to_end(buf).await?;
            }
        }
        Ok(!buf.is_empty())
    }
}

const PIECE: usize = 64 * 1024;

/// A message being written.
#[derive(Debug, Default)]
pub(crate) struct Spool {
    memory: Vec<u8>,
    file: Option<(tempfile::NamedTempFile, File)>,
    size: u64,
}

impl Spool {
    /// Takes the bytes of `piece` over and leaves it empty.
    pub async fn write(&mut self, piece: &mut Vec<u8>, directory: &Path) -> Result<(), SpoolError> {
        self.size += piece.len() as u64;
        self.memory.append(piece);
        if self.memory.len() > IN_MEMORY {
            self.spill(directory).await.map_err(SpoolError)?;
        }
        Ok(())
    }

    pub async fn finish(mut self, directory: &Path) -> Result<Message, SpoolError> {
        if self.file.is_none() {
            return Ok(Message::Memory(self.memory.into()));
        }
        self.spill(directory).await.map_err(SpoolError)?;
        let Some((named, mut file)) = self.file else { return Ok(Message::Memory(self.memory.into())) };
        file.flush().await.map_err(SpoolError)?;
        file.rewind().await.map_err(SpoolError)?;
        Ok(Message::File { file: Arc::new(named), size: self.size })
    }

    async fn spill(&mut self, directory: &Path) -> io::Result<()> {
        if self.file.is_none() {
            let directory = directory.to_owned();
            let make = move || {
                let named = tempfile::Builder::new().prefix("lmtp-").tempfile_in(directory)?;
                let file = named.reopen()?;
                Ok::<_, io::Error>((named, file))
            };
            let (named, file) = tokio::task::spawn_blocking(make).await.map_err(io::Error::other)??;
            self.file = Some((named, File::from_std(file)));
        }
        if let Some((_, file)) = &mut self.file {
            file.write_all(&self.memory).await?;
            self.memory.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn round_trip(size: usize) -> Message {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = Spool::default();
        let whole: Vec<u8> = (0..size).map(|n| n as u8).collect();
        for piece in whole.chunks(50_000) {
            spool.write(&mut piece.to_vec(), directory.path()).await.unwrap();
        }
        let message = spool.finish(directory.path()).await.unwrap();
        assert_eq!(message.size(), size as u64);
        let (mut reader, mut read, mut buf) = (message.reader().await.unwrap(), Vec::new(), Vec::new());
        while reader.next(&mut buf).await.unwrap() {
            read.extend_from_slice(&buf);
        }
        assert_eq!(read, whole);
        assert_eq!(message.bytes().await.unwrap()[..], whole);
        message
    }

    #[tokio::test]
    async fn small_messages_stay_in_memory_and_large_ones_go_to_a_file() {
        assert!(matches!(round_trip(1000).await, Message::Memory(_)));
        assert!(matches!(round_trip(1_000_000).await, Message::File { .. }));
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_is_told() {
        let mut spool = Spool::default();
        let outcome = spool.write(&mut vec![0; IN_MEMORY + 1], Path::new("/nonexistent")).await;
        assert_eq!(outcome.unwrap_err().0.kind(), io::ErrorKind::NotFound);
    }
}
