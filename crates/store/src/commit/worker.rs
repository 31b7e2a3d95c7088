//! The commit thread: batch, write, sync, apply, tell.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering, mpsc},
    thread,
};

use tokio::sync::OwnedSemaphorePermit;
use tracing::{error, warn};

use super::{
    Content, Job, Request, Shared, Surroundings,
    checkpoint::{self, Checkpoint},
    entry,
    recover::Left,
    segment::{HEADER, Segment},
};
use crate::limits::{BATCH, SEGMENT, STAGED};
use crate::{
    codec::put_frame,
    disk::link,
    error::{Doing, StoreError},
    header::{replace_file, sync_dir},
    stage,
};

/// Starts the thread. What the segments hold is freed by a checkpoint as soon as all of it is synced; where both hold
/// something, the newer one is written on behind its end.
pub fn start(
    shared: Arc<Shared>,
    surroundings: Arc<Surroundings>,
    segments: Vec<Left>,
    requests: mpsc::Receiver<Request>,
) -> Result<(), StoreError> {
    sync_dir(&surroundings.dir)?;
    let highest = segments.iter().map(|left| left.segment.number).max().unwrap_or(0);
    let mut segments = segments.into_iter();
    let (Some(older), Some(newer)) = (segments.next(), segments.next()) else {
        return Err(StoreError::Closed);
    };
    let busy = |left: Left| Checkpoint::start(left.segment, left.staged, &surroundings).map(Spare::Busy);
    let (mut active, spare, staged) = match (older.segment.free, newer.segment.free) {
        (true, true) => (older.segment, Spare::Free(newer.segment), Vec::new()),
        (true, false) => (older.segment, busy(newer)?, Vec::new()),
        (false, true) => (newer.segment, busy(older)?, Vec::new()),
        (false, false) => (newer.segment, busy(older)?, newer.staged),
    };
    match active.free {
        true => active.begin(highest + 1)?,
        false => active.cut()?,
    }
    let worker = Worker { shared, surroundings, active, spare, staged };
    let spawned = thread::Builder::new().name("commit".into()).spawn(move || worker.run(&requests));
    spawned
        .map(drop)
        .map_err(|error| StoreError::Io { doing: "start a thread".into(), error: Arc::new(error) })
}

struct Worker {
    shared: Arc<Shared>,
    surroundings: Arc<Surroundings>,
    active: Segment,
    spare: Spare,
    /// Files that entries of the active segment name; they go when it is freed.
    staged: Vec<PathBuf>,
}

enum Spare {
    Free(Segment),
    /// Being freed.
    Busy(Checkpoint),
    /// Between the two.
    Taken,
}

type Waiting = (Box<Job>, OwnedSemaphorePermit);

