//! What SORT, THREAD and PREVIEW need of messages, from the cache; and frames of earlier versions, completed.
//!
//! A frame that an earlier version wrote lacks what this one keeps. It stays valid, and nothing is built anew at a start:
//! what lacks is derived when it is first needed. The complete frame is appended to the cache, and its place is put where
//! the earlier frame was (a *jump*, [`JUMP`] and the offset), since the index has that offset. Neither is synced: what a
//! crash took away is derived again.

use std::os::unix::fs::FileExt;

use bytes::Bytes;
use mime::{Cached, Structure};
use tracing::debug;

use crate::limits::READ_RUN;

use super::{
    codec::put_frame,
    error::StoreError,
    lock,
    mailbox::Mailbox,
    message::{JUMP, Place, Read, Window},
    record::Record,
};

/// A frame that replaces one of an earlier version.
struct Completed {
    uid: u32,
    /// Where the index says that the frame is.
    place: u64,
    bytes: Bytes,
}

impl Mailbox {
    /// What the cache keeps of messages, in their order, with what SORT and THREAD need ([`Cached::sort_keys`],
    /// [`Cached::thread_keys`]): as many of the first as are read in one go, and one at least. On a blocking thread of the
    /// caller's.
    pub fn read_keys(&self, records: &[Record]) -> Vec<Result<Cached, StoreError>> {
        let places: Vec<Place> = records.iter().map(Place::of).collect();
        let (mut window, mut run, mut read, mut completed) = (Window::default(), Vec::new(), 0, Vec::new());
        for (at, place) in places.iter().enumerate() {
            if read > READ_RUN {
                break;
            }
            let frame = window.frame(&self.home().cache, place, places.get(at..).unwrap_or_default());
            read += frame.as_ref().map_or(0, Bytes::len);
            let known = frame.and_then(|frame| self.known_frame(frame));
            run.push(match known {
                Some(cached) if cached.has_keys() => Ok(cached),
                Some(cached) => {
                    read += place.header as usize;
                    self.complete(cached, place, false, &mut completed)
                }
                // The cache is no more than that: what it lost is read from the message again.
                None => self.read_blocking(place.uid, 0..u64::MAX).map(|message| {
                    read += message.len();
                    Cached::new(&Structure::parse(&message), &message)
                }),
            });
        }
        self.keep(completed);
        run
    }

    /// Adds the preview to what was read of messages ([`Mailbox::read_run`]), where the cache does not have it yet. On a
    /// blocking thread of the caller's.
    pub fn add_previews(&self, records: &[Record], run: &mut [Result<Read, StoreError>]) {
        let mut completed = Vec::new();
        for (record, read) in records.iter().zip(run) {
            let Ok(Read { cached: Some(cached), .. }) = read else { continue };
            if cached.preview().is_some() {
                continue;
            }
            let place = Place::of(record);
            match self.complete(cached.clone(), &place, true, &mut completed) {
                Ok(whole) => *cached = whole,
                Err(error) => *read = Err(error),
            }
        }
        self.keep(completed);
    }

    /// The same with what THREAD goes by.
    pub fn add_keys(&self, records: &[Record], run: &mut [Result<Read, StoreError>]) {
        let mut completed = Vec::new();
        for (record, read) in records.iter().zip(run) {
            let Ok(Read { cached: Some(cached), .. }) = read else { continue };
            if cached.has_keys() {
                continue;
            }
            match self.complete(cached.clone(), &Place::of(record), false, &mut completed) {
                Ok(whole) => *cached = whole,
                Err(error) => *read = Err(error),
            }
        }
        self.keep(completed);
    }

    /// With the keys that lack, and on demand the preview.
    fn complete(
        &self,
        cached: Cached,
        place: &Place,
        preview: bool,
        completed: &mut Vec<Completed>,
    ) -> Result<Cached, StoreError> {
        let bytes = |from: u32, to: u32| self.read_blocking(place.uid, u64::from(from)..u64::from(to));
        // A jump must not be longer than what stood there.
        let is_long = cached.bytes().len() > size_of::<u64>();
        let Ok(structure) = cached.structure() else {
            let message = self.read_blocking(place.uid, 0..u64::MAX)?;
            return Ok(Cached::new(&Structure::parse(&message), &message));
        };
        let header = match cached.needs_header() {
            true => bytes(0, structure.header_size())?,
            false => Bytes::new(),
        };
        let mut whole = cached.with_keys(&structure, &header);
        if preview {
            whole = whole.with_preview(&structure.preview(|span| bytes(span.start, span.end()))?);
        }
        if is_long {
            completed.push(Completed { uid: place.uid, place: place.cache, bytes: whole.bytes().clone() });
        }
        Ok(whole)
    }

    /// Puts complete frames into the cache, for the next time. If a change is under way they are not kept this time.
    fn keep(&self, completed: Vec<Completed>) {
        if completed.is_empty() {
            return;
        }
        // Whoever has the turn has counted on where the cache ends.
        let Ok(_turn) = self.turn.clone().try_lock_owned() else { return };
        let (mut frames, mut jumps) = (Vec::new(), Vec::new());
        for Completed { uid, place, bytes } in &completed {
            jumps.push((*uid, *place, frames.len() as u64));
            put_frame(&mut frames, u64::from(*uid), bytes);
        }
        let start = {
            let mut working = lock(&self.working);
            let start = working.cache_end;
            working.cache_end += frames.len() as u64;
            start
        };
        let written = self.home().cache.write_all_at(&frames, start).and_then(|()| {
            jumps.into_iter().try_for_each(|(uid, place, at)| {
                let (mut frame, mut payload) = (Vec::new(), vec![JUMP]);
                payload.extend_from_slice(&(start + at).to_le_bytes());
                put_frame(&mut frame, u64::from(uid), &payload);
                self.home().cache.write_all_at(&frame, place)
            })
        });
        if let Err(error) = written {
            debug!(%error, mailbox = self.id, "what was derived of messages is not kept");
        }
    }
}
