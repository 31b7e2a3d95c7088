//! Records in UID order, in chunks that snapshots share: a change copies the chunks that it touches and the table of
//! chunks, never the mailbox; two snapshots are compared by skipping the chunks that they share.

use std::sync::{Arc, OnceLock};

use super::record::{Record, System};
use crate::limits::CHUNK;

/// A sequence of records in ascending UID order, cheaply cloned. Clones do not see each other's changes.
#[derive(Debug, Clone, Default)]
pub struct Records {
    /// None of them is empty.
    chunks: Arc<Vec<Shared>>,
    len: usize,
    /// How many records lie before each chunk; made when a position is first asked for.
    before: OnceLock<Arc<Vec<usize>>>,
}

type Shared = Arc<Chunk>;

/// Neighbours, and what is known of all of them, so that they can be passed over.
#[derive(Debug, Clone)]
struct Chunk {
    records: Vec<Record>,
    /// None of them has a higher modification sequence.
    modseq: u64,
    /// Those that are not \Seen.
    unseen: usize,
}

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
        self.chunks.iter().flat_map(|chunk| chunk.records.iter())
    }

    /// The record at a position, from 0.
    pub fn at(&self, position: usize) -> Option<&Record> {
        let before = self.before();
        let chunk = before.partition_point(|before| *before <= position).checked_sub(1)?;
        self.chunks.get(chunk)?.records.get(position - before.get(chunk)?)
    }

    /// The one with the highest UID.
    pub fn last(&self) -> Option<&Record> {
        self.chunks.last()?.records.last()
    }

    /// The record of a UID.
    pub fn get(&self, uid: u32) -> Option<&Record> {
        let records = &self.chunks.get(self.chunk_of(uid))?.records;
        records.get(records.binary_search_by_key(&uid, |r| r.uid).ok()?)
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
            (Some(chunk), Some(before)) => before + chunk.records.partition_point(|r| r.uid < uid),
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
        chunk.arrives(&record);
        match chunk.records.binary_search_by_key(&record.uid, |r| r.uid) {
            Ok(found) => {
                let before = std::mem::replace(chunk.records.get_mut(found)?, record);
                chunk.leaves(&before);
                Some(before)
            }
            Err(place) => {
                chunk.records.insert(place, record);
                if chunk.records.len() > 2 * CHUNK {
                    let tail = chunk.records.split_off(CHUNK);
                    *chunk = Chunk::of(std::mem::take(&mut chunk.records));
                    chunks.insert(at + 1, Arc::new(Chunk::of(tail)));
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
        if let Some(chunk) = chunks.last_mut().filter(|chunk| chunk.records.len() < CHUNK) {
            let chunk = Arc::make_mut(chunk);
            chunk.arrives(&record);
            return chunk.records.push(record);
        }
        chunks.push(Arc::new(Chunk::of(vec![record])));
        self.before = OnceLock::new();
    }

    pub(crate) fn remove(&mut self, uid: u32) -> Option<Record> {
        let at = self.chunk_of(uid);
        let found = self.chunks.get(at)?.records.binary_search_by_key(&uid, |r| r.uid).ok()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(chunks.get_mut(at)?);
        let record = chunk.records.remove(found);
        chunk.leaves(&record);
        if chunk.records.is_empty() {
            chunks.remove(at);
        }
        self.len -= 1;
        self.before = OnceLock::new();
        Some(record)
    }

    /// Those that changed after a modification sequence, in UID order. Passes over the chunks in which none did.
    pub fn changed_since(&self, modseq: u64) -> impl Iterator<Item = &Record> {
        let chunks = self.chunks.iter().filter(move |chunk| chunk.modseq > modseq);
        chunks.flat_map(|chunk| chunk.records.iter()).filter(move |record| record.modseq > modseq)
    }

    /// Records that [`Records::changed_since`] looks at.
    pub fn weight_since(&self, modseq: u64) -> usize {
        let chunks = self.chunks.iter().filter(|chunk| chunk.modseq > modseq);
        self.chunks.len() / CHUNK + chunks.map(|chunk| chunk.records.len()).sum::<usize>()
    }

    /// The first one that is not \Seen.
    pub fn first_unseen(&self) -> Option<&Record> {
        let chunk = self.chunks.iter().find(|chunk| chunk.unseen > 0)?;
        chunk.records.iter().find(|record| !record.has(System::SEEN))
    }

    /// UIDs from 1 to `last` that no record has, as ascending ranges. Passes over the chunks that have no gap.
    pub fn gaps(&self, last: u32) -> Vec<(u32, u32)> {
        let (mut gaps, mut next) = (Vec::new(), 1u32);
        let mut up_to = |uid: u32, next: &mut u32| {
            if uid > *next {
                gaps.push((*next, uid - 1));
            }
            *next = uid.saturating_add(1);
        };
        for chunk in self.chunks.iter() {
            let (Some(first), Some(end)) = (chunk.records.first(), chunk.records.last()) else { continue };
            if (end.uid - first.uid) as usize + 1 == chunk.records.len() {
                up_to(first.uid, &mut next);
                next = end.uid.saturating_add(1);
                continue;
            }
            chunk.records.iter().for_each(|record| up_to(record.uid, &mut next));
        }
        if next <= last {
            gaps.push((next, last));
        }
        gaps
    }

    /// The chunk that a UID is in, if it is in any.
    fn chunk_of(&self, uid: u32) -> usize {
        self.chunks.partition_point(|chunk| chunk.records.last().is_some_and(|r| r.uid < uid))
    }

    fn before(&self) -> &[usize] {
        self.before.get_or_init(|| {
            let lens = self.chunks.iter().map(|chunk| chunk.records.len());
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

impl Chunk {
    fn of(records: Vec<Record>) -> Chunk {
        let mut chunk = Chunk { records: Vec::new(), modseq: 0, unseen: 0 };
        records.iter().for_each(|record| chunk.arrives(record));
        Chunk { records, ..chunk }
    }

    fn arrives(&mut self, record: &Record) {
        self.modseq = self.modseq.max(record.modseq);
        self.unseen += usize::from(!record.has(System::SEEN));
    }

    /// The bound on modification sequences stays: it may be too high.
    fn leaves(&mut self, record: &Record) {
        self.unseen -= usize::from(!record.has(System::SEEN));
    }
}

struct Cursor<'a> {
    chunks: &'a [Shared],
    chunk: usize,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<&'a Record> {
        self.chunks.get(self.chunk)?.records.get(self.at)
    }

    fn next(&mut self) {
        self.at += 1;
        if self.chunks.get(self.chunk).is_some_and(|chunk| self.at >= chunk.records.len()) {
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
            flags: if modseq % 3 == 1 { System::NONE } else { System::SEEN },
            keywords: 0,
            cache: 0,
            annotations: None,
        }
    }

    #[test]
    fn ten_changes_in_many_messages_are_found_without_looking_at_the_others() {
        let mut records = Records::from_sorted((1..=100_000).map(|uid| record(uid, 1)).collect());
        for uid in (1..=100_000).step_by(10_000) {
            records.put(record(uid, 2));
        }
        assert_eq!(records.changed_since(1).count(), 10);
        assert!(records.weight_since(1) <= 10 * 2 * CHUNK + 100, "{}", records.weight_since(1));
        assert_eq!((records.weight_since(2), records.changed_since(2).count()), (100_000 / CHUNK / CHUNK, 0));
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
                for since in [0, 1, 50, 600] {
                    let changed: Vec<u32> = records.changed_since(since).map(|record| record.uid).collect();
                    let later = here.iter().filter(|(_, modseq)| *modseq > since);
                    prop_assert_eq!(changed, later.map(|(uid, _)| *uid).collect::<Vec<_>>());
                }
                let unseen = records.iter().find(|record| !record.has(System::SEEN));
                prop_assert_eq!(records.first_unseen(), unseen);
                let gaps: Vec<u32> = records.gaps(2000).into_iter().flat_map(|(a, b)| a..=b).collect();
                let free: Vec<u32> = (1..=2000).filter(|uid| !table.contains_key(uid)).collect();
                prop_assert_eq!(gaps, free);
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
