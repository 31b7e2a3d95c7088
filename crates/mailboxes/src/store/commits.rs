//! The commit log: batches that were acknowledged and are not yet safe in the store behind it.
//!
//! Two files of preallocated space beside the database's own, written in turn, so that a commit is one write over
//! blocks that exist already and one fdatasync, without a change of the file system's own records:
//!
//! ```text
//! file   = header *record rest                     what follows the last record is of an older generation, or zeros
//! header = magic generation before crc             generation: a random number, and one more each turn
//!                                                  before: how many records the turn before had
//! record = length crc payload                      the checksums cover generation and place: old records do not count
//! batch  = *(key-length key (0 | value-length+1 value))                                       numbers LEB128
//! ```
//!
//! A file is cleared (its header zeroed) before it is written again, only when the store has everything of it, and the
//! older of the two first. So a header that holds is followed by all records of its turn, and playing both files back in
//! the order of their generations, on top of whatever the store had at the crash, gives the state after the last record.
//!
//! A replica's records are not synced one by one, but before the other file is used, and before any row of them goes into the
//! store: a power failure can take the last ones of the log, and never leaves a store that is ahead of it.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use super::{Write, step};
use crate::codec::{DecodeError, Reader, put_bytes, put_number};
use crate::limits::{FULL, STEP};

/// The two files, shared by who writes and who clears them.
#[derive(Debug)]
pub(super) struct Files {
    both: [File; 2],
    /// What each held when it was last synced: all that a power failure is sure to leave.
    #[cfg(test)]
    pub synced: std::sync::Mutex<[Vec<u8>; 2]>,
}

/// What both files hold, older turn first: one where the other file is clear.
pub(super) type Replay = Vec<Kept>;

/// A turn that was left.
pub(super) struct Kept {
    pub turn: Turn,
    generation: u64,
    /// Records of the turn before it.
    before: u32,
    /// In the order in which they were committed.
    pub batches: Vec<Vec<Write>>,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    First,
    Second,
}

/// The writing end.
#[derive(Debug)]
pub(super) struct Commits {
    turn: Turn,
    generation: u64,
    /// Records of this turn, and of the one before.
    records: u32,
    before: u32,
    /// Where the next record goes.
    at: u64,
    /// Bytes that each file has on disk.
    allocated: [u64; 2],
    /// Bytes after which a turn ends.
    full: u64,
    pending: Vec<u8>,
    pending_records: u32,
}

impl Turn {
    pub fn other(self) -> Turn {
        match self {
            Turn::First => Turn::Second,
            Turn::Second => Turn::First,
        }
    }
}

impl Files {
    /// Opens or creates both files in the directory of a database.
    pub fn open(directory: &Path) -> io::Result<Files> {
        let paths = NAMES.map(|name| directory.join(name));
        let fresh = paths.iter().any(|path| !path.exists());
        let open =
            |path: &Path| OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let both = [open(&paths[0])?, open(&paths[1])?];
        let files = Files {
            both,
            #[cfg(test)]
            synced: std::sync::Mutex::default(),
        };
        if fresh {
            File::open(directory)?.sync_all()?;
        }
        Ok(files)
    }

    /// What was committed.
    ///
    /// # Errors
    /// `InvalidData` where records are missing that a later turn has followed, or that a newer program wrote.
    pub fn read(&self) -> io::Result<Replay> {
        let mut turns = Vec::with_capacity(2);
        for turn in [Turn::First, Turn::Second] {
            turns.extend(read_turn(self.of(turn), turn)?);
        }
        turns.sort_by_key(|kept| kept.generation);
        if let [older, newer] = turns.as_slice() {
            let follows = older.generation.checked_add(1) == Some(newer.generation);
            if !follows || older.batches.len() as u64 != u64::from(newer.before) {
                return Err(damaged("records are missing in the middle"));
            }
        }
        Ok(turns)
    }

    /// Forgets both turns, the older one first: alone it would bring back what the newer one replaced.
    pub fn clear_all(&self, newest: Turn) -> io::Result<()> {
        self.clear(newest.other())?;
        step("log: the older turn cleared");
        self.clear(newest)
    }

    /// Returns when what was written into a turn's file is on the disk.
    pub fn sync(&self, turn: Turn) -> io::Result<()> {
        #[cfg(test)]
        self.note_synced(turn)?;
        self.of(turn).sync_data()
    }

    /// Leaves nothing of a file: no record of a turn that was cut off can be taken for one of the next.
    fn cut(&self, turn: Turn) -> io::Result<()> {
        self.of(turn).set_len(0)?;
        self.sync(turn)
    }

