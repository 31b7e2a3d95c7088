//! Messages from one backend into an APPEND on another, through a fixed buffer.

use std::collections::VecDeque;

use bytes::BytesMut;
use protocol::frame::{Framer, Limits, Piece};
use tokio::time::timeout;
use tracing::warn;

use super::link::Link;
use super::relay::{Answer, lost};
use super::{Session, Stop};
use crate::peer::{self, Lost3};
use crate::replies::{Reply, Tagged};

/// A message that is to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub uid: u32,
    pub flags: String,
    pub date: String,
}

/// What is heard of the target.
struct Target<'t> {
    link: Link,
    tag: &'t str,
    /// It has been told of a literal and must ask for it.
    waiting: bool,
    answer: Option<Answer>,
}

impl Session {
    /// Streams messages from `source` into the APPEND that was begun on `target` under `tag`. Gives the target's
    /// answer, if the transfer came so far, and the UIDs that were sent. Messages that are gone are left out.
    pub async fn transfer(
        &mut self,
        source: &str,
        target: &str,
        tag: &str,
        messages: &[Message],
    ) -> Result<(Option<Answer>, Vec<u32>), Stop> {
        let Some(link) = self.links.take(target) else { return Err(lost(target, "closed")) };
        let mut into = Target { link, tag, waiting: false, answer: None };
        let mut sent = Vec::new();
        let result = self.stream(source, target, &mut into, messages, &mut sent).await;
        let whole = result.is_ok() && !sent.is_empty();
        if whole && into.answer.is_none() {
            into.link.peer.put("\r\n");
            while into.answer.is_none() {
                into.listen(target)?;
                if into.answer.is_none() {
                    self.turn(source, target, &mut into).await?;
                }
            }
        }
        // An APPEND that was cut off, or refused in its middle, ends with its connection: nothing is stored.
        let Target { link, answer, .. } = into;
        if whole {
            self.links.put_back(target, link);
        }
        match result {
            Ok(()) => Ok((answer, sent)),
            Err(Stop::Answer(why)) => {
                warn!("copy from {source} to {target}: {why}");
                Ok((answer, Vec::new()))
            }
            Err(stop) => Err(stop),
        }
    }

    async fn stream(
        &mut self,
        source: &str,
        target: &str,
        into: &mut Target<'_>,
        messages: &[Message],
        sent: &mut Vec<u32>,
    ) -> Result<(), Stop> {
        let mut to_ask = messages.iter();
        let mut asked: VecDeque<(String, &Message)> = VecDeque::new();
        loop {
            while asked.len() < AHEAD && into.answer.is_none() {
                let Some(message) = to_ask.next() else { break };
                let tag = self.links.tag();
                self.send(source, format!("{tag} UID FETCH {} (BODY.PEEK[])\r\n", message.uid).as_bytes())?;
                asked.push_back((tag, message));
            }
            let Some((tag, message)) = asked.pop_front() else { return Ok(()) };
            if self.one(source, target, into, &tag, message).await? {
                sent.push(message.uid);
            }
            if into.answer.is_some() {
                // The target has said no: what the source still sends is heard out.
                for (tag, _) in asked {
                    self.relay(source, &tag, super::relay::To::Nobody).await?;
                }
                sent.clear();
                return Ok(());
            }
        }
    }

