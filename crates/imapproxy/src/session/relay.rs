//! Asking a backend, and passing its answer on until the tagged line.

use std::io;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use protocol::frame::{Framer, Limits, Piece, trim_line};
use tokio::time::timeout;
use upstream::Proto;

use super::{AUTOLOGOUT, Session, Stop};
use crate::peer::{self, Lost};
use crate::replies::{Condition, Reply, Tagged};

/// Who gets the untagged responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    Client,
    Nobody,
}

/// The tagged line that ended a command.
#[derive(Debug, Clone)]
pub struct Answer(Bytes);

impl Answer {
    pub fn new(line: Bytes) -> Self {
        Answer(line)
    }

    pub fn is_ok(&self) -> bool {
        Tagged::parse(&self.0).is_ok()
    }

    pub fn is_no(&self) -> bool {
        Tagged::parse(&self.0).condition == Some(Condition::No)
    }

    /// `OK text` without the tag.
    pub fn text(&self) -> String {
        let line = trim_line(&self.0);
        let blank = line.iter().position(|&b| b == b' ').map_or(line.len(), |at| at + 1);
        String::from_utf8_lossy(line.get(blank..).unwrap_or_default()).into_owned()
    }

    /// The same line under another tag, with its line end.
    pub fn tagged(&self, tag: &str) -> Vec<u8> {
        let line = trim_line(&self.0);
        let blank = line.iter().position(|&b| b == b' ').unwrap_or(line.len());
        [tag.as_bytes(), line.get(blank..).unwrap_or_default(), b"\r\n"].concat()
    }

    pub fn code(&self, name: &str) -> Option<String> {
        Tagged::parse(&self.0).code(name).map(str::to_owned)
    }
}

impl Session {
    /// A command of our own: sent under a tag of ours, heard to its end.
    pub async fn ask(&mut self, server: &str, command: &str, to: To) -> Result<Answer, Stop> {
        let tag = self.links.tag();
        self.send(server, format!("{tag} {command}\r\n").as_bytes())?;
        self.relay(server, &tag, to).await
    }

    /// The client's command under the client's tag; the tagged line comes back and is not yet passed on.
    pub async fn forward(&mut self, server: &str, tag: &str, command: &[u8]) -> Result<Answer, Stop> {
        self.link(server).await?;
        self.hear_selected(server).await?;
        self.send(server, command)?;
        self.relay(server, tag, To::Client).await
    }

    /// Puts bytes into a backend's buffer; they go out with the next step.
    pub fn send(&mut self, server: &str, bytes: &[u8]) -> Result<(), Stop> {
        let link = self.links.get_mut(server).ok_or_else(|| lost(server, "closed"))?;
        link.last_used = Instant::now();
        link.peer.put(bytes);
        Ok(())
    }

    /// Copies what a backend says until the line that bears `tag`.
    pub async fn relay(&mut self, server: &str, tag: &str, to: To) -> Result<Answer, Stop> {
        let selected = self.selected_server() == Some(server);
        loop {
            while self.client.peer.has_room() {
                let link = self.links.get_mut(server).ok_or_else(|| lost(server, "closed"))?;
                match link.reply().map_err(|error| lost(server, &error.to_string()))? {
                    Some(Reply::Untagged(bytes)) if to == To::Client => self.client.put(bytes),
                    Some(Reply::Bye(line)) if selected || kick_text(&line).is_some() => {
                        return Err(Stop::Bye(bye_text(&line)));
                    }
                    Some(Reply::Untagged(_) | Reply::Continuation(_) | Reply::Bye(_)) => {}
                    Some(Reply::Tagged(line)) if Tagged::parse(&line).tag == tag.as_bytes() => {
                        return Ok(Answer(line));
                    }
                    Some(Reply::Tagged(_)) => {}
                    None if link.peer.ended => return Err(lost(server, "closed by the server")),
                    None => break,
                }
            }
            self.step(server).await?;
        }
    }

