//! What a POP3 client is told of each failure of the store.

use protocol::pop3::reply::Reply;
use protocol::pop3::unopenable::Unopenable;
use store::StoreError;

/// Why the maildrop is not opened. A cause that is ours is not shown: whoever opens has logged it.
pub(super) fn unopenable(error: &StoreError) -> Reply {
    Reply::Unopenable(match error {
        StoreError::NoMailbox | StoreError::NoMessage => Unopenable::NoMailbox,
        StoreError::BadName => Unopenable::BadName,
        StoreError::Reserved => Unopenable::Reserved,
        StoreError::Elsewhere(server) => Unopenable::Elsewhere(server.clone()),
        StoreError::Moved(_) => Unopenable::Moved,
        StoreError::Frozen => Unopenable::BeingMoved,
        StoreError::Denied => Unopenable::Denied,
        StoreError::Master(_) => Unopenable::Unavailable,
        StoreError::Limit(text) => Unopenable::Limit((*text).to_owned()),
        StoreError::OverQuota => Unopenable::OverQuota,
        StoreError::NoSpace => Unopenable::NoSpace,
        StoreError::ReadOnly => Unopenable::ReadOnly,
        StoreError::Busy => Unopenable::Busy,
        StoreError::Closed => Unopenable::Closing,
        StoreError::Exists
        | StoreError::BadPartition
        | StoreError::HasChildren
        | StoreError::NotSupported
        | StoreError::NoQuotaRoot
        | StoreError::BadUse(_)
        | StoreError::Protected
        | StoreError::TooManyKeywords
        | StoreError::AnnotationTooLarge
        | StoreError::TooManyAnnotations
        | StoreError::BadIdentifier
        | StoreError::TooLarge(_)
        | StoreError::Poisoned(_)
        | StoreError::Damaged { .. }
        | StoreError::Io { .. }
        | StoreError::List(_)
        | StoreError::DamagedList(_) => Unopenable::Failed,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_client_sees_no_path_of_a_disk_that_failed() {
        let source = Arc::new(std::io::Error::other("disk"));
        let failed = StoreError::Io { doing: "read /var/spool/imap/x".into(), error: source };
        assert_eq!(
            unopenable(&failed).to_string(),
            "-ERR [SYS/TEMP] Unable to open maildrop: Internal server error"
        );
        let elsewhere = StoreError::Elsewhere("backend2.example.org".into());
        assert_eq!(
            unopenable(&elsewhere).to_string(),
            "-ERR [SYS/TEMP] Unable to open maildrop: Mailbox is on backend2.example.org"
        );
    }
}
