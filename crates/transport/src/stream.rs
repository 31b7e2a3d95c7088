//! One connection, whatever lies under it.
//!
//! A [`Stream`] is TCP, a UNIX socket or (in tests) a pipe in memory; over it TLS, as server or client; over that
//! DEFLATE (RFC 4978). It starts plain and is raised by [`Stream::start_tls`], [`Stream::connect_tls`] and
//! [`Stream::compress`]. Bytes read before the handshake are the caller's: [`crate::wire::Wire`] throws away what a
//! client pipelined behind STARTTLS (RFC 3501 section 6.2.1, CVE-2011-0411).

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::{Arc, Once};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsStream;
use tracing::warn;

use crate::deflate::Deflated;
use crate::large_reads::LargeReads;
use crate::limits::{CLOSING, LINGER};
use crate::peer::{Channel, Peer};
use crate::tls::{ClientTls, ServerTls, TlsInfo};

/// A byte stream to a client or a server.
pub struct Stream {
    layer: Layer,
    channel: Channel,
}

impl Stream {
    /// An accepted or dialled TCP connection. Sets TCP_NODELAY: without it a STARTTLS handshake waits 40 ms.
    pub fn tcp(socket: TcpStream) -> io::Result<Stream> {
        socket.set_nodelay(true)?;
        let peer = Peer::Tcp { remote: socket.peer_addr()?, local: socket.local_addr()? };
        Ok(Stream::over(Base::Tcp(socket), peer))
    }

    /// A UNIX socket; the peer's credentials are read from the kernel.
    pub fn unix(socket: UnixStream) -> io::Result<Stream> {
        let credentials = socket.peer_cred()?;
        let peer = Peer::Unix { uid: credentials.uid(), gid: credentials.gid(), pid: credentials.pid() };
        Ok(Stream::over(Base::Unix(socket), peer))
    }

    /// A pipe in memory, for simulations and tests.
    pub fn memory(pipe: DuplexStream, peer: Peer) -> Stream {
        Stream::over(Base::Memory(pipe), peer)
    }

    fn over(base: Base, peer: Peer) -> Stream {
        Stream { layer: Layer::Plain(base), channel: Channel::new(peer) }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.channel.peer
    }

    /// A load balancer said who is really there.
    pub fn set_peer(&mut self, peer: Peer) {
        self.channel.peer = peer;
    }

