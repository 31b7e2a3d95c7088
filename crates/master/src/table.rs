//! The process table: one file for each child in `proc_path`, named by process id, as `cyr_info proc` reads it.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Pid;
use tracing::debug;

/// The directory of the table. Losing an entry is never fatal: it is for people to look at.
#[derive(Debug)]
pub struct ProcessTable {
    directory: PathBuf,
}

impl ProcessTable {
    /// Opens the table, and clears it of processes that no longer exist.
    pub fn new(directory: &Path) -> Self {
        let table = Self { directory: directory.to_owned() };
        if let Err(error) = files::directory(&table.directory, 0o755, None) {
            debug!("cannot create {}: {error}", table.directory.display());
        }
        table.clear_dead();
        table
    }

    /// Columns: service, client's host, user, mailbox, command.
    pub fn add(&self, pid: Pid, service: &str, program: &Path) {
        let line = format!("{service}\t\t\t\t{}\n", program.display());
        if let Err(error) = files::note(&self.file(pid), 0o644, line.as_bytes()) {
            debug!("cannot write {}: {error}", self.file(pid).display());
        }
    }

    pub fn remove(&self, pid: Pid) {
        let _ = files::remove(&self.file(pid));
    }

    fn file(&self, pid: Pid) -> PathBuf {
        self.directory.join(pid.as_raw_nonzero().to_string())
    }

    fn clear_dead(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
            if pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_err()) {
                let _ = files::remove(&entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_dead_processes_are_cleared_and_live_ones_stay() {
        let directory = tempfile::tempdir().unwrap();
        let table = ProcessTable::new(&directory.path().join("proc"));
        let own = rustix::process::getpid();
        table.add(own, "imap", Path::new("/usr/sbin/backend"));
        fs::write(directory.path().join("proc/2147483000"), "imap\n").unwrap();
        ProcessTable::new(&directory.path().join("proc"));
        let left: Vec<_> = fs::read_dir(directory.path().join("proc")).unwrap().flatten().collect();
        assert_eq!(left.len(), 1);
        assert_eq!(fs::read_to_string(left[0].path()).unwrap(), "imap\t\t\t\t/usr/sbin/backend\n");
        table.remove(own);
        assert_eq!(fs::read_dir(directory.path().join("proc")).unwrap().count(), 0);
    }
}
