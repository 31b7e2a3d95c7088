//! Why a backend gave no answer, and what the client is told.

use std::io;
use std::time::Duration;

use upstream::wire::OutOfStep;

/// No answer of a backend.
#[derive(Debug, thiserror::Error)]
pub enum Gone {
    #[error(transparent)]
    Unreached(#[from] upstream::Error),
    #[error("{server}: {source}")]
    Lost { server: String, source: io::Error },
    #[error("{server}: no answer within {} s", bound.as_secs())]
    Late { server: String, bound: Duration },
    #[error("{server}: {why}")]
    OutOfStep { server: String, why: OutOfStep },
    /// It ends the session (400), or answers what no backend should be asked for.
    #[error("{server}: unexpected answer {text:?}")]
    Strange { server: String, text: String },
}

impl Gone {
    /// Whether the connection ended, and nothing else is wrong.
    pub fn is_lost(&self) -> bool {
        match self {
            Gone::Lost { .. } => true,
            Gone::Unreached(_) | Gone::Late { .. } | Gone::OutOfStep { .. } | Gone::Strange { .. } => false,
        }
    }

    /// Whether a new connection might do better: this one ended while nothing was under way on it.
    pub fn may_be_stale(&self) -> bool {
        match self {
            Gone::Lost { .. } | Gone::Strange { .. } | Gone::OutOfStep { .. } => true,
            // It was waited for once.
            Gone::Late { .. } | Gone::Unreached(_) => false,
        }
    }
}

/// What a client is told that wants to read: it may come again, and nothing is said of what there is.
pub const UNAVAILABLE: &str = "403 Server(s) unavailable to complete operation";
/// The list of mailboxes is behind, or the group is being made or moved.
pub const UNSURE: &str = "403 The mailbox list is not complete at the moment";
