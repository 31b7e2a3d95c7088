//! Reading messages and their structures.

use std::{fs::File, ops::Range, sync::Arc};

use bounds::Seldom;
use bytes::Bytes;
use mime::{CacheError, Cached, Structure};
use rustix::buffer::spare_capacity;
use tracing::warn;

use super::{
    blocking,
    codec::{FRAME, take_frame},
    error::{Doing, StoreError},
    mailbox::{CACHE, Mailbox},
    record::Record,
};
use crate::limits::{FIRST_READ, GAP, HEAD, LARGEST, READ_RUN, WINDOW};

/// What is to be read of each message of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub structure: Depth,
    pub bytes: Extent,
}

/// How much of a message's structure is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    Nothing,
    /// What FETCH shows of it, as it is printed.
    Shown,
    /// Where the parts are, too.
    Parts,
}

/// How far a message's bytes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    Nothing,
    Header,
    /// The first [`HEAD`] bytes: all of a small message.
    Head,
}

/// A message as far as it was read.
#[derive(Debug, Default)]
pub struct Read {
    /// Where the structure was wanted: with what FETCH shows of it, unless that is long.
    pub cached: Option<Cached>,
    /// Where the parts were wanted, or what is shown is not kept printed.
    pub structure: Option<Arc<Structure>>,
    pub head: Bytes,
}

impl Wanted {
    /// Whether the index alone has it.
    pub fn is_nothing(self) -> bool {
        self.structure == Depth::Nothing && self.bytes == Extent::Nothing
    }
}

impl Mailbox {
    /// Reads messages, in their order, in one go: as many of the first as are read within [`READ_RUN`] bytes, and one at least. On a
    /// blocking thread of the caller's.
    pub fn read_run(&self, records: &[Record], wanted: Wanted) -> Vec<Result<Read, StoreError>> {
        let places: Vec<Place> = records.iter().map(Place::of).collect();
        let (mut window, mut run, mut bytes) = (Window::default(), Vec::new(), 0);
        for (at, place) in places.iter().enumerate() {
            if bytes > READ_RUN {
                break;
            }
            let read = self.read_place(place, places.get(at..).unwrap_or_default(), wanted, &mut window);
            bytes += read.as_ref().map_or(0, |(_, bytes)| *bytes);
            run.push(read.map(|(read, _)| read));
        }
        run
    }

    /// One message, and how many bytes were read for it. `on`: what is read next.
    fn read_place(
        &self,
        place: &Place,
        on: &[Place],
        wanted: Wanted,
        window: &mut Window,
    ) -> Result<(Read, usize), StoreError> {
        let (mut read, mut bytes) = (Read::default(), 0);
        if wanted.structure > Depth::Nothing {
            let frame = window.frame(&self.home().cache, place, on);
            bytes += frame.as_ref().map_or(0, Bytes::len);
            match frame.and_then(|frame| self.known(frame, wanted.structure)) {
                Some((cached, structure)) => {
                    (read.cached, read.structure) = (Some(cached), structure.map(Arc::new));
                }
                // The cache is no more than that: what it lost is read from the message again.
                None => {
                    let message = self.read_blocking(place.uid, 0..u64::MAX)?;
                    bytes += message.len();
                    let structure = Structure::parse(&message);
                    read.cached = Some(Cached::new(&structure, &message));
                    read.structure = Some(Arc::new(structure));
                }
            }
        }
        let end = match wanted.bytes {
            Extent::Nothing => return Ok((read, bytes)),
            Extent::Header => place.header,
            Extent::Head => place.size.min(u64::from(HEAD)),
        };
        read.head = self.read_blocking(place.uid, 0..end)?;
        bytes += read.head.len();
        Ok((read, bytes))
    }

    /// What a frame of the cache says, and the structure where it is wanted.
    fn known(&self, frame: Bytes, depth: Depth) -> Option<(Cached, Option<Structure>)> {
        let cached = self.known_frame(frame)?;
        let parts = depth == Depth::Parts || !cached.is_printed();
        let structure = parts.then(|| cached.structure()).transpose().ok()?;
        Some((cached, structure))
    }

