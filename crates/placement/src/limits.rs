//! How long figures are used.

use std::time::Duration;

bounds::table! {
    "placement", "The choice of a partition or a backend";
    options {}
    /// How long one reading of the free space is used, whatever partition_select_usage_reinit and serverlist_select_usage_reinit say.
    pub READING: Duration = Duration::from_secs(60), Time, "Cyrus: a process that reads once ends when it is idle for so long";
}
