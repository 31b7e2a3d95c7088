//! The journal of mailbox operations: what is under way, so that a crash at any step is put right at start.
//!
//! An operation touches several places (directory, header, list, master). The commit of the list is the one moment at
//! which it happened or did not. A record names the mailbox's id and the partitions that it may be on; at start the
//! list decides: where it has the mailbox, there the header is made to say what the list says, and every other
//! directory of that id goes. Where the list does not have it, all go. The master is put right by the resync.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::{
    commit::Watcher,
    disk::{mailbox_dir, sweep},
    error::{Doing, StoreError},
    header::{Header, replace_file, sync_dir},
    lock,
};

/// An operation under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// For who reads the file: `create`, `delete`, `rename`, …
    pub operation: String,
    pub id: String,
    /// Names that the mailbox may have in the list.
    pub names: Vec<String>,
    /// Partitions that it may lie on.
    pub partitions: Vec<String>,
}

/// What the list says of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub partition: String,
    pub acl: String,
}

/// The directory of the records.
pub struct Journal {
    dir: PathBuf,
    next: AtomicU64,
    /// New users whom a crash left with less than they are to have, and their records.
    unfinished: Mutex<BTreeMap<String, Written>>,
    watcher: OnceLock<Watcher>,
}

/// A record that is on disk.
pub struct Written {
    path: PathBuf,
}

impl Journal {
    pub fn open(dir: &Path) -> Result<Journal, StoreError> {
        let dir = dir.join("journal");
        fs::create_dir_all(&dir).doing("create", &dir)?;
        let journal =
            Journal { next: AtomicU64::new(0), unfinished: Mutex::default(), watcher: OnceLock::new(), dir };
        let last = journal.files()?.iter().filter_map(|p| p.file_stem()?.to_str()?.parse::<u64>().ok()).max();
        journal.next.store(last.map_or(0, |n| n + 1), Ordering::Relaxed);
        Ok(journal)
    }

    /// Writes a record: on disk when it returns. Blocks.
    pub fn begin(&self, record: &Record) -> Result<Written, StoreError> {
        let path = self.dir.join(format!("{:08}.json", self.next.fetch_add(1, Ordering::Relaxed)));
        let text =
            serde_json::to_string_pretty(record).map_err(|e| StoreError::damaged(&path, e.to_string()))?;
        let sum = crc32fast::hash(text.as_bytes());
        replace_file(&path, format!("{sum:08x}\n{text}\n").as_bytes())?;
        Ok(Written { path })
    }

    /// The record of a new user whose folders a crash kept from being made; the caller makes them, and ends it.
    pub fn unfinished(&self, userid: &str) -> Option<Written> {
        lock(&self.unfinished).remove(userid)
    }

    /// Has each step of an operation told.
    #[cfg(test)]
    pub fn watch(&self, watcher: Watcher) {
        let _ = self.watcher.set(watcher);
    }

    /// Marks a step of an operation: a crash here must be put right.
    pub fn step(&self, what: &str) {
        if let Some(watcher) = self.watcher.get() {
            watcher(what);
        }
    }

    /// Operations under way.
    #[cfg(test)]
    pub fn pending(&self) -> Result<usize, StoreError> {
        Ok(self.files()?.len())
    }

    fn files(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut found = Vec::new();
        for item in fs::read_dir(&self.dir).doing("read", &self.dir)? {
            let path = item.doing("read", &self.dir)?.path();
            match path.extension().and_then(|e| e.to_str()) {
                Some("json") => found.push(path),
                // Half a record: nothing was begun.
                _ => fs::remove_file(&path).doing("remove", &path)?,
            }
        }
        found.sort();
        Ok(found)
    }

    /// Puts right what a crash left, and forgets the records. `placed`: what the list says of an id under one of these
    /// names. `unmade`: takes back what else was kept of a mailbox that was not made.
    pub fn recover(
        &self,
        placed: &dyn Fn(&Record) -> Result<Option<Listed>, StoreError>,
        partition: &dyn Fn(&str) -> Option<PathBuf>,
        unmade: &dyn Fn(&Record) -> Result<(), StoreError>,
    ) -> Result<usize, StoreError> {
        let files = self.files()?;
        for path in &files {
            let Some(record) = read(path) else {
                warn!(journal = %path.display(), "a record of the journal cannot be read and is left");
                continue;
            };
            if record.operation == AUTOCREATE {
                lock(&self.unfinished).insert(record.id, Written { path: path.clone() });
                continue;
            }
            let place = placed(&record)?;
            info!(operation = record.operation, id = record.id, ?place, "putting an operation right");
            for name in &record.partitions {
                let Some(root) = partition(name) else { continue };
                let dir = mailbox_dir(&root, &record.id);
                match &place {
                    Some(listed) if listed.partition == *name => agree(&dir, listed)?,
                    // A copy that a move brings, or that it took away, is the move's to remove.
                    _ if Header::read(&dir).is_ok_and(|header| header.incoming) => {}
                    _ => sweep(&dir)?,
                }
            }
            if place.is_none() && record.operation == CREATE {
                unmade(&record)?;
            }
            Written { path: path.clone() }.end()?;
        }
        Ok(files.len())
    }

    /// Forgets all records of what is on disk: the list itself was made anew from it.
    pub fn forget(&self) -> Result<(), StoreError> {
        for path in self.files()? {
            match read(&path) {
                Some(record) if record.operation == AUTOCREATE => {
                    lock(&self.unfinished).insert(record.id, Written { path });
                }
                _ => Written { path }.end()?,
            }
        }
        Ok(())
    }
}

impl Written {
    /// The operation is over, one way or the other. Blocks.
    pub fn end(self) -> Result<(), StoreError> {
        fs::remove_file(&self.path).doing("remove", &self.path)?;
        sync_dir(self.path.parent().unwrap_or(&self.path))
    }
}

fn read(path: &Path) -> Option<Record> {
    let text = fs::read_to_string(path).ok()?;
    let (sum, body) = text.split_once('\n')?;
    let body = body.strip_suffix('\n')?;
    let right = u32::from_str_radix(sum, 16).ok()? == crc32fast::hash(body.as_bytes());
    right.then(|| serde_json::from_str(body).ok()).flatten()
}

/// Makes a header say what the list says.
fn agree(dir: &Path, listed: &Listed) -> Result<(), StoreError> {
    let mut header = Header::read(dir)?;
    if header.name != listed.name || header.acl != listed.acl {
        (header.name, header.acl) = (listed.name.clone(), listed.acl.clone());
        header.write(dir)?;
    }
    Ok(())
}

/// The operation that makes what a new user is to have; its record's id is the user.
pub const AUTOCREATE: &str = "autocreate";
/// The operation that makes a mailbox.
pub const CREATE: &str = "create";
