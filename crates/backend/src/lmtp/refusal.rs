//! What the store's errors are to an MTA.

use protocol::lmtp::refusal::Refusal;

use store::StoreError;

/// The reply for a recipient whose mailbox was good at RCPT. `over_quota_forever`: `lmtp_over_quota_perm_failure`.
pub(super) fn refusal(error: &StoreError, over_quota_forever: bool) -> Refusal {
    match error {
        // Deleted or renamed between RCPT and now: the next try tells what it is now.
        StoreError::NoMailbox | StoreError::NoMessage => Refusal::Retry,
        StoreError::Denied => Refusal::PermissionDenied,
        StoreError::BadName => Refusal::BadName,
        StoreError::NotSupported => Refusal::NotMail,
        StoreError::Reserved => Refusal::Reserved,
        StoreError::Elsewhere(_) | StoreError::Moved(_) | StoreError::Frozen => Refusal::Moving,
        StoreError::OverQuota if over_quota_forever => Refusal::OverQuotaForever,
        StoreError::OverQuota => Refusal::OverQuota,
        StoreError::TooLarge(max) => Refusal::TooLarge { max: *max },
        StoreError::NoSpace | StoreError::ReadOnly => Refusal::DiskFull,
        StoreError::Busy | StoreError::Closed => Refusal::Retry,
        StoreError::Exists
        | StoreError::BadPartition
        | StoreError::HasChildren
        | StoreError::NoQuotaRoot
        | StoreError::BadUse(_)
        | StoreError::Protected
        | StoreError::TooManyKeywords
        | StoreError::AnnotationTooLarge
        | StoreError::TooManyAnnotations
        | StoreError::Limit(_)
        | StoreError::BadIdentifier
        | StoreError::Poisoned(_)
        | StoreError::Master(_)
        | StoreError::Damaged { .. }
        | StoreError::Io { .. }
        | StoreError::List(_)
        | StoreError::DamagedList(_) => Refusal::Io,
    }
}
