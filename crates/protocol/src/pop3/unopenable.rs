//! Why a maildrop cannot be opened: what a client is told of each cause.

use std::fmt;

/// The password was right, and there is no maildrop all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unopenable {
    /// No mailbox can be called so.
    BadName,
    NoMailbox,
    /// Its name is taken, and no mailbox is there yet; or it is on its way elsewhere.
    Reserved,
    /// It lives on another server.
    Elsewhere(String),
    /// It has just gone to another server, which a frontend finds at the next try.
    Moved,
    /// Whether it goes there is being decided.
    BeingMoved,
    Denied,
    /// This node's list has not come to its end.
    ListIncomplete,
    /// No backend, or not the master, can be asked.
    Unavailable,
    /// One user may not have more.
    Limit(String),
    OverQuota,
    NoSpace,
    ReadOnly,
    Busy,
    Closing,
    /// It is ours: the log has it.
    Failed,
}

impl fmt::Display for Unopenable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Unopenable::BadName => "Invalid mailbox name",
            Unopenable::NoMailbox => "Mailbox does not exist",
            Unopenable::Reserved => "Mailbox is currently reserved",
            Unopenable::Elsewhere(server) => return write!(f, "Mailbox is on {server}"),
            Unopenable::Moved => "Mailbox has been moved to another server",
            Unopenable::BeingMoved => "Mailbox is being moved to another server",
            Unopenable::Denied => "Permission denied",
            Unopenable::ListIncomplete => "The list of mailboxes is not complete yet",
            Unopenable::Unavailable => "Server(s) unavailable to complete operation",
            Unopenable::Limit(text) => text,
            Unopenable::OverQuota => "Over quota",
            Unopenable::NoSpace => "No space left on device",
            Unopenable::ReadOnly => "Read-only file system",
            Unopenable::Busy => "Mailbox is locked",
            Unopenable::Closing => "Server is shutting down",
            Unopenable::Failed => "Internal server error",
        };
        f.write_str(text)
    }
}
