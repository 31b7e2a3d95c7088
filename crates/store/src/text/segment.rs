//! One file of a text index: which of some thousands of messages have which trigrams. Never changed once it has its name.
//!
//! ```text
//! header    magic(8) version(4) crc32(4) form(8)       form: mime::SEARCH_FORM, by which the texts were made
//! frame     messages: count, UIDs as differences, stamps of 8 bytes; number of pairs; bytes of each bucket
//! frames    the buckets that are not empty; each: (low byte of a slot, rice, length, list), slots ascending
//! ```
//!
//! Each frame has its checksum. A bucket has [`IN_BUCKET`] slots, so that a question reads some kilobytes for each trigram. A message is
//! known by UID and the beginning of its GUID, so that nothing is said of another one that got its UID.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{grams::SLOTS, list};
use crate::{
    codec::{FRAME, Reader, Truncated, put_bytes, put_frame, put_number, take_frame},
    error::{Doing, StoreError},
    limits::TEXT_TABLE,
    logfile,
    record::Record,
};

/// Slots of a bucket: the low byte of a slot says which.
const IN_BUCKET: usize = 256;
pub const BUCKETS: usize = SLOTS / IN_BUCKET;

/// A segment that can be asked.
pub struct Segment {
    pub path: PathBuf,
    pub number: u64,
    file: File,
    /// By UID, ascending.
    pub messages: Vec<Known>,
    /// Of message and slot.
    pub pairs: u64,
    /// Where each bucket begins; one more for the end.
    starts: Vec<u64>,
}

/// A message of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Known {
    pub uid: u32,
    /// The beginning of its GUID; its last bit: nothing was written of its text.
    stamp: u64,
}

impl Known {
    /// `opaque`: nothing can be proven of it.
    pub fn new(record: &Record, opaque: bool) -> Known {
        let stamp = record.guid.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        Known { uid: record.uid, stamp: stamp & !OPAQUE | u64::from(opaque) }
    }

    pub fn is_opaque(self) -> bool {
        self.stamp & OPAQUE != 0
    }

    /// Whether it is this very message.
    pub fn is(self, record: &Record) -> bool {
        let other = Known::new(record, false);
        (self.uid, self.stamp & !OPAQUE) == (other.uid, other.stamp)
    }
}

const OPAQUE: u64 = 1;

/// Why a file is no segment.
#[derive(Debug)]
pub enum Unfit {
    /// A later version wrote it.
    Newer(u64),
    /// Its texts are not those of this version, or it is damaged.
    Useless,
    Io(StoreError),
}

impl From<Truncated> for Unfit {
    fn from(_: Truncated) -> Unfit {
        Unfit::Useless
    }
}

impl Segment {
    pub fn open(path: &Path, number: u64) -> Result<Segment, Unfit> {
        let open = || {
            let file = File::open(path).doing("open", path)?;
            let len = file.metadata().doing("read", path)?.len();
            Ok((file, len))
        };
        let (file, len) = open().map_err(Unfit::Io)?;
        let mut head = [0; logfile::HEADER as usize + FRAME];
        file.read_exact_at(&mut head, 0).map_err(|_| Unfit::Useless)?;
        if !head.starts_with(MAGIC) {
            return Err(Unfit::Useless);
        }
        match logfile::version(&head) {
            Some(version) if version > FORMAT => return Err(Unfit::Newer(u64::from(version))),
            _ => {}
        }
        match logfile::parse(&head, FORMAT)? {
            form if form > mime::SEARCH_FORM => return Err(Unfit::Newer(form)),
            form if form < mime::SEARCH_FORM => return Err(Unfit::Useless),
            _ => {}
        }
        let table = head.get(logfile::HEADER as usize..).and_then(|frame| frame.first_chunk::<4>());
        let table = table.map_or(0, |len| u32::from_le_bytes(*len) as usize) + FRAME;
        if table > TEXT_TABLE {
            return Err(Unfit::Useless);
        }
        let mut bytes = vec![0; table];
        file.read_exact_at(&mut bytes, logfile::HEADER).map_err(|_| Unfit::Useless)?;
        let (payload, _) = take_frame(&bytes, TABLE_SALT).ok_or(Truncated)?;
        let segment = Segment::of(payload, logfile::HEADER + table as u64, path, number, file)?;
        if segment.starts.last() != Some(&len) { Err(Unfit::Useless) } else { Ok(segment) }
    }

