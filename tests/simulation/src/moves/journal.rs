//! What backends write down of moves, and say to each other.

use mailboxes::Fence;

/// A mailbox's contents: the changes that it has seen, in order.
pub type Contents = Vec<u64>;

/// A move, as one side has it on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Journal {
    pub user: String,
    /// The other side.
    pub peer: String,
    pub phase: Phase,
    /// The change by which the master has the mailbox at the source; noted there when it froze.
    pub fence: Option<Fence>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    // Of a source.
    Copying,
    Switching,
    Switched,
    Kept,
    // Of a destination.
    Incoming,
    Prepared,
    Committed,
    // Of both.
    Aborted,
}

impl Phase {
    pub fn is_over(self) -> bool {
        matches!(self, Phase::Kept | Phase::Committed | Phase::Aborted)
    }
}

/// What one backend asks of another, about the move of this number.
#[derive(Debug, Clone)]
pub enum Request {
    Begin { id: u64, user: String, from: String },
    Prepare { id: u64, contents: Contents, fence: Fence },
    Commit { id: u64 },
    Abort { id: u64 },
    State { id: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    Done,
    No,
    /// None: no such move.
    Is(Option<Phase>),
}
