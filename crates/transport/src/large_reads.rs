//! Reads a socket in large pieces while much comes from it.
//!
//! The TLS library asks for 4 KiB at a time: a message of 10 MB would cost it two thousand system calls. The first read is the
//! caller's own, so that a command or a short answer needs no buffer. If it was filled, [`LARGE_READ`] bytes are read at once
//! until nothing is left; then the buffer is given back.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::limits::LARGE_READ;

/// A socket, and what was read of it ahead.
pub(crate) struct LargeReads<S> {
    stream: S,
    /// Read, and not asked for yet.
    ahead: BytesMut,
    /// The last read filled all that it was given.
    is_more: bool,
}

impl<S> LargeReads<S> {
    pub(crate) fn new(stream: S) -> Self {
        LargeReads { stream, ahead: BytesMut::new(), is_more: false }
    }

    pub(crate) fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> LargeReads<S> {
    /// One read of the socket: into `buf`, or, where more waits than fits there, into a buffer of our own.
    fn poll_socket(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.is_more {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
            self.is_more = buf.remaining() == 0;
            return Poll::Ready(Ok(()));
        }
        self.ahead.reserve(LARGE_READ);
        let mut room = (&mut self.ahead).limit(LARGE_READ);
        ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut room))?;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LargeReads<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.ahead.is_empty() {
            let Poll::Ready(read) = this.poll_socket(cx, buf) else {
                (this.ahead, this.is_more) = (BytesMut::new(), false);
                return Poll::Pending;
            };
            read?;
        }
        let length = this.ahead.len().min(buf.remaining());
        buf.put_slice(this.ahead.get(..length).unwrap_or_default());
        this.ahead.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LargeReads<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// What comes is read in pieces of each of these sizes in turn.
    async fn read_all(bytes: &[u8], pipe: usize, sizes: &[usize]) -> (Vec<u8>, usize) {
        let (mut far, near) = tokio::io::duplex(pipe);
        let sent = bytes.to_vec();
        let sending = tokio::spawn(async move { far.write_all(&sent).await });
        let (mut reads, mut got, mut most) = (LargeReads::new(near), Vec::new(), 0);
        for size in sizes.iter().cycle() {
            let mut piece = vec![0; *size];
            let read = reads.read(&mut piece).await.unwrap();
            if read == 0 {
                break;
            }
            got.extend_from_slice(&piece[..read]);
            most = most.max(reads.ahead.len());
        }
        sending.await.unwrap().unwrap();
        (got, most)
    }

    #[tokio::test]
    async fn much_that_comes_is_read_in_large_pieces_and_arrives_as_it_was_sent() {
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
        for pipe in [1, 100, 5000, 1 << 20] {
            let end = if pipe == 1 { 10_000 } else { bytes.len() };
            let (got, most) = read_all(&bytes[..end], pipe, &[4096, 1, 0x4000, 700]).await;
            assert!(got == bytes[..end], "pipe {pipe}");
            assert!(most <= LARGE_READ);
            assert!(most > 0x8000 || pipe < 1 << 20, "{most} bytes at once");
        }
    }

    #[tokio::test]
    async fn nothing_is_held_of_a_peer_that_says_little_or_has_stopped() {
        let (mut far, near) = tokio::io::duplex(1 << 20);
        let (mut reads, mut piece) = (LargeReads::new(near), vec![0; 4096]);
        far.write_all(b"a1 NOOP\r\n").await.unwrap();
        assert_eq!(reads.read(&mut piece).await.unwrap(), 9);
        assert_eq!(reads.ahead.capacity(), 0);
        far.write_all(&[7; 10_000]).await.unwrap();
        for wanted in [4096, 4096, 1808] {
            assert_eq!(reads.read(&mut piece).await.unwrap(), wanted);
        }
        assert!(reads.ahead.capacity() > 0);
        tokio::select! {
            biased;
            read = reads.read(&mut piece) => panic!("{read:?}"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(reads.ahead.capacity(), 0, "after all was taken");
    }
}