    fn of(table: &[u8], body: u64, path: &Path, number: u64, file: File) -> Result<Segment, Truncated> {
        let mut r = Reader(table);
        let count = usize::try_from(r.number()?).map_err(|_| Truncated)?;
        let (mut messages, mut uid) = (Vec::with_capacity(count.min(usize::from(u16::MAX))), 0u32);
        for _ in 0..count {
            uid = uid.checked_add(r.number32()?).ok_or(Truncated)?;
            messages.push(Known { uid, stamp: u64::from_le_bytes(r.array()?) });
        }
        let ascends = messages.is_sorted_by(|a, b| a.uid < b.uid);
        if !ascends || messages.is_empty() || messages.len() > usize::from(u16::MAX) {
            return Err(Truncated);
        }
        let pairs = r.number()?;
        let (mut starts, mut next) = (vec![body], body);
        for _ in 0..BUCKETS {
            next = next.checked_add(r.number()?).ok_or(Truncated)?;
            starts.push(next);
        }
        if !r.is_empty() {
            return Err(Truncated);
        }
        Ok(Segment { path: path.to_owned(), number, file, messages, pairs, starts })
    }

    /// The place of a message in the segment.
    pub fn place(&self, uid: u32) -> Option<usize> {
        self.messages.binary_search_by_key(&uid, |known| known.uid).ok()
    }

    /// Whether a message of that UID could be here.
    pub fn spans(&self, uid: u32) -> bool {
        let (first, last) = (self.messages.first(), self.messages.last());
        first.is_some_and(|first| first.uid <= uid) && last.is_some_and(|last| uid <= last.uid)
    }

    /// The lists of a bucket, in one piece.
    pub fn bucket(&self, bucket: usize) -> Result<Vec<u8>, Truncated> {
        let (start, end) = (self.starts.get(bucket), self.starts.get(bucket + 1));
        let (start, end) = (*start.ok_or(Truncated)?, *end.ok_or(Truncated)?);
        let mut bytes = vec![0; usize::try_from(end - start).map_err(|_| Truncated)?];
        if bytes.is_empty() {
            return Ok(bytes);
        }
        self.file.read_exact_at(&mut bytes, start).map_err(|_| Truncated)?;
        let (_, taken) = take_frame(&bytes, bucket as u64).ok_or(Truncated)?;
        if taken != bytes.len() {
            return Err(Truncated);
        }
        bytes.drain(..FRAME);
        Ok(bytes)
    }

    /// Calls `each` for the messages that have a trigram of this slot.
    pub fn with(&self, slot: u32, mut each: impl FnMut(u16)) -> Result<(), Truncated> {
        let (bucket, low) = (slot as usize / IN_BUCKET, slot as usize % IN_BUCKET);
        let bytes = self.bucket(bucket)?;
        for entry in entries(&bytes) {
            let entry = entry?;
            if usize::from(entry.low) == low {
                return list::decode(entry.rice, entry.list, self.messages.len(), &mut each);
            }
        }
        Ok(())
    }
}

/// The list of one slot.
pub struct Entry<'b> {
    pub low: u8,
    pub rice: u8,
    pub list: &'b [u8],
}

