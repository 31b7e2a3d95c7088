//! Records in UID order, in chunks that snapshots share: a change copies the chunks that it touches and the table of
//! chunks, never the mailbox; two snapshots are compared by skipping the chunks that they share.

use std::sync::{Arc, OnceLock};

use super::record::Record;
use crate::limits::CHUNK;

/// A sequence of records in ascending UID order, cheaply cloned. Clones do not see each other's changes.
#[derive(Debug, Clone, Default)]
pub struct Records {
    /// None of them is empty.
    chunks: Arc<Vec<Chunk>>,
    len: usize,
    /// How many records lie before each chunk; made when a position is first asked for.
    before: OnceLock<Arc<Vec<usize>>>,
}

type Chunk = Arc<Vec<Record>>;

impl Records {
    /// Of records in ascending UID order.
    pub fn from_sorted(records: Vec<Record>) -> Records {
        let mut all = Records::default();
        for record in records {
            all.put(record);
        }
        all
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them, in UID order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The record at a position, from 0.
    pub fn at(&self, position: usize) -> Option<&Record> {
        let before = self.before();
        let chunk = before.partition_point(|before| *before <= position).checked_sub(1)?;
        self.chunks.get(chunk)?.get(position - before.get(chunk)?)
    }

    /// The one with the highest UID.
    pub fn last(&self) -> Option<&Record> {
        self.chunks.last()?.last()
    }

    /// The record of a UID.
    pub fn get(&self, uid: u32) -> Option<&Record> {
        let chunk = self.chunks.get(self.chunk_of(uid))?;
        chunk.get(chunk.binary_search_by_key(&uid, |r| r.uid).ok()?)
    }

    /// The position (from 0) of a UID.
    pub fn position(&self, uid: u32) -> Option<usize> {
        let position = self.lower_bound(uid);
        self.at(position).filter(|record| record.uid == uid).map(|_| position)
    }

    /// The position of the first record whose UID is not below `uid`.
    pub fn lower_bound(&self, uid: u32) -> usize {
        let chunk = self.chunk_of(uid);
        match (self.chunks.get(chunk), self.before().get(chunk)) {
            (Some(chunk), Some(before)) => before + chunk.partition_point(|r| r.uid < uid),
            _ => self.len,
        }
    }

    /// Puts a record in where its UID belongs; gives back the one that it replaces.
    pub(crate) fn put(&mut self, record: Record) -> Option<Record> {
        if self.last().is_none_or(|last| last.uid < record.uid) {
            self.push(record);
            return None;
        }
        let at = self.chunk_of(record.uid);
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(chunks.get_mut(at)?);
        match chunk.binary_search_by_key(&record.uid, |r| r.uid) {
            Ok(found) => chunk.get_mut(found).map(|slot| std::mem::replace(slot, record)),
            Err(place) => {
                chunk.insert(place, record);
                if chunk.len() > 2 * CHUNK {
                    let tail = chunk.split_off(CHUNK);
                    chunks.insert(at + 1, Arc::new(tail));
                }
                self.len += 1;
                self.before = OnceLock::new();
                None
            }
        }
    }

    fn push(&mut self, record: Record) {
        self.len += 1;
        let chunks = Arc::make_mut(&mut self.chunks);
        if let Some(chunk) = chunks.last_mut().filter(|chunk| chunk.len() < CHUNK) {
            return Arc::make_mut(chunk).push(record);
        }
        chunks.push(Arc::new(vec![record]));
        self.before = OnceLock::new();
    }

    pub(crate) fn remove(&mut self, uid: u32) -> Option<Record> {
        let at = self.chunk_of(uid);
        let found = self.chunks.get(at)?.binary_search_by_key(&uid, |r| r.uid).ok()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(chunks.get_mut(at)?);
        let record = chunk.remove(found);
        if chunk.is_empty() {
            chunks.remove(at);
        }
        self.len -= 1;
        self.before = OnceLock::new();
        Some(record)
    }

    /// The chunk that a UID is in, if it is in any.
    fn chunk_of(&self, uid: u32) -> usize {
        self.chunks.partition_point(|chunk| chunk.last().is_some_and(|r| r.uid < uid))
    }

    fn before(&self) -> &[usize] {
        self.before.get_or_init(|| {
            let lens = self.chunks.iter().map(|chunk| chunk.len());
            let starts = lens.scan(0, |next, len| {
                let start = *next;
                *next += len;
                Some(start)
            });
            Arc::new(starts.collect())
        })
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
        self.chunks.get(self.chunk)?.get(self.at)
    }

    fn next(&mut self) {
        self.at += 1;
        if self.chunks.get(self.chunk).is_some_and(|chunk| self.at >= chunk.len()) {
            self.skip_chunk();
        }
    }

    fn at_chunk_start(&self) -> bool {
        self.at == 0
    }

    fn shares_chunk(&self, other: &Cursor<'_>) -> bool {
        match (self.chunks.get(self.chunk), other.chunks.get(other.chunk)) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    fn skip_chunk(&mut self) {
        self.chunk += 1;
        self.at = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::record::System;

    fn record(uid: u32, modseq: u64) -> Record {
        Record {
            uid,
            modseq,
            createdmodseq: 1,
            internaldate: 0,
            savedate: 0,
            last_updated: 0,
            size: 0,
            header_size: 0,
            guid: [0; 20],
            flags: System::NONE,
            keywords: 0,
            cache: 0,
            annotations: None,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn records_are_where_a_sorted_table_has_them_and_a_snapshot_stays_as_it_was(
            steps in vec((1..700u32, any::<bool>()), 0..700),
            more in 0..400u32,
        ) {
            let mut records = Records::from_sorted((1000..1000 + more).map(|uid| record(uid, 0)).collect());
            let mut table: BTreeMap<u32, u64> = (1000..1000 + more).map(|uid| (uid, 0)).collect();
            let (mut old, mut kept) = (records.clone(), table.clone());
            for (at, (uid, put)) in steps.into_iter().enumerate() {
                let before = match put {
                    true => (records.put(record(uid, at as u64)), table.insert(uid, at as u64)),
                    false => (records.remove(uid), table.remove(&uid)),
                };
                prop_assert_eq!(before.0.map(|record| record.modseq), before.1);
                if at % 100 == 50 {
                    (old, kept) = (records.clone(), table.clone());
                }
            }
            for (records, table) in [(&records, &table), (&old, &kept)] {
                let here: Vec<(u32, u64)> = records.iter().map(|record| (record.uid, record.modseq)).collect();
                prop_assert_eq!(&here, &table.iter().map(|(uid, modseq)| (*uid, *modseq)).collect::<Vec<_>>());
                prop_assert_eq!(records.len(), here.len());
                for (at, (uid, _)) in here.iter().enumerate() {
                    prop_assert_eq!(records.position(*uid), Some(at));
                    prop_assert_eq!(records.at(at).map(|record| record.uid), Some(*uid));
                }
                for uid in (0..1500).step_by(7) {
                    prop_assert_eq!(records.lower_bound(uid), here.partition_point(|(other, _)| *other < uid));
                    prop_assert_eq!(records.get(uid).is_some(), table.contains_key(&uid));
                }
                prop_assert_eq!(records.at(here.len()), None);
            }
            let (changed, gone) = records.difference(&old);
            let changed: Vec<u32> = changed.iter().map(|(record, _)| record.uid).collect();
            let differ: Vec<u32> =
                table.iter().filter(|(uid, modseq)| kept.get(uid) != Some(modseq)).map(|(uid, _)| *uid).collect();
            prop_assert_eq!(changed, differ);
            let left: Vec<u32> = kept.keys().filter(|uid| !table.contains_key(uid)).copied().collect();
            prop_assert_eq!(gone, left);
        }
    }
}