    /// Copies the literal of one FETCH; false if the message is no longer there.
    async fn one(
        &mut self,
        source: &str,
        target: &str,
        into: &mut Target<'_>,
        tag: &str,
        message: &Message,
    ) -> Result<bool, Stop> {
        let mut framer = Framer::new(Limits { line: LINE_MAX, skip: LINE_MAX });
        let (mut copying, mut copied, mut news) = (false, false, BytesMut::new());
        loop {
            into.listen(target)?;
            // Once the target has answered, the source is only heard out.
            while into.has_room() || into.answer.is_some() {
                let link = self.links.get_mut(source).ok_or_else(|| lost(source, "closed"))?;
                let piece = framer.next(&mut link.peer.input).map_err(|e| lost(source, &e.to_string()))?;
                match piece {
                    None => {
                        link.peer.want_more();
                        if link.peer.ended {
                            return Err(lost(source, "closed by the server"));
                        }
                        break;
                    }
                    Some(Piece::Header { text, literal }) if is_body(&text) && !copied => {
                        into.announce(message, literal.size);
                        (copying, copied) = (literal.size > 0, true);
                    }
                    Some(Piece::Data { bytes, rest }) if copying => {
                        if into.answer.is_none() {
                            into.link.peer.put(&bytes);
                        }
                        copying = rest > 0;
                    }
                    Some(Piece::Header { text, .. }) => news.extend_from_slice(&text),
                    Some(Piece::Data { bytes, .. }) => news.extend_from_slice(&bytes),
                    Some(Piece::Line(text)) if Tagged::parse(&text).tag == tag.as_bytes() => {
                        return match copied || Tagged::parse(&text).is_ok() {
                            true => Ok(copied),
                            false => Err(Stop::no("the source cannot read a message")),
                        };
                    }
                    // The end of the FETCH response itself.
                    Some(Piece::Line(text)) if news.is_empty() && !text.starts_with(b"* ") => {}
                    Some(Piece::Line(text)) => {
                        news.extend_from_slice(&text);
                        self.client.put(news.split());
                    }
                    Some(Piece::Overlong { .. }) => return Err(lost(source, "a response too long")),
                }
            }
            self.turn(source, target, into).await?;
        }
    }

    /// Lets the bytes of all three flow one step.
    async fn turn(&mut self, source: &str, target: &str, into: &mut Target<'_>) -> Result<(), Stop> {
        let patience = self.node.client_timeout();
        loop {
            let link = self.links.get_mut(source).ok_or_else(|| lost(source, "closed"))?;
            let turn = peer::turn_three(&mut self.client.peer, &mut link.peer, &mut into.link.peer);
            match timeout(patience, turn).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(Lost3::Client(error))) => return Err(Stop::Client(error)),
                Ok(Err(Lost3::First(error))) => return Err(lost(source, &error.to_string())),
                Ok(Err(Lost3::Second(error))) => return Err(lost(target, &error.to_string())),
                Err(_) => {
                    for server in [source, target] {
                        let alive = self.node.pool.upstream().greets(server, upstream::Proto::Imap).await;
                        alive.map_err(|error| lost(server, &error.to_string()))?;
                    }
                }
            }
        }
    }
}

impl Target<'_> {
    fn has_room(&self) -> bool {
        !self.waiting && self.answer.is_none() && self.link.peer.has_room()
    }

    /// The next message's header.
    fn announce(&mut self, message: &Message, size: u64) {
        if self.answer.is_some() {
            return;
        }
        self.waiting = size > self.link.unasked_literal();
        let plus = if self.waiting { "" } else { "+" };
        let header = format!(" ({}) \"{}\" {{{size}{plus}}}\r\n", message.flags, message.date);
        self.link.peer.put(header);
    }

    /// What the target says: it asks for a literal, or ends the command.
    fn listen(&mut self, server: &str) -> Result<(), Stop> {
        while let Some(reply) = self.link.reply().map_err(|error| lost(server, &error.to_string()))? {
            match reply {
                Reply::Continuation(_) => self.waiting = false,
                Reply::Tagged(line) if Tagged::parse(&line).tag == self.tag.as_bytes() => {
                    self.answer = Some(Answer::new(line));
                    return Ok(());
                }
                Reply::Tagged(_) | Reply::Untagged(_) | Reply::Bye(_) => {}
            }
        }
        match self.link.peer.ended {
            true => Err(lost(server, "closed by the server")),
            false => Ok(()),
        }
    }
}

/// `* n FETCH (… BODY[] {size}`
fn is_body(line: &[u8]) -> bool {
    let line = line.to_ascii_uppercase();
    line.starts_with(b"* ") && line.windows(7).any(|run| run == b"BODY[] ")
}

/// FETCH commands that are on their way at once.
const AHEAD: usize = 8;
const LINE_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_told_from_other_literals() {
        assert!(is_body(b"* 1 FETCH (UID 3 BODY[] {10}\r\n"));
        assert!(!is_body(b"* 1 FETCH (UID 3 BODY[HEADER] {10}\r\n") && !is_body(b"* LIST () \"/\" {3}\r\n"));
    }
}