impl Worker {
    fn run(mut self, requests: &mpsc::Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let (mut batch, mut closing, mut free, mut settled) = (Vec::new(), None, false, Vec::new());
            let mut next = Some(first);
            let mut size = 0;
            while let Some(request) = next.take() {
                match request {
                    Request::Job(job, permit) => {
                        size += job.weight();
                        batch.push((job, permit));
                    }
                    Request::Free => free = true,
                    Request::Settle(tell) => settled.push(tell),
                    Request::Close(tell) => {
                        closing = Some(tell);
                        break;
                    }
                }
                if size < BATCH {
                    next = requests.try_recv().ok();
                }
            }
            self.commit(batch);
            for tell in settled {
                // Whoever asked may be gone.
                let _ = tell.send(());
            }
            if free
                && !self.staged.is_empty()
                && let Err(error) = self.turn()
            {
                warn!(%error, "commit log: staged files stay");
            }
            if let Some(tell) = closing {
                self.close();
                // Whoever asked may be gone.
                let _ = tell.send(());
                return;
            }
        }
        self.close();
    }

    /// Writes and syncs a batch, then applies each job. A job whose log was set back meanwhile is refused.
    fn commit(&mut self, batch: Vec<Waiting>) {
        let mut buffer = Vec::new();
        let mut payload = Vec::new();
        let (batch, void): (Vec<Waiting>, Vec<Waiting>) =
            batch.into_iter().partition(|(job, _)| job.is_current());
        void.into_iter().for_each(|(job, _)| job.refuse(&StoreError::Busy));
        if batch.is_empty() {
            return;
        }
        if let Err(error) = self.room(batch.iter().map(|(job, _)| job.weight()).sum()) {
            return self.fail(batch, &error);
        }
        for (job, _) in &batch {
            payload.clear();
            entry::encode(job, &mut payload);
            put_frame(&mut buffer, self.active.number, &payload);
        }
        if let Err(error) = self.write(&buffer) {
            return self.fail(batch, &error);
        }
        self.surroundings.faults.step("logged");
        for (job, _permit) in batch {
            // An earlier job of the batch may have failed to be applied.
            match job.is_current() {
                true => self.finish(*job),
                false => job.refuse(&StoreError::Busy),
            }
        }
    }

    /// Applies a job that is in the log, and then the one that comes with it.
    fn finish(&mut self, job: Job) {
        let applied = self.apply(&job);
        if let Err(error) = &applied {
            error!(%error, "a change was logged but could not be applied");
        }
        self.surroundings.faults.step("applied");
        let Job { with, done, .. } = job;
        match (with, &applied) {
            (Some(with), Ok(())) => {
                done(applied);
                self.finish(*with);
            }
            (Some(with), Err(error)) => {
                with.refuse(error);
                done(applied);
            }
            (None, _) => done(applied),
        }
    }

    /// Writes the batch at the end of the segment and syncs it. A write that fails changes nothing; after a failed sync
    /// nobody knows what is on disk, and nothing more is accepted.
    fn write(&mut self, buffer: &[u8]) -> Result<(), StoreError> {
        if let Some(why) = self.shared.poison.get() {
            return Err(StoreError::Poisoned(why.clone()));
        }
        if self.surroundings.faults.full.load(Ordering::Relaxed) {
            return Err(StoreError::NoSpace);
        }
        if let Err(error) = self.active.file.write_all_at(buffer, self.active.end) {
            // The frame's checksum must not stand there whole: break its beginning, best effort.
            let _ = self.active.file.write_all_at(&[0; 8], self.active.end);
            return Err(error).doing("write", &self.active.path);
        }
        let synced = match self.surroundings.faults.sync.swap(false, Ordering::Relaxed) {
            true => Err(std::io::Error::other("a failure ordered by a test")),
            false => self.active.file.sync_data(),
        };
        if let Err(error) = synced {
            let why: Arc<str> = format!("sync of {}: {error}", self.active.path.display()).into();
            error!(%why, "commit log: nothing more is accepted until restart");
            let _ = self.shared.poison.set(why.clone());
            return Err(StoreError::Poisoned(why));
        }
        self.active.end += buffer.len() as u64;
        Ok(())
    }

    fn fail(&self, batch: Vec<Waiting>, error: &StoreError) {
        for (job, _permit) in batch {
            job.refuse(error);
        }
    }

    /// Turns to the other segment where this one would grow too large, or keep too many files.
    fn room(&mut self, size: usize) -> Result<(), StoreError> {
        let fits = self.active.end + size as u64 <= SEGMENT && self.staged.len() < STAGED;
        if fits || self.active.end == HEADER as u64 {
            return Ok(());
        }
        self.turn()
    }

    /// Turns to the other segment, and has this one freed.
    fn turn(&mut self) -> Result<(), StoreError> {
        let mut free = match std::mem::replace(&mut self.spare, Spare::Taken) {
            Spare::Free(segment) => segment,
            Spare::Busy(checkpoint) => match checkpoint.finish() {
                Ok(segment) => segment,
                Err(error) => {
                    // Nothing more is accepted, and the store begins anew.
                    let why: Arc<str> = format!("commit log: checkpoint: {error}").into();
                    error!(%why, "commit log: nothing more is accepted until restart");
                    let _ = self.shared.poison.set(why);
                    return Err(error);
                }
            },
            Spare::Taken => return Err(StoreError::Poisoned("commit log: a segment was lost".into())),
        };
        free.begin(self.active.number + 1)?;
        let full = std::mem::replace(&mut self.active, free);
        let staged = std::mem::take(&mut self.staged);
        self.spare = Spare::Busy(Checkpoint::start(full, staged, &self.surroundings)?);
        Ok(())
    }

    /// Puts the messages, the frame and the cache where they belong.
    fn apply(&mut self, job: &Job) -> Result<(), StoreError> {
        for place in &job.places {
            if let stage::Content::File { path, .. } = &place.staged.content {
                self.staged.push(path.clone());
            }
            place_message(&job.log.dir, place.uid, &place.staged)?;
        }
        let path = job.log.dir.join(&job.log.name);
        match &job.content {
            Content::Append { offset, frame } => {
                let file = job.log.file();
                if let Err(error) = file.write_all_at(frame, *offset) {
                    // What was written of it must not be taken for a record.
                    let _ = file.set_len(*offset);
                    return Err(error).doing("write", &path);
                }
            }
            Content::Replace(bytes) => {
                replace_file(&path, bytes)?;
                let file = File::options().read(true).write(true).open(&path).doing("open", &path)?;
                *job.log.file.lock().unwrap_or_else(|p| p.into_inner()) = Arc::new(file);
            }
        }
        if let Some((file, offset, bytes)) = &job.cache
            && let Err(error) = file.write_all_at(bytes, *offset)
        {
            warn!(%error, "a structure is not cached");
        }
        for note in &job.notes {
            (self.surroundings.note)(note)?;
        }
        for uid in &job.unlink {
            // A file that is still there is removed by the next expiry.
            let _ = fs::remove_file(job.log.dir.join(format!("{uid}.")));
        }
        Ok(())
    }

    /// Syncs everything and frees both segments.
    fn close(&mut self) {
        if let Spare::Busy(checkpoint) = std::mem::replace(&mut self.spare, Spare::Taken)
            && let Err(error) = checkpoint.finish()
        {
            error!(%error, "commit log: checkpoint");
            return;
        }
        let poisoned = self.shared.poison.get().is_some();
        match (self.surroundings.sync_all)() {
            Ok(()) if !poisoned => {
                if let Err(error) = self.active.release() {
                    warn!(%error, "commit log: it is played back at the next start");
                }
                checkpoint::remove(&self.staged);
            }
            Ok(()) => {}
            Err(error) => error!(%error, "commit log: it is played back at the next start"),
        }
        let _ = self.shared.poison.set("the store is closed".into());
    }
}

