//! The MUPDATE master as mailbox operations need it: cleared with before anything changes here.
//!
//! A backend without `mupdate_server` stands alone and clears with nobody. The real client implements [`Master`]; tests
//! hand in one of their own.

use std::{future::Future, pin::Pin};

use mailboxes::{AtMaster, Decision, Entry, Expect, Switch};
use protocol::{location::Location, name::MailboxName};

pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where sessions with the master come from: one per mailbox operation.
pub trait Master: Send + Sync + 'static {
    fn connect(&self) -> Answer<'_, Result<Box<dyn MasterSession>, MasterError>>;
}

/// A session with the master, logged in. What moves need of it works with a master that announces `FENCE`; else it is
/// [`MasterError::NoFence`], and nothing was asked.
pub trait MasterSession: Send {
    fn reserve<'a>(
        &'a mut self,
        name: &'a MailboxName,
        at: &'a Location,
    ) -> Answer<'a, Result<(), MasterError>>;
    fn activate<'a>(
        &'a mut self,
        name: &'a MailboxName,
        at: &'a Location,
        acl: &'a str,
    ) -> Answer<'a, Result<(), MasterError>>;
    fn delete<'a>(&'a mut self, name: &'a MailboxName) -> Answer<'a, Result<(), MasterError>>;

    /// What the master has of a name, with the number of its last change.
    fn status<'a>(&'a mut self, _name: &'a MailboxName) -> Answer<'a, Result<AtMaster, MasterError>> {
        unfenced()
    }

    /// ACTIVATE if the entry is in the state expected, else [`MasterError::Changed`].
    fn activate_expecting<'a>(
        &'a mut self,
        _name: &'a MailboxName,
        _at: &'a Location,
        _acl: &'a str,
        _expect: &'a Expect,
    ) -> Answer<'a, Result<(), MasterError>> {
        unfenced()
    }

    /// What the master has of a name, by FIND: all that a master of Cyrus can say.
    fn find<'a>(&'a mut self, _name: &'a MailboxName) -> Answer<'a, Result<Option<Entry>, MasterError>> {
        unfenced()
    }

    /// DEACTIVATE: the mailbox is reserved by the server that has it.
    fn deactivate<'a>(
        &'a mut self,
        _name: &'a MailboxName,
        _at: &'a Location,
    ) -> Answer<'a, Result<(), MasterError>> {
        unfenced()
    }

    /// The decision of a move, to be asked for once. After an error that is not final ([`MasterError::is_final`]) it is in
    /// doubt, and [`MasterSession::settle`] of another session ends the doubt.
    fn decide<'a>(&'a mut self, _switch: &'a Switch<'a>) -> Answer<'a, Result<Decision, MasterError>> {
        unfenced()
    }

    /// What became of a decision without an answer; what has not happened by then does not happen any more. After an error
    /// the doubt stays: ask again, in another session.
    fn settle<'a>(&'a mut self, _switch: &'a Switch<'a>) -> Answer<'a, Result<Decision, MasterError>> {
        unfenced()
    }
}

/// The answer of a session with a master that does not number its changes.
fn unfenced<'a, T: Send + 'a>() -> Answer<'a, Result<T, MasterError>> {
    Box::pin(std::future::ready(Err(MasterError::NoFence)))
}

/// Why the master's word is not there; the texts are those that clients get from Cyrus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MasterError {
    #[error("no connection to server")]
    Down,
    #[error("no authentication to server")]
    Login,
    #[error("timed out waiting for server response")]
    Timeout,
    #[error("Remote mupdate server sent bad protocol")]
    Protocol,
    /// RESERVE (or DEACTIVATE) was answered NO: the name is taken elsewhere.
    #[error("unable to reserve mailbox on mupdate server")]
    NotReserved,
    /// ACTIVATE or DELETE was answered NO.
    #[error("the mupdate operation failed")]
    Failed,
    /// The entry is not in the state that the change relies on: nothing happened.
    #[error("mailbox changed at the mupdate server meanwhile")]
    Changed,
    /// The master is Cyrus's, or an older one of ours: it was not asked.
    #[error("the mupdate server does not announce FENCE")]
    NoFence,
}

impl MasterError {
    /// Whether what was asked for has not happened, and will not.
    pub fn is_final(self) -> bool {
        match self {
            MasterError::NotReserved | MasterError::Failed | MasterError::Changed | MasterError::NoFence => {
                true
            }
            MasterError::Down | MasterError::Login | MasterError::Timeout | MasterError::Protocol => false,
        }
    }
}
