//! What bounds the wait for a file that another program holds.

use std::time::Duration;

bounds::table! {
    "files", "Files that several programs write";
    /// How long a writer may hold what another wants to write.
    pub(crate) PATIENCE: Duration = Duration::from_secs(10), Time, "chosen: both write a few kilobytes";
    /// Between two looks at a file that another program holds.
    pub(crate) AGAIN: Duration = Duration::from_millis(5), Time, "chosen: shorter than a write";
    /// Symbolic links of one path that are followed.
    pub(crate) LINKS: u32 = 40, Count, "Linux, path_resolution(7)";
}
