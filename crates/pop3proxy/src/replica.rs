//! The real directory: this daemon's replica of the list of mailboxes.

use directory::replica::{self, Replica};
use protocol::name::MailboxName;
use tracing::debug;

use crate::directory::{Directory, Found};

impl Directory for Replica {
    async fn find(&self, name: &MailboxName) -> Found {
        match Replica::find(self, name).await {
            replica::Found::Entry(entry) => Found::Mailbox(entry),
            replica::Found::Missing => Found::Missing,
            replica::Found::Unknown(stale) => {
                debug!(mailbox = name.as_str(), "{stale}");
                Found::Unknown
            }
        }
    }
}
