//! What all deliveries share.

use std::sync::Arc;

use submission::Submission;

use super::programs::Programs;

/// Compiled scripts, and the way out for mails. Cheap to clone.
#[derive(Clone, Default)]
pub struct Rules {
    pub(super) programs: Arc<Programs>,
    pub(super) submission: Submission,
}
