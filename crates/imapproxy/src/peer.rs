//! One end of a proxied session: a stream with what was read from it and what waits to be written to it.
//!
//! Nothing here waits for one direction only. [`turn`] reads and writes both ends at once, so that two full peers
//! cannot block each other; it reads only where there is room, so that a slow reader slows the other side down
//! instead of filling memory.
//!
//! A long run of bytes that only passes through (a message) is not copied from one end's input to the other's output: it is kept as
//! it was read, and written from there.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;
use transport::stream::Stream;

use crate::limits::{AT_A_STRETCH, COPIED, FULL, KEPT, READ};

/// A stream and its two buffers.
pub struct Peer {
    pub stream: Stream,
    /// Read, not yet used.
    pub input: BytesMut,
    /// To be written, behind `passing`.
    pub output: BytesMut,
    /// To be written: runs as they were read from another end.
    passing: VecDeque<Bytes>,
    /// Bytes of `passing`.
    passing_bytes: usize,
    /// The other end has closed its side.
    pub ended: bool,
    /// How much may be held in `input`.
    limit: usize,
    needs_flush: bool,
    /// Bytes read since others had the thread.
    stretch: usize,
}

impl Peer {
    pub fn new(stream: Stream, input: BytesMut) -> Self {
        Peer {
            stream,
            input,
            output: BytesMut::new(),
            passing: VecDeque::new(),
            passing_bytes: 0,
            ended: false,
            limit: FULL,
            needs_flush: false,
            stretch: 0,
        }
    }

    pub fn put(&mut self, bytes: impl AsRef<[u8]>) {
        self.output.extend_from_slice(bytes.as_ref());
    }

    /// Puts a run that another end has read: as it is where it is long, since a short one would keep the whole of what was read
    /// with it in memory.
    pub fn pass(&mut self, run: Bytes) {
        if run.len() < COPIED {
            return self.put(run);
        }
        if !self.output.is_empty() {
            self.passing_bytes += self.output.len();
            self.passing.push_back(self.output.split().freeze());
        }
        self.passing_bytes += run.len();
        self.passing.push_back(run);
    }

    /// Whether more may be put before something is written.
    pub fn has_room(&self) -> bool {
        self.unwritten() < FULL
    }

    fn unwritten(&self) -> usize {
        self.passing_bytes + self.output.len()
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
        while self.unwritten() > 0 {
            match self.poll_write_some(cx) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => {
                    self.written(n);
                    (wrote, self.needs_flush) = (true, true);
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        if self.needs_flush && self.unwritten() == 0 {
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

    fn poll_write_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        if self.passing.is_empty() {
            return stream.poll_write(cx, &self.output);
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let runs = self.passing.iter().map(|run| &run[..]).chain([&self.output[..]]);
        let mut filled = 0;
        for (slice, run) in slices.iter_mut().zip(runs) {
            (*slice, filled) = (IoSlice::new(run), filled + 1);
        }
        stream.poll_write_vectored(cx, slices.get(..filled).unwrap_or_default())
    }

    /// So many bytes are gone.
    fn written(&mut self, mut count: usize) {
        while let Some(run) = self.passing.front_mut().filter(|_| count > 0) {
            let taken = count.min(run.len());
            run.advance(taken);
            (count, self.passing_bytes) = (count - taken, self.passing_bytes - taken);
            if run.is_empty() {
                self.passing.pop_front();
            }
        }
        self.output.advance(count);
    }

    /// Reads on while as much comes as fits: a large message goes on in few writes.
    fn poll_read_in(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let (mut any, mut much) = (false, false);
        while !self.ended && self.input.len() < self.limit {
            let full = match much {
                false => self.poll_read_little(cx),
                true => self.poll_read_much(cx),
            };
            match full {
                Poll::Ready(full) => (any, much) = (true, full?),
                Poll::Pending => break,
            }
            if !much {
                break;
            }
        }
        Ok(any)
    }

    /// Reads on the stack, so that a session which says little has no buffer for it. Whether all of it was filled.
    fn poll_read_little(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut space = [std::mem::MaybeUninit::uninit(); READ];
        let mut space = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut space))?;
        self.ended = space.filled().is_empty();
        self.stretch += space.filled().len();
        if self.input.is_empty() && self.input.capacity() > KEPT {
            self.input = BytesMut::new();
        }
        self.input.extend_from_slice(space.filled());
        Poll::Ready(Ok(space.remaining() == 0))
    }

    /// Reads into the input itself. Whether anything came, and more may.
    fn poll_read_much(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let room = self.limit.saturating_sub(self.input.len());
        self.input.reserve(room);
        let mut space = (&mut self.input).limit(room);
        let read = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut space))?;
        self.ended = read == 0;
        self.stretch += read;
        Poll::Ready(Ok(read > 0))
    }

    /// Whether the other end is there, and has all that was put.
    pub fn is_idle(&self) -> bool {
        self.settled() && !self.ended
    }

