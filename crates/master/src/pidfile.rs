//! The pid file: its lock, held for life, is what makes master the only one; its content is for init scripts.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, fcntl_getlk};

use crate::limits::{AGAIN, DYING};

/// A locked pid file. The kernel gives the lock back when master ends, however it ends.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    file: File,
}

/// Why a pid file could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    #[error("cannot get exclusive lock on pidfile {} (is another master still running?)", path.display())]
    Locked { path: PathBuf },
    #[error("cannot use pidfile {}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
}

impl PidFile {
    /// As [`PidFile::take`], with a moment for a master that was killed and is not wholly gone yet.
    pub fn take_over(path: &Path) -> Result<Self, PidFileError> {
        PidFile::take_within(path, DYING)
    }

    fn take_within(path: &Path, patience: Duration) -> Result<Self, PidFileError> {
        let until = Instant::now() + patience;
        loop {
            match PidFile::take(path) {
                Err(PidFileError::Locked { .. }) if Instant::now() < until => std::thread::sleep(AGAIN),
                taken => return taken,
            }
        }
    }

    /// Locks the file and writes the own process id into it. Creates its directory when that is missing.
    pub fn take(path: &Path) -> Result<Self, PidFileError> {
        let failed = |cause| PidFileError::Io { path: path.to_owned(), cause };
        let refused = |error| match error {
            Errno::WOULDBLOCK | Errno::ACCESS => PidFileError::Locked { path: path.to_owned() },
            error => failed(error.into()),
        };
        if let Some(parent) = path.parent() {
            files::directory(parent, 0o755, None).map_err(failed)?;
        }
        let old = roots(path);
        let file = match (files::lock_file(path, 0o644), old) {
            // An earlier version wrote it as root where it is another user's place: it goes, unless that one still runs.
            (Err(error), Some(old)) if error.kind() == io::ErrorKind::PermissionDenied => {
                flock(&old, FlockOperation::NonBlockingLockExclusive).map_err(refused)?;
                let holder = fcntl_getlk(&old, &Flock::from(FlockType::WriteLock));
                // One that another master put there meanwhile is that master's.
                if holder.map_err(|error| failed(error.into()))?.is_some() || !has_name(&old, path) {
                    return Err(refused(Errno::WOULDBLOCK));
                }
                files::remove(path).map_err(failed)?;
                files::lock_file(path, 0o644)
            }
            (opened, _) => opened,
        };
        let file = file.map_err(failed)?;
        lock(&file).map_err(refused)?;
        let mut taken = Self { path: path.to_owned(), file };
        taken.write().map_err(failed)?;
        Ok(taken)
    }

    /// Writes the file anew when somebody removed or replaced it. True when that was necessary.
    pub fn restore(&mut self) -> bool {
        if has_name(&self.file, &self.path) {
            return false;
        }
        match Self::take(&self.path) {
            Ok(anew) => {
                *self = anew;
                true
            }
            Err(_) => false,
        }
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        writeln!(self.file, "{}", std::process::id())
    }
}

/// A file of root's, to be looked at only.
fn roots(path: &Path) -> Option<File> {
    let file = files::open(path).ok()?;
    let meta = file.metadata().ok()?;
    (meta.uid() == 0 && meta.nlink() == 1).then_some(file)
}

fn has_name(file: &File, path: &Path) -> bool {
    let own = file.metadata().map(|found| (found.dev(), found.ino())).ok();
    own == fs::symlink_metadata(path).map(|found| (found.dev(), found.ino())).ok()
}

/// Both kinds of lock: Cyrus's master takes one or the other, as it was built, and must not run beside this one.
fn lock(file: &File) -> rustix::io::Result<()> {
    flock(file, FlockOperation::NonBlockingLockExclusive)?;
    rustix::fs::fcntl_lock(file, FlockOperation::NonBlockingLockExclusive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_master_is_refused_while_the_first_holds_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/master.pid");
        let first = PidFile::take(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        let error = PidFile::take(&path).unwrap_err().to_string();
        assert!(error.contains("is another master still running?"), "{error}");
        drop(first);
        PidFile::take(&path).unwrap();
    }

    #[test]
    fn a_master_that_is_about_to_be_gone_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.pid");
        let dying = PidFile::take(&path).unwrap();
        std::thread::scope(|scope| {
            let next = scope.spawn(|| PidFile::take_within(&path, Duration::from_secs(20)));
            // Time enough to be refused.
            std::thread::park_timeout(Duration::from_millis(50));
            assert!(!next.is_finished());
            drop(dying);
            next.join().unwrap().unwrap();
        });
    }

    #[test]
    fn a_lost_pid_file_is_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.pid");
        let mut held = PidFile::take(&path).unwrap();
        assert!(!held.restore());
        fs::remove_file(&path).unwrap();
        assert!(held.restore());
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        assert!(PidFile::take(&path).is_err());
    }
}
