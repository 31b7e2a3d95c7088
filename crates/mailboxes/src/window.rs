//! The latest changes in memory: what most subscribers read. Older ones are on disk.

use std::collections::VecDeque;

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
}