    /// Hears a command of ours to its end, giving each untagged response whole, literals in their place, to `each`.
    /// A response beyond `max` bytes is an error: these are short ones.
    pub async fn collect(
        &mut self,
        server: &str,
        tag: &str,
        max: usize,
        mut each: impl FnMut(&[u8]),
    ) -> Result<Answer, Stop> {
        let mut framer = Framer::new(Limits { line: max, skip: max });
        let mut held = BytesMut::new();
        loop {
            let link = self.links.get_mut(server).ok_or_else(|| lost(server, "closed"))?;
            while let Some(piece) =
                framer.next(&mut link.peer.input).map_err(|e| lost(server, &e.to_string()))?
            {
                match piece {
                    // Free text may look like a literal's header.
                    Piece::Header { text, literal } if held.is_empty() && is_condition(&text) => {
                        let _ = literal;
                        framer = Framer::new(Limits { line: max, skip: max });
                        if Tagged::parse(&text).tag == tag.as_bytes() {
                            return Ok(Answer(text));
                        }
                        each(&text);
                    }
                    Piece::Header { text, .. } | Piece::Data { bytes: text, .. } => {
                        held.extend_from_slice(&text)
                    }
                    Piece::Line(text) if held.is_empty() && !text.starts_with(b"*") => {
                        if Tagged::parse(&text).tag == tag.as_bytes() {
                            return Ok(Answer(text));
                        }
                    }
                    Piece::Line(text) => {
                        held.extend_from_slice(&text);
                        each(&held.split());
                    }
                    Piece::Overlong { .. } => return Err(lost(server, "a response too long")),
                }
                if held.len() > max {
                    return Err(lost(server, "a response too long"));
                }
            }
            link.peer.want_more();
            if link.peer.ended {
                return Err(lost(server, "closed by the server"));
            }
            self.step(server).await?;
        }
    }

    /// Lets the client's and a backend's bytes flow one step. A backend that says nothing for `client_timeout` is
    /// asked by another connection whether it lives; a long search goes on, a dead machine does not.
    pub async fn step(&mut self, server: &str) -> Result<(), Stop> {
        let mut patience = self.node.client_timeout().min(PATIENCE);
        let since = Instant::now();
        loop {
            if since.elapsed() > self.idle_bound() {
                return Err(Stop::Bye(AUTOLOGOUT.to_owned()));
            }
            let link = self.links.get_mut(server).ok_or_else(|| lost(server, "closed"))?;
            match timeout(patience, peer::turn(&mut self.client.peer, &mut link.peer, true)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(Lost::Client(error))) => return Err(Stop::Client(error)),
                Ok(Err(Lost::Backend(error))) => return Err(lost(server, &error.to_string())),
                Err(_) => {
                    let alive = self.node.pool.upstream().greets(server, Proto::Imap).await;
                    alive.map_err(|error| lost(server, &error.to_string()))?;
                    patience = (patience * 2).min(PATIENCE_MAX);
                }
            }
        }
    }
}

/// What a backend says at its end, for the client.
pub fn bye_text(line: &[u8]) -> String {
    let text = trim_line(line).get(b"* BYE ".len()..).unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    text.strip_prefix(KICKED).unwrap_or(&text).to_owned()
}

/// The same, if an administrator has ended the whole session from there.
pub fn kick_text(line: &[u8]) -> Option<String> {
    let text = trim_line(line).get(b"* BYE ".len()..)?;
    text.starts_with(KICKED.as_bytes()).then(|| bye_text(line))
}

/// Said by a backend of ours to a frontend of ours.
const KICKED: &str = "[XKICKED] ";

/// After so long a silence a backend is asked whether it lives, and then ever more rarely.
const PATIENCE: Duration = Duration::from_secs(3);
const PATIENCE_MAX: Duration = Duration::from_secs(60);

/// `* OK …`, `tag NO …`: a line whose end is free text.
fn is_condition(line: &[u8]) -> bool {
    let word = line.split(|&b| b == b' ').nth(1).unwrap_or_default().to_ascii_uppercase();
    matches!(word.as_slice(), b"OK" | b"NO" | b"BAD" | b"BYE" | b"PREAUTH")
}

pub fn lost(server: &str, why: &str) -> Stop {
    Stop::Backend { server: server.to_owned(), why: why.to_owned() }
}

/// The client went away in the middle of something.
pub fn client_gone() -> Stop {
    Stop::Client(io::ErrorKind::UnexpectedEof.into())
}
