//! Which messages are gone, and since when: what a client that comes back is told of in VANISHED (RFC 7162 section 3.2.10).
//!
//! Runs of UIDs that went at the same time, in the order in which they went. So all that went after a modification sequence
//! is the tail of the list, whatever else the mailbox has lost before. Like [`Records`](super::records::Records), the list lies in
//! chunks that snapshots share. An expunged message has its run from the moment of the expunge, and keeps it when its record and
//! its file go.

use std::sync::Arc;

use protocol::ranges::joined;

use crate::limits::RUNS;

/// UIDs that went in one change, `first` to `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub first: u32,
    pub last: u32,
    /// The modification sequence of the change.
    pub modseq: u64,
    /// When it was made, epoch seconds.
    pub time: i64,
}

/// Runs by modification sequence, ascending. Cheaply cloned; clones do not see each other's changes.
#[derive(Debug, Clone, Default)]
pub struct Tombstones {
    /// None of them is empty.
    chunks: Arc<Vec<Arc<Vec<Run>>>>,
    len: usize,
}

impl Tombstones {
    /// Runs.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is known to be gone.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether both are one, without a look at the runs: false means nothing.
    pub(crate) fn is_same(&self, other: &Tombstones) -> bool {
        Arc::ptr_eq(&self.chunks, &other.chunks)
    }

    /// All of them, the oldest first: what a replica needs.
    pub fn iter(&self) -> impl Iterator<Item = &Run> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// Runs that [`Tombstones::since`] looks at, about.
    pub fn weight_since(&self, modseq: u64) -> usize {
        let chunk = self.chunks.partition_point(|chunk| chunk.last().is_some_and(|run| run.modseq <= modseq));
        self.chunks.get(chunk..).unwrap_or_default().iter().map(|chunk| chunk.len()).sum()
    }

    /// UIDs that went after a modification sequence, as ascending ranges that do not touch. Takes time in proportion to the
    /// answer.
    pub fn since(&self, modseq: u64) -> Vec<(u32, u32)> {
        let chunk = self.chunks.partition_point(|chunk| chunk.last().is_some_and(|run| run.modseq <= modseq));
        let later = self.chunks.get(chunk..).unwrap_or_default().iter().flat_map(|chunk| chunk.iter());
        joined(later.filter(|run| run.modseq > modseq).map(|run| (run.first, run.last)).collect())
    }

    /// Puts a run in where its modification sequence belongs: at the end, but for the files of earlier builds.
    pub(crate) fn put(&mut self, run: Run) {
        let chunks = Arc::make_mut(&mut self.chunks);
        let mut at =
            chunks.partition_point(|chunk| chunk.last().is_some_and(|last| last.modseq <= run.modseq));
        // Behind all of the chunk before, so that the runs of one change stay in their order.
        if chunks.get(at).and_then(|chunk| chunk.first()).is_none_or(|first| first.modseq > run.modseq) {
            at = at.saturating_sub(1);
        }
        let Some(chunk) = chunks.get_mut(at) else {
            chunks.push(Arc::new(vec![run]));
            self.len += 1;
            return;
        };
        let chunk = Arc::make_mut(chunk);
        let place = chunk.partition_point(|other| other.modseq <= run.modseq);
        let before = place.checked_sub(1).and_then(|before| chunk.get_mut(before));
        if let Some(before) = before
            && before.modseq == run.modseq
            && before.last.checked_add(1) == Some(run.first)
        {
            before.last = run.last;
            before.time = before.time.max(run.time);
            return;
        }
        self.len += 1;
        if place == chunk.len() && chunk.len() >= RUNS {
            chunks.insert(at + 1, Arc::new(vec![run]));
            return;
        }
        chunk.insert(place, run);
        if chunk.len() > 2 * RUNS {
            let tail = chunk.split_off(RUNS);
            chunks.insert(at + 1, Arc::new(tail));
        }
    }

    /// Takes a UID out that is there again: reconstruct has found its file.
    pub(crate) fn remove(&mut self, uid: u32) {
        if !self.iter().any(|run| (run.first..=run.last).contains(&uid)) {
            return;
        }
        let runs: Vec<Run> = self.iter().copied().collect();
        *self = Tombstones::default();
        for run in runs {
            if !(run.first..=run.last).contains(&uid) {
                self.put(run);
                continue;
            }
            if run.first < uid {
                self.put(Run { last: uid - 1, ..run });
            }
            if uid < run.last {
                self.put(Run { first: uid + 1, ..run });
            }
        }
    }

