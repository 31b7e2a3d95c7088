//! DEFLATE over a stream (RFC 4978), both directions. Every flush ends a block, so that a response is never held back.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::DeflateDecoder;
use async_compression::tokio::write::DeflateEncoder;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf, ReadHalf, WriteHalf};

/// A compressed stream over a plain one.
pub(crate) struct Deflated<S> {
    reader: DeflateDecoder<BufReader<Ahead<ReadHalf<S>>>>,
    writer: DeflateEncoder<WriteHalf<S>>,
}

impl<S: AsyncRead + AsyncWrite> Deflated<S> {
    /// `ahead` was read off the stream before, and comes first.
    pub(crate) fn new(stream: S, ahead: BytesMut) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let reader = Ahead { ahead, rest: reader, last: [1; FLUSHED.len()] };
        Deflated { reader: DeflateDecoder::new(BufReader::new(reader)), writer: DeflateEncoder::new(writer) }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Deflated<S> {
    /// Waits until all that belongs to what the peer sent last is read: the mark of its flush, or the end of its stream. An error if
    /// there is more to decompress. Cancel-safe.
    pub(crate) async fn read_flush(&mut self) -> io::Result<()> {
        let mut more = [0; 1];
        poll_fn(|cx| {
            let mut buf = ReadBuf::new(&mut more);
            match Pin::new(&mut *self).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if buf.filled().is_empty() => Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending if self.is_flushed() => Poll::Ready(Ok(())),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    fn is_flushed(&self) -> bool {
        let reader = self.reader.get_ref();
        reader.buffer().is_empty() && reader.get_ref().last == FLUSHED
    }

    /// What lies under it, and what was read of that and not decompressed. To be called after a flush, and after
    /// [`Deflated::read_flush`].
    pub(crate) fn into_inner(self) -> (S, BytesMut) {
        let reader = self.reader.into_inner();
        let mut unread = BytesMut::from(reader.buffer());
        let Ahead { ahead, rest, .. } = reader.into_inner();
        unread.extend_from_slice(&ahead);
        (rest.unsplit(self.writer.into_inner()), unread)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Deflated<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.reader).poll_read(cx, buf) {
            // A peer that closes between two blocks has ended, as in the clear.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            result => result,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Deflated<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }
}

/// What a flush ends with: a stored block that is empty (RFC 1951 section 3.2.4).
const FLUSHED: [u8; 4] = [0, 0, 0xff, 0xff];

/// A reader with some bytes before it.
struct Ahead<R> {
    ahead: BytesMut,
    rest: R,
    /// The bytes that were read last.
    last: [u8; FLUSHED.len()],
}

impl<R> Ahead<R> {
    fn note(&mut self, read: &[u8]) {
        let fresh = &read[read.len().saturating_sub(FLUSHED.len())..];
        self.last.rotate_left(fresh.len());
        let kept = FLUSHED.len() - fresh.len();
        self.last[kept..].copy_from_slice(fresh);
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Ahead<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.ahead.is_empty() {
            ready!(Pin::new(&mut self.rest).poll_read(cx, buf))?;
        } else {
            let length = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..length]);
            self.ahead.advance(length);
        }
        self.note(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}
