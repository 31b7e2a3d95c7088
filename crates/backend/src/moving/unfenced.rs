//! What a MUPDATE master of Cyrus can be asked, which numbers no change and compares nothing.

use protocol::name::MailboxName;
use store::{Master, MasterError};

/// Whether the master says that a mailbox is active at a server.
pub async fn is_at(master: &dyn Master, name: &MailboxName, server: &str) -> Result<bool, MasterError> {
    let mut session = master.connect().await?;
    let entry = match session.status(name).await {
        Err(MasterError::NoFence) => session.find(name).await?,
        there => there?.entry,
    };
    Ok(entry.is_some_and(|entry| entry.is_active() && entry.server() == server))
}
