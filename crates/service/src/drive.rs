//! The one loop round every protocol's session: read, let the session answer, write.
//!
//! A [`Session`] sees bytes and gives bytes; it holds no socket and knows no clock. Its contract:
//!
//! 1. [`Session::greet`] once, before anything is read.
//! 2. [`Session::advance`] after each read, and again as long as it says [`Next::Again`]. It takes whole commands off
//!    the front of `input` and puts replies into `out`, which is sent before more is read.
//! 3. [`Session::wake`] while nothing is read: news to tell (IDLE, an update stream). It must be safe to cancel.
//! 4. [`Session::farewell`] once, if it is not the session that ends the connection.
//!
//! | bound | default | from |
//! | --- | --- | --- |
//! | a read, once the client is known | [`Session::patience`] | the protocol: `poptimeout`, Cyrus's 360 s for LMTP |
//! | all that comes before the login | [`BEFORE_LOGIN`], however busy the client looks | as in the IMAP daemons |
//! | input, output, TLS handshakes | [`Bounds`](transport::wire::Bounds) | the caller |

use std::future::{Future, pending};
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use transport::peer::Channel;
use transport::tls::ServerTls;
use transport::wire::Wire;

use crate::limits::{BEFORE_LOGIN, rows};

/// What the driver does next.
#[derive(Debug)]
pub enum Next {
    /// Send what was said, then read.
    Read,
    /// Send what was said, then call again: there is more in the input.
    Again,
    /// Send what was said, then shake hands as the server; what was pipelined is thrown away.
    StartTls(ServerTls),
    /// Send what was said, then compress.
    Compress,
    /// Send what was said, then hand the connection back to the caller of [`drive`].
    Detach,
    /// Send what was said, then close.
    Close,
}

/// Why the driver ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// Nothing was heard for [`Session::patience`].
    Idle,
    /// The daemon ends.
    Shutdown,
    /// A command is longer than the input may be.
    TooLong,
}

/// A protocol's session.
pub trait Session: Send {
    fn greet(&mut self, out: &mut BytesMut) -> impl Future<Output = Next> + Send;

    fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> impl Future<Output = Next> + Send;

    /// Waits for news and tells them. By default there are none.
    fn wake(&mut self, _out: &mut BytesMut) -> impl Future<Output = Next> + Send {
        pending()
    }

    /// How long to wait for the client's next bytes.
    fn patience(&self) -> Duration;

    /// Whether the client has logged in, or need not. Who is not known has [`BEFORE_LOGIN`] from its first byte to its last.
    fn is_known(&self) -> bool;

    /// Last words.
    fn farewell(&mut self, why: Farewell, out: &mut BytesMut);

    /// The connection is encrypted from now on.
    fn secured(&mut self, _channel: &Channel) {}
}

/// How a driven connection ended.
pub enum Outcome {
    Closed,
    /// The session wants its caller to go on.
    Detached(Box<Wire>),
}

/// Drives a session until it, the client or the daemon ends it.
pub async fn drive<S: Session>(
    mut wire: Wire,
    session: &mut S,
    stop: &CancellationToken,
) -> io::Result<Outcome> {
    let began = Instant::now();
    let mut next = session.greet(wire.output()).await;
    // Whoever looked at the connection before may have read on: that is not waited for again.
    if matches!(next, Next::Read) && !wire.input().is_empty() {
        next = Next::Again;
    }
    loop {
        wire.flush().await?;
        next = match next {
            Next::Again => {
                // A client that pipelines has no more of the thread than others.
                tokio::task::yield_now().await;
                advance(&mut wire, session).await
            }
            Next::Read => match wait(&mut wire, session, stop, began).await? {
                Woken::Input(0) => return Ok(Outcome::Closed),
                Woken::Input(_) => advance(&mut wire, session).await,
                Woken::News(next) => next,
                Woken::Farewell(why) => {
                    session.farewell(why, wire.output());
                    Next::Close
                }
            },
            Next::StartTls(tls) => {
                wire.start_tls(&tls).await?;
                session.secured(wire.stream().channel());
                Next::Read
            }
            Next::Compress => {
                wire.compress().await?;
                Next::Read
            }
            Next::Detach => return Ok(Outcome::Detached(Box::new(wire))),
            Next::Close => {
                wire.close().await?;
                return Ok(Outcome::Closed);
            }
        };
    }
}

