//! One end of a proxied session: a stream with what was read from it and what waits to be written to it.
//!
//! Nothing here waits for one direction only. [`turn`] reads and writes both ends at once, so that two full peers
//! cannot block each other; it reads only where there is room, so that a slow reader slows the other side down
//! instead of filling memory.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use transport::stream::Stream;

use crate::limits::{FULL, KEPT, READ};

/// A stream and its two buffers.
pub struct Peer {
    pub stream: Stream,
    /// Read, not yet used.
    pub input: BytesMut,
    /// To be written.
    pub output: BytesMut,
    /// The other end has closed its side.
    pub ended: bool,
    /// How much may be held in `input`.
    limit: usize,
    needs_flush: bool,
}

impl Peer {
    pub fn new(stream: Stream, input: BytesMut) -> Self {
        Peer { stream, input, output: BytesMut::new(), ended: false, limit: FULL, needs_flush: false }
    }

    pub fn put(&mut self, bytes: impl AsRef<[u8]>) {
        self.output.extend_from_slice(bytes.as_ref());
    }

    /// Whether more may be put before something is written.
    pub fn has_room(&self) -> bool {
        self.output.len() < FULL
    }

    /// What was read is not enough to go on: more is read even if the buffer is full. The reader bounds it.
    pub fn want_more(&mut self) {
        self.limit = FULL.max(self.input.len() + READ);
    }

    /// Takes the stream out, with the bytes read beyond what was used.
    pub fn into_parts(self) -> (Stream, BytesMut) {
        (self.stream, self.input)
    }

    /// Writes what waits and, if asked, reads what is there. Ready as soon as either went on.
    pub fn poll_io(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<io::Result<()>> {
        let wrote = self.poll_write_out(cx)?;
        let read = read && self.poll_read_in(cx)?;
        if wrote || read { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut wrote = false;
        while !self.output.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.output) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => {
                    self.output.advance(n);
                    (wrote, self.needs_flush) = (true, true);
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        if self.needs_flush && self.output.is_empty() {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(result) => {
                    result?;
                    (wrote, self.needs_flush) = (true, false);
                }
                Poll::Pending => {}
            }
        }
        if self.output.is_empty() && self.output.capacity() > KEPT {
            self.output = BytesMut::new();
        }
        Ok(wrote)
    }

    /// Reads on while as much comes as fits: a large message goes on in few writes.
    fn poll_read_in(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut any = false;
        while !self.ended && self.input.len() < self.limit {
            let mut space = [std::mem::MaybeUninit::uninit(); READ];
            let mut space = ReadBuf::uninit(&mut space);
            match Pin::new(&mut self.stream).poll_read(cx, &mut space) {
                Poll::Ready(result) => result?,
                Poll::Pending => break,
            }
            any = true;
            self.ended = space.filled().is_empty();
            if self.input.is_empty() && self.input.capacity() > KEPT {
                self.input = BytesMut::new();
            }
            self.input.extend_from_slice(space.filled());
            if space.remaining() > 0 {
                break;
            }
        }
        Ok(any)
    }

    /// Whether the other end is there, and has all that was put.
    pub fn is_idle(&self) -> bool {
        self.settled() && !self.ended
    }

    fn settled(&self) -> bool {
        self.output.is_empty() && !self.needs_flush
    }
}

/// Which end failed.
#[derive(Debug)]
pub enum Lost {
    Client(io::Error),
    Backend(io::Error),
}

/// Lets both ends go on by one step: everything that waits is written as far as it goes, the client is read, and the
/// backend too. Returns when anything has moved.
pub async fn turn(client: &mut Peer, backend: &mut Peer, read_client: bool) -> Result<(), Lost> {
    poll_fn(|cx| {
        let first = client.poll_io(cx, read_client).map_err(Lost::Client);
        let second = backend.poll_io(cx, true).map_err(Lost::Backend);
        match (first, second) {
            (Poll::Ready(Err(lost)), _) | (_, Poll::Ready(Err(lost))) => Poll::Ready(Err(lost)),
            (Poll::Pending, Poll::Pending) => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    })
    .await
}

/// Which of three ends failed.
#[derive(Debug)]
pub enum Lost3 {
    Client(io::Error),
    First(io::Error),
    Second(io::Error),
}

/// The same with two backends.
pub async fn turn_three(client: &mut Peer, first: &mut Peer, second: &mut Peer) -> Result<(), Lost3> {
    poll_fn(|cx| {
        let polls = [
            client.poll_io(cx, true).map_err(Lost3::Client),
            first.poll_io(cx, true).map_err(Lost3::First),
            second.poll_io(cx, true).map_err(Lost3::Second),
        ];
        let mut moved = false;
        for poll in polls {
            match poll {
                Poll::Ready(Err(lost)) => return Poll::Ready(Err(lost)),
                Poll::Ready(Ok(())) => moved = true,
                Poll::Pending => {}
            }
        }
        if moved { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

/// The same with one end only.
pub async fn turn_alone(peer: &mut Peer) -> io::Result<()> {
    poll_fn(|cx| peer.poll_io(cx, true)).await
}

/// Writes all that waits, without reading.
pub async fn flush(peer: &mut Peer) -> io::Result<()> {
    poll_fn(|cx| {
        peer.poll_write_out(cx)?;
        if peer.settled() { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}