impl Job {
    /// Bytes in the commit log, about.
    fn weight(&self) -> usize {
        let content = match &self.content {
            Content::Append { frame, .. } => frame.len(),
            Content::Replace(_) => 0,
        };
        let messages: usize = self.places.iter().map(|p| p.staged.content.in_memory()).sum();
        content + messages + 256 + self.with.as_ref().map_or(0, |with| with.weight())
    }
}

/// Makes `<uid>.` of a message: written, or linked where the message is already a file of that partition. What lies there came with
/// a change that never held, and may be linked into other mailboxes: never written over in place.
pub fn place_message(dir: &Path, uid: u32, staged: &stage::Staged) -> Result<(), StoreError> {
    let path = dir.join(format!("{uid}."));
    let origin = staged.origin(dir);
    if let Some(origin) = origin {
        match link(&origin, &path) {
            Ok(()) => {
                staged.remember(dir, &path);
                return Ok(());
            }
            Err(error) => warn!(%error, from = %origin.display(), "cannot link a message; copying"),
        }
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).doing("remove", &path);
        }
        _ => {}
    }
    match &staged.content {
        stage::Content::Memory(bytes) => fs::write(&path, bytes).doing("write", &path)?,
        stage::Content::File { path: from, .. } => {
            fs::copy(from, &path).doing("copy", &path)?;
            // A large message is not in the log: its file must be on disk before the record counts.
            File::open(&path).and_then(|f| f.sync_all()).doing("sync", &path)?;
            sync_dir(dir)?;
        }
    }
    staged.remember(dir, &path);
    Ok(())
}
