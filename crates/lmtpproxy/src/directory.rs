//! Where mailboxes are, as far as this node knows.

use std::future::Future;

use mailboxes::Entry;
use protocol::name::MailboxName;

/// The list of mailboxes as the proxy needs it: a trait, so that routing is tested without a master.
pub trait Directory: Clone + Send + Sync + 'static {
    /// Looks a name up; on a miss asks upstream once more (a mailbox made a moment ago through another frontend).
    fn find(&self, name: &MailboxName) -> impl Future<Output = Found> + Send;

    /// A mailbox that differs from `name` in case and in `-`, `_`, blank only, or, failing that, its closest ancestor
    /// of which that is true (`lmtp_fuzzy_mailbox_match`).
    fn find_alike(&self, name: &MailboxName) -> impl Future<Output = Option<(MailboxName, Entry)>> + Send;
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
