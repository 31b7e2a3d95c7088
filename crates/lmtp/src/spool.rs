//! A message between its arrival and its delivery: in memory while it is small, else in a file that goes away with
//! it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::lmtp::refusal::Refusal;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::warn;

use crate::deliver::Incoming;
use crate::limits::{IN_MEMORY, PIECE};

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

/// A message being written.
#[derive(Debug)]
pub struct Spool {
    directory: PathBuf,
    memory: Vec<u8>,
    file: Option<(tempfile::NamedTempFile, File)>,
    size: u64,
}

impl Incoming for Spool {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.size += bytes.len() as u64;
        self.memory.extend_from_slice(bytes);
        if self.memory.len() > IN_MEMORY {
            self.spill().await.map_err(|error| failed(&error))?;
        }
        Ok(())
    }
}

impl Spool {
    /// `directory`: where a message that is too large for memory goes.
    pub fn new(directory: &Path) -> Spool {
        Spool { directory: directory.to_owned(), memory: Vec::new(), file: None, size: 0 }
    }

    /// The whole message.
    pub async fn finish(mut self) -> Result<Message, Refusal> {
        if self.file.is_some() {
            self.spill().await.map_err(|error| failed(&error))?;
        }
        match self.file {
            None => Ok(Message::Memory(self.memory.into())),
            Some((named, mut file)) => {
                file.flush().await.map_err(|error| failed(&error))?;
                Ok(Message::File { file: Arc::new(named), size: self.size })
            }
        }
    }

    async fn spill(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            let directory = self.directory.clone();
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

fn failed(error: &io::Error) -> Refusal {
    warn!(%error, "cannot spool a message");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Refusal::SpoolFull,
        _ => Refusal::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn round_trip(size: usize) -> Message {
        let directory = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(directory.path());
        let whole: Vec<u8> = (0..size).map(|n| n as u8).collect();
        for piece in whole.chunks(50_000) {
            spool.write(piece).await.unwrap();
        }
        let message = spool.finish().await.unwrap();
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
        let mut spool = Spool::new(Path::new("/nonexistent"));
        assert_eq!(spool.write(&[0; IN_MEMORY + 1]).await, Err(Refusal::Io));
    }
}
