//! DEFLATE over a stream (RFC 4978), both directions. Every flush ends a block, so that a response is never held back.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

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
        let reader = Ahead { ahead, rest: reader };
        Deflated { reader: DeflateDecoder::new(BufReader::new(reader)), writer: DeflateEncoder::new(writer) }
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

/// A reader with some bytes before it.
struct Ahead<R> {
    ahead: BytesMut,
    rest: R,
}

impl<R: AsyncRead + Unpin> AsyncRead for Ahead<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.rest).poll_read(cx, buf);
        }
        let length = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..length]);
        self.ahead.advance(length);
        Poll::Ready(Ok(()))
    }
}
