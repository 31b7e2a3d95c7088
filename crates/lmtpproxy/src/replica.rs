//! The real directory: this daemon's replica of the list of mailboxes.

use directory::replica::{self, Replica};
use mailboxes::Entry;
use protocol::name::MailboxName;

use crate::directory::{Directory, Found};

impl Directory for Replica {
    async fn find(&self, name: &MailboxName) -> Found {
        match Replica::find(self, name).await {
            replica::Found::Entry(entry) => Found::Mailbox(entry),
            replica::Found::Missing => Found::Missing,
            replica::Found::Unknown(stale) => {
                tracing::warn!(mailbox = %name, "{stale}");
                Found::Unknown
            }
        }
    }

    async fn find_alike(&self, name: &MailboxName) -> Option<(MailboxName, Entry)> {
        let (list, name) = (self.list().clone(), name.clone());
        tokio::task::spawn_blocking(move || lmtp::closest(&list, &name, None)).await.ok().flatten()
    }
}
