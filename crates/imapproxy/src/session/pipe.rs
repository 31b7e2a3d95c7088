//! A client's command that goes to a backend as it is: text, literals of any size, and what comes back, both at once
//! through fixed buffers.
//!
//! The rules for literals (RFC 3501 section 4.3, RFC 7888):
//!
//! | the client sends | the backend gets | `+` to the client |
//! | --- | --- | --- |
//! | `{n+}` | `{n+}`; `{n}` and a wait, if n is more than it takes unasked | - |
//! | `{n}`, n small | `{n+}` | from here, at once |
//! | `{n}`, n large | `{n}` | the backend's own, so that it can refuse first |

use std::collections::VecDeque;

use bytes::Bytes;
use protocol::frame::{Literal, Piece, trim_line};
use upstream::wire::OutOfStep;
use upstream::wire::imap::{Answer, Event, Id};

use super::client::{Client, GO_AHEAD};
use super::link::Link;
use super::relay::{client_gone, lost};
use super::runs::{Runs, Upward};
use super::{Session, Stop};
use crate::grammar::with_header;
use crate::limits::SMALL;
use protocol::imap::Refusal;
use protocol::name::MailboxName;

/// How far the command has gone upwards.
#[derive(Debug, Clone, Copy)]
enum Upload {
    Flowing,
    /// The backend must ask for the literal; `relay`: the client waits for that too.
    Waiting {
        literal: Literal,
        relay: bool,
    },
    /// A part of an APPEND comes from elsewhere: [`Pipe::part`].
    Part,
    /// The backend must ask for that part.
    Asking,
    Done,
}

/// A connection with a mailbox open, of which parts are fetched.
pub struct Source {
    pub server: String,
    pub mailbox: MailboxName,
    pub uidvalidity: Option<u32>,
    pub link: Link,
}

pub struct Pipe {
    id: Id,
    /// What was read before it was known where it goes.
    queue: VecDeque<Upward>,
    upload: Upload,
    answer: Option<Answer>,
    /// Of an APPEND: what its text asks for.
    runs: Option<Runs>,
    /// The URL whose turn it is.
    part: Option<(Bytes, String)>,
    /// Where parts were fetched last.
    pub source: Option<Source>,
    /// A literal was too large not to be asked for: the backend gets a wrong end of the command, and what the client still sends of
    /// it is skipped.
    is_oversized: bool,
}

impl Session {
    /// Sends the rest of a command that was begun on a backend, `piece` first and then what the client still sends of it,
    /// and copies the answer up to its tagged line, which is returned.
    pub async fn pipe(&mut self, server: &str, id: Id, piece: Piece) -> Result<Answer, Stop> {
        let mut pipe = Pipe::new(id, None);
        pipe.take(piece, &mut self.client);
        self.flow(server, pipe).await
    }

    /// The same for an APPEND from behind its mailbox on: what its URLs name elsewhere is fetched there.
    pub async fn pipe_append(
        &mut self,
        server: &str,
        id: Id,
        piece: Piece,
        runs: Runs,
    ) -> Result<Answer, Stop> {
        let mut pipe = Pipe::new(id, Some(runs));
        pipe.take(piece, &mut self.client);
        self.flow(server, pipe).await
    }

    async fn flow(&mut self, server: &str, mut pipe: Pipe) -> Result<Answer, Stop> {
        loop {
            let Some(link) = self.links.get_mut(server) else { return Err(lost(server, "closed")) };
            let result = pipe.down(&mut self.client, link).and_then(|()| pipe.up(&mut self.client, link));
            let ended = link.peer.ended && pipe.answer.is_none();
            let moved = match result {
                Err(why) => Err(lost(server, &why)),
                Ok(()) if ended => Err(lost(server, "closed by the server")),
                Ok(()) => match pipe.finished(&mut self.client) {
                    Finished::No => Ok(()),
                    Finished::Yes(answer) => return pipe.verdict(answer),
                    Finished::Refused(answer) => {
                        self.client.skip_rest().await?;
                        return pipe.verdict(answer);
                    }
                },
            };
            let moved = match moved {
                Ok(()) if self.client.peer.ended && pipe.wants_client() => return Err(client_gone()),
                Ok(()) => match pipe.part.take() {
                    Some((text, url)) => self.part(server, &mut pipe, text, &url).await,
                    None => self.step(server).await,
                },
                Err(stop) => Err(stop),
            };
            if let Err(stop) = moved {
                if matches!(stop, Stop::Backend { .. }) && self.selected_server() != Some(server) {
                    pipe.abandon(&mut self.client).await?;
                }
                return Err(stop);
            }
        }
    }
}

