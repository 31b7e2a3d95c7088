//! Quotas: limits at a root, usage below it.

use serde::{Deserialize, Serialize};

/// Limits of a quota root; none is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// KiB.
    pub storage: Option<u64>,
    pub message: Option<u64>,
    pub mailbox: Option<u64>,
    /// KiB.
    pub annotation_storage: Option<u64>,
}

/// What is used below a quota root, or by one mailbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes.
    pub storage: u64,
    pub message: u64,
    pub mailbox: u64,
    /// Bytes.
    pub annotation_storage: u64,
}

/// A quota root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    pub limits: Limits,
    pub usage: Usage,
}
