//! Records in UID order, in chunks that snapshots share: a change copies one chunk and the table of chunks, never the
//! mailbox; two snapshots are compared by skipping the chunks that they share.

use std::sync::Arc;

use super::record::Record;

/// An immutable, cheaply cloned sequence of records in ascending UID order.
#[derive(Debug, Clone, Default)]
pub struct Records {
    chunks: Arc<Vec<Chunk>>,
    len: usize,
}

#[derive(Debug, Clone)]
struct Chunk {
    /// Records before this chunk.
    before: usize,
    records: Arc<Vec<Record>>,
}

impl Records {
    pub fn from_sorted(records: Vec<Record>) -> Records {
        let len = records.len();
        let mut chunks = Vec::with_capacity(len / CHUNK + 1);
        let mut rest = records.into_iter().peekable();
        let mut before = 0;
        while rest.peek().is_some() {
            let records: Vec<Record> = rest.by_ref().take(CHUNK).collect();
            let count = records.len();
            chunks.push(Chunk { before, records: Arc::new(records) });
            before += count;
        }
        Records { chunks: Arc::new(chunks), len }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.chunks.iter().flat_map(|chunk| chunk.records.iter())
    }

    /// The record at a position, from 0.
    pub fn at(&self, position: usize) -> Option<&Record> {
        let chunk = self.chunks.partition_point(|c| c.before <= position).checked_sub(1)?;
        let chunk = self.chunks.get(chunk)?;
        chunk.records.get(position - chunk.before)
    }

    pub fn last(&self) -> Option<&Record> {
        self.chunks.last()?.records.last()
    }

    pub fn get(&self, uid: u32) -> Option<&Record> {
        let position = self.lower_bound(uid);
        self.at(position).filter(|record| record.uid == uid)
    }

    /// The position (from 0) of a UID.
    pub fn position(&self, uid: u32) -> Option<usize> {
        let position = self.lower_bound(uid);
        self.at(position).filter(|record| record.uid == uid).map(|_| position)
    }

    /// The position of the first record whose UID is not below `uid`.
    pub fn lower_bound(&self, uid: u32) -> usize {
        let chunk = self.chunks.partition_point(|c| c.records.last().is_some_and(|r| r.uid < uid));
        match self.chunks.get(chunk) {
            Some(chunk) => chunk.before + chunk.records.partition_point(|r| r.uid < uid),
            None => self.len,
        }
    }

    /// With these changes of records that are here, ascending by UID; others are passed over.
    pub fn updated(&self, changed: impl IntoIterator<Item = Record>) -> Records {
        let mut chunks = (*self.chunks).clone();
        for record in changed {
            let at = chunks.partition_point(|c| c.records.last().is_some_and(|r| r.uid < record.uid));
            let Some(chunk) = chunks.get_mut(at) else { continue };
            let records = Arc::make_mut(&mut chunk.records);
            if let Ok(found) = records.binary_search_by_key(&record.uid, |r| r.uid)
                && let Some(slot) = records.get_mut(found)
            {
                *slot = record;
            }
        }
        Records { chunks: Arc::new(chunks), len: self.len }
    }

    /// With these records at the end; their UIDs are above all here, ascending.
    pub fn appended(&self, new: impl IntoIterator<Item = Record>) -> Records {
        let mut chunks = (*self.chunks).clone();
        let mut len = self.len;
        for record in new {
            match chunks.last_mut().filter(|c| c.records.len() < CHUNK) {
                Some(chunk) => Arc::make_mut(&mut chunk.records).push(record),
                None => chunks.push(Chunk { before: len, records: Arc::new(vec![record]) }),
            }
            len += 1;
        }
        Records { chunks: Arc::new(chunks), len }
    }

