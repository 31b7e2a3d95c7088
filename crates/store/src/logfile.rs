//! The beginning of an append-only log file: `magic(8) version(4) crc32(4) generation(8)`; its frames are salted with
//! the generation, which each compaction raises.
//!
//! | version | what is in it |
//! | --- | --- |
//! | 1 | the operations that there always were |
//! | 2 | annotations of mailboxes (index), of the server and of users' own (users' logs) |
//!
//! A file is written anew before the first operation that its version does not know: an older build refuses the file by its
//! version, and does not take what it cannot read for a torn end.

use std::{fs::File, os::unix::fs::FileExt};

/// Bytes before the first frame.
pub const HEADER: u64 = 24;

/// What a file's first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    pub version: u32,
    pub generation: u64,
}

/// Why a file is no log of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoLog {
    #[error("its first bytes are damaged")]
    Damaged,
    #[error("it has version {0}, which a later build has written and this one does not know")]
    Later(u32),
}

/// The beginning of a file of that generation.
pub fn header(magic: &[u8; 8], generation: u64) -> Vec<u8> {
    let mut out = magic.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    let number = generation.to_le_bytes();
    out.extend_from_slice(&crc32fast::hash(&number).to_le_bytes());
    out.extend_from_slice(&number);
    out
}

/// The generation of a file, whatever its magic.
pub fn generation(file: &File) -> Result<u64, NoLog> {
    let mut bytes = [0; HEADER as usize];
    file.read_exact_at(&mut bytes, 0).map_err(|_| NoLog::Damaged)?;
    Ok(parse(&bytes)?.generation)
}

/// What the first bytes of a file say.
pub fn parse(bytes: &[u8]) -> Result<Start, NoLog> {
    let field = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
    let number: [u8; 8] = bytes.get(16..24).and_then(|b| b.try_into().ok()).ok_or(NoLog::Damaged)?;
    let version = field(8).filter(|version| *version > 0).ok_or(NoLog::Damaged)?;
    if field(12) != Some(crc32fast::hash(&number)) {
        return Err(NoLog::Damaged);
    }
    match version {
        1..=VERSION => Ok(Start { version, generation: u64::from_le_bytes(number) }),
        later => Err(NoLog::Later(later)),
    }
}

/// What is written today.
pub const VERSION: u32 = 2;