/// An end that no command has: whatever came before it, the backend refuses it.
const NO_END: &str = " !\r\n";

enum Finished {
    No,
    Yes(Answer),
    /// The backend has answered before the client has sent everything; the rest must be skipped.
    Refused(Answer),
}

impl Pipe {
    fn new(id: Id, runs: Option<Runs>) -> Pipe {
        Pipe {
            id,
            queue: VecDeque::new(),
            upload: Upload::Flowing,
            answer: None,
            runs,
            part: None,
            source: None,
            is_oversized: false,
        }
    }

    /// Takes the client's next piece.
    fn take(&mut self, piece: Piece, client: &mut Client) {
        match (piece, &mut self.runs) {
            (Piece::Header { literal, .. }, _) if client.is_oversized(&literal) => {
                client.framer.refuse(literal);
                self.is_oversized = true;
                self.queue.push_back(Upward::Piece(Piece::Line(NO_END.into())));
            }
            (piece, Some(runs)) => runs.take(piece, client, &mut self.queue),
            (piece, None) => self.queue.push_back(Upward::Piece(piece)),
        }
    }

    /// Backend to client, while the client's buffer has room.
    pub fn down(&mut self, client: &mut Client, link: &mut Link) -> Result<(), String> {
        while client.peer.has_room() && self.answer.is_none() {
            match link.event().map_err(|why| why.to_string())? {
                Some(Event::Untagged(bytes)) => client.pass_on(bytes, link.wire.between_responses()),
                Some(Event::Continuation(line)) => match self.upload {
                    Upload::Waiting { relay, .. } => {
                        if relay {
                            client.put(line);
                        }
                        self.upload = Upload::Flowing;
                    }
                    Upload::Asking => self.upload = Upload::Part,
                    Upload::Flowing | Upload::Part | Upload::Done => {}
                },
                // Its end of the stream follows; a client must not take the good-bye of one backend for ours.
                Some(Event::Bye(_)) => {}
                Some(Event::Done(of, answer)) if of == self.id => self.answer = Some(answer),
                Some(Event::Done(..)) => {}
                None => break,
            }
        }
        Ok(())
    }

    /// Client to backend, while the backend's buffer has room.
    fn up(&mut self, client: &mut Client, link: &mut Link) -> Result<(), String> {
        while matches!(self.upload, Upload::Flowing) && link.peer.has_room() {
            let Some(upward) = self.queue.pop_front() else {
                let piece = client.poll_piece().map_err(|_| "a line without end".to_owned())?;
                let Some(piece) = piece else {
                    // It may hold back what it has until what came is acknowledged.
                    client.peer.stream.acknowledge();
                    break;
                };
                self.take(piece, client);
                continue;
            };
            match upward {
                Upward::Piece(piece) => self.put(piece, client, link).map_err(|why| why.to_string())?,
                Upward::Text(text) => link.send(&text).map_err(|why| why.to_string())?,
                Upward::Url(text, url) => {
                    self.part = Some((text, url));
                    self.upload = Upload::Part;
                }
            }
        }
        Ok(())
    }

    /// The part has gone up, as it is or as text.
    pub fn go_on(&mut self) {
        self.upload = Upload::Flowing;
    }

    /// The backend is to ask for the part first.
    pub fn ask(&mut self) {
        self.upload = Upload::Asking;
    }