    /// With these records put in where their UIDs belong.
    pub fn inserted(&self, new: impl IntoIterator<Item = Record>) -> Records {
        let mut chunks = (*self.chunks).clone();
        for record in new {
            let last = chunks.len().saturating_sub(1);
            let at =
                chunks.partition_point(|c| c.records.last().is_some_and(|r| r.uid < record.uid)).min(last);
            match chunks.get_mut(at) {
                None => chunks.push(Chunk { before: 0, records: Arc::new(vec![record]) }),
                Some(chunk) => {
                    let records = Arc::make_mut(&mut chunk.records);
                    let place = records.partition_point(|r| r.uid < record.uid);
                    records.insert(place, record);
                    if records.len() > 2 * CHUNK {
                        let tail = records.split_off(CHUNK);
                        chunks.insert(at + 1, Chunk { before: 0, records: Arc::new(tail) });
                    }
                }
            }
        }
        Records::recounted(chunks)
    }

    /// Without these UIDs.
    pub fn removed(&self, uids: &[u32]) -> Records {
        let mut chunks = (*self.chunks).clone();
        for &uid in uids {
            let at = chunks.partition_point(|c| c.records.last().is_some_and(|r| r.uid < uid));
            let Some(chunk) = chunks.get_mut(at) else { continue };
            if let Ok(found) = chunk.records.binary_search_by_key(&uid, |r| r.uid) {
                Arc::make_mut(&mut chunk.records).remove(found);
                if chunk.records.is_empty() {
                    chunks.remove(at);
                }
            }
        }
        Records::recounted(chunks)
    }

    fn recounted(mut chunks: Vec<Chunk>) -> Records {
        let mut len = 0;
        for chunk in &mut chunks {
            chunk.before = len;
            len += chunk.records.len();
        }
        Records { chunks: Arc::new(chunks), len }
    }

    /// Records here that are not in `old` in the very same state, and UIDs of `old` that are not here; in UID order.
    pub fn difference<'a>(&'a self, old: &'a Records) -> (Vec<(&'a Record, Option<&'a Record>)>, Vec<u32>) {
        let (mut changed, mut gone) = (Vec::new(), Vec::new());
        let (mut new, mut was) = (self.cursor(), old.cursor());
        loop {
            if new.at_chunk_start() && was.at_chunk_start() && new.shares_chunk(&was) {
                new.skip_chunk();
                was.skip_chunk();
                continue;
            }
            match (new.peek(), was.peek()) {
                (None, None) => return (changed, gone),
                (Some(n), Some(w)) if n.uid == w.uid => {
                    if n != w {
                        changed.push((n, Some(w)));
                    }
                    new.next();
                    was.next();
                }
                (n, Some(w)) if n.is_none_or(|n| n.uid > w.uid) => {
                    gone.push(w.uid);
                    was.next();
                }
                (Some(n), _) => {
                    changed.push((n, None));
                    new.next();
                }
                (None, Some(_)) => return (changed, gone),
            }
        }
    }

    fn cursor(&self) -> Cursor<'_> {
        Cursor { chunks: &self.chunks, chunk: 0, at: 0 }
    }
}

struct Cursor<'a> {
    chunks: &'a [Chunk],
    chunk: usize,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<&'a Record> {
        self.chunks.get(self.chunk)?.records.get(self.at)
    }

    fn next(&mut self) {
        self.at += 1;
        if self.chunks.get(self.chunk).is_some_and(|c| self.at >= c.records.len()) {
            self.skip_chunk();
        }
    }

    fn at_chunk_start(&self) -> bool {
        self.at == 0
    }

    fn shares_chunk(&self, other: &Cursor<'_>) -> bool {
        match (self.chunks.get(self.chunk), other.chunks.get(other.chunk)) {
            (Some(a), Some(b)) => Arc::ptr_eq(&a.records, &b.records),
            _ => false,
        }
    }

    fn skip_chunk(&mut self) {
        self.chunk += 1;
        self.at = 0;
    }
}

/// Records that one change copies.
const CHUNK: usize = 128;