    pub(crate) fn known_frame(&self, frame: Bytes) -> Option<Cached> {
        let read = Cached::read(frame);
        if let Err(CacheError::Version(version)) = read
            && let Some(count) = NEWER.met()
        {
            let cache = self.dir().join(CACHE);
            warn!(cache = %cache.display(), version, count, "written by a later version: messages are read instead");
        }
        read.ok()
    }

    /// Bytes of a message, cut to what there is.
    pub async fn read(self: &Arc<Self>, uid: u32, range: Range<u64>) -> Result<Bytes, StoreError> {
        let mailbox = self.clone();
        blocking(move || mailbox.read_blocking(uid, range)).await
    }

    /// The whole message.
    pub async fn message(self: &Arc<Self>, uid: u32) -> Result<Bytes, StoreError> {
        self.read(uid, 0..u64::MAX).await
    }

    /// As [`Mailbox::read`], on a blocking thread of the caller's.
    pub fn read_blocking(&self, uid: u32, range: Range<u64>) -> Result<Bytes, StoreError> {
        let (file, path, size) = self.open_message(uid)?;
        let (start, end) = (range.start.min(size), range.end.min(size));
        let len = usize::try_from(end.saturating_sub(start)).map_err(|_| StoreError::TooLarge(size))?;
        let bytes = read_some(&file, len, start).doing("read", &path)?;
        if bytes.len() < len {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)).doing("read", &path);
        }
        Ok(bytes.into())
    }

    /// The structure of a message, from the cache where it has it. On a blocking thread of the caller's.
    pub fn structure_blocking(&self, uid: u32) -> Result<Arc<Structure>, StoreError> {
        let view = self.view();
        let record = view.get(uid).or_else(|| view.expunged.get(uid)).ok_or(StoreError::NoMessage)?;
        let (place, wanted) = (Place::of(record), Wanted { structure: Depth::Parts, bytes: Extent::Nothing });
        let (read, _) = self.read_place(&place, &[place], wanted, &mut Window::default())?;
        read.structure.ok_or(StoreError::NoMessage)
    }

    /// The same for somebody who goes through messages and does not know of which he wants it.
    pub fn next_structure(&self, record: &Record, frames: &mut Frames) -> Result<Arc<Structure>, StoreError> {
        let wanted = Wanted { structure: Depth::Parts, bytes: Extent::Nothing };
        let (read, _) = self.read_place(&Place::of(record), &[], wanted, &mut frames.0)?;
        read.structure.ok_or(StoreError::NoMessage)
    }

    /// What the cache keeps of a message, for the same. On a blocking thread of the caller's.
    pub fn next_cached(&self, record: &Record, frames: &mut Frames) -> Result<Cached, StoreError> {
        let wanted = Wanted { structure: Depth::Shown, bytes: Extent::Nothing };
        let (read, _) = self.read_place(&Place::of(record), &[], wanted, &mut frames.0)?;
        read.cached.ok_or(StoreError::NoMessage)
    }

    /// What is kept of a message in the cache, for another mailbox's.
    pub(crate) fn cached(&self, record: &Record) -> Result<Cached, StoreError> {
        let (place, wanted) = (Place::of(record), Wanted { structure: Depth::Shown, bytes: Extent::Nothing });
        let (read, _) = self.read_place(&place, &[place], wanted, &mut Window::default())?;
        read.cached.ok_or(StoreError::NoMessage)
    }
}

/// What was read last of a mailbox's cache.
#[derive(Default)]
pub struct Frames(Window);

/// Where a message is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub uid: u32,
    /// Of its frame in the cache.
    pub cache: u64,
    size: u64,
    pub header: u64,
}

impl Place {
    pub fn of(record: &Record) -> Place {
        let header = u64::from(record.header_size);
        Place { uid: record.uid, cache: record.cache, size: record.size, header }
    }
}

