//! A list on disk in sled 0.34.
//!
//! What was measured of it decides the rules here: `flush` orders writes with sync_file_range, which a power failure
//! can undo, so [`Store::sync`] also calls fdatasync on the `db` file; an empty `snap.*` file after a crash makes `open`
//! fail, so such files are set aside and the open repeated; one process owns a database at a time.
//!
//! Of a damaged database it opens what came before the damage, and may panic in reading it. A panic is damage too; and
//! the file `witness` beside the others, written every other second, tells how far an owner's list had come.

use std::{
    fs::File,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Instant,
};

use protocol::mupdate::position::Position;

use super::{Row, Store, StoreError, Write};
use crate::limits::{CACHE, FLUSH_EVERY_MS, WITNESS_EVERY};

/// A sled database directory.
#[derive(Debug)]
pub struct Sled {
    db: sled::Db,
    /// A second handle to the file that sled appends to, for fdatasync.
    file: File,
    path: PathBuf,
    /// When the witness was last written.
    witnessed: Mutex<Option<Instant>>,
}

impl Sled {
    /// Opens or creates the database in the directory `path`.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let shown = path.display().to_string();
        let open = || sound(path, || Self::config(path).open().map_err(|e| open_error(shown.clone(), e)));
        let db = match open() {
            Ok(db) => db,
            Err(StoreError::Corrupt(..)) => {
                set_snapshots_aside(path)
                    .map_err(|e| StoreError::Io { doing: "set snapshots aside", why: e.to_string() })?;
                open()?
            }
            Err(error) => return Err(error),
        };
        let file = File::open(path.join("db"))
            .map_err(|e| StoreError::Io { doing: "open mailbox list", why: e.to_string() })?;
        Ok(Sled { db, file, path: path.into(), witnessed: Mutex::default() })
    }

    fn config(path: &Path) -> sled::Config {
        // sled flushes at times by itself: pages that were not written cannot leave its cache.
        sled::Config::new().path(path).cache_capacity(CACHE).flush_every_ms(Some(FLUSH_EVERY_MS))
    }

    fn error(&self, doing: &'static str, error: sled::Error) -> StoreError {
        match error {
            sled::Error::Corruption { .. } => {
                StoreError::Corrupt(self.path.display().to_string(), error.to_string())
            }
            other => StoreError::Io { doing, why: other.to_string() },
        }
    }
}

impl Store for Sled {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        sound(&self.path, || {
            let value = self.db.get(key).map_err(|e| self.error("read mailbox list", e))?;
            Ok(value.map(|v| v.to_vec()))
        })
    }

    fn scan(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        sound(&self.path, || {
            let mut rows = Vec::new();
            for row in self.db.range(from..to).take(limit) {
                let (key, value) = row.map_err(|e| self.error("read mailbox list", e))?;
                rows.push((key.to_vec(), value.to_vec()));
            }
            Ok(rows)
        })
    }

    fn apply(&self, batch: Vec<Write>) -> Result<(), StoreError> {
        let mut out = sled::Batch::default();
        for (key, value) in batch {
            match value {
                Some(value) => out.insert(key, value),
                None => out.remove(key),
            }
        }
        sound(&self.path, || self.db.apply_batch(out).map_err(|e| self.error("write mailbox list", e)))
    }

    fn sync(&self) -> Result<(), StoreError> {
        sound(&self.path, || self.db.flush().map_err(|e| self.error("flush mailbox list", e)))?;
        self.file.sync_data().map_err(|e| StoreError::Io { doing: "sync mailbox list", why: e.to_string() })
    }

    fn size(&self) -> u64 {
        self.db.size_on_disk().unwrap_or_default()
    }

    fn witness(&self, position: Position, is_last: bool) {
        let mut last = self.witnessed.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_last && last.is_some_and(|at| at.elapsed() < WITNESS_EVERY) {
            return;
        }
        *last = Some(Instant::now());
        let (new, witness) = (self.path.join("witness.new"), self.path.join(WITNESS));
        // An old witness tells of less: that is no harm, so it is not synced either.
        let written =
            std::fs::write(&new, position.to_string()).and_then(|()| std::fs::rename(&new, &witness));
        if let Err(error) = written {
            tracing::warn!(%error, "{}: cannot be written", witness.display());
        }
    }

    fn forget_witness(&self) -> Result<(), StoreError> {
        match std::fs::remove_file(self.path.join(WITNESS)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::Io {
                doing: "remove the witness of the mailbox list",
                why: error.to_string(),
            }),
            // The next sync writes one.
            _ => {
                *self.witnessed.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Ok(())
            }
        }
    }

    fn witnessed(&self) -> Option<Position> {
        Position::parse(&std::fs::read_to_string(self.path.join(WITNESS)).ok()?)
    }
}

/// What `work` gives; a panic of sled's is damage.
fn sound<T>(path: &Path, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(StoreError::Corrupt(path.display().to_string(), "its reader stumbled over it".into()))
    })
}

fn open_error(path: String, error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(e) if e.kind() == io::ErrorKind::WouldBlock => StoreError::Busy(path),
        // sled wraps the failed lock in an error of its own kind.
        sled::Error::Io(e) if e.to_string().contains("could not acquire lock") => StoreError::Busy(path),
        sled::Error::Corruption { .. } => StoreError::Corrupt(path, error.to_string()),
        other => StoreError::Io { doing: "open mailbox list", why: format!("{path}: {other}") },
    }
}

/// Renames `snap.*`, which sled can rebuild from its log, to `aside.snap.*`.
fn set_snapshots_aside(path: &Path) -> io::Result<()> {
    for file in std::fs::read_dir(path)? {
        let file = file?;
        let name = file.file_name();
        if let Some(name) = name.to_str()
            && name.starts_with("snap.")
        {
            std::fs::rename(file.path(), path.join(format!("aside.{name}")))?;
        }
    }
    Ok(())
}

/// Where an owner's list notes how far it is on disk, and how often.
const WITNESS: &str = "witness";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_second_opening_finds_it_busy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.sled");
        let first = Sled::open(&path).unwrap();
        assert!(matches!(Sled::open(&path), Err(StoreError::Busy(_))));
        drop(first);
        reopen(&path);
    }

    /// sled's own threads may hold the database a moment longer than who used it.
    fn reopen(path: &Path) -> Sled {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            match Sled::open(path) {
                Err(StoreError::Busy(_)) if Instant::now() < until => std::thread::yield_now(),
                opened => return opened.unwrap(),
            }
        }
    }

    #[test]
    fn an_empty_snapshot_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.sled");
        let store = Sled::open(&path).unwrap();
        store.apply(vec![(b"nkey".to_vec(), Some(b"value".to_vec()))]).unwrap();
        store.sync().unwrap();
        drop(store);
        let snapshots = |prefix: &str| {
            let files = std::fs::read_dir(&path).unwrap().map(|f| f.unwrap());
            files.filter(|f| f.file_name().to_string_lossy().starts_with(prefix)).collect::<Vec<_>>()
        };
        for file in snapshots("snap.") {
            std::fs::write(file.path(), b"").unwrap();
        }
        let store = reopen(&path);
        assert_eq!(store.get(b"nkey").unwrap().as_deref(), Some(&b"value"[..]));
    }
}
