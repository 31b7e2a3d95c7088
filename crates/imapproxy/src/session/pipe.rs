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

use protocol::frame::{Literal, Piece, trim_line};
use upstream::wire::OutOfStep;
use upstream::wire::imap::{Answer, Event, Id};

use super::client::{Client, GO_AHEAD};
use super::link::Link;
use super::relay::{client_gone, lost};
use super::{Session, Stop};
use crate::grammar::with_header;
use crate::limits::SMALL;

/// How far the command has gone upwards.
#[derive(Debug, Clone, Copy)]
enum Upload {
    Flowing,
    /// The backend must ask for the literal; `relay`: the client waits for that too.
    Waiting {
        literal: Literal,
        relay: bool,
    },
    Done,
}

struct Pipe {
    id: Id,
    /// Pieces that were read before it was known where they go.
    queue: VecDeque<Piece>,
    upload: Upload,
    answer: Option<Answer>,
}

impl Session {
    /// Sends the rest of a command that was begun on a backend, `piece` first and then what the client still sends of it,
    /// and copies the answer up to its tagged line, which is returned.
    pub async fn pipe(&mut self, server: &str, id: Id, piece: Piece) -> Result<Answer, Stop> {
        let mut pipe = Pipe { id, queue: VecDeque::from([piece]), upload: Upload::Flowing, answer: None };
        loop {
            let Some(link) = self.links.get_mut(server) else { return Err(lost(server, "closed")) };
            let result = pipe.down(&mut self.client, link).and_then(|()| pipe.up(&mut self.client, link));
            let ended = link.peer.ended && pipe.answer.is_none();
            let moved = match result {
                Err(why) => Err(lost(server, &why)),
                Ok(()) if ended => Err(lost(server, "closed by the server")),
                Ok(()) => match pipe.finished(&mut self.client) {
                    Finished::No => Ok(()),
                    Finished::Yes(answer) => return Ok(answer),
                    Finished::Refused(answer) => {
                        self.client.skip_rest().await?;
                        return Ok(answer);
                    }
                },
            };
            let moved = match moved {
                Ok(()) if self.client.peer.ended && pipe.wants_client() => return Err(client_gone()),
                Ok(()) => self.step(server).await,
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

enum Finished {
    No,
    Yes(Answer),
    /// The backend has answered before the client has sent everything; the rest must be skipped.
    Refused(Answer),
}

impl Pipe {
    /// Backend to client, while the client's buffer has room.
    fn down(&mut self, client: &mut Client, link: &mut Link) -> Result<(), String> {
        while client.peer.has_room() && self.answer.is_none() {
            match link.event().map_err(|why| why.to_string())? {
                Some(Event::Untagged(bytes)) => client.pass_on(bytes, link.wire.between_responses()),
                Some(Event::Continuation(line)) => {
                    if let Upload::Waiting { relay, .. } = self.upload {
                        if relay {
                            client.put(line);
                        }
                        self.upload = Upload::Flowing;
                    }
                }
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
            let piece = match self.queue.pop_front() {
                Some(piece) => Some(piece),
                None => client.poll_piece().map_err(|_| "a line without end".to_owned())?,
            };
            match piece {
                None => {
                    // It may hold back what it has until what came is acknowledged.
                    client.peer.stream.acknowledge();
                    break;
                }
                Some(piece) => self.put(piece, client, link).map_err(|why| why.to_string())?,
            }
        }
        Ok(())
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
            Upload::Done => Finished::Yes(answer.clone()),
            // The backend reads on to the command's end, and so do we.
            Upload::Flowing => Finished::No,
            Upload::Waiting { literal, relay } => {
                client.framer.refuse(literal);
                if relay { Finished::Yes(answer.clone()) } else { Finished::Refused(answer.clone()) }
            }
        }
    }

    fn wants_client(&self) -> bool {
        matches!(self.upload, Upload::Flowing) && self.queue.is_empty()
    }

    /// The backend is gone: what the client still sends of the command is skipped, so that it can be answered.
    async fn abandon(&mut self, client: &mut Client) -> Result<(), Stop> {
        match self.upload {
            Upload::Done => Ok(()),
            Upload::Waiting { literal, relay } => {
                client.framer.refuse(literal);
                if relay { Ok(()) } else { client.skip_rest().await }
            }
            Upload::Flowing => match self.queue.iter().any(|piece| matches!(piece, Piece::Line(_))) {
                true => Ok(()),
                false => client.skip_rest().await,
            },
        }
    }
}