    fn settled(&self) -> bool {
        self.unwritten() == 0 && !self.needs_flush
    }

    /// Lets other sessions have the thread after some bytes: where both ends are as fast as the session, it never waits for either.
    /// Cancel-safe.
    pub async fn pace(&mut self) {
        if self.stretch >= AT_A_STRETCH {
            self.stretch = 0;
            tokio::task::yield_now().await;
        }
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
    .await?;
    client.pace().await;
    backend.pace().await;
    Ok(())
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
    .await?;
    for peer in [client, first, second] {
        peer.pace().await;
    }
    Ok(())
}

/// The same with one end only.
pub async fn turn_alone(peer: &mut Peer) -> io::Result<()> {
    poll_fn(|cx| peer.poll_io(cx, true)).await?;
    peer.pace().await;
    Ok(())
}

/// Writes all that waits, without reading.
pub async fn flush(peer: &mut Peer) -> io::Result<()> {
    poll_fn(|cx| {
        peer.poll_write_out(cx)?;
        if peer.settled() { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

/// Runs that are written at once.
const SLICES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, DuplexStream};

    fn piped(pipe: usize) -> (Peer, DuplexStream) {
        let (near, far) = tokio::io::duplex(pipe);
        let peer = transport::peer::Peer::Unix { uid: 0, gid: 0, pid: None };
        (Peer::new(Stream::memory(near, peer), BytesMut::new()), far)
    }

    async fn write_all(peer: &mut Peer, far: &mut DuplexStream, heard: &mut Vec<u8>) {
        let before = peer.unwritten();
        let mut taken = vec![0; before];
        let (flushed, read) = tokio::join!(flush(peer), far.read_exact(&mut taken));
        flushed.unwrap();
        assert_eq!(read.unwrap(), before);
        heard.extend_from_slice(&taken);
    }

    fn runs() -> impl Strategy<Value = Vec<(bool, u8, usize)>> {
        let length = prop_oneof![0..40_usize, COPIED - 2..COPIED + 2, 0..3 * COPIED];
        proptest::collection::vec((any::<bool>(), any::<u8>(), length), 0..40)
    }

    #[tokio::test(flavor = "current_thread")]
    async fn others_have_the_thread_while_a_session_passes_on_what_never_ends() {
        const ALL: usize = 64 * AT_A_STRETCH;
        let ((mut client, _reads), (mut backend, mut says)) = (piped(2 * ALL), piped(2 * ALL));
        tokio::io::AsyncWriteExt::write_all(&mut says, &vec![0; ALL]).await.unwrap();
        let turns = std::rc::Rc::new(std::cell::Cell::new(0));
        let (counted, mut passed) = (turns.clone(), 0);
        let others = async move {
            loop {
                counted.set(counted.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        let relay = async {
            while passed < ALL {
                turn(&mut client, &mut backend, true).await.unwrap();
                passed += backend.input.len();
                client.pass(backend.input.split().freeze());
            }
        };
        tokio::task::LocalSet::new()
            .run_until(async {
                let others = tokio::task::spawn_local(others);
                relay.await;
                others.abort();
            })
            .await;
        assert!(turns.get() >= 32, "others had the thread {} times", turns.get());
    }

    proptest! {
        #[test]
        fn what_passes_through_and_what_is_said_between_arrive_in_their_order(
            runs in runs(),
            pipe in 1000_usize..100_000,
        ) {
            let (mut told, mut heard) = (Vec::new(), Vec::new());
            tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
                let (mut peer, mut far) = piped(pipe);
                for (passes, byte, length) in runs {
                    let run = vec![byte; length];
                    told.extend_from_slice(&run);
                    match passes {
                        true => peer.pass(run.into()),
                        false => peer.put(run),
                    }
                    assert_eq!(peer.unwritten(), told.len() - heard.len());
                    if !peer.has_room() {
                        assert!(peer.unwritten() >= FULL);
                        write_all(&mut peer, &mut far, &mut heard).await;
                        assert!(peer.has_room() && peer.is_idle());
                    }
                }
                write_all(&mut peer, &mut far, &mut heard).await;
            });
            prop_assert!(told == heard);
        }

        #[test]
        fn no_more_is_read_than_there_is_room_for(length in 0..5 * FULL, pipe in 1000..2 * FULL) {
            tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
                let sent: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
                let (mut peer, mut far) = piped(pipe);
                let all = sent.clone();
                let sending = tokio::spawn(async move {
                    tokio::io::AsyncWriteExt::write_all(&mut far, &all).await.unwrap();
                });
                let mut heard = Vec::new();
                while !peer.ended {
                    turn_alone(&mut peer).await.unwrap();
                    assert!(peer.input.len() <= FULL + READ);
                    // Some stays, as the beginning of a line does.
                    let taken = peer.input.len().saturating_sub(if peer.ended { 0 } else { 7 });
                    heard.extend_from_slice(&peer.input.split_to(taken));
                }
                sending.await.unwrap();
                assert!(heard == sent);
            });
        }
    }
}