    /// The modification sequence up to which runs are to be dropped, where there are more than `most`, or some from before
    /// `oldest` (epoch seconds): the oldest go first. So many go at once that not each expunge drops some.
    pub(crate) fn surplus(&self, most: usize, oldest: i64) -> Option<u64> {
        let aged = self.iter().take_while(|run| run.time < oldest).last();
        let crowded = match self.len > most {
            true => self.iter().nth(self.len - most + most / 8),
            false => None,
        };
        aged.map(|run| run.modseq).max(crowded.map(|run| run.modseq))
    }

    /// Drops what went up to a modification sequence.
    pub(crate) fn drop_until(&mut self, modseq: u64) {
        if self.chunks.first().and_then(|chunk| chunk.first()).is_none_or(|run| run.modseq > modseq) {
            return;
        }
        let chunks = Arc::make_mut(&mut self.chunks);
        chunks.retain_mut(|chunk| {
            let gone = chunk.partition_point(|run| run.modseq <= modseq);
            self.len -= gone;
            let stays = gone < chunk.len();
            if gone > 0 && stays {
                Arc::make_mut(chunk).drain(..gone);
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[test]
    fn what_went_in_one_change_is_one_run_and_what_went_since_is_a_tail() {
        let mut gone = Tombstones::default();
        for (uid, modseq) in [(4, 7), (5, 7), (6, 7), (9, 7), (1, 8), (7, 9)] {
            gone.put(Run { first: uid, last: uid, modseq, time: 0 });
        }
        assert_eq!(gone.len(), 4);
        assert_eq!(gone.since(6), [(1, 1), (4, 7), (9, 9)]);
        assert_eq!(gone.since(7), [(1, 1), (7, 7)]);
        assert_eq!(gone.since(9), []);
        gone.remove(5);
        assert_eq!(gone.since(6), [(1, 1), (4, 4), (6, 7), (9, 9)]);
    }

    #[test]
    fn the_oldest_are_dropped_when_there_are_too_many_or_they_are_too_old() {
        let mut gone = Tombstones::default();
        for n in 1..=1000u32 {
            gone.put(Run { first: 2 * n, last: 2 * n, modseq: u64::from(n), time: i64::from(n) });
        }
        assert_eq!(gone.surplus(1000, 1), None);
        assert_eq!(gone.surplus(1000, 11), Some(10));
        let until = gone.surplus(800, 0).unwrap();
        assert!((200..400).contains(&until), "{until}");
        gone.drop_until(until);
        assert_eq!((gone.len(), gone.iter().count()), (1000 - until as usize, 1000 - until as usize));
        assert_eq!(gone.iter().next().map(|run| run.modseq), Some(until + 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn runs_are_where_a_sorted_table_has_them_whatever_order_they_come_in(
            steps in vec((1..3000u32, 1..400u64), 0..900),
            ask in 0..400u64,
            drop in 0..400u64,
        ) {
            let mut gone = Tombstones::default();
            for &(uid, modseq) in &steps {
                gone.put(Run { first: uid, last: uid, modseq, time: 0 });
            }
            let told = |gone: &Tombstones, ask| -> Vec<u32> {
                gone.since(ask).into_iter().flat_map(|(first, last)| first..=last).collect()
            };
            let want = |ask: u64| -> Vec<u32> {
                let later: std::collections::BTreeSet<u32> =
                    steps.iter().filter(|(_, modseq)| *modseq > ask).map(|(uid, _)| *uid).collect();
                later.into_iter().collect()
            };
            prop_assert_eq!(told(&gone, ask), want(ask));
            prop_assert!(gone.iter().map(|run| run.modseq).is_sorted());
            prop_assert_eq!(gone.iter().count(), gone.len());
            let old = gone.clone();
            gone.drop_until(drop);
            prop_assert_eq!(told(&gone, 0), want(drop));
            prop_assert_eq!(gone.iter().count(), gone.len());
            prop_assert_eq!(told(&old, 0), want(0));
        }
    }
}