    /// Forgets a turn. Everything of it is in the store, and synced there.
    pub fn clear(&self, turn: Turn) -> io::Result<()> {
        let file = self.of(turn);
        let written = file.metadata()?.len();
        step("log: clearing");
        if written > 0 {
            file.write_all_at(&[0; HEADER], 0)?;
        }
        step("log: header cleared");
        if written > KEPT {
            file.set_len(KEPT)?;
        }
        self.sync(turn)
    }

    /// Bytes of both.
    pub fn size(&self) -> u64 {
        let len = |turn| self.of(turn).metadata().map_or(0, |metadata| metadata.len());
        len(Turn::First) + len(Turn::Second)
    }

    fn of(&self, turn: Turn) -> &File {
        let [first, second] = &self.both;
        match turn {
            Turn::First => first,
            Turn::Second => second,
        }
    }

    #[cfg(test)]
    fn note_synced(&self, turn: Turn) -> io::Result<()> {
        let file = self.of(turn);
        let mut bytes = vec![0; file.metadata()?.len() as usize];
        file.read_exact_at(&mut bytes, 0)?;
        let [first, second] = &mut *self.synced.lock().unwrap();
        *if turn == Turn::First { first } else { second } = bytes;
        Ok(())
    }
}

impl Commits {
    /// Begins in files of which one holds what was left, or none. The generation is one that no record in the other has.
    pub fn begin(files: &Files, left: Option<&Kept>, full: u64) -> io::Result<Commits> {
        let (turn, generation, before) = match left {
            Some(kept) => {
                files.cut(kept.turn.other())?;
                let records = u32::try_from(kept.batches.len()).map_err(|_| damaged("too many records"))?;
                (kept.turn.other(), kept.generation + 1, records)
            }
            None => {
                let mut random = [0; 8];
                getrandom::fill(&mut random).map_err(|e| io::Error::other(e.to_string()))?;
                (Turn::First, u64::from_be_bytes(random) >> 1, 0)
            }
        };
        let len = |turn| files.of(turn).metadata().map(|metadata| metadata.len());
        Ok(Commits {
            turn,
            generation,
            records: 0,
            before,
            at: HEADER as u64,
            allocated: [len(Turn::First)?, len(Turn::Second)?],
            full,
            pending: Vec::new(),
            pending_records: 0,
        })
    }

    pub fn turn(&self) -> Turn {
        self.turn
    }

    /// Whether this turn has had its share. The other file must be clear before [`Commits::take_turns`].
    pub fn is_full(&self) -> bool {
        self.at >= self.full
    }

    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Where the records end.
    #[cfg(test)]
    pub fn end(&self) -> u64 {
        self.at
    }

    /// Adds a batch to what the next [`Commits::commit`] or [`Commits::write`] writes.
    pub fn push(&mut self, batch: &[Write]) -> io::Result<()> {
        let head = self.pending.len();
        self.pending.extend_from_slice(&[0; RECORD]);
        for (key, value) in batch {
            put_bytes(&mut self.pending, key);
            match value {
                None => put_number(&mut self.pending, 0),
                Some(value) => {
                    put_number(&mut self.pending, value.len() as u64 + 1);
                    self.pending.extend_from_slice(value);
                }
            }
        }
        let length = self.pending.len() - head - RECORD;
        let Ok(length) = u32::try_from(length) else {
            self.pending.truncate(head);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too much for one commit"));
        };
        if let Some(field) = self.pending.get_mut(head..head + 4) {
            field.copy_from_slice(&length.to_be_bytes());
        }
        self.pending_records += 1;
        Ok(())
    }

    /// Goes on in the other file.
    pub fn take_turns(&mut self) {
        self.turn = self.turn.other();
        self.generation += 1;
        self.before = self.records;
        self.records = 0;
        self.at = HEADER as u64;
    }

    /// Writes what is pending, and returns when it is on the disk.
    pub fn commit(&mut self, files: &Files) -> io::Result<()> {
        self.write(files)?;
        files.sync(self.turn)?;
        step("log: synced");
        Ok(())
    }

    /// Writes what is pending: it outlives this process, but no power failure.
    pub fn write(&mut self, files: &Files) -> io::Result<()> {
        self.seal();
        step("log: before the write");
        let file = files.of(self.turn);
        let end = self.at + self.pending.len() as u64;
        self.grow(file, end)?;
        step("log: grown");
        if self.records == 0 {
            let header = header(self.generation, self.before);
            file.write_all_at(&[&header[..], &self.pending].concat(), 0)?;
        } else {
            file.write_all_at(&self.pending, self.at)?;
        }
        step("log: written");
        self.at = end;
        self.records += self.pending_records;
        self.pending_records = 0;
        self.pending.clear();
        self.pending.shrink_to(PENDING_KEPT);
        Ok(())
    }

