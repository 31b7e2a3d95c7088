//! RESERVE, ACTIVATE, DEACTIVATE, DELETE: from command to change, and from its outcome to the reply.

use std::io;

use mailboxes::{Change, CommitError, Expect, Position};
use protocol::mupdate::{reply::Reply, state::Write};
use tokio::sync::oneshot::error::RecvError;

use super::Server;

/// The change that a command asks for.
pub(super) fn change(
    server: &Server,
    name: &str,
    write: Write,
    expect: Option<&str>,
) -> Result<Change, Reply> {
    let name = server.canonical(name).ok_or_else(|| Reply::no("Invalid mailbox name"))?;
    let change = Change::mupdate(name, write);
    match expect {
        None => Ok(change),
        Some(text) => {
            let expect = Expect::parse(text).ok_or_else(|| Reply::bad("Badly formed arguments"))?;
            Ok(change.expecting(expect))
        }
    }
}

impl Server {
    pub(super) fn is_replicated(&self) -> bool {
        self.is_master() && self.settings().replicated
    }

    /// Whether a replicated murder's master says OK and changes nothing: RESERVE of a name that is there, DELETE of one that is not. All
    /// nodes have each mailbox there, and each of them tells of it.
    pub(super) fn is_done_already(&self, name: &str, write: &Write) -> bool {
        let Some(name) = self.canonical(name) else { return false };
        let Ok(found) = self.list().get(&name) else { return false };
        match write {
            Write::Reserve(_) => found.is_some(),
            Write::Delete => found.is_none(),
            Write::Activate(..) | Write::Deactivate(_) => false,
        }
    }
}

pub(super) fn reply(outcome: Result<Result<Position, CommitError>, RecvError>) -> io::Result<Reply> {
    match outcome {
        Ok(Ok(_)) => Ok(Reply::ok("done")),
        Ok(Err(error)) => refusal(&error),
        Err(_) => refusal(&CommitError::Closed),
    }
}

/// The reply to a change that was waited for.
pub(super) fn outcome(outcome: Result<Position, CommitError>) -> io::Result<Reply> {
    outcome.map_or_else(|error| refusal(&error), |_| Ok(Reply::ok("done")))
}

/// Each failure in the protocol's words. Only what the state machine said is final to a client of ours. What may have happened has no
/// words: the connection is dropped, which every client takes for that.
pub(super) fn refusal(error: &CommitError) -> io::Result<Reply> {
    Ok(match error {
        CommitError::Refused { refusal, .. } => Reply::no(refusal.to_string()),
        CommitError::Changed { .. } => Reply::no("[CHANGED] mailbox is not in the expected state"),
        CommitError::Poisoned(_) | CommitError::Unwritten(_) => {
            Reply::no("[UNAVAILABLE] the mailbox list cannot be written")
        }
        CommitError::Cordons => Reply::no("too many servers are cordoned"),
        CommitError::Unavailable(why) => Reply::no(format!("[UNAVAILABLE] {why}")),
        CommitError::Unknown(_) => return Err(io::Error::other(error.to_string())),
        CommitError::Closed => Reply::no("[UNAVAILABLE] shutting down"),
        CommitError::ReadOnly => Reply::bad("read-only session"),
    })
}
