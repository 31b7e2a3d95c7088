//! The connection from one server of a move to the other: commands of replication, pipelined, and their answers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use protocol::frame::{literal_at_end, trim_line};
use protocol::grammar::{Cursor, Limits};
use protocol::sync::code::Ended;
use protocol::sync::{Apply, File, Get, Peer as Kind, Told, Upload};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use transport::stream::Stream;
use upstream::{Capabilities, Upstream};

use super::live::Live;
use crate::limits::{ANSWERS, PEER_ANSWER, PIPELINED};

/// Why a command has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It was heard, and refused.
    #[error("{0}")]
    Refused(String),
    /// Whether it was heard is not known. The connection is of no more use.
    #[error("{0}")]
    Away(String),
}

/// A connection to another backend, logged in as this server.
pub struct Peer {
    server: String,
    /// How it is told of things.
    kind: Kind,
    capabilities: Capabilities,
    stream: Stream,
    input: BytesMut,
    pub(super) out: Vec<u8>,
    tags: u64,
    /// Commands that are not answered yet.
    open: usize,
    bound: Duration,
    /// Who is told of what was sent, and says when more may be.
    pub pace: Option<Arc<Live>>,
}

impl Peer {
    pub async fn connect(upstream: &Upstream, server: &str) -> Result<Peer, Fault> {
        Peer::connect_as(upstream, server, None).await
    }

    /// The same on behalf of a user.
    pub async fn connect_as(upstream: &Upstream, server: &str, user: Option<&str>) -> Result<Peer, Fault> {
        let connection = upstream.imap(server, user).await.map_err(|error| Fault::Away(error.to_string()))?;
        Ok(Peer {
            server: server.to_owned(),
            kind: Kind::Ours,
            capabilities: connection.capabilities,
            stream: connection.stream,
            input: connection.input,
            out: Vec::new(),
            tags: 0,
            open: 0,
            bound: transport::settings::client_timeout(&upstream.imapd()),
            pace: None,
        })
    }

    /// The same to a server of Cyrus.
    pub async fn connect_to_cyrus(upstream: &Upstream, server: &str) -> Result<Peer, Fault> {
        Ok(Peer { kind: Kind::Cyrus, ..Peer::connect(upstream, server).await? })
    }

    /// Whether the server announces a capability to this one.
    pub fn announces(&self, word: &str) -> bool {
        self.capabilities.has(word)
    }

    /// Has a command executed that is none of replication: all of it but the tag and the line's end.
    pub async fn command(&mut self, command: &[u8]) -> Result<(), Fault> {
        self.settle().await?;
        let tag = self.tag();
        self.out.extend_from_slice(tag.as_bytes());
        self.out.push(b' ');
        self.out.extend_from_slice(command);
        self.out.extend_from_slice(b"\r\n");
        self.open += 1;
        self.settle().await.map(drop)
    }

    /// Has a command executed, after those that were sent before. What is told before its end comes back.
    pub async fn apply(&mut self, apply: &Apply) -> Result<Vec<Told>, Fault> {
        self.settle().await?;
        let tag = self.tag();
        apply.write(&tag, self.kind, &mut self.out);
        self.open += 1;
        self.settle().await
    }

    /// Asks for something.
    pub async fn get(&mut self, get: &Get) -> Result<Vec<Told>, Fault> {
        self.settle().await?;
        let tag = self.tag();
        get.write(&tag, &mut self.out);
        self.open += 1;
        self.settle().await
    }

    /// Sends a command whose answer is heard later: by [`Peer::settle`], or by the next command that is waited for.
    pub async fn send(&mut self, apply: &Apply) -> Result<(), Fault> {
        let tag = self.tag();
        apply.write(&tag, self.kind, &mut self.out);
        self.sent().await
    }

