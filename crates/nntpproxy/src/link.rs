//! One connection to a backend: a command, its status, its lines in pieces; an article that it wants.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use lmtp::Message;
use protocol::dots::Stuffer;
use protocol::nntp::words::GroupName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use transport::stream::Stream;
use upstream::wire::OutOfStep;
use upstream::wire::nntp::{Event, Wire};

use crate::gone::Gone;
use crate::limits::PIECE;

/// A connection that acts for the session's user.
pub struct Link {
    server: String,
    stream: Stream,
    input: BytesMut,
    out: BytesMut,
    wire: Wire,
    /// `client_timeout`
    bound: Duration,
    /// What is selected there; `None` where that is not known.
    pub selected: Option<GroupName>,
    /// A Cyrus, which takes one article on a connection: with the second it hangs (3.6.1, 3.10.2).
    is_cyrus: bool,
    /// It was asked something before.
    pub used: bool,
}

/// The first line of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub code: u16,
    pub text: String,
    /// Lines follow.
    pub block: bool,
}

impl Status {
    /// As the client gets it.
    pub fn line(&self) -> String {
        format!("{} {}", self.code, self.text)
    }
}

impl Link {
    pub fn new(server: &str, connection: upstream::Connection<Wire>, bound: Duration) -> Link {
        let upstream::Connection { stream, input, wire, capabilities, .. } = connection;
        let implementation = capabilities.line("IMPLEMENTATION").unwrap_or_default();
        Link {
            server: server.to_owned(),
            stream,
            input,
            out: BytesMut::new(),
            wire,
            bound,
            selected: None,
            is_cyrus: implementation.contains("Cyrus"),
            used: false,
        }
    }

    pub fn server(&self) -> &str {
        &self.server
    }

    /// Whether the next command may go out: every answer was read to its end.
    pub fn is_at_rest(&self) -> bool {
        self.wire.is_at_rest(&self.input)
    }

    /// A command, and the first line of its answer.
    pub async fn ask(&mut self, text: &str) -> Result<Status, Gone> {
        if !self.wire.is_at_rest(&self.input) {
            return Err(self.out_of_step(OutOfStep::Unasked));
        }
        self.wire.command(text, &mut self.out).map_err(|why| self.out_of_step(why))?;
        self.flush().await?;
        self.status().await
    }

    /// The next lines of an answer, with doubled dots; none at its end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Gone> {
        match self.event().await? {
            Event::Piece(bytes) => Ok(Some(bytes)),
            Event::End => Ok(None),
            Event::Status { code, text, .. } => Err(self.strange(code, &text)),
        }
    }

    /// An article that was asked for (335), and what is said of it. Bounded as a whole: a backend may take it and fall silent.
    pub async fn send(&mut self, header: &[u8], body: &Message) -> Result<Status, Gone> {
        let unread = |source| Gone::Lost { server: "the spool".to_owned(), source };
        let mut reader = body.reader().await.map_err(unread)?;
        let (mut stuffer, mut piece, mut stuffed) = (Stuffer::faithful(), header.to_vec(), Vec::new());
        loop {
            stuffed.clear();
            stuffer.push(&piece, &mut stuffed);
            self.article(&stuffed).await?;
            if !reader.next(&mut piece).await.map_err(unread)? {
                break;
            }
        }
        stuffed.clear();
        stuffer.finish(&mut stuffed);
        let last = stuffed.strip_suffix(b".\r\n").unwrap_or(&stuffed).to_vec();
        self.article(&last).await?;
        self.wire.article_ended(&mut self.out).map_err(|why| self.out_of_step(why))?;
        self.flush().await?;
        self.status().await
    }

    /// Whether another article may be sent on it.
    pub fn takes_another(&self) -> bool {
        !self.is_cyrus
    }

    async fn article(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        self.wire.article(bytes, &mut self.out).map_err(|why| self.out_of_step(why))?;
        self.flush().await
    }

    async fn status(&mut self) -> Result<Status, Gone> {
        match self.event().await? {
            Event::Status { code: code @ (400 | 480 | 483), text, .. } => Err(self.strange(code, &text)),
            Event::Status { code, text, block } => {
                self.used = true;
                Ok(Status { code, text, block })
            }
            Event::Piece(_) | Event::End => Err(self.out_of_step(OutOfStep::Unasked)),
        }
    }

    async fn event(&mut self) -> Result<Event, Gone> {
        loop {
            if let Some(event) = self.wire.next(&mut self.input).map_err(|why| self.out_of_step(why))? {
                return Ok(event);
            }
            self.input.reserve(PIECE);
            match timeout(self.bound, self.stream.read_buf(&mut self.input)).await {
                Ok(Ok(0)) => return Err(self.lost(io::ErrorKind::UnexpectedEof.into())),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(self.lost(error)),
                Err(_) => return Err(self.late()),
            }
        }
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        let written = timeout(self.bound, async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await
        });
        match written.await {
            Ok(Ok(())) => {
                self.out.clear();
                Ok(())
            }
            Ok(Err(error)) => Err(self.lost(error)),
            Err(_) => Err(self.late()),
        }
    }

    fn lost(&self, source: io::Error) -> Gone {
        Gone::Lost { server: self.server.clone(), source }
    }

    fn late(&self) -> Gone {
        Gone::Late { server: self.server.clone(), bound: self.bound }
    }

    fn out_of_step(&self, why: OutOfStep) -> Gone {
        Gone::OutOfStep { server: self.server.clone(), why }
    }

    fn strange(&self, code: u16, text: &str) -> Gone {
        Gone::Strange { server: self.server.clone(), text: format!("{code} {text}") }
    }
}