    /// What protects the connection; `None` in the clear.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.channel.tls.as_deref()
    }

    /// Acknowledges at once what has come. A peer that wrote in two pieces holds the second back until the first is
    /// acknowledged (Nagle's algorithm), and this side would wait 40 ms for more before it does.
    pub fn acknowledge(&self) {
        if let Some(Base::Tcp(socket)) = self.base() {
            // Only sooner or later: without it everything works, slowly.
            let _ = socket2::SockRef::from(socket).set_tcp_quickack(true);
        }
    }

    /// The number of its file descriptor.
    pub fn descriptor(&self) -> Option<RawFd> {
        match self.base()? {
            Base::Tcp(socket) => Some(socket.as_raw_fd()),
            Base::Unix(socket) => Some(socket.as_raw_fd()),
            Base::Memory(_) => None,
        }
    }

    /// Does what a client asked, and meanwhile watches whether the client goes away: then it tells
    /// [`crate::peer::Conduct::gone`], so that waits which are of use to nobody else end. The work itself goes on.
    pub async fn attend<F: Future>(&self, work: F) -> F::Output {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = self.hung_up() => self.channel.conduct.gone.cancel(),
        }
        work.await
    }

    /// Returns when the peer has closed its side, whatever of what it sent is still unread.
    async fn hung_up(&self) {
        // Ready for "priority" is what says so without being woken by data.
        let closed = match self.base() {
            Some(Base::Tcp(socket)) => {
                socket.ready(Interest::PRIORITY).await.is_ok_and(|ready| ready.is_read_closed())
            }
            Some(Base::Unix(socket)) => {
                socket.ready(Interest::PRIORITY).await.is_ok_and(|ready| ready.is_read_closed())
            }
            Some(Base::Memory(_)) | None => false,
        };
        if !closed {
            std::future::pending::<()>().await;
        }
    }

    /// What lies under it all; none while it is compressed, which is after login.
    fn base(&self) -> Option<&Base> {
        match &self.layer {
            Layer::Plain(base) => Some(base),
            Layer::Tls(tls) => Some(tls.get_ref().0.get_ref()),
            Layer::Deflated(_) | Layer::Gone => None,
        }
    }

    /// Peer and protection together, cheap to clone: what authentication wants to know.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    pub fn is_compressed(&self) -> bool {
        matches!(self.layer, Layer::Deflated(_))
    }

    /// The server's side of a TLS handshake. The caller bounds it in time. After an error the stream is dead.
    pub async fn start_tls(&mut self, tls: &ServerTls) -> io::Result<()> {
        let base = self.take_plain()?;
        let stream = TlsStream::from(tls.acceptor().accept(LargeReads::new(base)).await?);
        self.secured(stream);
        Ok(())
    }

    /// The client's side of a TLS handshake; `host` is the name to be found in the server's certificate.
    pub async fn connect_tls(&mut self, tls: &ClientTls, host: &str) -> io::Result<()> {
        let name = ClientTls::server_name(host)?;
        let base = self.take_plain()?;
        if !tls.verifies() {
            UNVERIFIED.call_once(|| {
                warn!("tls_server_ca_file is not set: certificates of other servers are not verified");
            });
        }
        let stream = TlsStream::from(tls.connector().connect(name, LargeReads::new(base)).await?);
        self.secured(stream);
        Ok(())
    }

    /// Compresses both directions from here on (COMPRESS DEFLATE).
    pub fn compress(&mut self) -> io::Result<()> {
        self.compress_after(BytesMut::new())
    }

    /// As [`Stream::compress`], where `ahead` was read already and is compressed.
    pub fn compress_after(&mut self, ahead: BytesMut) -> io::Result<()> {
        match std::mem::replace(&mut self.layer, Layer::Gone) {
            layer @ (Layer::Plain(_) | Layer::Tls(_)) => {
                self.layer = Layer::Deflated(Box::new(Deflated::new(layer, ahead)));
                Ok(())
            }
            other => {
                self.layer = other;
                Err(io::Error::new(io::ErrorKind::InvalidInput, "the stream is compressed already"))
            }
        }
    }

    /// Waits until the peer's compressed bytes are read up to where it flushed them, before [`Stream::decompress`]. An error if there
    /// are more of them. Returns at once where nothing is compressed. The caller bounds it in time.
    pub async fn read_flush(&mut self) -> io::Result<()> {
        match &mut self.layer {
            Layer::Deflated(deflated) => deflated.read_flush().await,
            Layer::Plain(_) | Layer::Tls(_) | Layer::Gone => Ok(()),
        }
    }

    /// Compresses no longer, after a flush (UNAUTHENTICATE, RFC 8437). Returns what was read already and is not compressed.
    pub fn decompress(&mut self) -> BytesMut {
        match std::mem::replace(&mut self.layer, Layer::Gone) {
            Layer::Deflated(deflated) => {
                let (layer, unread) = deflated.into_inner();
                self.layer = layer;
                unread
            }
            other => {
                self.layer = other;
                BytesMut::new()
            }
        }
    }

    /// Closes our side, and reads away what the peer still sends. A socket closed over unread bytes resets the
    /// connection, and the peer may then never see the last words: why it is sent away. Bounded in time, since a peer
    /// may send for ever.
    pub async fn part(&mut self) {
        if timeout(CLOSING, self.shutdown()).await.is_ok_and(|shut| shut.is_ok()) {
            let mut unread = [0; 4096];
            let drain = async { while self.read(&mut unread).await.is_ok_and(|read| read > 0) {} };
            // A peer that goes on has had its time.
            let _ = timeout(LINGER, drain).await;
        }
    }

    fn take_plain(&mut self) -> io::Result<Base> {
        match std::mem::replace(&mut self.layer, Layer::Gone) {
            Layer::Plain(base) => Ok(base),
            other => {
                self.layer = other;
                Err(io::Error::new(io::ErrorKind::InvalidInput, "TLS needs a plain stream below it"))
            }
        }
    }

    fn secured(&mut self, stream: TlsStream<LargeReads<Base>>) {
        self.channel.tls = Some(Arc::new(TlsInfo::of(&stream)));
        self.layer = Layer::Tls(Box::new(stream));
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.layer).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.layer).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.layer).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.layer.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.layer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.layer).poll_shutdown(cx)
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("channel", &self.channel).finish_non_exhaustive()
    }
}

