//! A job as it stands in the commit log.

use std::{ops::Range, path::PathBuf};

use super::super::codec::{Reader, Truncated, put_bytes, put_number};
use super::{Content, Job};
use crate::stage;

/// Which log a frame belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// The index of a mailbox.
    Index { partition: String, id: String },
    /// The log of a user.
    User(String),
}

/// A delivery to remember for duplicate suppression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub key: [u8; 16],
    /// Epoch seconds.
    pub time: u64,
}

/// A job read back.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub target: Target,
    pub generation: u64,
    /// Offset and frame; none where the log was replaced, which is synced by itself.
    pub append: Option<(u64, &'a [u8])>,
    pub places: Vec<(u32, Message<'a>)>,
    pub notes: Vec<Note>,
}

/// Where a message's bytes are.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Inline(&'a [u8]),
    /// A synced file in the partition's staging directory.
    Staged(PathBuf),
}

/// Writes a job as a log entry; with another one, two entries in one.
pub fn encode(job: &Job, out: &mut Vec<u8>) {
    let Some(with) = &job.with else { return encode_one(job, out) };
    let (mut first, mut second) = (Vec::new(), Vec::new());
    encode_one(job, &mut first);
    encode_one(with, &mut second);
    out.push(BOTH);
    put_bytes(out, &first);
    put_bytes(out, &second);
}

/// Where in a payload the entries are that hold together: one, or two.
pub fn parts(payload: &[u8]) -> Result<Vec<Range<usize>>, Truncated> {
    let mut r = Reader(payload);
    let mut found = Vec::with_capacity(2);
    if r.byte()? != BOTH {
        found.push(0..payload.len());
        return Ok(found);
    }
    for _ in 0..2 {
        let len = r.bytes()?.len();
        let end = payload.len() - r.0.len();
        found.push(end - len..end);
    }
    if r.is_empty() { Ok(found) } else { Err(Truncated) }
}

fn encode_one(job: &Job, out: &mut Vec<u8>) {
    match &job.log.target {
        Target::Index { partition, id } => {
            out.push(INDEX);
            put_bytes(out, partition.as_bytes());
            put_bytes(out, id.as_bytes());
        }
        Target::User(userid) => {
            out.push(USER);
            put_bytes(out, userid.as_bytes());
        }
    }
    put_number(out, job.generation);
    match &job.content {
        Content::Append { offset, frame } => {
            out.push(1);
            put_number(out, *offset);
            put_bytes(out, frame);
        }
        Content::Replace(_) => out.push(0),
    }
    put_number(out, job.places.len() as u64);
    for place in &job.places {
        put_number(out, u64::from(place.uid));
        match &place.staged.content {
            stage::Content::Memory(bytes) => {
                out.push(INLINE);
                put_bytes(out, bytes);
            }
            stage::Content::File { path, .. } => {
                out.push(STAGED);
                put_bytes(out, path.as_os_str().as_encoded_bytes());
            }
        }
    }
    put_number(out, job.notes.len() as u64);
    for note in &job.notes {
        out.extend_from_slice(&note.key);
        put_number(out, note.time);
    }
}

pub fn decode(bytes: &[u8]) -> Result<Entry<'_>, Truncated> {
    use std::os::unix::ffi::OsStrExt;
    let mut r = Reader(bytes);
    let target = match r.byte()? {
        INDEX => Target::Index { partition: r.text()?.to_owned(), id: r.text()?.to_owned() },
        USER => Target::User(r.text()?.to_owned()),
        _ => return Err(Truncated),
    };
    let generation = r.number()?;
    let append = match r.byte()? {
        0 => None,
        _ => Some((r.number()?, r.bytes()?)),
    };
    let mut places = Vec::new();
    for _ in 0..r.number()? {
        let uid = r.number32()?;
        let message = match r.byte()? {
            INLINE => Message::Inline(r.bytes()?),
            STAGED => Message::Staged(PathBuf::from(std::ffi::OsStr::from_bytes(r.bytes()?))),
            _ => return Err(Truncated),
        };
        places.push((uid, message));
    }
    let mut notes = Vec::new();
    for _ in 0..r.number()? {
        notes.push(Note { key: r.array()?, time: r.number()? });
    }
    Ok(Entry { target, generation, append, places, notes })
}

const INDEX: u8 = 1;
const USER: u8 = 2;
/// Two entries (format 2 of the segments).
const BOTH: u8 = 3;
const INLINE: u8 = 0;
const STAGED: u8 = 1;
