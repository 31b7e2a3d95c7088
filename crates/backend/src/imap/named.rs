//! The messages that a FETCH names, whose records are taken out of the view a run at a time: a client that does not read the
//! answer keeps as much of a mailbox of any size as it is told of next.

use std::collections::VecDeque;
use std::ops::Range;

use protocol::imap::SequenceSet;

use super::numbering::{Numbering, Target, number};

/// Messages of one view, in order.
#[derive(Debug, Clone)]
pub struct Named {
    numbering: Numbering,
    /// From and to (exclusive) among the messages that are there, ascending.
    places: VecDeque<(usize, usize)>,
    /// Ghosts before the next of them, at least.
    ghosts: usize,
}

impl Named {
    /// What a set names; `changed_since`: of these, what has changed after that. Takes time in proportion to [`Numbering::weight`].
    pub fn of_set(
        numbering: Numbering,
        set: &SequenceSet,
        by_uid: bool,
        changed_since: Option<u64>,
    ) -> Named {
        let mut places: VecDeque<(usize, usize)> = numbering.places(set, by_uid).into();
        places.retain(|(from, to)| from < to);
        if let Some(modseq) = changed_since {
            let records = numbering.view().records();
            let changed = |at: &usize| records.at(*at).is_some_and(|record| record.modseq > modseq);
            places = joined(places.iter().flat_map(|(from, to)| *from..*to).filter(changed));
        }
        Named { numbering, places, ghosts: 0 }
    }

    /// Messages of these UIDs, ascending, that are there.
    pub fn of_uids(numbering: Numbering, uids: &[u32]) -> Named {
        let records = numbering.view().records();
        let places = joined(uids.iter().filter_map(|uid| records.position(*uid)));
        Named { numbering, places, ghosts: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many are left.
    pub fn len(&self) -> usize {
        self.places.iter().map(|(from, to)| to - from).sum()
    }

    /// Leaves those of them that are at these places among them.
    pub fn keep(&mut self, window: Range<usize>) {
        let mut before = 0;
        for (from, to) in &mut self.places {
            let (start, len) = (*from, *to - *from);
            let inside = |at: usize| at.clamp(before, before + len) - before;
            (*from, *to) = (start + inside(window.start), start + inside(window.end));
            before += len;
        }
        self.places.retain(|(from, to)| from < to);
    }

    /// The next of them, as many as are asked for; fewer are the last ones.
    pub fn take(&mut self, most: usize, taken: &mut Vec<Target>) {
        let (records, ghosts) = (self.numbering.view().records(), self.numbering.ghost_uids());
        for _ in 0..most {
            let Some((from, to)) = self.places.front_mut() else { return };
            let at = *from;
            *from += 1;
            if from == to {
                self.places.pop_front();
            }
            let Some(record) = records.at(at) else { continue };
            while ghosts.get(self.ghosts).is_some_and(|ghost| *ghost < record.uid) {
                self.ghosts += 1;
            }
            taken.push(Target { sequence: number(at + self.ghosts + 1), record: record.clone() });
        }
    }
}

/// Places, ascending, as ranges.
fn joined(places: impl Iterator<Item = usize>) -> VecDeque<(usize, usize)> {
    let mut all: VecDeque<(usize, usize)> = VecDeque::new();
    for at in places {
        match all.back_mut() {
            Some((_, to)) if *to == at => *to += 1,
            _ => all.push_back((at, at + 1)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use protocol::imap::{Cursor, Limits};
    use store::{Record, Records, System, View};

    use super::*;

    fn record(uid: u32) -> Record {
        Record {
            uid,
            modseq: u64::from(uid % 3),
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

    fn numbering(uids: impl IntoIterator<Item = u32>) -> Numbering {
        let records = Records::from_sorted(uids.into_iter().map(record).collect());
        Numbering::new(Arc::new(View::default().with(records)))
    }

    fn set(text: &str) -> SequenceSet {
        Cursor::new(text.as_bytes(), Limits::default()).read(SequenceSet::parse).unwrap()
    }

    fn all(mut named: Named, run: usize) -> Vec<(u32, u32)> {
        let mut taken = Vec::new();
        while !named.is_empty() {
            let before = (taken.len(), named.len());
            named.take(run, &mut taken);
            assert_eq!(taken.len() - before.0, run.min(before.1));
        }
        taken.iter().map(|target: &Target| (target.sequence, target.record.uid)).collect()
    }

    #[test]
    fn a_command_that_names_a_large_mailbox_holds_no_more_of_it_than_the_next_run() {
        let mut named = Named::of_set(numbering(1..=10_000), &set("1:*"), false, None);
        assert_eq!((named.len(), named.places.len()), (10_000, 1));
        let mut run = Vec::new();
        named.take(256, &mut run);
        assert_eq!((run.len(), named.len(), named.places.len()), (256, 9744, 1));
    }

    proptest! {
        #[test]
        fn the_runs_are_what_the_set_names(
            keep in proptest::collection::vec(any::<bool>(), 30),
            run in 1usize..9,
            window in (0usize..30, 0usize..30),
            by_uid: bool,
            since in proptest::option::of(0u64..3),
        ) {
            let mut numbering = numbering(1..=30);
            let left = (1..=30).filter(|uid| keep[*uid as usize - 1]).map(record).collect();
            numbering.advance(Arc::new(View::default().with(Records::from_sorted(left))));
            numbering.save([2, 3, 5, 8].into_iter().collect());
            for text in ["1:*", "3:9,12,20:25", "$", "7", "*"] {
                let wanted: Vec<(u32, u32)> = (numbering.targets(&set(text), by_uid))
                    .filter(|(_, record)| since.is_none_or(|since| record.modseq > since))
                    .map(|(sequence, record)| (sequence, record.uid))
                    .collect();
                let named = Named::of_set(numbering.clone(), &set(text), by_uid, since);
                prop_assert_eq!(&all(named.clone(), run), &wanted);
                let mut page = named;
                let window = window.0.min(window.1)..window.0.max(window.1);
                page.keep(window.clone());
                let inside = wanted.iter().copied().skip(window.start).take(window.len());
                prop_assert_eq!(all(page, run), inside.collect::<Vec<_>>());
                let uids: Vec<u32> = wanted.iter().map(|(_, uid)| *uid).collect();
                prop_assert_eq!(all(Named::of_uids(numbering.clone(), &uids), run), wanted);
            }
        }
    }
}