/// What a stream is made of at the moment. `Gone` only while a handshake runs and after one failed.
pub(crate) enum Layer {
    Plain(Base),
    Tls(Box<TlsStream<LargeReads<Base>>>),
    Deflated(Box<Deflated<Layer>>),
    Gone,
}

/// The socket itself.
pub(crate) enum Base {
    Tcp(TcpStream),
    Unix(UnixStream),
    Memory(DuplexStream),
}

/// Told once per process.
static UNVERIFIED: Once = Once::new();

fn gone<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

impl AsyncRead for Layer {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Layer::Plain(base) => Pin::new(base).poll_read(cx, buf),
            Layer::Tls(tls) => match ready!(Pin::new(tls.as_mut()).poll_read(cx, buf)) {
                // Peers commonly close without close_notify. Every protocol here marks its own ends, so that
                // a cut connection is seen there; to the reader it is an end of file.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
                result => Poll::Ready(result),
            },
            Layer::Deflated(deflated) => Pin::new(deflated.as_mut()).poll_read(cx, buf),
            Layer::Gone => gone(),
        }
    }
}

impl AsyncWrite for Layer {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Layer::Plain(base) => Pin::new(base).poll_write(cx, buf),
            Layer::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, buf),
            Layer::Deflated(deflated) => Pin::new(deflated.as_mut()).poll_write(cx, buf),
            Layer::Gone => gone(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Layer::Plain(base) => Pin::new(base).poll_write_vectored(cx, bufs),
            Layer::Tls(tls) => Pin::new(tls.as_mut()).poll_write_vectored(cx, bufs),
            Layer::Deflated(deflated) => Pin::new(deflated.as_mut()).poll_write_vectored(cx, bufs),
            Layer::Gone => gone(),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Layer::Plain(base) => base.is_write_vectored(),
            Layer::Tls(tls) => tls.is_write_vectored(),
            Layer::Deflated(deflated) => deflated.is_write_vectored(),
            Layer::Gone => false,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Layer::Plain(base) => Pin::new(base).poll_flush(cx),
            Layer::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
            Layer::Deflated(deflated) => Pin::new(deflated.as_mut()).poll_flush(cx),
            Layer::Gone => gone(),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Layer::Plain(base) => Pin::new(base).poll_shutdown(cx),
            Layer::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
            Layer::Deflated(deflated) => Pin::new(deflated.as_mut()).poll_shutdown(cx),
            Layer::Gone => gone(),
        }
    }
}

/// Forwards to whichever socket it is.
macro_rules! each_base {
    ($self:ident, $socket:ident => $call:expr) => {
        match $self.get_mut() {
            Base::Tcp(socket) => {
                let $socket = Pin::new(socket);
                $call
            }
            Base::Unix(socket) => {
                let $socket = Pin::new(socket);
                $call
            }
            Base::Memory(socket) => {
                let $socket = Pin::new(socket);
                $call
            }
        }
    };
}

impl AsyncRead for Base {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each_base!(self, socket => socket.poll_read(cx, buf))
    }
}

impl AsyncWrite for Base {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each_base!(self, socket => socket.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each_base!(self, socket => socket.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Base::Tcp(socket) => socket.is_write_vectored(),
            Base::Unix(socket) => socket.is_write_vectored(),
            Base::Memory(socket) => socket.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_base!(self, socket => socket.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_base!(self, socket => socket.poll_shutdown(cx))
    }
}
