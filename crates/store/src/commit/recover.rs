//! Playing the commit log back after a crash.
//!
//! The start only reads the log, and learns which logs (of mailboxes, of users) it has something for. Each of those is played
//! back before it is opened, whoever opens it first, a client or the thread that goes through all of them; the store serves
//! meanwhile. A segment is freed as ever, by a checkpoint: when all is played back and synced. Until then a crash begins anew,
//! with the same log and what came behind it.
//!
//! After the end of a process all is in place already, and only after that of a machine it may not be: what is there is
//! compared and left alone, so that play-back writes what is missing and no more.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use tracing::{info, warn};

use super::{
    Faults,
    entry::{self, Entry, Message, Note, Target},
    segment::{Segment, Span},
};
use crate::limits::RECOVER_RUN;

use crate::{
    disk::link,
    error::{Doing, StoreError},
    logfile,
};

/// What the segments of a directory hold.
pub struct Found {
    /// Newest last. One without an entry counts as free.
    pub segments: Vec<Left>,
    pub notes: Vec<Note>,
    pub recovery: Recovery,
}

/// A segment as it was left.
pub struct Left {
    pub segment: Segment,
    /// Files in staging directories that its entries name.
    pub staged: Vec<PathBuf>,
}

/// What is left to be played back.
pub struct Recovery {
    parts: Mutex<HashMap<Target, Part>>,
    changed: Condvar,
    /// All logs that the segments name, in the order in which they do.
    order: Vec<Target>,
    files: Vec<(PathBuf, File)>,
    faults: Arc<Faults>,
}

/// Directory and file name of a log; none: it is gone.
pub type Find<'a> = &'a dyn Fn(&Target) -> Option<(PathBuf, String)>;
/// Takes over what was played back: the log, and the UIDs of the messages placed beside it.
pub type Take<'a> = &'a dyn Fn(&Target, &BTreeSet<u32>) -> Result<(), StoreError>;

/// What a log waits for. A log that is not known waits for nothing.
enum Part {
    /// Entries: which file they are in, and where.
    Waiting(Vec<(usize, Span)>),
    Playing,
}

impl Found {
    /// Reads the segments in `dir`. Nothing is written but segments that are missing.
    pub fn read(dir: &Path, faults: Arc<Faults>) -> Result<Found, StoreError> {
        let mut segments = [Segment::open(dir, 0)?, Segment::open(dir, 1)?];
        segments.sort_by_key(|s| s.number);
        let recovery = Recovery {
            parts: Mutex::default(),
            changed: Condvar::new(),
            order: Vec::new(),
            files: Vec::new(),
            faults,
        };
        let mut found = Found { segments: Vec::new(), notes: Vec::new(), recovery };
        let mut entries = 0;
        for mut segment in segments {
            let mut staged = Vec::new();
            if !segment.free {
                entries += found.take(&mut segment, &mut staged)?;
            }
            found.segments.push(Left { segment, staged });
        }
        if entries > 0 {
            info!(
                entries,
                logs = found.recovery.order.len(),
                "commit log: played back while the store serves"
            );
        }
        Ok(found)
    }

    /// Notes what a segment has. The number of its entries.
    fn take(&mut self, segment: &mut Segment, staged: &mut Vec<PathBuf>) -> Result<usize, StoreError> {
        let bytes = fs::read(&segment.path).doing("read", &segment.path)?;
        let file = segment.file.try_clone().doing("open", &segment.path)?;
        let at = self.recovery.files.len();
        self.recovery.files.push((segment.path.clone(), file));
        let parts = self.recovery.parts.get_mut().unwrap_or_else(PoisonError::into_inner);
        let spans = segment.spans(&bytes);
        let unreadable = || StoreError::damaged(&segment.path, "an entry cannot be read");
        for span in &spans {
            let payload = bytes.get(span.range()).ok_or_else(unreadable)?;
            for part in entry::parts(payload).map_err(|_| unreadable())? {
                let own = Span { at: span.at + part.start as u64, len: part.len() };
                let entry =
                    (payload.get(part).and_then(|bytes| entry::decode(bytes).ok())).ok_or_else(unreadable)?;
                self.notes.extend(entry.notes);
                staged.extend(entry.places.into_iter().filter_map(|(_, message)| match message {
                    Message::Staged(path) => Some(path),
                    Message::Inline(_) => None,
                }));
                match parts.get_mut(&entry.target) {
                    Some(Part::Waiting(waiting)) => waiting.push((at, own)),
                    _ => {
                        self.recovery.order.push(entry.target.clone());
                        parts.insert(entry.target, Part::Waiting(vec![(at, own)]));
                    }
                }
            }
        }
        segment.end = spans.last().map_or(segment.end, |last| last.range().end as u64);
        segment.free |= spans.is_empty();
        Ok(spans.len())
    }
}

impl Recovery {
    /// Plays back what the segments have for one log, if that is still to be done; waits where somebody does it. Blocks.
    pub fn play(&self, target: &Target, find: Find<'_>, take: Take<'_>) -> Result<(), StoreError> {
        let mut parts = self.lock();
        let waiting = loop {
            match parts.get_mut(target) {
                None => return Ok(()),
                Some(Part::Playing) => {
                    parts = self.changed.wait(parts).unwrap_or_else(PoisonError::into_inner);
                }
                Some(part) => match std::mem::replace(part, Part::Playing) {
                    Part::Waiting(waiting) => break waiting,
                    Part::Playing => {}
                },
            }
        };
        drop(parts);
        let mut claim = Claim { recovery: self, target, waiting: Some(waiting) };
        self.play_log(target, claim.waiting.as_deref().unwrap_or_default(), find, take)?;
        claim.waiting = None;
        Ok(())
    }

