//! The store's errors in NNTP's words: one table for groups and articles that are read, one for those that come.

use protocol::nntp::{No, Refused};
use store::StoreError;

/// Why there is no such group, as Cyrus words it.
pub(super) fn no_group(error: &StoreError) -> No {
    let why = match error {
        StoreError::NoMailbox | StoreError::BadName => "Mailbox does not exist",
        StoreError::Denied => "Permission denied",
        StoreError::Reserved => "Mailbox is currently reserved",
        StoreError::Elsewhere(_) | StoreError::Moved(_) => "Mailbox has been moved to another server",
        StoreError::Frozen => "Mailbox is being moved to another server",
        StoreError::Busy => "Mailbox is locked",
        StoreError::Closed => "Server is shutting down",
        StoreError::NoMessage
        | StoreError::Exists
        | StoreError::BadPartition
        | StoreError::HasChildren
        | StoreError::NotSupported
        | StoreError::NoQuotaRoot
        | StoreError::OverQuota
        | StoreError::BadUse(_)
        | StoreError::Protected
        | StoreError::TooManyKeywords
        | StoreError::AnnotationTooLarge
        | StoreError::TooManyAnnotations
        | StoreError::Limit(_)
        | StoreError::BadIdentifier
        | StoreError::TooLarge(_)
        | StoreError::NoSpace
        | StoreError::ReadOnly
        | StoreError::Master(_)
        | StoreError::Poisoned(_)
        | StoreError::Damaged { .. }
        | StoreError::Io { .. }
        | StoreError::List(_)
        | StoreError::DamagedList(_) => return No::Failed,
    };
    No::NoSuchGroup(Some(why.to_owned()))
}

/// Why an article is not taken.
pub(super) fn refused(error: &StoreError) -> Refused {
    match error {
        StoreError::NoMailbox | StoreError::BadName => Refused::NoSuchGroup,
        StoreError::Denied => Refused::Denied,
        StoreError::OverQuota => Refused::OverQuota,
        StoreError::NoSpace => Refused::NoSpace,
        StoreError::TooLarge(most) => Refused::TooLarge(*most),
        StoreError::Elsewhere(_) | StoreError::Moved(_) | StoreError::Frozen => Refused::Elsewhere,
        StoreError::Reserved | StoreError::Busy => Refused::Temporary("Mailbox is locked"),
        StoreError::Closed => Refused::Temporary("Server is shutting down"),
        StoreError::ReadOnly => Refused::Temporary("Read-only file system"),
        StoreError::NoMessage
        | StoreError::Exists
        | StoreError::BadPartition
        | StoreError::HasChildren
        | StoreError::NotSupported
        | StoreError::NoQuotaRoot
        | StoreError::BadUse(_)
        | StoreError::Protected
        | StoreError::TooManyKeywords
        | StoreError::AnnotationTooLarge
        | StoreError::TooManyAnnotations
        | StoreError::Limit(_)
        | StoreError::BadIdentifier
        | StoreError::Master(_)
        | StoreError::Poisoned(_)
        | StoreError::Damaged { .. }
        | StoreError::Io { .. }
        | StoreError::List(_)
        | StoreError::DamagedList(_) => Refused::Temporary("Internal server error"),
    }
}

/// A step that could not be done ends a list, or leaves something out: what was sent cannot be taken back.
pub(super) fn broken(what: &str, error: &dyn std::fmt::Display) {
    tracing::warn!(%error, "{what} is not complete");
}
