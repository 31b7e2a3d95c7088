//! What an operator's command says to a backend about moves, and what it is shown: JSON, as the value of the server's annotation
//! `/shared/vendor/murder/moves`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{MoveId, journal::Record, wishes::Wishes};

/// A thing to do about moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum Order {
    /// To the source: a move is to happen. Once more with the same id it is the same move. It is answered with the id, which is another
    /// one's where the same was asked for before.
    Move {
        id: MoveId,
        /// Internal name.
        root: String,
        to: String,
        #[serde(default)]
        partition: Option<String>,
        #[serde(default)]
        wishes: Wishes,
        /// It waits for a server that does not answer now.
        #[serde(default)]
        patient: bool,
    },
    /// To the source: what would move, without a change of anything. It is answered with a [`Plan`].
    Plan {
        root: String,
        to: String,
        #[serde(default)]
        partition: Option<String>,
        #[serde(default)]
        tree: bool,
    },
    /// To the source: a move waits until it is resumed.
    Stop {
        id: MoveId,
    },
    Resume {
        id: MoveId,
    },
    /// To the source: a move that is not decided is given up.
    Cancel {
        id: MoveId,
    },
    /// To the source: the copy is removed now, with proof.
    Confirm {
        id: MoveId,
    },
    /// The same of a mailbox that the master lists no more: it was deleted, and the copy is the last one.
    Discard {
        id: MoveId,
    },
    /// To the source: its copy is the mailbox again, as it was when it went: the destination has lost it.
    Restore {
        id: MoveId,
    },
    /// To the destination: what has come so far is the mailbox: the source has lost it.
    Adopt {
        id: MoveId,
    },
}

/// A move as it is shown: its journal, of the mailboxes only the first one, and what is in no journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    #[serde(flatten)]
    pub record: Record,
    /// How many mailboxes there are.
    #[serde(default)]
    pub mailboxes: usize,
    /// Why nothing happens at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
    /// Of a move that goes on at the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Live>,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    pub round: u32,
    pub messages: u64,
    pub bytes: u64,
    pub total_messages: u64,
    pub total_bytes: u64,
    /// Bytes in a second.
    pub rate: u64,
    /// Seconds.
    pub left: Option<u64>,
}

/// What becomes of the moves of one plan, counted at one source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub queued: usize,
    pub stopped: usize,
    pub running: usize,
    pub moved: usize,
    pub failed: usize,
    pub bytes: u64,
    /// Some that wait or have failed, with why.
    #[serde(default)]
    pub why: BTreeMap<String, String>,
}

/// What would move, as its source counts it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub mailboxes: usize,
    pub messages: u64,
    pub bytes: u64,
    /// At the destination.
    pub partition: String,
    /// Bytes that are free there; none: it does not say.
    pub free: Option<u64>,
    /// Quota roots that go along.
    pub roots: usize,
    /// The quota root that the mailbox counts to, and that stays.
    pub above: Option<String>,
    /// Why the move would not begin now.
    pub trouble: Option<String>,
}

/// What can move from a backend, and how large it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Internal name: a user's INBOX for all that is the user's, or a shared mailbox.
    pub root: String,
    pub mailboxes: usize,
    pub bytes: u64,
    /// When something last came or went in the first of its mailboxes, epoch seconds.
    pub last: u64,
}

/// How many moves are told of at once.
pub const PAGE: usize = 2000;
