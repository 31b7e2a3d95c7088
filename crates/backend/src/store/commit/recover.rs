//! Playing the commit log back after a crash.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use tracing::{info, warn};

use super::{
    entry::{self, Entry, Message, Note, Target},
    segment::Segment,
    worker,
};
pub use worker::link;

use crate::store::{
    error::{Doing, StoreError},
    logfile,
};

/// What was played back.
#[derive(Debug, Default)]
pub struct Played {
    /// Logs that were written to, with the UIDs of the messages placed beside them.
    pub touched: HashMap<Target, BTreeSet<u32>>,
    pub notes: Vec<Note>,
    pub entries: usize,
}

/// Does again what the segments in `dir` say. `find` knows the directory and file name of a log; none: it is gone.
/// The caller syncs everything and then calls [`clear`].
pub fn play_back(
    dir: &Path,
    find: &dyn Fn(&Target) -> Option<(PathBuf, String)>,
) -> Result<Played, StoreError> {
    let mut segments = [Segment::open(dir, 0)?, Segment::open(dir, 1)?];
    segments.sort_by_key(|s| s.number);
    let mut played = Played::default();
    for segment in segments.iter().filter(|s| !s.free) {
        for payload in segment.payloads()? {
            match entry::decode(&payload) {
                Ok(entry) => play(entry, find, &mut played)?,
                Err(_) => return Err(StoreError::damaged(&segment.path, "an entry cannot be read")),
            }
        }
    }
    if played.entries > 0 {
        info!(entries = played.entries, logs = played.touched.len(), "commit log played back");
    }
    Ok(played)
}

/// Frees both segments.
pub fn clear(dir: &Path) -> Result<(), StoreError> {
    for slot in [0, 1] {
        let mut segment = Segment::open(dir, slot)?;
        if !segment.free {
            segment.release()?;
        }
    }
    Ok(())
}

fn play(
    entry: Entry,
    find: &dyn Fn(&Target) -> Option<(PathBuf, String)>,
    played: &mut Played,
) -> Result<(), StoreError> {
    played.entries += 1;
    let Entry { target, generation, append, places, notes } = entry;
    played.notes.extend(notes);
    let Some((dir, name)) = find(&target) else { return Ok(()) };
    let path = dir.join(&name);
    let Ok(file) = File::options().read(true).write(true).open(&path) else {
        // The mailbox was deleted after this.
        return Ok(());
    };
    let touched = played.touched.entry(target).or_default();
    for (uid, message) in places {
        place(&dir, uid, &message)?;
        touched.insert(uid);
    }
    match append {
        // A later generation of the file holds all that was appended to the one before.
        Some((offset, frame)) if logfile::generation(&file).ok() == Some(generation) => {
            file.write_all_at(&frame, offset).doing("write", &path)
        }
        _ => Ok(()),
    }
}

fn place(dir: &Path, uid: u32, message: &Message) -> Result<(), StoreError> {
    let path = dir.join(format!("{uid}."));
    match message {
        Message::Inline(bytes) => {
            // It may be linked into other mailboxes: never written over in place.
            if path.exists() {
                fs::remove_file(&path).doing("remove", &path)?;
            }
            fs::write(&path, bytes).doing("write", &path)
        }
        Message::Staged(from) if path.exists() && !from.exists() => Ok(()),
        Message::Staged(from) => match worker::link(from, &path) {
            Ok(()) => Ok(()),
            Err(error) => {
                warn!(%error, uid, dir = %dir.display(), "a staged message is gone: it was expunged meanwhile");
                Ok(())
            }
        },
    }
}
