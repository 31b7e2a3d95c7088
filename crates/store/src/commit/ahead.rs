//! A large change is written before the commit log has it, by whoever makes it: nobody else's change waits for it.
//!
//! 1. The frame goes to its place in the log's file, *unsealed* ([`unsealed`]): whoever reads the file stops before it.
//! 2. Its messages go to their files. All of it is synced.
//! 3. The commit log gets the head of the frame, the *seal*. Once that is synced there it is written over the other head.
//!
//! After a crash before the third step the frame says which files came with it, and they go (see [`crate::index::load`]). UIDs
//! that were given to them may be given once more.
//!
//! Nothing of the same log may be on its way to the commit thread meanwhile, and nobody else may change the log.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Content, Faults, Log, Place, worker::place_message};
use crate::{
    codec::{FRAME, unsealed},
    disk::sync_filesystem,
    error::{Doing, StoreError},
    stage::{self, partition_of},
};

/// What was written of a change. Unless the change comes to hold it is taken back, at the latest when this is dropped.
pub struct Ahead {
    dir: PathBuf,
    file: Arc<File>,
    offset: u64,
    seal: Vec<u8>,
    placed: Vec<u32>,
    /// The frame is not cut off, or has been.
    stays: bool,
}

impl Ahead {
    /// Writes a frame and its messages; all of it is on disk when this returns. Blocks.
    pub fn write(
        log: &Log,
        (offset, frame): (u64, &[u8]),
        places: &[Place],
        faults: &Faults,
    ) -> Result<Ahead, StoreError> {
        let seal = frame.get(..FRAME).unwrap_or_default().to_vec();
        let mut ahead =
            Ahead { dir: log.dir.clone(), file: log.file(), offset, seal, placed: Vec::new(), stays: false };
        let path = log.dir.join(&log.name);
        ahead.file.write_all_at(&unsealed(frame), offset).doing("write", &path)?;
        faults.step("written ahead");
        for place in places {
            ahead.placed.push(place.uid);
            ahead.place(place)?;
        }
        faults.step("placed ahead");
        match places.is_empty() {
            true => ahead.file.sync_data().doing("sync", &path)?,
            false => sync_filesystem(&log.dir)?,
        }
        faults.step("synced ahead");
        Ok(ahead)
    }

    /// What the commit log gets of the frame.
    pub fn seal(&self) -> Content {
        Content::Append { offset: self.offset, frame: self.seal.clone() }
    }

    /// A message gets its file. One that is a file of the partition already is moved there: no entry of the commit log names it.
    fn place(&self, Place { uid, staged }: &Place) -> Result<(), StoreError> {
        match &staged.content {
            stage::Content::File { path, partition }
                if partition_of(&self.dir) == Some(partition) && is_staged(path) =>
            {
                fs::rename(path, self.dir.join(format!("{uid}."))).doing("rename", path)
            }
            _ => place_message(&self.dir, *uid, staged),
        }
    }

    /// The change holds.
    pub fn holds(mut self) {
        self.keep();
    }

    /// The change failed: the log ends before it again. Its files are left to whoever drops this.
    pub fn fails(&mut self, error: &StoreError) {
        match error {
            // The seal may be in the commit log all the same. The next start knows.
            StoreError::Poisoned(_) | StoreError::Closed => self.keep(),
            _ => self.cut(),
        }
    }

    fn keep(&mut self) {
        self.stays = true;
        self.placed.clear();
    }

    /// Once: the next change of the log begins there.
    fn cut(&mut self) {
        if !std::mem::replace(&mut self.stays, true) {
            // What stays is written over, and cut off at the next start.
            let _ = self.file.set_len(self.offset);
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.cut();
        for uid in &self.placed {
            // What cannot be removed is known to nobody, and goes with the expiry.
            let _ = fs::remove_file(self.dir.join(format!("{uid}.")));
        }
    }
}

fn is_staged(path: &Path) -> bool {
    path.parent().and_then(Path::file_name).is_some_and(|dir| dir == stage::STAGE)
}
