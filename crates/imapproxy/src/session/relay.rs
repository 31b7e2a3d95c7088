//! Asking a backend, and passing its answer on until the tagged line.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use protocol::frame::trim_line;
use protocol::imap::{Bye, Code, Tag, code};
use tokio::time::{Instant, timeout};
use upstream::Proto;
use upstream::wire::OutOfStep;
use upstream::wire::imap::{Answer, Event, Id, Part};

use super::link::Link;
use super::{Session, Stop};
use crate::limits::{BESIDE, PATIENCE, PATIENCE_MAX, UNHEARD, rows};
use crate::peer::{self, Lost};

/// Who gets the untagged responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    Client,
    Nobody,
}

/// What a backend says beside its answer, until the client may hear it.
#[derive(Default)]
pub struct Beside(Vec<u8>);

impl Beside {
    /// False: it is more than is held.
    pub fn hear(&mut self, response: &[u8]) -> bool {
        let has_room = self.0.len() + response.len() <= BESIDE;
        match has_room {
            true => self.0.extend_from_slice(response),
            false => rows::BESIDE.met("a backend says more beside an answer than is held: it is left"),
        }
        has_room
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl Session {
    /// A command of our own, heard to its end.
    pub async fn ask(&mut self, server: &str, command: impl AsRef<[u8]>, to: To) -> Result<Answer, Stop> {
        let id = self.command(server, command)?;
        self.relay(server, id, to).await
    }

    /// A command of our own, without its line end; it goes out with the next step.
    pub fn command(&mut self, server: &str, command: impl AsRef<[u8]>) -> Result<Id, Stop> {
        self.up(server, |link| link.command(command.as_ref()))
    }

    /// A command that the client knows as `tag`; `text` is what follows the tag, without the line end. What comes back is
    /// passed on but for the tagged line.
    pub async fn forward(&mut self, server: &str, tag: &Tag, text: &[u8]) -> Result<Answer, Stop> {
        self.link(server).await?;
        self.hear_selected(server).await?;
        self.forward_alone(server, tag, text).await
    }

    /// The same for a command that brings no news of the selected mailbox, which may be another's.
    pub async fn forward_alone(&mut self, server: &str, tag: &Tag, text: &[u8]) -> Result<Answer, Stop> {
        self.link(server).await?;
        let id = self.up(server, |link| {
            let id = link.begin(Some(tag.as_str()))?;
            link.send(text)?;
            link.send(b"\r\n")?;
            Ok(id)
        })?;
        self.relay(server, id, To::Client).await
    }

    /// Something to be sent to a backend. What does not fit there ends the connection.
    pub fn up<T>(
        &mut self,
        server: &str,
        send: impl FnOnce(&mut Link) -> Result<T, OutOfStep>,
    ) -> Result<T, Stop> {
        let link = self.links.get_mut(server).ok_or_else(|| lost(server, "closed"))?;
        send(link).map_err(|why| lost(server, &why.to_string()))
    }

    /// Copies what a backend says until the answer to `id`.
    pub async fn relay(&mut self, server: &str, id: Id, to: To) -> Result<Answer, Stop> {
        let selected = self.selected_server() == Some(server);
        loop {
            while self.client.peer.has_room() {
                let link = self.links.get_mut(server).ok_or_else(|| lost(server, "closed"))?;
                match link.event().map_err(|why| lost(server, &why.to_string()))? {
                    Some(Event::Untagged(bytes)) if to == To::Client => {
                        self.client.pass_on(bytes, link.wire.between_responses());
                    }
                    Some(Event::Bye(line)) if selected || kick_text(&line).is_some() => {
                        return Err(Stop::Bye(Bye::new(bye_text(&line))));
                    }
                    Some(Event::Untagged(_) | Event::Continuation(_) | Event::Bye(_)) => {}
                    Some(Event::Done(of, answer)) if of == id => return Ok(answer),
                    // One that nobody waits for: XCLIENT's.
                    Some(Event::Done(..)) => {}
                    None if link.peer.ended => return Err(lost(server, "closed by the server")),
                    None => break,
                }
            }
            self.step(server).await?;
        }
    }

    /// Hears a command of ours to its end, giving each untagged response whole, literals in their place, to `each`, which says whether it
    /// can hold what it was given: a backend that says more is left. So is one with a response beyond `max` bytes: these are short ones.
    pub async fn collect(
        &mut self,
        server: &str,
        id: Id,
        max: usize,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> Result<Answer, Stop> {
        let mut held = BytesMut::new();
        loop {
            let link = self.links.get_mut(server).ok_or_else(|| lost(server, "closed"))?;
            while let Some(part) = link.part().map_err(|why| lost(server, &why.to_string()))? {
                match part {
                    Part::Line(text, None) => {
                        held.extend_from_slice(&text);
                        if !each(&held.split()) {
                            return Err(lost(server, "it says more than is held"));
                        }
                    }
                    Part::Line(bytes, Some(_)) | Part::Data(bytes, _) => held.extend_from_slice(&bytes),
                    Part::Done(of, answer) if of == id => return Ok(answer),
                    Part::Done(..) | Part::Continuation(_) | Part::Bye(_) => {}
                }
                if held.len() > max {
                    return Err(lost(server, "a response too long"));
                }
            }
            if link.peer.ended {
                return Err(lost(server, "closed by the server"));
            }
            self.step(server).await?;
        }
    }

    /// Who has closed may still read, but waits for no silence that goes on. How long this one may; none: its client is there.
    pub fn bears_silence(&self, server: &str, since: Instant) -> Result<Option<Duration>, Stop> {
        if !self.client.peer.ended {
            return Ok(None);
        }
        match UNHEARD.checked_sub(since.elapsed()).filter(|left| !left.is_zero()) {
            None => {
                rows::UNHEARD
                    .met(format_args!("backend {server} does not end a command whose client is gone"));
                Err(client_gone())
            }
            left => Ok(left),
        }
    }

    /// Lets the client's and a backend's bytes flow one step. A backend that says nothing for `client_timeout` is
    /// asked by another connection whether it lives; a long search goes on, a dead machine does not.
    pub async fn step(&mut self, server: &str) -> Result<(), Stop> {
        let mut patience = self.node.client_timeout().min(PATIENCE);
        let since = Instant::now();
        loop {
            if since.elapsed() > self.idle_bound() {
                return Err(Stop::idle());
            }
            let unheard = self.bears_silence(server, since)?;
            let link = self.links.get_mut(server).ok_or_else(|| lost(server, "closed"))?;
            let turn = peer::turn(&mut self.client.peer, &mut link.peer, true);
            match timeout(patience.min(unheard.unwrap_or(patience)), turn).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(Lost::Client(error))) => return Err(Stop::Client(error)),
                Ok(Err(Lost::Backend(error))) => return Err(lost(server, &error.to_string())),
                // It is the client who takes nothing.
                Err(_) if !self.client.peer.has_room() || unheard.is_some() => {}
                Err(_) => {
                    let alive = self.node.upstream.greets(server, Proto::Imap).await;
                    alive.map_err(|error| lost(server, &error.to_string()))?;
                    patience = (patience * 2).min(PATIENCE_MAX);
                }
            }
        }
    }
}

/// What a backend says at its end, for the client.
pub fn bye_text(line: &[u8]) -> String {
    kick_text(line).unwrap_or_else(|| String::from_utf8_lossy(after_bye(line)).into_owned())
}

/// The same, if an administrator has ended the whole session from there.
pub fn kick_text(line: &[u8]) -> Option<String> {
    let text = code::without(after_bye(line), &Code::XKicked)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

fn after_bye(line: &[u8]) -> &[u8] {
    trim_line(line).get(b"* BYE ".len()..).unwrap_or_default()
}

pub fn lost(server: &str, why: &str) -> Stop {
    Stop::Backend { server: server.to_owned(), why: why.to_owned() }
}

/// The client went away in the middle of something.
pub fn client_gone() -> Stop {
    Stop::Client(io::ErrorKind::UnexpectedEof.into())
}
