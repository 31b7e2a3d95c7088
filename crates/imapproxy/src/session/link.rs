//! A session's connection to one backend.

use std::time::Instant;

use upstream::{Capabilities, Connection, Ticket};

use crate::peer::Peer;
use crate::replies::{Endless, Reply, Scanner};

/// One connection, logged in as the session's user.
pub struct Link {
    pub peer: Peer,
    pub scanner: Scanner,
    pub capabilities: Capabilities,
    pub last_used: Instant,
    /// How it goes back to the pool.
    pub ticket: Ticket,
}

impl Link {
    pub fn new(connection: Connection, ticket: Ticket) -> Self {
        let Connection { stream, input, capabilities, .. } = connection;
        Link {
            peer: Peer::new(stream, input),
            scanner: Scanner::default(),
            capabilities,
            last_used: Instant::now(),
            ticket,
        }
    }

    /// The next reply that is there already.
    pub fn reply(&mut self) -> Result<Option<Reply>, Endless> {
        let reply = self.scanner.next(&mut self.peer.input)?;
        if reply.is_none() {
            self.peer.want_more();
        }
        Ok(reply)
    }

    /// How long a literal may be sent without waiting to be asked for it (RFC 7888).
    pub fn unasked_literal(&self) -> u64 {
        if self.capabilities.has("LITERAL-") {
            4096
        } else {
            // Announced as LITERAL+, or assumed: every Cyrus has it.
            u64::MAX
        }
    }

    /// Back to the pool, if nothing is under way on it.
    pub async fn retire(self) {
        let quiet = self.peer.input.is_empty() && self.peer.output.is_empty() && self.scanner.at_line_start();
        if quiet && !self.peer.ended {
            let Link { peer, capabilities, ticket, .. } = self;
            let (stream, input) = peer.into_parts();
            ticket.give_back(Connection { stream, input, capabilities, text: String::new() }).await;
        }
    }
}
