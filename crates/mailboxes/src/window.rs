//! The latest changes in memory: what most subscribers read. The loader brings those from before the start. Who stands
//! further back has all entries looked through.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

#[derive(Debug)]
pub(crate) struct Window {
    rows: VecDeque<(u64, Box<[u8]>)>,
    /// Rows kept.
    kept: usize,
    /// Changes after this number are all here.
    floor: u64,
}

impl Window {
    /// Keeps so many changes; those after `seq` will come.
    pub fn new(kept: usize, seq: u64) -> Window {
        Window { rows: VecDeque::new(), kept, floor: seq }
    }

    /// Begins anew: changes after `seq` will come.
    pub fn reset(&mut self, seq: u64) {
        self.rows.clear();
        self.floor = seq;
    }

    pub fn push(&mut self, seq: u64, key: &[u8]) {
        self.rows.push_back((seq, key.into()));
        if self.rows.len() > self.kept
            && let Some((seq, _)) = self.rows.pop_front()
        {
            // Several rows may share a number (a replica's burst): it is gone as a whole.
            self.floor = seq;
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
        while let Some(row) = older.pop() {
            if self.rows.len() >= self.kept {
                self.floor = row.0;
                break;
            }
            self.rows.push_front(row);
        }
    }

    /// Whether all changes after `seq` are here.
    pub fn covers(&self, seq: u64) -> bool {
        seq >= self.floor
    }

    /// Keys changed after `seq`, oldest first, and the number up to which they are complete: at least `limit` of them
    /// if there are as many.
    pub fn after(&self, seq: u64, limit: usize) -> (Vec<&[u8]>, u64) {
        let start = self.rows.partition_point(|(at, _)| *at <= seq);
        let (mut keys, mut upto) = (Vec::new(), seq);
        for (at, key) in self.rows.range(start..) {
            if keys.len() >= limit && *at != upto {
                break;
            }
            keys.push(key.as_ref());
            upto = *at;
        }
        (keys, upto)
    }

    pub fn memory(&self) -> usize {
        self.rows.capacity() * size_of::<(u64, Box<[u8]>)>()
            + self.rows.iter().map(|(_, k)| k.len() + 16).sum::<usize>()
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

#[cfg(test)]
mod tests {
    use super::*;

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