async fn advance<S: Session>(wire: &mut Wire, session: &mut S) -> Next {
    let (input, out, stream) = wire.parts();
    stream.attend(session.advance(input, out)).await
}

enum Woken {
    Input(usize),
    News(Next),
    Farewell(Farewell),
}

async fn wait<S: Session>(
    wire: &mut Wire,
    session: &mut S,
    stop: &CancellationToken,
    began: Instant,
) -> io::Result<Woken> {
    let patience = match session.is_known() {
        true => session.patience(),
        false => session.patience().min(BEFORE_LOGIN.saturating_sub(began.elapsed())),
    };
    if patience.is_zero() {
        tell_of_a_stranger(wire, session);
        return Ok(Woken::Farewell(Farewell::Idle));
    }
    let mut news = BytesMut::new();
    let woken = tokio::select! {
        biased;
        // Bytes that are there already are answered before the end.
        read = wire.read_some() => match read {
            Ok(read) => Woken::Input(read),
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => Woken::Farewell(Farewell::TooLong),
            Err(error) => return Err(error),
        },
        next = session.wake(&mut news) => Woken::News(next),
        () = stop.cancelled() => Woken::Farewell(Farewell::Shutdown),
        () = tokio::time::sleep(patience) => Woken::Farewell(Farewell::Idle),
    };
    wire.output().unsplit(news);
    if matches!(woken, Woken::Farewell(Farewell::Idle)) {
        tell_of_a_stranger(wire, session);
    }
    Ok(woken)
}

/// The client's time is over. Where it has not logged in, that is worth a line.
fn tell_of_a_stranger(wire: &Wire, session: &impl Session) {
    if !session.is_known() {
        let peer = wire.stream().peer();
        rows::BEFORE_LOGIN.met(format_args!("{peer}: no login in time: the connection is ended"));
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use transport::peer::Peer;
    use transport::stream::Stream;
    use transport::wire::Bounds;

    use super::*;

    /// Takes letters, and `+` for a login.
    struct Letters {
        known: bool,
    }

    impl Session for Letters {
        async fn greet(&mut self, _: &mut BytesMut) -> Next {
            Next::Read
        }

        async fn advance(&mut self, input: &mut BytesMut, _: &mut BytesMut) -> Next {
            self.known |= input.split().contains(&b'+');
            Next::Read
        }

        fn patience(&self) -> Duration {
            Duration::from_secs(600)
        }

        fn is_known(&self) -> bool {
            self.known
        }

        fn farewell(&mut self, why: Farewell, out: &mut BytesMut) {
            out.extend_from_slice(format!("{why:?}").as_bytes());
        }
    }

    /// Seconds that a client lasts who sends a letter each ten seconds, up to half an hour.
    async fn lasts(first: u8) -> u64 {
        let (mut client, far) = tokio::io::duplex(64);
        let wire =
            Wire::new(Stream::memory(far, Peer::Unix { uid: 0, gid: 0, pid: None }), Bounds::default());
        let stop = CancellationToken::new();
        let began = Instant::now();
        let driven =
            tokio::spawn(async move { drive(wire, &mut Letters { known: false }, &stop).await.map(drop) });
        client.write_all(&[first]).await.unwrap();
        let mut pace = tokio::time::interval(Duration::from_secs(10));
        while began.elapsed() < Duration::from_secs(1800) && client.write_all(b"x").await.is_ok() {
            pace.tick().await;
        }
        let lasted = began.elapsed().as_secs();
        let mut said = String::new();
        if lasted < 1800 {
            client.read_to_string(&mut said).await.unwrap();
            driven.await.unwrap().unwrap();
            assert_eq!(said, "Idle");
        }
        lasted
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_log_in_has_three_minutes_however_slowly_it_types() {
        assert!((180..=195).contains(&lasts(b'x').await));
        assert_eq!(lasts(b'+').await, 1800);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_before_the_greeting_is_answered_and_not_waited_for_again() {
        let (client, far) = tokio::io::duplex(64);
        let mut wire =
            Wire::new(Stream::memory(far, Peer::Unix { uid: 0, gid: 0, pid: None }), Bounds::default());
        wire.input().extend_from_slice(b"+");
        let began = Instant::now();
        drive(wire, &mut Letters { known: false }, &CancellationToken::new()).await.unwrap();
        assert!(began.elapsed() >= Duration::from_secs(600), "it has logged in");
        drop(client);
    }
}