/// The parts of the cache file that were read last: one where the index says, and one where frames have moved.
#[derive(Default)]
pub(crate) struct Window {
    placed: Stretch,
    moved: Stretch,
}

impl Window {
    /// What is kept of a message. It is read together with that of the messages behind it that lie close by. `on`: those that are
    /// read next, this one first; empty where nobody knows: then more is read at once if this one goes on where the last ended.
    pub fn frame(&mut self, cache: &File, place: &Place, on: &[Place]) -> Option<Bytes> {
        let goes_on = on.is_empty() && self.placed.ends_before(place.cache);
        let far = || if goes_on { WINDOW as usize } else { FIRST_READ };
        let along = || if on.is_empty() { far() } else { reach(on) };
        let found = self.placed.frame(cache, place.uid, place.cache, along)?;
        let Some(to) = jump(&found) else { return Some(found) };
        // Those that moved together lie together.
        let along = || if on.len() > 1 || goes_on { WINDOW as usize } else { FIRST_READ };
        self.moved.frame(cache, place.uid, to, along)
    }
}

/// A part of the cache file.
#[derive(Default)]
struct Stretch {
    start: u64,
    bytes: Bytes,
}

impl Stretch {
    fn frame(&mut self, cache: &File, uid: u32, at: u64, reach: impl FnOnce() -> usize) -> Option<Bytes> {
        if let Some(found) = self.find(uid, at) {
            return Some(found);
        }
        self.read(cache, at, reach())?;
        let len = self.bytes.first_chunk::<4>().map(|len| u32::from_le_bytes(*len) as usize)?;
        if FRAME + len > self.bytes.len() && len <= LARGEST {
            self.read(cache, at, FRAME + len)?;
        }
        self.find(uid, at)
    }

    /// Whether a place lies in it, or a little behind.
    fn ends_before(&self, at: u64) -> bool {
        let end = self.start + self.bytes.len() as u64;
        !self.bytes.is_empty() && self.start <= at && at <= end + GAP
    }

    fn find(&self, uid: u32, at: u64) -> Option<Bytes> {
        let at = usize::try_from(at.checked_sub(self.start)?).ok()?;
        let (payload, _) = take_frame(self.bytes.get(at..)?, u64::from(uid))?;
        Some(self.bytes.slice_ref(payload))
    }

    fn read(&mut self, cache: &File, start: u64, len: usize) -> Option<()> {
        let read = read_some(cache, len, start).ok();
        let is_read = read.is_some();
        (self.start, self.bytes) = (start, read.unwrap_or_default().into());
        is_read.then_some(())
    }
}

/// Bytes of the cache that hold the structures of the first messages, as far as they lie one behind the other.
fn reach(places: &[Place]) -> usize {
    let mut end = places.first().map_or(0, |place| place.cache);
    let start = end;
    for place in places.iter().skip(1) {
        let is_next = place.cache > end && place.cache - end <= GAP && place.cache - start <= WINDOW;
        if !is_next {
            break;
        }
        end = place.cache;
    }
    usize::try_from(end - start).unwrap_or(0) + FIRST_READ
}

/// So many bytes, fewer where the file ends. The memory is not cleared first: that would take as long as a tenth of a FETCH.
fn read_some(file: &File, len: usize, offset: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        let at = offset.saturating_add(bytes.len() as u64);
        match rustix::io::pread(file, spare_capacity(&mut bytes), at) {
            Ok(0) => break,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}

/// Where the frame has moved, if that is what a payload says.
fn jump(payload: &[u8]) -> Option<u64> {
    let (&JUMP, to) = payload.split_first()? else { return None };
    to.try_into().ok().map(u64::from_le_bytes)
}

/// The first byte of what stands in a frame's place that has moved; then where it is (8 bytes, little-endian).
pub(crate) const JUMP: u8 = 0x7f;
static NEWER: Seldom = Seldom::each_hour();