    /// The backend has answered instead of asking for the part.
    pub fn is_refused(&self) -> bool {
        self.answer.is_some() && matches!(self.upload, Upload::Asking)
    }

    /// Gives another reason for a refusal than the backend's, which does not know it.
    pub fn blame(&mut self, refusal: Refusal) {
        if let Some(runs) = &mut self.runs {
            runs.refusal.get_or_insert(refusal);
        }
    }

    fn verdict(self, answer: Answer) -> Result<Answer, Stop> {
        let oversized = self.is_oversized.then_some(Refusal::UnaskedTooLarge);
        match oversized.or(self.runs.and_then(|runs| runs.refusal)) {
            Some(refusal) if !answer.is_ok() => Err(refusal.into()),
            _ => Ok(answer),
        }
    }

    fn put(&mut self, piece: Piece, client: &mut Client, link: &mut Link) -> Result<(), OutOfStep> {
        match piece {
            Piece::Overlong { .. } => Err(OutOfStep::Endless),
            Piece::Line(text) => {
                link.send(trim_line(&text))?;
                link.send(b"\r\n")?;
                self.upload = Upload::Done;
                Ok(())
            }
            Piece::Data { bytes, .. } => link.send(&bytes),
            Piece::Header { text, literal } => self.header(client, link, &text, literal),
        }
    }

    fn header(
        &mut self,
        client: &mut Client,
        link: &mut Link,
        text: &[u8],
        literal: Literal,
    ) -> Result<(), OutOfStep> {
        let unasked = literal.size <= link.unasked_literal();
        // Within a response that the client has in part only, the backend's own words must come first.
        let answer_here = literal.sync && literal.size <= SMALL && unasked && !client.is_torn();
        let wait = !(answer_here || (!literal.sync && unasked));
        link.send(&with_header(text, literal.size, wait))?;
        if answer_here {
            client.put(GO_AHEAD);
        }
        if wait {
            self.upload = Upload::Waiting { literal, relay: literal.sync };
        }
        Ok(())
    }

    fn finished(&mut self, client: &mut Client) -> Finished {
        let Some(answer) = &self.answer else { return Finished::No };
        match self.upload {
            Upload::Done if self.is_oversized => Finished::Refused(answer.clone()),
            Upload::Done => Finished::Yes(answer.clone()),
            // The backend reads on to the command's end, and so do we.
            Upload::Flowing | Upload::Part => Finished::No,
            // It asks for nothing more.
            Upload::Asking if self.skips(client) => Finished::Refused(answer.clone()),
            Upload::Asking => Finished::Yes(answer.clone()),
            Upload::Waiting { literal, relay } => {
                client.framer.refuse(literal);
                if relay { Finished::Yes(answer.clone()) } else { Finished::Refused(answer.clone()) }
            }
        }
    }

    fn wants_client(&self) -> bool {
        matches!(self.upload, Upload::Flowing) && self.queue.is_empty()
    }

    /// Whether the client still sends of the command, which is given up: of what was read, nothing more goes to the backend.
    fn skips(&self, client: &mut Client) -> bool {
        match self.queue.back() {
            _ if self.is_oversized => true,
            Some(Upward::Piece(Piece::Line(_))) => false,
            Some(Upward::Piece(Piece::Header { literal, .. })) => {
                client.framer.refuse(*literal);
                !literal.sync
            }
            _ => true,
        }
    }

    /// The backend is gone: what the client still sends of the command is skipped, so that it can be answered.
    async fn abandon(&mut self, client: &mut Client) -> Result<(), Stop> {
        let skips = match self.upload {
            Upload::Done => self.is_oversized,
            Upload::Waiting { literal, relay } => {
                client.framer.refuse(literal);
                !relay
            }
            Upload::Flowing | Upload::Part | Upload::Asking => self.skips(client),
        };
        if skips { client.skip_rest().await } else { Ok(()) }
    }
}