    /// Plays back all that is left, log by log. Blocks. A log that fails does not keep the others waiting; the error is the
    /// first one's.
    pub fn play_all(&self, find: Find<'_>, take: Take<'_>) -> Result<(), StoreError> {
        if self.lock().is_empty() {
            return Ok(());
        }
        let mut failed = Ok(());
        for target in &self.order {
            if let Some(watcher) = self.faults.play_back.get() {
                watcher();
            }
            if let Err(error) = self.play(target, find, take) {
                warn!(%error, ?target, "commit log: cannot be played back");
                failed = failed.and(Err(error));
            }
        }
        if failed.is_ok() {
            info!("commit log played back");
        }
        failed
    }

    /// Whether there is something for a log.
    pub fn has(&self, target: &Target) -> bool {
        self.lock().contains_key(target)
    }

    fn play_log(
        &self,
        target: &Target,
        waiting: &[(usize, Span)],
        find: Find<'_>,
        take: Take<'_>,
    ) -> Result<(), StoreError> {
        let Some((dir, name)) = find(target) else { return Ok(()) };
        let path = dir.join(&name);
        let file = match File::options().read(true).write(true).open(&path) {
            // The mailbox was deleted after this.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            other => other.doing("open", &path)?,
        };
        // A later generation of the file holds all that was appended to the one before.
        let generation = logfile::generation(&file).ok();
        let (mut placed, mut run) = (BTreeSet::new(), Run::default());
        for (at, span) in waiting {
            let bytes = self.read(*at, *span)?;
            let unreadable = || StoreError::damaged(&path, "an entry of the commit log changed under way");
            let Entry { generation: own, append, places, .. } =
                entry::decode(&bytes).map_err(|_| unreadable())?;
            for (uid, message) in places {
                place(&dir, uid, &message)?;
                placed.insert(uid);
            }
            if let Some((offset, frame)) = append
                && generation == Some(own)
            {
                run.add(&file, offset, frame).doing("write", &path)?;
            }
        }
        run.write(&file).doing("write", &path)?;
        take(target, &placed)
    }

    fn read(&self, at: usize, span: Span) -> Result<Vec<u8>, StoreError> {
        let Some((path, file)) = self.files.get(at) else { return Ok(Vec::new()) };
        let mut bytes = vec![0; span.len];
        file.read_exact_at(&mut bytes, span.at).doing("read", path)?;
        Ok(bytes)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Target, Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A log that is being played back. Unless that succeeds, it waits again.
struct Claim<'a> {
    recovery: &'a Recovery,
    target: &'a Target,
    waiting: Option<Vec<(usize, Span)>>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut parts = self.recovery.lock();
        match self.waiting.take() {
            Some(waiting) => drop(parts.insert(self.target.clone(), Part::Waiting(waiting))),
            None => drop(parts.remove(self.target)),
        }
        drop(parts);
        self.recovery.changed.notify_all();
    }
}

/// Frames of one file that lie one behind the other.
#[derive(Default)]
struct Run {
    offset: u64,
    bytes: Vec<u8>,
}

impl Run {
    fn add(&mut self, file: &File, offset: u64, frame: &[u8]) -> std::io::Result<()> {
        if offset != self.offset + self.bytes.len() as u64 || self.bytes.len() > RECOVER_RUN {
            self.write(file)?;
            self.offset = offset;
        }
        self.bytes.extend_from_slice(frame);
        Ok(())
    }

    fn write(&mut self, file: &File) -> std::io::Result<()> {
        let bytes = std::mem::take(&mut self.bytes);
        let mut there = vec![0; bytes.len()];
        match file.read_exact_at(&mut there, self.offset) {
            Ok(()) if there == bytes => Ok(()),
            _ => file.write_all_at(&bytes, self.offset),
        }
    }
}

fn place(dir: &Path, uid: u32, message: &Message<'_>) -> Result<(), StoreError> {
    let path = dir.join(format!("{uid}."));
    match message {
        Message::Inline(bytes) => {
            match fs::read(&path) {
                Ok(there) if there == *bytes => return Ok(()),
                // It may be linked into other mailboxes: never written over in place.
                Ok(_) => fs::remove_file(&path).doing("remove", &path)?,
                Err(_) => {}
            }
            fs::write(&path, bytes).doing("write", &path)
        }
        Message::Staged(from) => {
            let there = fs::metadata(&path).ok().map(|file| (file.dev(), file.ino()));
            let staged = fs::metadata(from).ok().map(|file| (file.dev(), file.ino()));
            if there.is_some() && (staged.is_none() || there == staged) {
                return Ok(());
            }
            match link(from, &path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    warn!(%error, uid, dir = %dir.display(), "a staged message is gone: it was expunged meanwhile");
                    Ok(())
                }
                Ok(()) => Ok(()),
                // It has as many names as it can have, or can have one only. What else it may be is met once more, and
                // may be over at the next attempt: until then the log, and the staged file, stay.
                Err(_) => fs::copy(from, &path).map(drop).doing("copy", &path),
            }
        }
    }
}