/// The lists of a bucket, by slot.
pub fn entries(bucket: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, Truncated>> {
    let mut r = Reader(bucket);
    std::iter::from_fn(move || {
        if r.is_empty() {
            return None;
        }
        let mut next = || Ok(Entry { low: r.byte()?, rice: r.byte()?, list: r.bytes()? });
        Some(next())
    })
}

/// Builds a segment: buckets from the first to the last.
pub struct Draft {
    messages: Vec<Known>,
    pairs: u64,
    lengths: Vec<usize>,
    body: Vec<u8>,
    bucket: Vec<u8>,
}

impl Draft {
    /// Of these messages, by UID.
    pub fn new(messages: Vec<Known>) -> Draft {
        Draft { messages, pairs: 0, lengths: Vec::new(), body: Vec::new(), bucket: Vec::new() }
    }

    /// The list of the next slot of the bucket; slots ascend.
    pub fn put(&mut self, low: u8, list: &[u16]) {
        if list.is_empty() {
            return;
        }
        let (rice, bytes) = list::encode(list, self.messages.len());
        self.pairs += list.len() as u64;
        self.bucket.extend([low, rice]);
        put_bytes(&mut self.bucket, &bytes);
    }

    /// Ends the bucket.
    pub fn next(&mut self) {
        let before = self.body.len();
        if !self.bucket.is_empty() {
            put_frame(&mut self.body, self.lengths.len() as u64, &self.bucket);
            self.bucket.clear();
        }
        self.lengths.push(self.body.len() - before);
    }

    /// The file's bytes.
    pub fn finish(mut self) -> Vec<u8> {
        while self.lengths.len() < BUCKETS {
            self.next();
        }
        let mut table = Vec::new();
        put_number(&mut table, self.messages.len() as u64);
        let mut before = 0;
        for known in &self.messages {
            put_number(&mut table, u64::from(known.uid - before));
            table.extend_from_slice(&known.stamp.to_le_bytes());
            before = known.uid;
        }
        put_number(&mut table, self.pairs);
        self.lengths.iter().for_each(|length| put_number(&mut table, *length as u64));
        let mut out = logfile::header(MAGIC, FORMAT, mime::SEARCH_FORM);
        put_frame(&mut out, TABLE_SALT, &table);
        out.extend_from_slice(&self.body);
        out
    }

    /// The segment of pairs of slot and message ([`pair`]), ascending.
    pub fn of_pairs(messages: Vec<Known>, pairs: &[u32]) -> Draft {
        let mut draft = Draft::new(messages);
        let mut list = Vec::new();
        for run in pairs.chunk_by(|a, b| a >> MESSAGE_BITS == b >> MESSAGE_BITS) {
            let slot = run.first().map_or(0, |pair| (pair >> MESSAGE_BITS) as usize);
            while draft.lengths.len() < slot / IN_BUCKET {
                draft.next();
            }
            list.clear();
            list.extend(run.iter().map(|pair| (pair & MESSAGE_MASK) as u16));
            draft.put((slot % IN_BUCKET) as u8, &list);
        }
        draft
    }
}

/// Slot and message as one number, ordered by slot.
pub fn pair(slot: u32, message: u32) -> u32 {
    slot << MESSAGE_BITS | message & MESSAGE_MASK
}

const MESSAGE_BITS: u32 = 32 - super::grams::SLOT_BITS;
const MESSAGE_MASK: u32 = (1 << MESSAGE_BITS) - 1;

/// Writes a segment under its name, on disk when this returns. What a crash cuts short has no name yet.
pub fn write(dir: &Path, number: u64, bytes: &[u8]) -> Result<(), StoreError> {
    let path = dir.join(format!("{number:08x}"));
    let new = dir.join(NEW);
    fs::write(&new, bytes).doing("write", &new)?;
    File::open(&new).and_then(|file| file.sync_data()).doing("sync", &new)?;
    fs::rename(&new, &path).doing("rename", &new)
}

/// The file that is being written.
pub const NEW: &str = "new";
const MAGIC: &[u8; 8] = b"MURDERTX";
/// The format of these files. A later one is left alone, and messages are read instead.
pub const FORMAT: u32 = 1;
/// Of the frame of the table: no bucket has that number.
const TABLE_SALT: u64 = u64::MAX;
