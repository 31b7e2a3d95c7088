//! The beginning of an append-only log file: `magic(8) version(4) crc32(4) generation(8)`; its frames are salted with
//! the generation, which each compaction raises.

use std::{fs::File, os::unix::fs::FileExt};

use super::codec::Truncated;

/// Bytes before the first frame.
pub const HEADER: u64 = 24;

/// The beginning of a file of that format and generation.
pub fn header(magic: &[u8; 8], version: u32, generation: u64) -> Vec<u8> {
    let mut out = magic.to_vec();
    out.extend_from_slice(&version.to_le_bytes());
    let number = generation.to_le_bytes();
    out.extend_from_slice(&crc32fast::hash(&number).to_le_bytes());
    out.extend_from_slice(&number);
    out
}

/// The generation of a file, whatever its magic and its format.
pub fn generation(file: &File) -> Result<u64, Truncated> {
    let mut bytes = [0; HEADER as usize];
    file.read_exact_at(&mut bytes, 0).map_err(|_| Truncated)?;
    parse(&bytes, u32::MAX)
}

/// The generation in a file's first bytes, where its format is this one or older.
pub fn parse(bytes: &[u8], newest: u32) -> Result<u64, Truncated> {
    let number: [u8; 8] = bytes.get(16..24).and_then(|b| b.try_into().ok()).ok_or(Truncated)?;
    let known = version(bytes).is_some_and(|version| (1..=newest).contains(&version));
    let intact = known && field(bytes, 12) == Some(crc32fast::hash(&number));
    intact.then(|| u64::from_le_bytes(number)).ok_or(Truncated)
}

/// The format in a file's first bytes.
pub fn version(bytes: &[u8]) -> Option<u32> {
    field(bytes, 8)
}

fn field(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes)
}
