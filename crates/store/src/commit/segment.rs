//! A segment of the commit log: a file that is written again and again, each time under a new number.
//!
//! ```text
//! header   = magic(8) version(4) crc32(4) number(8)     the number's highest bit: free
//! then frames (see `codec`), salted with the number, so that what an earlier time left behind is not taken for ours;
//! hence no number is used twice
//! ```
//!
//! The file is never cut: once it has its size, a sync has no metadata to write.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::{
    codec::take_frame,
    error::{Doing, StoreError},
};

pub struct Segment {
    pub path: PathBuf,
    pub file: File,
    pub number: u64,
    /// Nothing in it counts.
    pub free: bool,
    /// Where the next frame goes.
    pub end: u64,
}

impl Segment {
    /// Opens or creates a segment file.
    pub fn open(dir: &Path, slot: usize) -> Result<Segment, StoreError> {
        let path = dir.join(format!("log.{slot}"));
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).open(&path).doing("open", &path)?;
        let mut header = [0; HEADER];
        let number = match file.read_exact_at(&mut header, 0) {
            Ok(()) => number_of(&path, &header)?,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => FREE,
            Err(error) => return Err(error).doing("read", &path),
        };
        Ok(Segment { path, file, number: number & !FREE, free: number & FREE != 0, end: HEADER as u64 })
    }

    /// Gives the segment a new number, synced.
    pub fn begin(&mut self, number: u64) -> Result<(), StoreError> {
        self.mark(number, false)?;
        self.end = HEADER as u64;
        Ok(())
    }

    /// Declares that nothing in it counts any more, synced.
    pub fn release(&mut self) -> Result<(), StoreError> {
        self.mark(self.number, true)
    }

    fn mark(&mut self, number: u64, free: bool) -> Result<(), StoreError> {
        let bytes = header(number | if free { FREE } else { 0 });
        let written = self.file.write_all_at(&bytes, 0).and_then(|()| self.file.sync_data());
        written.doing("write", &self.path)?;
        (self.number, self.free) = (number, free);
        Ok(())
    }

    /// Where the payloads of all whole frames are, oldest first, in the bytes of the file.
    pub fn spans(&self, bytes: &[u8]) -> Vec<Span> {
        let (mut found, mut at) = (Vec::new(), HEADER);
        while let Some((payload, len)) = bytes.get(at..).and_then(|rest| take_frame(rest, self.number)) {
            let start = at + len - payload.len();
            found.push(Span { at: start as u64, len: payload.len() });
            at += len;
        }
        found
    }

    /// Cuts off what lies behind the last whole frame, synced: a frame of a batch that was torn must not come to lie behind a
    /// new one.
    pub fn cut(&mut self) -> Result<(), StoreError> {
        self.file.set_len(self.end).and_then(|()| self.file.sync_all()).doing("cut", &self.path)
    }
}

/// Where a payload is in its file.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub at: u64,
    pub len: usize,
}

impl Span {
    pub fn range(&self) -> std::ops::Range<usize> {
        self.at as usize..self.at as usize + self.len
    }
}

fn header(number: u64) -> [u8; HEADER] {
    header_of(VERSION, number)
}

fn header_of(format: u32, number: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let (magic, rest) = header.split_at_mut(8);
    magic.copy_from_slice(MAGIC);
    let (version, rest) = rest.split_at_mut(4);
    version.copy_from_slice(&format.to_le_bytes());
    let (crc, rest) = rest.split_at_mut(4);
    rest.copy_from_slice(&number.to_le_bytes());
    crc.copy_from_slice(&crc32fast::hash(rest).to_le_bytes());
    header
}

/// A header that is torn is that of a segment that was being freed or begun: nothing in it counts.
fn number_of(path: &Path, bytes: &[u8; HEADER]) -> Result<u64, StoreError> {
    let number = u64::from_le_bytes(bytes.last_chunk::<8>().copied().unwrap_or_default());
    // The first format had no entries that hold together; the next [`Segment::begin`] makes it one of ours.
    if (1..=VERSION).any(|version| *bytes == header_of(version, number)) {
        return Ok(number);
    }
    let version = bytes.get(8..12).and_then(|v| v.try_into().ok()).map(u32::from_le_bytes);
    if bytes.starts_with(MAGIC) && version.is_none_or(|version| version > VERSION) {
        return Err(StoreError::damaged(path, format!("commit log version {version:?} is not known here")));
    }
    Ok(number | FREE)
}

pub const HEADER: usize = 24;
const MAGIC: &[u8; 8] = b"MURDERCL";
const VERSION: u32 = 2;
const FREE: u64 = 1 << 63;