    /// Fills in the checksums: now it is known where each record goes.
    fn seal(&mut self) {
        let (generation, mut at, mut rest) = (self.generation, self.at, self.pending.as_mut_slice());
        while let Some((head, tail)) = rest.split_first_chunk_mut::<RECORD>() {
            let [a, b, c, d, ..] = *head;
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            let (payload, next) = tail.split_at_mut(length.min(tail.len()));
            let crc = record_crc(generation, at, payload);
            if let Some(field) = head.get_mut(4..) {
                field.copy_from_slice(&crc.to_be_bytes());
            }
            at += (RECORD + payload.len()) as u64;
            rest = next;
        }
    }

    /// Gives the file zeros up to a step beyond `end`, so that a commit seldom has to.
    fn grow(&mut self, file: &File, end: u64) -> io::Result<()> {
        let [first, second] = &mut self.allocated;
        let allocated = match self.turn {
            Turn::First => first,
            Turn::Second => second,
        };
        // Clearing may have cut it.
        if *allocated > KEPT && self.records == 0 {
            *allocated = KEPT;
        }
        if end > *allocated {
            let wanted = end.next_multiple_of(STEP);
            let zeros = vec![0; STEP as usize];
            while *allocated < wanted {
                let part = (wanted - *allocated).min(STEP);
                file.write_all_at(zeros.get(..part as usize).unwrap_or(&zeros), *allocated)?;
                *allocated += part;
            }
        }
        Ok(())
    }
}

/// What one file holds. None: it was cleared, or never written, or its first write was cut off.
fn read_turn(file: &File, turn: Turn) -> io::Result<Option<Kept>> {
    let mut bytes = vec![0; file.metadata()?.len() as usize];
    file.read_exact_at(&mut bytes, 0)?;
    let Some((head, mut rest)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
    let Some((generation, before)) = read_header(head)? else { return Ok(None) };
    let (mut batches, mut at) = (Vec::new(), HEADER as u64);
    while let Some((head, tail)) = rest.split_first_chunk::<RECORD>() {
        let [a, b, c, d, crc @ ..] = *head;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let Some((payload, next)) = tail.split_at_checked(length) else { break };
        if record_crc(generation, at, payload) != u32::from_be_bytes(crc) {
            break;
        }
        batches.push(read_batch(payload).map_err(|e| damaged(&e.to_string()))?);
        at += (RECORD + length) as u64;
        rest = next;
    }
    Ok(Some(Kept { turn, generation, before, batches }))
}

fn read_batch(payload: &[u8]) -> Result<Vec<Write>, DecodeError> {
    let (mut batch, mut reader) = (Vec::new(), Reader(payload));
    while !reader.0.is_empty() {
        let key = reader.bytes()?.to_vec();
        let value = match reader.number()?.checked_sub(1) {
            None => None,
            Some(length) => {
                let length = usize::try_from(length).map_err(|_| DecodeError::Short)?;
                Some(reader.take(length)?.to_vec())
            }
        };
        batch.push((key, value));
    }
    Ok(batch)
}

fn header(generation: u64, before: u32) -> [u8; HEADER] {
    let mut fields = [&MAGIC[..], &[VERSION], &generation.to_be_bytes(), &before.to_be_bytes()].concat();
    fields.extend(crc32fast::hash(&fields).to_be_bytes());
    let mut out = [0; HEADER];
    out.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    out
}

/// None where there is no header, or only the beginning of one.
fn read_header(bytes: &[u8; HEADER]) -> io::Result<Option<(u64, u32)>> {
    let number = |from, len| bytes.iter().skip(from).take(len).fold(0, |n: u64, &b| n << 8 | u64::from(b));
    let (version, generation, before) = (number(7, 1), number(8, 8), number(16, 4) as u32);
    if bytes.starts_with(&MAGIC) && version > u64::from(VERSION) {
        return Err(damaged(&format!("format version {version} is newer than this program")));
    }
    match header(generation, before) == *bytes {
        true => Ok(Some((generation, before))),
        false if bytes.ends_with(&[0]) => Ok(None),
        false => Err(damaged("a header does not hold")),
    }
}

fn record_crc(generation: u64, at: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&generation.to_be_bytes());
    hasher.update(&at.to_be_bytes());
    hasher.update(&(payload.len() as u64).to_be_bytes());
    hasher.update(payload);
    hasher.finalize()
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

const NAMES: [&str; 2] = ["commits.0", "commits.1"];
/// Names the format; its version follows.
const MAGIC: [u8; 7] = *b"commits";
const VERSION: u8 = 1;
const HEADER: usize = 24;
const RECORD: usize = 8;
const KEPT: u64 = FULL + STEP;
const PENDING_KEPT: usize = 64 * 1024;
