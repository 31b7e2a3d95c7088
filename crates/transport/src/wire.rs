//! A stream with its two buffers: what was read and not yet understood, what was said and not yet sent.
//!
//! Both are bounded, and so is every wait. While it writes, a [`Wire`] goes on reading as long as there is room, so
//! that a client which pipelines and reads late cannot block both sides for ever.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use crate::limits::{CHUNK, HANDSHAKE, INPUT, KEPT, WRITE, rows};
use crate::stream::Stream;
use crate::tls::{ClientTls, ServerTls};

/// Bounds of a wire.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes read ahead; must exceed the longest line or literal that is collected whole.
    pub input: usize,
    /// How long the peer may take to accept anything of what we write.
    pub write: Duration,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { input: INPUT, write: WRITE, handshake: HANDSHAKE }
    }
}

/// A buffered connection.
pub struct Wire {
    stream: Stream,
    input: BytesMut,
    output: BytesMut,
    bounds: Bounds,
    ended: bool,
}

impl Wire {
    pub fn new(stream: Stream, bounds: Bounds) -> Wire {
        Wire { stream, input: BytesMut::new(), output: BytesMut::new(), bounds, ended: false }
    }

    /// Lets the peer send so much ahead from here on: more, once it has logged in.
    pub fn read_ahead(&mut self, bytes: usize) {
        self.bounds.input = bytes;
    }

    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// What was read; the caller takes what it understands off the front.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// What is to be sent at the next [`Wire::flush`].
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Both at once, for a parser that answers as it reads.
    pub fn buffers(&mut self) -> (&mut BytesMut, &mut BytesMut) {
        (&mut self.input, &mut self.output)
    }

    /// The same, and the stream beside them.
    pub fn parts(&mut self) -> (&mut BytesMut, &mut BytesMut, &Stream) {
        (&mut self.input, &mut self.output, &self.stream)
    }

    /// Reads some more into [`Wire::input`]; 0 is the end of the stream.
    ///
    /// # Errors
    /// `TimedOut` after `patience`; `OutOfMemory` when the input is full and nobody took anything off it.
    pub async fn fill(&mut self, patience: Duration) -> io::Result<usize> {
        timeout(patience, self.read_some()).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// As [`Wire::fill`] without a bound of its own; safe to cancel.
    pub async fn read_some(&mut self) -> io::Result<usize> {
        if self.input.len() >= self.bounds.input {
            rows::INPUT
                .met(format_args!("{}: a command is longer than the input may be", self.stream.peer()));
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, "the input is full"));
        }
        poll_fn(|cx| self.poll_read(cx)).await
    }

    /// Sends all that was said.
    pub async fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            // The bound holds for any progress: a slow reader of a large message is not a dead one.
            let progress = timeout(self.bounds.write, poll_fn(|cx| self.poll_write(cx))).await;
            progress.unwrap_or_else(|_| {
                rows::WRITE.met(format_args!(
                    "{}: takes nothing of what is written: the connection is ended",
                    self.stream.peer()
                ));
                Err(io::ErrorKind::TimedOut.into())
            })?;
        }
        if self.output.capacity() > KEPT {
            self.output = BytesMut::new();
        }
        let flushed = timeout(self.bounds.write, self.stream.flush()).await;
        flushed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// The server's side of STARTTLS: sends what was said, forgets what the client pipelined in the clear (somebody
    /// on the way may have put it there), and shakes hands.
    pub async fn start_tls(&mut self, tls: &ServerTls) -> io::Result<()> {
        self.flush().await?;
        self.input.clear();
        let shaken = timeout(self.bounds.handshake, self.stream.start_tls(tls)).await;
        let result = shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if result.is_err() {
            metrics::counter!("murder_tls_handshake_failures_total").increment(1);
        }
        result
    }

    /// The client's side of STARTTLS, after the server agreed.
    pub async fn connect_tls(&mut self, tls: &ClientTls, host: &str) -> io::Result<()> {
        self.input.clear();
        let shaken = timeout(self.bounds.handshake, self.stream.connect_tls(tls, host)).await;
        shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Compresses from here on, both ways. What the peer sent behind its command is compressed already, and is
    /// handed to the decoder.
    pub async fn compress(&mut self) -> io::Result<()> {
        self.flush().await?;
        let ahead = std::mem::take(&mut self.input);
        self.stream.compress_after(ahead)
    }

    /// Sends what is left and closes our side.
    pub async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.stream.part().await;
        Ok(())
    }

    /// The stream, and what was read off it but not used.
    pub fn into_parts(self) -> (Stream, BytesMut) {
        (self.stream, self.input)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        let room = self.bounds.input.saturating_sub(self.input.len()).min(CHUNK);
        let mut chunk = [std::mem::MaybeUninit::uninit(); CHUNK];
        let (chunk, _) = chunk.split_at_mut(room);
        let mut buffer = ReadBuf::uninit(chunk);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {
                let read = buffer.filled();
                self.ended = read.is_empty();
                self.input.put_slice(read);
                Poll::Ready(Ok(read.len()))
            }
        }
    }

    /// Ready when something was written. Reads meanwhile, so that the peer can go on too.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(result) = Pin::new(&mut self.stream).poll_write(cx, &self.output) {
            let written = result?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.advance(written);
            return Poll::Ready(Ok(()));
        }
        while !self.ended && self.input.len() < self.bounds.input {
            match self.poll_read(cx) {
                Poll::Pending => break,
                Poll::Ready(result) => {
                    result?;
                }
            }
        }
        Poll::Pending
    }
}
