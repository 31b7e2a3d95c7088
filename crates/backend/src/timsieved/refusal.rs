//! What a ManageSieve client is told of each failure of the store.

use protocol::managesieve::{Code, Reply, ScriptName};
use store::{ScriptError, StoreError};
use tracing::warn;

/// Why the scripts of a user are not opened, or no longer.
pub(super) fn unopenable(error: &StoreError) -> Reply {
    let later = |text: &'static str| Reply::no(text).code(Code::TryLater);
    match error {
        StoreError::NoMailbox => Reply::no("Mailbox does not exist"),
        StoreError::Reserved | StoreError::Frozen => later("Mailbox is being moved"),
        StoreError::Moved(_) | StoreError::Elsewhere(_) => later("Mailbox has been moved to another server"),
        StoreError::NoSpace => later("No space left on the server"),
        StoreError::ReadOnly => later("The server's disk can only be read"),
        StoreError::Closed => later("Server is shutting down"),
        error if error.is_temporary() => later("Internal server error"),
        _ => Reply::no("Internal server error"),
    }
}

/// Why a command about a script is not done. A cause that is ours is logged here, and not shown.
pub(super) fn refused(error: &ScriptError, name: Option<&ScriptName>) -> Reply {
    let text = error.to_string();
    match error {
        ScriptError::Missing => Reply::no(text).code(Code::NonExistent),
        ScriptError::Active => Reply::no(text).code(Code::Active),
        ScriptError::Exists => Reply::no(text).code(Code::AlreadyExists),
        ScriptError::TooMany(_) => Reply::no(text).code(Code::QuotaMaxScripts),
        ScriptError::TooLarge(_) => Reply::no(text).code(Code::QuotaMaxSize),
        ScriptError::NoRoom(_) => Reply::no(text).code(Code::Quota),
        ScriptError::Store(StoreError::Moved(_)) => {
            Reply::bye("Mailbox has been moved to another server").code(Code::TryLater)
        }
        ScriptError::Store(error) => {
            warn!(%error, script = name.map_or("", ScriptName::as_str), "a change of a script is not done");
            unopenable(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_client_sees_no_path_of_a_disk_that_failed() {
        let source = Arc::new(std::io::Error::other("disk"));
        let failed = StoreError::Io { doing: "read /var/lib/imap/x".into(), error: source };
        let reply = refused(&ScriptError::Store(failed), None);
        assert_eq!((reply.code, &*reply.text), (Some(Code::TryLater), "Internal server error"));
    }
}