    /// Sends messages, whole ones.
    pub async fn upload(&mut self, messages: &[(File, Vec<u8>)]) -> Result<(), Fault> {
        if messages.is_empty() {
            return Ok(());
        }
        let tag = self.tag();
        Upload::begin(&tag, &mut self.out);
        for (n, (file, bytes)) in messages.iter().enumerate() {
            Upload::put(file, n == 0, &mut self.out);
            self.out.extend_from_slice(bytes);
            if self.out.len() >= PIPELINED {
                self.flush().await?;
            }
        }
        Upload::end(&mut self.out);
        self.sent().await?;
        if let Some(live) = &self.pace {
            let bytes = messages.iter().map(|(_, bytes)| bytes.len() as u64).sum();
            live.sent(messages.len() as u64, bytes).await;
        }
        Ok(())
    }

    /// Hears the answers of all that was sent. An error is the first command's that was refused.
    pub async fn settle(&mut self) -> Result<Vec<Told>, Fault> {
        self.flush().await?;
        let (mut told, mut refused) = (Vec::new(), None);
        while self.open > 0 {
            let response = self.response().await?;
            if let Some(rest) = response.strip_prefix(b"* ") {
                if rest.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"BYE ")) {
                    return Err(self.away("the connection was ended"));
                }
                let mut at = Cursor::new(trim_line(rest), Limits::NONE);
                // What it says besides is not ours to know.
                told.extend(at.read(Told::parse).ok());
                continue;
            }
            let rest = response.iter().position(|&byte| byte == b' ').and_then(|at| response.get(at + 1..));
            match rest.and_then(Ended::parse) {
                Some(Ended::Ok) => {}
                Some(Ended::No { code, text }) => {
                    let text = code.map_or(text, |code| code.to_string());
                    refused.get_or_insert(text);
                }
                Some(Ended::Bad(text)) => {
                    refused.get_or_insert(text);
                }
                None => return Err(self.away("it does not speak as a server does")),
            }
            self.open -= 1;
        }
        match refused {
            Some(text) => Err(Fault::Refused(text)),
            None => Ok(told),
        }
    }

    pub(super) fn tag(&mut self) -> String {
        self.tags += 1;
        format!("M{}", self.tags)
    }

    async fn sent(&mut self) -> Result<(), Fault> {
        self.open += 1;
        if self.out.len() >= PIPELINED || self.open >= ANSWERS {
            self.settle().await?;
        }
        Ok(())
    }

    pub(super) async fn flush(&mut self) -> Result<(), Fault> {
        let out = std::mem::take(&mut self.out);
        if out.is_empty() {
            return Ok(());
        }
        let written = timeout(self.bound, async {
            self.stream.write_all(&out).await?;
            self.stream.flush().await
        })
        .await;
        self.done(written)
    }

    /// One whole response: a line, and its literals with the lines behind them.
    pub(super) async fn response(&mut self) -> Result<Vec<u8>, Fault> {
        let mut response = Vec::new();
        loop {
            let line = self.line().await?;
            response.extend_from_slice(&line);
            let Some(literal) = literal_at_end(&line) else { return Ok(response) };
            let size = usize::try_from(literal.size).unwrap_or(usize::MAX);
            if size > PEER_ANSWER.saturating_sub(response.len()) {
                return Err(self.away("its answer is too long"));
            }
            while self.input.len() < size {
                self.read().await?;
            }
            response.extend_from_slice(&self.input.split_to(size));
        }
    }

    async fn line(&mut self) -> Result<BytesMut, Fault> {
        let mut looked = 0;
        loop {
            if let Some(end) = self.input.get(looked..).unwrap_or_default().iter().position(|&b| b == b'\n') {
                return Ok(self.input.split_to(looked + end + 1));
            }
            looked = self.input.len();
            if looked > PEER_ANSWER {
                return Err(self.away("its answer is too long"));
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), Fault> {
        let read = timeout(self.bound, self.stream.read_buf(&mut self.input)).await;
        match self.done(read)? {
            0 => Err(self.away("the connection was closed")),
            _ => Ok(()),
        }
    }

    fn done<T>(&self, done: Result<io::Result<T>, tokio::time::error::Elapsed>) -> Result<T, Fault> {
        match done {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.away(error)),
            Err(_) => Err(self.away("no answer in time")),
        }
    }

    pub(super) fn away(&self, why: impl std::fmt::Display) -> Fault {
        Fault::Away(format!("{}: {why}", self.server))
    }
}
