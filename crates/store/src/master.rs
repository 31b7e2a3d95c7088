//! The MUPDATE master as mailbox operations need it: cleared with before anything changes here.
//!
//! A backend without `mupdate_server` stands alone and clears with nobody. The real client implements [`Master`]; tests
//! hand in one of their own.

use std::{future::Future, pin::Pin};

use protocol::{location::Location, name::MailboxName};

pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where sessions with the master come from: one per mailbox operation.
pub trait Master: Send + Sync + 'static {
    fn connect(&self) -> Answer<'_, Result<Box<dyn MasterSession>, MasterError>>;
}

/// A session with the master, logged in.
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
}
