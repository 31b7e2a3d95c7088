//! The latest changes in memory: what most subscribers read. The loader brings those from before the start. Who stands
//! further back has all entries looked through.
//!
//! A change costs its key and some three bytes: they stand one behind the other in chunks, since one allocation for each
//! would take more than the entries themselves.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use crate::codec::{Reader, put_bytes, put_number};

#[derive(Debug)]
pub(crate) struct Window {
    chunks: VecDeque<Chunk>,
    /// Rows here, and how many are kept.
    len: usize,
    kept: usize,
    /// Changes after this number are all here.
    floor: u64,
}

/// Some changes, oldest first: for each, how much its number is above the one before, and its key.
#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    /// Where the rows begin that are still kept, and the number before them.
    start: usize,
    before: u64,
    /// The number of the last one.
    last: u64,
}

impl Window {
    /// Keeps so many changes; those after `seq` will come.
    pub fn new(kept: usize, seq: u64) -> Window {
        Window { chunks: VecDeque::new(), len: 0, kept, floor: seq }
    }

    /// Begins anew: changes after `seq` will come.
    pub fn reset(&mut self, seq: u64) {
        self.chunks.clear();
        (self.len, self.floor) = (0, seq);
    }

    /// The next change. Numbers do not fall.
    pub fn push(&mut self, seq: u64, key: &[u8]) {
        put(&mut self.chunks, seq, key);
        self.len += 1;
        if self.len > self.kept
            && let Some(chunk) = self.chunks.front_mut()
        {
            // Several rows may share a number (a replica's burst): it is gone as a whole.
            self.floor = chunk.pop_front();
            self.len -= 1;
            if chunk.start >= chunk.bytes.len() {
                self.chunks.pop_front();
            }
        }
    }

    /// Gathers what is to [`Window::precede`] it. Up to `floor` nothing is wanted.
    pub fn recent(&self, floor: u64) -> Recent {
        Recent { rows: BinaryHeap::new(), kept: self.kept, floor: floor.min(self.floor), upto: self.floor }
    }

    /// Puts the changes before its first one in front, unless it begins later by now.
    pub fn precede(&mut self, recent: Recent) {
        if self.floor != recent.upto {
            return;
        }
        self.floor = recent.floor;
        let mut older: Vec<_> = recent.rows.into_iter().map(|Reverse(row)| row).collect();
        older.sort_unstable();
        let surplus = older.len().saturating_sub(self.kept.saturating_sub(self.len));
        let mut chunks = VecDeque::new();
        for (at, (seq, key)) in older.iter().enumerate() {
            match at < surplus {
                true => self.floor = *seq,
                false => put(&mut chunks, *seq, key),
            }
        }
        self.len += older.len() - surplus;
        chunks.append(&mut self.chunks);
        self.chunks = chunks;
    }

    /// Whether all changes after `seq` are here.
    pub fn covers(&self, seq: u64) -> bool {
        seq >= self.floor
    }

    /// Keys changed after `seq`, oldest first, and the number up to which they are complete: at least `limit` of them
    /// if there are as many.
    pub fn after(&self, seq: u64, limit: usize) -> (Vec<&[u8]>, u64) {
        let start = self.chunks.partition_point(|chunk| chunk.last <= seq);
        let (mut keys, mut upto) = (Vec::new(), seq);
        for (at, key) in self.chunks.range(start..).flat_map(Chunk::rows).skip_while(|(at, _)| *at <= seq) {
            if keys.len() >= limit && at != upto {
                break;
            }
            keys.push(key);
            upto = at;
        }
        (keys, upto)
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        self.chunks.capacity() * size_of::<Chunk>()
            + self.chunks.iter().map(|chunk| chunk.bytes.capacity()).sum::<usize>()
    }
}

/// Adds a row behind the others.
fn put(chunks: &mut VecDeque<Chunk>, seq: u64, key: &[u8]) {
    match chunks.back_mut() {
        Some(chunk) if chunk.bytes.len() + key.len() + NUMBERS <= CHUNK => chunk.push(seq, key),
        _ => {
            let bytes = Vec::with_capacity(CHUNK.max(key.len() + NUMBERS));
            let mut chunk = Chunk { bytes, start: 0, before: seq, last: seq };
            chunk.push(seq, key);
            chunks.push_back(chunk);
        }
    }
}

impl Chunk {
    fn push(&mut self, seq: u64, key: &[u8]) {
        put_number(&mut self.bytes, seq.saturating_sub(self.last));
        put_bytes(&mut self.bytes, key);
        self.last = seq;
    }

    fn rows(&self) -> Rows<'_> {
        Rows { reader: Reader(self.bytes.get(self.start..).unwrap_or_default()), at: self.before }
    }

    /// Gives the number of the row that goes.
    fn pop_front(&mut self) -> u64 {
        let mut rows = self.rows();
        let (seq, left) = (rows.next().map_or(self.last, |(seq, _)| seq), rows.reader.0.len());
        (self.start, self.before) = (self.bytes.len() - left, seq);
        seq
    }
}

/// The rows of one chunk.
struct Rows<'a> {
    reader: Reader<'a>,
    /// The number of the row before.
    at: u64,
}

