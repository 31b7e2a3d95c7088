//! The client's end: bytes in, frames out, and a bounded buffer of what is to be written.
//!
//! Nothing is kept while a client idles: the buffers are given back when they are empty.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use protocol::frame::{self, Literal};
use protocol::imap::{Assembled, Assembler, Bounds};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use transport::stream::Stream;

use super::limits::{AHEAD, FLUSHED, LINE, OUT, READ, SKIP, WRITE, rows};

/// A client's connection.
pub struct Conn {
    stream: Stream,
    input: BytesMut,
    assembler: Assembler,
    out: Vec<u8>,
}

/// Why there is nothing more to read or write.
#[derive(Debug, thiserror::Error)]
pub enum Gone {
    #[error("the client closed the connection")]
    Closed,
    #[error("idle for too long")]
    Idle,
    #[error("the client does not read")]
    Stuck,
    #[error("commands behind one that ends the compression")]
    Ahead,
    #[error("a line without end")]
    Endless,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Conn {
    pub fn new(stream: Stream, bounds: Bounds) -> Conn {
        Conn { stream, input: BytesMut::new(), assembler: assembler(bounds), out: Vec::new() }
    }

    /// Other bounds from the next command on.
    pub fn set_bounds(&mut self, bounds: Bounds) {
        self.assembler = assembler(bounds);
    }

    /// The client has more to send, which it may hold back; see [`Stream::acknowledge`].
    pub fn acknowledge(&self) {
        if self.input.is_empty() {
            self.stream.acknowledge();
        }
    }

    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Compresses from here on, after a flush.
    pub fn compress(&mut self) -> io::Result<()> {
        self.stream.compress_after(std::mem::take(&mut self.input))
    }

    /// Compresses no longer, once what waits is written. After [`Conn::read_flush`].
    pub async fn end_compression(&mut self) -> Result<(), Gone> {
        self.flush().await?;
        self.input = self.stream.decompress();
        Ok(())
    }

    /// Waits until nothing of the client's is left to decompress; [`Gone::Ahead`] if it has sent more.
    pub async fn read_flush(&mut self) -> Result<(), Gone> {
        if !self.stream.is_compressed() {
            return Ok(());
        }
        if self.has_input() {
            return Err(Gone::Ahead);
        }
        let flushed = timeout(FLUSHED, self.stream.read_flush()).await;
        flushed
            .map_err(|_| {
                rows::FLUSHED.met("a client does not end its compressed bytes: the session is ended");
                Gone::Ahead
            })?
            .map_err(|_| Gone::Ahead)
    }

    /// For STARTTLS, after a flush. What the client sent in the clear behind STARTTLS is thrown away.
    pub fn stream_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }

    pub fn forget_input(&mut self) {
        self.input.clear();
    }

    /// Whether bytes are waiting that were read already.
    pub fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// What the client sent next. Cancel-safe: a read that is dropped has read nothing.
    pub async fn next(&mut self, patience: Duration) -> Result<Assembled, Gone> {
        loop {
            if !self.input.is_empty()
                && let Some(assembled) = self.assembler.next(&mut self.input).map_err(|_| Gone::Endless)?
            {
                return Ok(assembled);
            }
            self.fill(patience).await?;
        }
    }

    /// One line as it stands, as AUTHENTICATE and IDLE want it. Cancel-safe.
    pub async fn line(&mut self, patience: Duration) -> Result<Bytes, Gone> {
        loop {
            match self.next(patience).await? {
                Assembled::Command(text) => return Ok(text),
                Assembled::Bad(_) | Assembled::Skipped => return Ok(Bytes::new()),
                Assembled::Continue(literal) | Assembled::Append { literal: Some(literal), .. } => {
                    self.assembler.skip(literal);
                }
                // One line, though it be no answer.
                Assembled::Append { literal: None, .. } | Assembled::Replication { .. } => {
                    return Ok(Bytes::new());
                }
                Assembled::Upload { literal, .. } => drop(self.assembler.skip(literal)),
                Assembled::Data { .. } | Assembled::Tail { .. } => {}
            }
        }
    }

    /// Waits until the connection is gone, and meanwhile keeps what the client sends for later. Cancel-safe.
    pub async fn gone(&mut self) -> Gone {
        while self.input.len() < AHEAD {
            // The bound is that of the work that is waited for.
            if let Err(gone) = self.fill(Duration::MAX).await {
                return gone;
            }
        }
        std::future::pending().await
    }

    async fn fill(&mut self, patience: Duration) -> Result<(), Gone> {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        let mut chunk = [0; READ];
        let read = timeout(patience, self.stream.read(&mut chunk)).await.map_err(|_| Gone::Idle)??;
        match chunk.get(..read) {
            Some(bytes) if read > 0 => self.input.extend_from_slice(bytes),
            _ => return Err(Gone::Closed),
        }
        Ok(())
    }

    /// Gives up a command at a literal; see [`Assembler::skip`]. Returns at the command's true end.
    pub async fn skip(&mut self, literal: Literal, patience: Duration) -> Result<(), Gone> {
        if self.assembler.skip(literal) {
            return Ok(());
        }
        while !matches!(self.next(patience).await?, Assembled::Skipped | Assembled::Bad(_)) {}
        Ok(())
    }

    /// What is written next goes here; [`Conn::relieve`] in between where much is written.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    pub fn put(&mut self, text: impl AsRef<[u8]>) {
        self.out.extend_from_slice(text.as_ref());
    }

    /// One whole line.
    pub fn put_line(&mut self, text: impl AsRef<[u8]>) {
        self.put(text);
        self.put("\r\n");
    }

    /// Last words, on a line of their own whatever was cut off before them.
    pub fn put_apart(&mut self, text: impl AsRef<[u8]>) {
        if !self.out.is_empty() && !self.out.ends_with(b"\r\n") {
            self.put("\r\n");
        }
        self.put(text);
    }

    /// Writes what has gathered if it is much.
    pub async fn relieve(&mut self) -> Result<(), Gone> {
        if self.out.len() < OUT {
            return Ok(());
        }
        let mut out = std::mem::take(&mut self.out);
        bounded(self.stream.write_all(&out)).await?;
        // As much again comes soon; the flush at the end gives it back.
        out.clear();
        self.out = out;
        Ok(())
    }

    /// Writes bytes behind what has gathered, without copying them.
    pub async fn write_through(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        if bytes.len() < OUT / 4 {
            self.put(bytes);
            return self.relieve().await;
        }
        self.write().await?;
        bounded(self.stream.write_all(bytes)).await
    }

    /// Writes all, and sees that it leaves.
    pub async fn flush(&mut self) -> Result<(), Gone> {
        self.write().await?;
        bounded(self.stream.flush()).await
    }

    /// Says what is left to say and closes. Errors no longer matter.
    pub async fn close(&mut self) {
        if self.flush().await.is_ok() {
            self.stream.part().await;
        }
    }

    async fn write(&mut self) -> Result<(), Gone> {
        let out = std::mem::take(&mut self.out);
        if out.is_empty() { Ok(()) } else { bounded(self.stream.write_all(&out)).await }
    }
}

fn assembler(bounds: Bounds) -> Assembler {
    Assembler::new(frame::Limits { line: LINE.min(bounds.command), skip: SKIP }, bounds)
}

async fn bounded<T>(work: impl Future<Output = io::Result<T>>) -> Result<T, Gone> {
    let stuck = |_| {
        rows::WRITE.met("a client takes nothing of what it asked for: the session is ended");
        Gone::Stuck
    };
    Ok(timeout(WRITE, work).await.map_err(stuck)??)
}
