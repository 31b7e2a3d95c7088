//! A line-by-line exchange with a server, each step bounded in time and each line in length.

use std::time::Duration;

use bytes::BytesMut;
use service::resolve::Server;
use service::stream::Stream;
use service::tls::ClientTls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::{Capabilities, Connection, Error};

/// A connection while its handshake runs.
pub(crate) struct Dialog {
    pub stream: Stream,
    pub server: String,
    pub bound: Duration,
    pub capabilities: Capabilities,
    /// The text of the answer that ended the login.
    pub text: String,
    input: BytesMut,
}

impl Dialog {
    pub fn new(stream: Stream, server: &str, bound: Duration) -> Self {
        Dialog {
            stream,
            server: server.to_owned(),
            bound,
            capabilities: Capabilities::default(),
            text: String::new(),
            input: BytesMut::new(),
        }
    }

    /// A connection that was used before.
    pub fn resume(connection: Connection, server: &str, bound: Duration) -> Self {
        let Connection { stream, input, capabilities, text } = connection;
        Dialog { stream, server: server.to_owned(), bound, capabilities, text, input }
    }

    pub fn finish(self) -> Connection {
        Connection {
            stream: self.stream,
            input: self.input,
            capabilities: self.capabilities,
            text: self.text,
        }
    }

    /// The next line, without its line end. `doing` says in an error what it was waited for.
    pub async fn line(&mut self, doing: &'static str) -> Result<String, Error> {
        let line = timeout(self.bound, self.read_line(doing)).await;
        line.unwrap_or_else(|_| Err(Error::Timeout { server: self.server.clone(), doing, bound: self.bound }))
    }

    /// The bytes of a literal.
    pub async fn exactly(&mut self, size: u64, doing: &'static str) -> Result<Vec<u8>, Error> {
        let size = usize::try_from(size).ok().filter(|size| *size <= LITERAL_MAX);
        let size = size.ok_or_else(|| self.unexpected(doing, "a literal beyond all bounds"))?;
        let reading = async {
            while self.input.len() < size {
                match self.stream.read_buf(&mut self.input).await {
                    Ok(0) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                    Ok(_) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        match timeout(self.bound, reading).await {
            Ok(Ok(())) => Ok(self.input.split_to(size).to_vec()),
            Ok(Err(error)) => Err(self.io(doing, error)),
            Err(_) => Err(Error::Timeout { server: self.server.clone(), doing, bound: self.bound }),
        }
    }

    async fn read_line(&mut self, doing: &'static str) -> Result<String, Error> {
        loop {
            if let Some(end) = self.input.iter().position(|&b| b == b'\n') {
                let line = self.input.split_to(end + 1);
                return Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
            }
            if self.input.len() > LINE_MAX {
                return Err(self.unexpected(doing, "a line without end"));
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) => return Err(self.io(doing, std::io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) => return Err(self.io(doing, error)),
            }
        }
    }

    /// Sends one line; the line end is added.
    pub async fn send(&mut self, line: &str, doing: &'static str) -> Result<(), Error> {
        let bytes = format!("{line}\r\n");
        let sent = timeout(self.bound, async {
            self.stream.write_all(bytes.as_bytes()).await?;
            self.stream.flush().await
        });
        match sent.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.io(doing, error)),
            Err(_) => Err(Error::Timeout { server: self.server.clone(), doing, bound: self.bound }),
        }
    }

    /// The client's side of a TLS handshake. What the server sent before it is thrown away: it was not protected.
    pub async fn start_tls(&mut self, tls: &ClientTls) -> Result<(), Error> {
        self.input.clear();
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

    fn io(&self, doing: &'static str, source: std::io::Error) -> Error {
        Error::Io { server: self.server.clone(), doing, source }
    }
}

/// Handshake lines are short; capability lists are the longest.
const LINE_MAX: usize = 64 * 1024;
/// What an operator asks a node for is smaller.
const LITERAL_MAX: usize = 64 * 1024 * 1024;
/// How much of an unexpected answer is shown.
const TEXT_MAX: usize = 200;
