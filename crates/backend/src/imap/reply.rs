//! How a command ends, and what a client is told of each failure of the store.

use protocol::imap::{Refusal, Reply};

use super::conn::Gone;
use store::{StoreError, VALUE_MAX};

/// Why a command ended before its end.
#[derive(Debug)]
pub enum Stop {
    /// It is not done.
    Refused(Refusal),
    /// The tagged line is written already.
    Answered,
    /// There is no client.
    Gone(Gone),
}

/// How a command ends.
pub type Outcome = Result<Reply, Stop>;

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refused(refusal)
    }
}

impl From<Gone> for Stop {
    fn from(gone: Gone) -> Stop {
        Stop::Gone(gone)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Refused(refusal(error))
    }
}

/// The cause that a client sees. One that is ours is logged here, once.
pub fn refusal(error: StoreError) -> Refusal {
    match error {
        StoreError::NoMailbox => Refusal::NoMailbox,
        StoreError::Exists => Refusal::Exists,
        StoreError::Denied => Refusal::Denied,
        StoreError::BadName => Refusal::UnfitName,
        StoreError::BadPartition => Refusal::BadPartition,
        StoreError::HasChildren => Refusal::HasChildren,
        StoreError::NotSupported => Refusal::NotSupported,
        StoreError::Reserved => Refusal::Reserved,
        StoreError::Elsewhere(server) => Refusal::Elsewhere(server),
        StoreError::Moved(_) => Refusal::Moved,
        StoreError::Frozen => Refusal::BeingMoved,
        StoreError::OverQuota => Refusal::OverQuota,
        StoreError::NoQuotaRoot => Refusal::NoQuotaRoot,
        StoreError::BadUse(text) => Refusal::BadUse(text.to_owned()),
        StoreError::Protected => Refusal::Protected,
        StoreError::TooManyKeywords => Refusal::TooManyKeywords,
        StoreError::AnnotationTooLarge => Refusal::AnnotationTooLarge(VALUE_MAX),
        StoreError::TooManyAnnotations => Refusal::TooManyAnnotations,
        StoreError::Limit(text) => Refusal::Limit(text.to_owned()),
        StoreError::BadIdentifier => Refusal::BadIdentifier,
        StoreError::NoMessage => Refusal::NoMessage,
        StoreError::TooLarge(bytes) => Refusal::TooLarge(bytes),
        StoreError::NoSpace => Refusal::NoSpace,
        StoreError::ReadOnly => Refusal::DiskReadOnly,
        StoreError::Busy => Refusal::Busy,
        StoreError::Master(error) => Refusal::Master(error.to_string()),
        StoreError::Closed => Refusal::Closing,
        StoreError::Poisoned(_)
        | StoreError::Damaged { .. }
        | StoreError::Io { .. }
        | StoreError::List(_)
        | StoreError::DamagedList(_) => {
            tracing::error!(%error, "the store failed");
            Refusal::Failed
        }
    }
}
