//! Where mailboxes are, as far as this node knows.

use std::future::Future;

use mailboxes::Entry;
use protocol::name::MailboxName;

/// The list of mailboxes as this proxy needs it: a trait, so that sessions are tested without a master.
pub trait Directory: Clone + Send + Sync + 'static {
    /// Looks a name up; on a miss asks upstream once more (a mailbox made a moment ago through another frontend).
    /// Cyrus's POP3 frontend does not ask, and refuses a user who was just created.
    fn find(&self, name: &MailboxName) -> impl Future<Output = Found> + Send;
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Mailbox(Entry),
    /// There is no such mailbox: the list is complete and current.
    Missing,
    /// The list is incomplete or old: it may exist.
    Unknown,
}
