//! A connection while its handshake runs: what the wire says goes out, what comes in goes through the wire, each step
//! bounded in time.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use transport::resolve::Server;
use transport::stream::Stream;
use transport::tls::ClientTls;

use crate::limits::{RESPONSE_MAX, TEXT_MAX};
use crate::wire::OutOfStep;
use crate::{Capabilities, Error};

/// An authenticated connection to a backend.
#[derive(Debug)]
pub struct Connection<W> {
    pub stream: Stream,
    /// Bytes that came behind the last answer of the handshake.
    pub input: BytesMut,
    /// What is under way on it.
    pub wire: W,
    /// What the server announced last: after the login, where the protocol repeats it.
    pub capabilities: Capabilities,
    /// The text of the answer that ended the login, without its condition: `[CAPABILITY …] SESSIONID=<…>`.
    pub text: String,
}

/// A connection and the way to talk on it.
pub(crate) struct Dialog<W> {
    pub stream: Stream,
    pub server: String,
    /// What Kerberos calls the service that is spoken to; empty: nobody logs in any more.
    pub service: &'static str,
    pub bound: Duration,
    /// Octets of one response that is heard whole.
    pub response_max: usize,
    pub capabilities: Capabilities,
    /// The text of the answer that ended the login.
    pub text: String,
    pub wire: W,
    /// Read, not yet used.
    pub input: BytesMut,
    /// To be written with the next step.
    pub out: BytesMut,
}

impl<W> Dialog<W> {
    pub fn new(stream: Stream, wire: W, server: &str, bound: Duration) -> Self {
        Dialog {
            stream,
            server: server.to_owned(),
            service: "",
            bound,
            response_max: RESPONSE_MAX,
            capabilities: Capabilities::default(),
            text: String::new(),
            wire,
            input: BytesMut::new(),
            out: BytesMut::new(),
        }
    }

    /// A connection that is there already.
    pub fn resume(connection: Connection<W>, server: &str, bound: Duration) -> Self {
        let Connection { stream, input, wire, capabilities, text } = connection;
        Dialog {
            stream,
            server: server.to_owned(),
            service: "",
            bound,
            response_max: RESPONSE_MAX,
            capabilities,
            text,
            wire,
            input,
            out: BytesMut::new(),
        }
    }

    pub fn finish(self) -> Connection<W> {
        Connection {
            stream: self.stream,
            input: self.input,
            wire: self.wire,
            capabilities: self.capabilities,
            text: self.text,
        }
    }

    /// Writes what waits, then reads some more. `doing` says in an error what it was waited for.
    pub async fn step(&mut self, doing: &'static str) -> Result<(), Error> {
        let moved = timeout(self.bound, async {
            if !self.out.is_empty() {
                self.stream.write_all(&self.out).await?;
                self.stream.flush().await?;
                self.out.clear();
            }
            match self.stream.read_buf(&mut self.input).await? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            }
        });
        match moved.await {
            Ok(result) => result.map_err(|error| self.io(doing, error)),
            Err(_) => Err(Error::Timeout { server: self.server.clone(), doing, bound: self.bound }),
        }
    }

    /// The client's side of a TLS handshake. What was sent behind the answer to STARTTLS was not protected: it is
    /// somebody's attempt to be believed later (CVE-2011-0411 in reverse).
    pub async fn start_tls(&mut self, tls: &ClientTls) -> Result<(), Error> {
        if !self.input.is_empty() {
            return Err(self.unexpected("STARTTLS", "text before the TLS handshake"));
        }
        let server = self.server.clone();
        let target = Server::parse(&server);
        match timeout(self.bound, self.stream.connect_tls(tls, target.host())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::Tls { server: server.clone(), text: error.to_string() }),
            Err(_) => Err(Error::Timeout { server: server.clone(), doing: "TLS", bound: self.bound }),
        }
    }

    /// Compresses from here on.
    pub fn compress(&mut self) -> Result<(), Error> {
        self.stream.compress().map_err(|error| self.io("compress", error))
    }

    pub fn unexpected(&self, doing: &'static str, text: &str) -> Error {
        let text = text.chars().take(TEXT_MAX).collect();
        Error::Protocol { server: self.server.clone(), doing, text }
    }

    pub fn out_of_step(&self, doing: &'static str) -> impl Fn(OutOfStep) -> Error {
        let server = self.server.clone();
        move |why| Error::Protocol { server: server.clone(), doing, text: why.to_string() }
    }

    fn io(&self, doing: &'static str, source: io::Error) -> Error {
        Error::Io { server: self.server.clone(), doing, source }
    }
}
