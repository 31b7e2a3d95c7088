//! A client that has logged in and its backend become one connection: bytes both ways, unread. POP3 and ManageSieve on a frontend.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use transport::stream::Stream;
use transport::wire::Wire;

use crate::context::Context;
use crate::limits::{BUFFER, LAST_ANSWER, NOTICE, SILENCE, rows};
use crate::sessions::Seat;

/// A client's session that goes on at a backend.
pub struct Through<'a> {
    pub context: &'a Context,
    pub seat: &'a Seat,
    /// A side that takes nothing for so long ends it.
    pub patience: Duration,
}

impl Through<'_> {
    /// Hands over what each side has said already, then copies until either ends, or the session is to end: the client then hears
    /// the answer that it waits for, and the last words.
    ///
    /// # Errors
    /// A side was gone before.
    pub async fn run(
        self,
        client: Wire,
        server: (Stream, BytesMut),
        last_words: impl FnOnce() -> String,
    ) -> io::Result<()> {
        self.between(client.into_parts(), server, last_words).await
    }

    /// The same, of two streams, each with what was read off it and not used.
    ///
    /// # Errors
    /// A side was gone before.
    pub async fn between(
        self,
        (mut client, pipelined): (Stream, BytesMut),
        (mut server, said): (Stream, BytesMut),
        last_words: impl FnOnce() -> String,
    ) -> io::Result<()> {
        client.write_all(&said).await?;
        client.flush().await?;
        server.write_all(&pipelined).await?;
        server.flush().await?;
        let (stop, shutdown) = (self.seat.stop(), self.context.shutdown());
        let overdue = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_ANSWER).await;
            // Then all have the same time (`drain_timeout`).
            if shutdown.is_cancelled() {
                std::future::pending().await
            }
        };
        pipe(client, server, self.patience, &stop, overdue, last_words).await;
        Ok(())
    }
}

/// Copies until the backend closes, or the client does and the backend has had time to notice. A side that takes nothing for
/// `patience` ends it. After `stop` the client says nothing more, and hears the answer that it waits for to its end, or until it is
/// `overdue`; then the last words.
async fn pipe(
    client: Stream,
    backend: Stream,
    patience: Duration,
    stop: &CancellationToken,
    overdue: impl Future<Output = ()>,
    last_words: impl FnOnce() -> String,
) {
    let (client_reader, mut client_writer) = split(client);
    let (backend_reader, mut backend_writer) = split(backend);
    let stopped = {
        let mut down = std::pin::pin!(one_way(backend_reader, &mut client_writer, patience, stop));
        let unstopped = CancellationToken::new();
        let up = async {
            let copied = one_way(client_reader, &mut backend_writer, patience, &unstopped);
            tokio::select! {
                biased;
                // From here on the backend's answer alone ends it.
                () = stop.cancelled() => std::future::pending().await,
                _ = copied => {}
            }
        };
        tokio::select! {
            // How either ended is the other's to see; there is nothing more to say here.
            end = &mut down => matches!(end, Ok(End::Stopped)),
            () = up => {
                let _ = timeout(NOTICE, down).await;
                false
            }
            () = overdue => {
                rows::LAST_ANSWER.met("a session that was ended is cut off in an answer that has no end");
                false
            }
        }
    };
    if stopped {
        let said = async {
            client_writer.write_all(last_words().as_bytes()).await?;
            client_writer.shutdown().await
        };
        let _ = timeout(NOTICE, said).await;
    }
}

/// Why nothing more is copied.
enum End {
    /// The reader has ended.
    Closed,
    /// All was said that was asked for, before or after the stop.
    Stopped,
}

/// Copies until the reader ends, or once `stop` is cancelled falls silent.
async fn one_way<R, W>(
    mut reader: R,
    writer: &mut W,
    patience: Duration,
    stop: &CancellationToken,
) -> io::Result<End>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; BUFFER];
    loop {
        let silent = async {
            stop.cancelled().await;
            tokio::time::sleep(SILENCE).await;
        };
        let read = tokio::select! {
            read = reader.read(&mut buffer) => read?,
            () = silent => return Ok(End::Stopped),
        };
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let Some(some) = buffer.get(..read).filter(|some| !some.is_empty()) else {
            timeout(NOTICE, writer.shutdown()).await.map_err(late)??;
            return Ok(End::Closed);
        };
        let written = async {
            writer.write_all(some).await?;
            writer.flush().await
        };
        timeout(patience, written).await.map_err(late)??;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use tokio::io::duplex;
    use transport::peer::Peer;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(600);

    /// Both ends of a piped session: the client's, the backend's.
    fn piped(stop: &CancellationToken) -> (tokio::io::DuplexStream, tokio::io::DuplexStream) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 110));
        let peer = || Peer::Tcp { remote: address, local: address };
        let ((client, client_end), (backend, backend_end)) = (duplex(1024), duplex(1024));
        let (client_end, backend_end) =
            (Stream::memory(client_end, peer()), Stream::memory(backend_end, peer()));
        let stop = stop.clone();
        tokio::spawn(async move {
            let overdue = async {
                stop.cancelled().await;
                let _ = timeout(LAST_ANSWER, std::future::pending::<()>()).await;
            };
            pipe(client_end, backend_end, PATIENCE, &stop, overdue, || "-ERR denied\r\n".to_owned()).await;
        });
        (client, backend)
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_under_way_is_sent_to_its_end_when_the_daemon_is_told_to_stop() {
        let stop = CancellationToken::new();
        let (mut client, mut backend) = piped(&stop);
        client.write_all(b"RETR 1\r\n").await.unwrap();
        let mut command = [0; 8];
        backend.read_exact(&mut command).await.unwrap();
        backend.write_all(b"+OK\r\n").await.unwrap();
        stop.cancel();
        client.write_all(b"DELE 1\r\n").await.unwrap();
        let message = vec![b'x'; 100_000];
        let send = async {
            backend.write_all(&message).await.unwrap();
            backend.write_all(b"\r\n.\r\n").await.unwrap();
            let mut rest = Vec::new();
            backend.read_to_end(&mut rest).await.unwrap();
            rest
        };
        let mut heard = Vec::new();
        let (rest, _) = tokio::join!(send, client.read_to_end(&mut heard));
        let heard = heard.strip_suffix(b"-ERR denied\r\n").expect("the client hears why it ends");
        assert!(heard.len() == 5 + 100_000 + 5 && heard.ends_with(b"\r\n.\r\n"), "{}", heard.len());
        assert_eq!(rest, b"", "the client's next command is not begun");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_without_end_does_not_keep_a_client_that_is_sent_away() {
        let stop = CancellationToken::new();
        let (mut client, mut backend) = piped(&stop);
        stop.cancel();
        let mut pace = tokio::time::interval(SILENCE / 2);
        let endless = async {
            while backend.write_all(b"x\r\n").await.is_ok() {
                pace.tick().await;
            }
        };
        let mut heard = Vec::new();
        let both = async { tokio::join!(endless, client.read_to_end(&mut heard)) };
        timeout(PATIENCE / 2, both).await.expect("the session ends").1.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_given_up() {
        let (_client, mut backend) = piped(&CancellationToken::new());
        let endless = async { while backend.write_all(&[b'x'; 4096]).await.is_ok() {} };
        timeout(PATIENCE * 2, endless).await.expect("the backend's session ends");
    }
}
