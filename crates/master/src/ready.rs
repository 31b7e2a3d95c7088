//! The ready file: it exists while the node is up. Here it means that every process of the boot has said that it is ready,
//! where Cyrus only means that it is about to start them.

use std::io;
use std::path::PathBuf;

/// Removed when master ends in order.
#[derive(Debug)]
pub struct ReadyFile {
    path: PathBuf,
    written: bool,
}

impl ReadyFile {
    /// Nothing is ready yet: a file that a killed master left is removed.
    pub fn new(path: PathBuf) -> Self {
        let _ = files::remove(&path);
        Self { path, written: false }
    }

    pub fn is_written(&self) -> bool {
        self.written
    }

    /// Tried once: a full disk must not make master try for ever.
    pub fn write(&mut self) -> io::Result<()> {
        self.written = true;
        files::note(&self.path, 0o644, b"")
    }

    pub fn remove(&mut self) {
        self.written = false;
        let _ = files::remove(&self.path);
    }
}
