//! What backends write down of moves, and say to each other.

use mailboxes::Fence;
use moves::{destination, source};

use super::contents::{Difference, Extent};

/// A move, as one side has it on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Journal {
    pub user: String,
    /// The other side.
    pub peer: String,
    pub role: Role,
    /// The change by which the master has the mailbox at the source; noted there before it froze.
    pub fence: Option<Fence>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `followed`: nothing is left to be done.
    Source { phase: source::Phase, followed: bool },
    /// `digest`: what the source said of the whole.
    Destination { phase: destination::Phase, digest: Option<u64> },
}

impl Journal {
    pub fn is_over(&self) -> bool {
        match self.role {
            Role::Source { phase, followed } => match phase {
                source::Phase::Kept => followed,
                source::Phase::Aborted => true,
                source::Phase::Queued
                | source::Phase::Copying
                | source::Phase::Switching
                | source::Phase::Switched => false,
            },
            Role::Destination { phase, .. } => match phase {
                destination::Phase::Done | destination::Phase::Aborted => true,
                destination::Phase::Incoming
                | destination::Phase::Prepared
                | destination::Phase::Committed => false,
            },
        }
    }

    pub fn arrives(&self) -> Option<destination::Phase> {
        match self.role {
            Role::Destination { phase, .. } => Some(phase),
            Role::Source { .. } => None,
        }
    }
}

/// What one backend asks of another, about the move of this number.
#[derive(Debug, Clone)]
pub enum Request {
    Begin {
        id: u64,
        user: String,
        from: String,
    },
    Round {
        id: u64,
        connection: u64,
        difference: Difference,
    },
    Prepare {
        id: u64,
        connection: u64,
        difference: Difference,
        digest: u64,
        fence: Fence,
    },
    Commit {
        id: u64,
    },
    Abort {
        id: u64,
    },
    State {
        id: u64,
    },
    /// Whether it lists a user.
    Lists {
        user: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    Yes,
    No,
    /// The copy that is there, and the connection on which it grows.
    Has {
        extent: Extent,
        connection: u64,
    },
    /// None: no such move.
    Is(Option<destination::Phase>),
    /// What the source says of it.
    Word(destination::Word),
}
