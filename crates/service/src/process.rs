//! What a daemon sets for its own process: many open files, no core dumps, one instance per directory.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

use crate::limits::{RESERVED, SLOTS};

/// Raises the number of open files to the hard limit, and turns core dumps off: they would hold passwords.
pub(crate) fn apply() {
    let files = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: files.maximum, maximum: files.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!("cannot raise the number of open files: {error}");
    }
    let none = Rlimit { current: Some(0), maximum: getrlimit(Resource::Core).maximum };
    if let Err(error) = setrlimit(Resource::Core, none) {
        warn!("cannot turn core dumps off: {error}");
    }
}

/// Whether hardly any descriptors are left, by the number of one that was just opened: the kernel gives the lowest that is
/// free. A sixteenth, up to [`RESERVED`], is kept for sessions that are open, which need files and backends.
pub(crate) fn are_nearly_used_up(opened: RawFd) -> bool {
    let (limit, reserved) = descriptors();
    u64::try_from(opened).is_ok_and(|opened| opened >= limit.saturating_sub(reserved))
}

/// How many descriptors may go into what is kept in case somebody needs it: as many as are kept for sessions.
pub fn spare_descriptors() -> usize {
    usize::try_from(descriptors().1).unwrap_or(usize::MAX)
}

/// How many there are, and how many of them are for sessions that are open.
fn descriptors() -> (u64, u64) {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    (limit, (limit / 16).clamp(16, RESERVED))
}

/// A daemon's own directory, held by one process as long as this lives.
#[derive(Debug)]
pub struct DirectoryLock {
    path: PathBuf,
    _file: File,
}

/// Why the directory is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("{}: another instance is running{}", path.display(), holder.as_deref().unwrap_or_default())]
    Held { path: PathBuf, holder: Option<String> },
    #[error("{}: {why}", path.display())]
    Io { path: PathBuf, why: io::Error },
}

impl DirectoryLock {
    /// Makes the directory if need be and takes it.
    pub fn take(directory: &Path) -> Result<DirectoryLock, LockError> {
        let path = directory.join("lock");
        let io_error = |why| LockError::Io { path: path.clone(), why };
        files::directory(directory, 0o700, None).map_err(io_error)?;
        let mut file = files::lock_file(&path, 0o600).map_err(io_error)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                let holder =
                    Some(pid.trim()).filter(|pid| !pid.is_empty()).map(|pid| format!(" (pid {pid})"));
                return Err(LockError::Held { path: directory.to_owned(), holder });
            }
            Err(error) => return Err(io_error(error.into())),
        }
        // The number is for the reader of a message only; the lock is what counts.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(DirectoryLock { path: directory.to_owned(), _file: file })
    }

    /// As [`DirectoryLock::take`]; where it is held, `<directory>/1`, `2` … : a foreign master starts a daemon once
    /// per prefork slot.
    pub fn take_slot(directory: &Path) -> Result<DirectoryLock, LockError> {
        let mut result = DirectoryLock::take(directory);
        for slot in 1..=SLOTS {
            match &result {
                Err(LockError::Held { .. }) => {
                    result = DirectoryLock::take(&directory.join(slot.to_string()))
                }
                _ => break,
            }
        }
        result
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether a process that says it holds a daemon's directory lives. Taking the lock to find out could keep the daemon
/// from it.
pub fn is_held(directory: &Path) -> bool {
    let pid = fs::read_to_string(directory.join("lock")).unwrap_or_default();
    let pid = pid.trim().parse().ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("murder/backend");
        let first = DirectoryLock::take(&path).unwrap();
        assert!(is_held(&path) && !is_held(dir.path()));
        let error = DirectoryLock::take(&path).unwrap_err();
        assert!(matches!(&error, LockError::Held { holder: Some(_), .. }), "{error}");
        let second = DirectoryLock::take_slot(&path).unwrap();
        assert_eq!(second.path(), path.join("1"));
        drop(first);
        assert_eq!(DirectoryLock::take_slot(&path).unwrap().path(), path);
    }
}
