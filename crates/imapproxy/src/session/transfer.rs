//! Messages from one backend into an APPEND on another, through a fixed buffer.

use std::collections::VecDeque;

use bytes::BytesMut;
use protocol::imap::code::Heard;
use protocol::imap::{Code, Reply, Tag};
use tokio::time::{Instant, timeout};
use tracing::warn;
use upstream::wire::OutOfStep;
use upstream::wire::imap::{Answer, Event, Id, Part};

use protocol::imap::command::annotate::{self, Note};

use super::link::Link;
use super::relay::lost;
use super::{Session, Stop};
use crate::limits::{AHEAD, TRANSFER_NEWS, rows};
use crate::peer::{self, Lost3};

/// A message that is to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub uid: u32,
    pub flags: String,
    pub date: String,
    /// Annotations that go along (RFC 5257).
    pub notes: Vec<Note>,
}

/// What became of a transfer.
#[derive(Debug)]
pub struct Transferred {
    /// The target's, if it came so far.
    pub answer: Option<Answer>,
    /// UIDs at the source.
    pub sent: Vec<u32>,
    /// The source cannot read one of them.
    pub unreadable: bool,
    /// The source has given its mailbox away meanwhile, and says so: nothing is stored.
    pub moved: Option<Answer>,
}

/// What became of a message.
#[derive(Debug)]
enum Fate {
    Sent,
    /// It is no longer there.
    Gone,
    /// The source refuses to send it.
    Unreadable,
    Moved(Answer),
}

/// What is heard of the target.
struct Target {
    link: Link,
    id: Id,
    answer: Option<Answer>,
    /// Nothing more is sent: the transfer has failed at the source.
    given_up: bool,
    moved: Option<Answer>,
}

impl Session {
    /// Streams messages from `source` into the APPEND `id` that was begun on `target`. Messages that are gone are left out.
    pub async fn transfer(
        &mut self,
        source: &str,
        target: &str,
        id: Id,
        messages: &[Message],
        tag: &Tag,
    ) -> Result<Transferred, Stop> {
        let Some(link) = self.links.take(target) else { return Err(lost(target, "closed")) };
        let mut into = Target { link, id, answer: None, given_up: false, moved: None };
        let mut sent = Vec::new();
        let result = self.stream(source, target, &mut into, messages, &mut sent, tag).await;
        let whole = result.is_ok() && !sent.is_empty();
        if whole && into.answer.is_none() {
            into.link.send(b"\r\n").map_err(|why| lost(target, &why.to_string()))?;
            while into.answer.is_none() {
                into.listen(target)?;
                if into.answer.is_none() {
                    self.turn(source, target, &mut into).await?;
                }
            }
        }
        // An APPEND that was cut off, or refused in its middle, ends with its connection: nothing is stored.
        let Target { link, answer, given_up: unreadable, moved, .. } = into;
        if whole {
            self.links.put_back(target, link);
        }
        result.map(|()| Transferred { answer, sent, unreadable, moved })
    }

    async fn stream(
        &mut self,
        source: &str,
        target: &str,
        into: &mut Target,
        messages: &[Message],
        sent: &mut Vec<u32>,
        tag: &Tag,
    ) -> Result<(), Stop> {
        let every = self.listener.imapd().imap_inprogress_interval;
        let (mut told, mut done) = (Instant::now(), 0);
        let mut to_ask = messages.iter();
        let mut asked: VecDeque<(Id, &Message)> = VecDeque::new();
        loop {
            while asked.len() < AHEAD && into.takes() {
                let Some(message) = to_ask.next() else { break };
                let id = self.command(source, format!("UID FETCH {} (BODY.PEEK[])", message.uid))?;
                asked.push_back((id, message));
            }
            let Some((id, message)) = asked.pop_front() else { return Ok(()) };
            let fate = self.one(source, target, into, id, message).await?;
            done += 1;
            if !every.is_zero() && told.elapsed() >= every {
                told = Instant::now();
                self.client.put(in_progress(tag, done, messages.len()));
            }
            match fate {
                Fate::Sent => sent.push(message.uid),
                Fate::Gone => {}
                Fate::Moved(answer) => {
                    into.given_up = true;
                    into.moved.get_or_insert(answer);
                }
                // Within what the target has been sent already there is no way back.
                Fate::Unreadable => {
                    warn!("copy from {source} to {target}: the source cannot read message {}", message.uid);
                    into.given_up = true;
                }
            }
            if !into.takes() {
                // Nothing will be stored: what the source still sends is heard out.
                for (id, message) in asked {
                    self.one(source, target, into, id, message).await?;
                }
                sent.clear();
                return Ok(());
            }
        }
    }