impl<'a> Iterator for Rows<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<(u64, &'a [u8])> {
        self.at = self.at.saturating_add(self.reader.number().ok()?);
        Some((self.at, self.reader.bytes().ok()?))
    }
}

/// The latest of the changes that a store tells of in any order.
pub(crate) struct Recent {
    rows: BinaryHeap<Reverse<(u64, Box<[u8]>)>>,
    kept: usize,
    /// Those after this number are wanted, up to another.
    floor: u64,
    upto: u64,
}

impl Recent {
    /// After which number changes are wanted, and up to which.
    pub fn span(&self) -> (u64, u64) {
        (self.floor, self.upto)
    }

    pub fn see(&mut self, seq: u64, key: &[u8]) {
        if seq <= self.floor || seq > self.upto {
            return;
        }
        self.rows.push(Reverse((seq, key.into())));
        if self.rows.len() > self.kept
            && let Some(Reverse((oldest, _))) = self.rows.pop()
        {
            // A number is forgotten as a whole.
            self.floor = oldest;
        }
    }
}

/// Bytes of a chunk: a few hundred changes, so that one is found by halving among chunks and then a short walk.
const CHUNK: usize = 8 * 1024;
/// What a row's numbers take at most: two of ten bytes.
const NUMBERS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_gives_the_changes_that_a_plain_list_would(
            kept in 1..60usize,
            older in prop::collection::vec((1..30u64, 0..400usize), 0..60),
            newer in prop::collection::vec((0..3u64, 0..400usize), 0..200),
            limit in 1..20usize,
        ) {
            let key = |at: usize, length: usize| [&at.to_be_bytes()[..], &vec![b'k'; length]].concat();
            let mut window = Window::new(kept, 30);
            let mut recent = window.recent(0);
            let mut all: Vec<(u64, Vec<u8>)> = Vec::new();
            for (at, (seq, length)) in older.iter().enumerate() {
                recent.see(*seq, &key(at, *length));
                all.push((*seq, key(at, *length)));
            }
            all.sort();
            let mut seq = 31;
            for (at, (more, length)) in newer.iter().enumerate() {
                seq += more;
                window.push(seq, &key(at, *length));
                all.push((seq, key(at, *length)));
            }
            window.precede(recent);
            // It may have begun later by the time that the older ones came.
            let begun = newer.len() <= kept;
            let held = if begun { &all[..] } else { &all[older.len()..] };
            let gone = held.len().saturating_sub(kept);
            let floor = match gone.checked_sub(1) {
                Some(last) => held[last].0,
                None if begun => 0,
                None => 30,
            };
            prop_assert!(window.covers(floor) && (floor == 0 || !window.covers(floor - 1)));
            for since in floor..=seq {
                let mut wanted = Vec::new();
                let mut upto = since;
                for (at, key) in held.iter().filter(|(at, _)| *at > since) {
                    if wanted.len() >= limit && *at != upto {
                        break;
                    }
                    wanted.push(key.as_slice());
                    upto = *at;
                }
                prop_assert_eq!(window.after(since, limit), (wanted, upto));
            }
        }
    }

    #[test]
    fn sixty_thousand_changes_take_hardly_more_than_their_keys() {
        let mut window = Window::new(65_536, 0);
        for n in 0..200_000u64 {
            window.push(n + 1, format!("user\x1fl18ac0d1e4b2f-{}-{n:06}", n % 8).as_bytes());
        }
        assert!(window.covers(200_000 - 65_536) && !window.covers(200_000 - 65_537));
        assert_eq!(window.after(199_998, 9).0.len(), 2);
        assert!(window.memory() < 65_536 * 34, "{} bytes a change", window.memory() / 65_536);
    }

    #[test]
    fn a_number_is_never_cut_in_two() {
        let mut w = Window::new(100, 0);
        for (seq, key) in [(1, b"a"), (2, b"b"), (2, b"c"), (3, b"d")] {
            w.push(seq, key);
        }
        assert_eq!(w.after(1, 1), (vec![&b"b"[..], b"c"], 2));
        assert_eq!(w.after(2, 9), (vec![&b"d"[..]], 3));
        assert_eq!(w.after(3, 9), (vec![], 3));
        assert!(w.covers(0));
        w.reset(7);
        assert!(!w.covers(6) && w.covers(7));
    }

    #[test]
    fn what_was_before_the_start_comes_in_front_as_far_as_there_is_room() {
        let window = |kept| {
            let mut w = Window::new(kept, 6);
            let mut recent = w.recent(1);
            // In key order, as the loader finds them; 9 is newer than the start.
            for (seq, key) in [(5, b"a"), (3, b"b"), (1, b"c"), (9, b"d"), (4, b"e"), (3, b"f")] {
                recent.see(seq, key);
            }
            w.push(9, b"d");
            w.precede(recent);
            w
        };
        let w = window(100);
        assert!(w.covers(1) && !w.covers(0));
        assert_eq!(w.after(1, 9), (vec![&b"b"[..], b"f", b"e", b"a", b"d"], 9));
        let w = window(3);
        assert!(w.covers(3) && !w.covers(2));
        assert_eq!(w.after(3, 9), (vec![&b"e"[..], b"a", b"d"], 9));
        let mut w = Window::new(3, 6);
        let recent = w.recent(1);
        w.reset(8);
        w.precede(recent);
        assert!(!w.covers(7));
    }
}
