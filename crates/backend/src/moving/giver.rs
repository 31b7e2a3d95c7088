//! What the master, and a Cyrus that brings mailboxes, say of one of them.

use mailboxes::{Entry, Expect};
use protocol::name::MailboxName;
use protocol::namespace::View;
use store::{MasterError, MasterSession};
use tracing::warn;

use super::Moving;
use crate::transit::Refused;

/// What the master says of a name.
pub(super) struct There {
    pub entry: Option<Entry>,
    /// What the next change relies on; none: the master is Cyrus's, and compares nothing.
    pub expect: Option<Expect>,
}

impl There {
    /// The other server that the master names.
    pub fn other(&self, own: &str) -> Option<&str> {
        let entry = self.entry.as_ref().filter(|entry| entry.is_active())?;
        Some(entry.server()).filter(|server| *server != own)
    }
}

/// Asks the master for a name.
pub(super) async fn ask(master: &mut dyn MasterSession, name: &MailboxName) -> Result<There, MasterError> {
    match master.status(name).await {
        Ok(there) => Ok(There { expect: Some(there.expect()), entry: there.entry }),
        Err(MasterError::NoFence) => Ok(There { entry: master.find(name).await?, expect: None }),
        Err(error) => Err(error),
    }
}

impl Moving {
    /// Whether a server lists a mailbox. By LIST: in the middle of an XFER, SYNCGET waits for the lock of its user, and that for us.
    pub(super) async fn is_listed_at(&self, server: &str, name: &MailboxName) -> Result<bool, Refused> {
        let view = View { userid: "", admin: true, utf8: false };
        let external = self.store.namespace().external(name, &view);
        let quoted = external.replace('\\', "\\\\").replace('"', "\\\"");
        let asked = self.upstream().ask(server, &format!("LIST \"\" \"{quoted}\"")).await;
        match asked {
            Ok(answer) if answer.result.starts_with("OK") => {
                let is_one = |line: &String| line.starts_with("* LIST ") && !line.contains("\\No");
                Ok(answer.lines.iter().any(is_one))
            }
            Ok(answer) => {
                warn!(server, mailbox = %name, answer = answer.result, "the server that a mailbox comes from does not list");
                Err(SILENT)
            }
            Err(error) => {
                warn!(%error, server, mailbox = %name, "a move to this server waits for the server that it came from");
                Err(SILENT)
            }
        }
    }
}

const SILENT: Refused = Refused::Text("the server that it came from does not say whether it has it");
