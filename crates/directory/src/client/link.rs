//! A connection to a MUPDATE server after its login: commands out, responses in.

use std::{io, time::Duration};

use bytes::BytesMut;
use protocol::{
    frame::{Collected, Collector, Limits},
    mupdate::{
        command,
        response::{Body, Response},
    },
};
use transport::stream::Stream;
use transport::wire::{Bounds, Wire};

use super::{Error, Why};
use crate::client::limits::{COMMAND, INPUT, LINE, LITERAL, SASL_LINE, TEXT, WRITE};

/// Reads whole responses, writes commands; every wait is bounded by the caller's patience.
pub struct Link {
    wire: Wire,
    collector: Collector,
    commands: u64,
    /// Whom we talk to, for messages.
    pub server: String,
}

impl Link {
    pub fn new(stream: Stream, server: String) -> Self {
        let limits = Limits { line: LINE, ..Limits::default() };
        let bounds = Bounds { input: INPUT, write: WRITE, ..Bounds::default() };
        Link {
            wire: Wire::new(stream, bounds),
            collector: Collector::new(limits, LITERAL, COMMAND),
            commands: 0,
            server,
        }
    }

    /// The next response, waiting at most `patience` for each piece of it.
    pub async fn response(&mut self, patience: Duration) -> Result<Response, Error> {
        loop {
            if let Some(response) = self.buffered()? {
                return Ok(response);
            }
            match self.wire.fill(patience).await {
                Ok(0) => return Err(self.lost(Why::Closed)),
                Ok(_) => {}
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    /// A response that has been read already.
    pub fn buffered(&mut self) -> Result<Option<Response>, Error> {
        let (input, _) = self.wire.buffers();
        while let Some(collected) = self.collector.next(input).map_err(|e| malformed(&self.server, e))? {
            match collected {
                Collected::Command(frame) => {
                    let response = Response::parse(&frame).map_err(|e| malformed(&self.server, e))?;
                    return Ok(Some(shortened(response)));
                }
                // A server does not wait for a continuation, whichever form it uses.
                Collected::Continue(_) => {}
                Collected::Poisoned { why, .. } => return Err(malformed(&self.server, why)),
            }
        }
        Ok(None)
    }

    /// Waits for more bytes; safe to cancel.
    pub async fn more(&mut self) -> Result<(), Error> {
        match self.wire.read_some().await {
            Ok(0) => Err(self.lost(Why::Closed)),
            Ok(_) => Ok(()),
            Err(error) => Err(self.lost(error)),
        }
    }

    /// A bare line, for SASL: no grammar applies to it.
    pub async fn line(&mut self, patience: Duration) -> Result<BytesMut, Error> {
        loop {
            let input = self.wire.input();
            if let Some(end) = input.iter().position(|&b| b == b'\n') {
                let mut line = input.split_to(end + 1);
                line.truncate(protocol::frame::trim_line(&line).len());
                return Ok(line);
            }
            if input.len() > SASL_LINE {
                return Err(self.lost("a line without end"));
            }
            match self.wire.fill(patience).await {
                Ok(0) => return Err(self.lost(Why::Closed)),
                Ok(_) => {}
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    /// Queues a command with a tag of its own (`X0`, `X1`, …), which is given back.
    pub fn say(&mut self, verb: &str, strings: &[&str]) -> String {
        let tag = format!("X{}", self.commands);
        self.commands += 1;
        self.say_tagged(&tag, verb, strings);
        tag
    }

    pub fn say_tagged(&mut self, tag: &str, verb: &str, strings: &[&str]) {
        let mut out = Vec::new();
        command::put(&mut out, tag, verb, strings);
        self.wire.output().extend_from_slice(&out);
    }

    pub fn say_raw(&mut self, bytes: &[u8]) {
        self.wire.output().extend_from_slice(bytes);
    }

    pub async fn flush(&mut self) -> Result<(), Error> {
        self.wire.flush().await.map_err(|e| self.lost(e))
    }

    pub fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    pub fn stream(&self) -> &Stream {
        self.wire.stream()
    }

    pub fn lost(&self, why: impl Into<Why>) -> Error {
        Error::Unavailable { server: self.server.clone(), why: why.into() }
    }
}

/// Texts of replies go into errors, logs and statuses: not longer than so.
fn shortened(mut response: Response) -> Response {
    if let Body::Ok(text) | Body::No(text) | Body::Bad(text) | Body::Bye(text) | Body::Other(text) =
        &mut response.body
    {
        let end = text.char_indices().nth(TEXT).map_or(text.len(), |(end, _)| end);
        text.truncate(end);
    }
    response
}

fn malformed(server: &str, why: impl std::fmt::Display) -> Error {
    Error::Protocol { server: server.to_owned(), why: why.to_string() }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::other(error)
    }
}
