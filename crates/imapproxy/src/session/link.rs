//! A session's connection to one backend.

use tokio::time::Instant;
use upstream::wire::OutOfStep;
use upstream::wire::imap::{Event, Id, Part, Wire};
use upstream::{Capabilities, Connection};

use crate::limits::UNASKED;
use crate::peer::{self, Peer};

/// One connection, logged in as the session's user. It ends with the session, or waits for the same user's next one
/// ([`crate::parked`]): what one user left on it never reaches another.
pub struct Link {
    pub peer: Peer,
    pub wire: Wire,
    pub capabilities: Capabilities,
    /// The text of the answer that ended the login.
    pub text: String,
    pub last_used: Instant,
    pub opened: Instant,
    /// The settings that it was logged in with.
    pub settings: Settings,
}

impl Link {
    pub fn new(connection: Connection<Wire>, settings: Settings) -> Self {
        let Connection { stream, input, wire, capabilities, text } = connection;
        let now = Instant::now();
        let peer = Peer::new(stream, input);
        Link { peer, wire, capabilities, text, last_used: now, opened: now, settings }
    }

    /// Whether nothing is under way on it, in either direction.
    pub fn is_at_rest(&self) -> bool {
        self.wire.is_at_rest(&self.peer.input) && self.peer.is_idle()
    }

    /// Hears a command of our own to its end while nobody else speaks on the connection. True if it was done.
    pub async fn hear(&mut self, asked: Id) -> bool {
        loop {
            match self.event() {
                Ok(Some(Event::Done(of, answer))) if of == asked => return answer.is_ok(),
                Ok(Some(Event::Untagged(_))) => {}
                Ok(Some(Event::Done(..) | Event::Bye(_) | Event::Continuation(_))) | Err(_) => return false,
                Ok(None) if self.peer.ended => return false,
                Ok(None) => {
                    if peer::turn_alone(&mut self.peer).await.is_err() {
                        return false;
                    }
                }
            }
        }
    }

    /// Begins a command that the client knows as `client`, or one of our own. It goes out with the next step.
    pub fn begin(&mut self, client: Option<&str>) -> Result<Id, OutOfStep> {
        self.last_used = Instant::now();
        self.wire.begin(client, &mut self.peer.output)
    }

    /// Bytes of the command that was begun, its line end among them.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), OutOfStep> {
        self.wire.send(bytes, &mut self.peer.output)
    }

    /// A whole command of our own, without its line end.
    pub fn command(&mut self, text: &[u8]) -> Result<Id, OutOfStep> {
        self.command_for(None, text)
    }

    /// The same for a client's command, whose tag the responses are to quote.
    pub fn command_for(&mut self, client: Option<&str>, text: &[u8]) -> Result<Id, OutOfStep> {
        let id = self.begin(client)?;
        self.send(text)?;
        self.send(b"\r\n")?;
        Ok(id)
    }

    /// IDLE, until DONE.
    pub fn begin_idle(&mut self) -> Result<Id, OutOfStep> {
        let id = self.wire.begin_dialogue(&mut self.peer.output)?;
        self.send(b"IDLE\r\n")?;
        Ok(id)
    }

    pub fn done(&mut self) -> Result<(), OutOfStep> {
        self.wire.say("DONE", &mut self.peer.output)
    }

    /// What the backend has said, if it is there already.
    pub fn event(&mut self) -> Result<Option<Event>, OutOfStep> {
        let event = self.wire.next(&mut self.peer.input)?;
        if event.is_none() {
            self.peer.want_more();
        }
        Ok(event)
    }

    /// The same, one line or one run of a literal.
    pub fn part(&mut self) -> Result<Option<Part>, OutOfStep> {
        let part = self.wire.part(&mut self.peer.input)?;
        if part.is_none() {
            self.peer.want_more();
        }
        Ok(part)
    }

    /// How long a literal may be sent without waiting to be asked for it (RFC 7888).
    pub fn unasked_literal(&self) -> u64 {
        if self.capabilities.has("LITERAL-") {
            UNASKED
        } else {
            // Announced as LITERAL+, or assumed: every Cyrus has it.
            u64::MAX
        }
    }
}

/// Which reading of the settings a connection was logged in with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings(pub u64);
