//! Whether there is room: what is asked of a partition's file system.

use std::path::{Path, PathBuf};

use super::{
    Store, blocking,
    disk::{mailbox_dir, sweep},
    error::{Doing, StoreError},
};
use crate::limits::{RESERVE, rows};

impl Store {
    /// The directory of a configured partition.
    pub(crate) fn partition_path(&self, partition: &str) -> Result<PathBuf, StoreError> {
        self.inner.imapd.partition(partition).map(|p| p.path.clone()).ok_or(StoreError::BadPartition)
    }

    /// Refuses what a partition (and the commit log's disk) has no room for, before anything is begun.
    pub(crate) async fn check_room(&self, partition: &Path, bytes: u64) -> Result<(), StoreError> {
        let places = [partition.to_owned(), self.inner.dir.clone()];
        // A look at the file system's counters, which are in memory.
        for place in places {
            let stat = rustix::fs::statvfs(&place)
                .map_err(std::io::Error::from)
                .doing("read the space of", &place)?;
            if stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
                return Err(StoreError::ReadOnly);
            }
            if stat.f_bavail.saturating_mul(stat.f_frsize) < bytes.saturating_add(RESERVE) {
                // There is more room once what is staged is no longer needed.
                self.inner.shared.commit.free_staged();
                rows::RESERVE.met(format_args!("no room for a message on the disk of {}", place.display()));
                return Err(StoreError::NoSpace);
            }
        }
        Ok(())
    }

    /// Where a mailbox of this unique id lies in a partition; none: there is no such partition.
    pub fn directory_of(&self, partition: &str, id: &str) -> Option<PathBuf> {
        self.partition_path(partition).ok().map(|path| mailbox_dir(&path, id))
    }

    /// Whether so many bytes more have room on a partition.
    pub fn has_room(&self, partition: &str, bytes: u64) -> bool {
        self.space_of(partition).is_ok_and(|(free, _)| free.saturating_mul(1024) >= bytes)
    }

    /// Free and total KiB of the file system of a partition.
    pub fn space_of(&self, partition: &str) -> Result<(u64, u64), StoreError> {
        let path = self.partition_path(partition)?;
        let stat =
            rustix::fs::statvfs(&path).map_err(std::io::Error::from).doing("read the space of", &path)?;
        let kib = |blocks: u64| blocks.saturating_mul(stat.f_frsize) / 1024;
        Ok((kib(stat.f_bavail), kib(stat.f_blocks)))
    }

    /// Free and total KiB of each file system on which new mailboxes are placed.
    pub fn free_space(&self) -> Vec<(u64, u64)> {
        self.inner.partitions.room().into_iter().map(|space| (space.available, space.total)).collect()
    }

    /// Removes a mailbox's directory with all in it.
    pub(crate) async fn sweep(&self, partition: &str, id: &str) -> Result<(), StoreError> {
        let dir = mailbox_dir(&self.partition_path(partition)?, id);
        blocking(move || sweep(&dir)).await
    }
}