    /// Copies the literal of one FETCH.
    async fn one(
        &mut self,
        source: &str,
        target: &str,
        into: &mut Target,
        id: Id,
        message: &Message,
    ) -> Result<Fate, Stop> {
        let (mut copying, mut copied, mut news) = (false, false, BytesMut::new());
        loop {
            into.listen(target)?;
            // Once the target takes nothing more, the source is only heard out.
            while into.has_room() || !into.takes() {
                let link = self.links.get_mut(source).ok_or_else(|| lost(source, "closed"))?;
                match link.part().map_err(|why| lost(source, &why.to_string()))? {
                    None if link.peer.ended => return Err(lost(source, "closed by the server")),
                    None => break,
                    Some(Part::Line(text, Some(size))) if !copied && is_body(&text) => {
                        into.announce(message, size).map_err(|why| lost(target, &why.to_string()))?;
                        (copying, copied) = (size > 0, true);
                    }
                    Some(Part::Data(bytes, rest)) if copying => {
                        if into.takes() {
                            into.link.send(&bytes).map_err(|why| lost(target, &why.to_string()))?;
                        }
                        copying = rest > 0;
                    }
                    Some(Part::Done(of, answer)) if of == id => {
                        if !copied && answer.code() == Some(Heard::XMoved) {
                            return Ok(Fate::Moved(answer));
                        }
                        return Ok(match (copied, answer.is_ok()) {
                            (true, _) => Fate::Sent,
                            (false, true) => Fate::Gone,
                            (false, false) => Fate::Unreadable,
                        });
                    }
                    // The end of the FETCH response itself.
                    Some(Part::Line(text, None)) if news.is_empty() && !text.starts_with(b"* ") => {}
                    Some(Part::Line(text, None)) => {
                        news.extend_from_slice(&text);
                        self.client.put(news.split());
                    }
                    Some(Part::Line(bytes, Some(_)) | Part::Data(bytes, _)) => news.extend_from_slice(&bytes),
                    Some(Part::Done(..) | Part::Continuation(_) | Part::Bye(_)) => {}
                }
                if news.len() > TRANSFER_NEWS {
                    rows::TRANSFER_NEWS
                        .met(format_args!("{source}: a response too long: the command is given up"));
                    return Err(lost(source, "a response too long"));
                }
            }
            self.turn(source, target, into).await?;
        }
    }

    /// Lets the bytes of all three flow one step.
    async fn turn(&mut self, source: &str, target: &str, into: &mut Target) -> Result<(), Stop> {
        let (patience, since) = (self.node.client_timeout(), Instant::now());
        loop {
            if since.elapsed() > self.idle_bound() {
                return Err(Stop::idle());
            }
            self.bears_silence(source, since)?;
            let link = self.links.get_mut(source).ok_or_else(|| lost(source, "closed"))?;
            let turn = peer::turn_three(&mut self.client.peer, &mut link.peer, &mut into.link.peer);
            match timeout(patience, turn).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(Lost3::Client(error))) => return Err(Stop::Client(error)),
                Ok(Err(Lost3::First(error))) => return Err(lost(source, &error.to_string())),
                Ok(Err(Lost3::Second(error))) => return Err(lost(target, &error.to_string())),
                Err(_) => {
                    for server in [source, target] {
                        let alive = self.node.upstream.greets(server, upstream::Proto::Imap).await;
                        alive.map_err(|error| lost(server, &error.to_string()))?;
                    }
                }
            }
        }
    }
}

impl Target {
    fn takes(&self) -> bool {
        self.answer.is_none() && !self.given_up
    }

    fn has_room(&self) -> bool {
        self.takes() && !self.link.wire.is_asked() && self.link.peer.has_room()
    }

    /// The next message's header.
    fn announce(&mut self, message: &Message, size: u64) -> Result<(), OutOfStep> {
        if !self.takes() {
            return Ok(());
        }
        let unasked = self.link.unasked_literal();
        let plus = if size > unasked { "" } else { "+" };
        let mut header = format!(" ({}) \"{}\" ", message.flags, message.date).into_bytes();
        // Annotations too long for this backend stay behind, and the message goes.
        if let Some(notes) = annotate::append(&message.notes, unasked).filter(|_| !message.notes.is_empty()) {
            header.extend_from_slice(&notes);
            header.push(b' ');
        }
        header.extend_from_slice(format!("{{{size}{plus}}}\r\n").as_bytes());
        self.link.send(&header)
    }

    /// What the target says: it asks for a literal, or ends the command.
    fn listen(&mut self, server: &str) -> Result<(), Stop> {
        while let Some(event) = self.link.event().map_err(|why| lost(server, &why.to_string()))? {
            match event {
                Event::Done(of, answer) if of == self.id => {
                    self.answer = Some(answer);
                    return Ok(());
                }
                Event::Done(..) | Event::Continuation(_) | Event::Untagged(_) | Event::Bye(_) => {}
            }
        }
        match self.link.peer.ended && self.takes() {
            true => Err(lost(server, "closed by the server")),
            false => Ok(()),
        }
    }
}

/// How far a copy is (RFC 9585). A code ends with its bracket: not every tag can stand in it.
fn in_progress(tag: &Tag, done: usize, total: usize) -> Vec<u8> {
    let tag = Some(tag.as_str().to_owned()).filter(|tag| !tag.contains(']'));
    Reply::ok("Still copying").code(Code::InProgress { tag, done, total }).line(None)
}

/// `* n FETCH (… BODY[] {size}`
fn is_body(line: &[u8]) -> bool {
    let line = line.to_ascii_uppercase();
    line.starts_with(b"* ") && line.windows(7).any(|run| run == b"BODY[] ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_told_from_other_literals() {
        assert!(is_body(b"* 1 FETCH (UID 3 BODY[] {10}\r\n"));
        assert!(!is_body(b"* 1 FETCH (UID 3 BODY[HEADER] {10}\r\n") && !is_body(b"* LIST () \"/\" {3}\r\n"));
    }
}
