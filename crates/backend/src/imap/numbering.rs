//! Which messages a client knows by which numbers.
//!
//! The numbering is the view of the mailbox that the client was told last, together with `ghosts`: messages that are
//! gone but that the client still counts, because no EXPUNGE may be sent yet (RFC 3501 section 7.4.1). Views are shared
//! between sessions, so a session holds a few words for a mailbox of any size.

use std::sync::Arc;

use protocol::imap::command::adopt::Adoption;
use protocol::imap::set::Ranges;
use protocol::imap::{SequenceSet, UidSet};

use store::{Changes, Record, View};

use super::limits::ADOPTED_GHOSTS;

/// The messages of an open mailbox as one client counts them.
#[derive(Debug, Clone)]
pub struct Numbering {
    view: Arc<View>,
    /// UIDs, ascending.
    ghosts: Arc<Vec<u32>>,
    /// The UIDs that `$` names (RFC 5182): those of them that are still there.
    saved: Arc<Ranges>,
    /// HIGHESTMODSEQ of the last view in which all that are ghosts now were there.
    complete: u64,
}

/// A message that a command names.
#[derive(Debug, Clone)]
pub struct Target {
    pub sequence: u32,
    pub record: Record,
}

impl Numbering {
    pub fn new(view: Arc<View>) -> Numbering {
        let complete = view.modseq();
        Numbering { view, ghosts: Arc::default(), saved: Arc::default(), complete }
    }

    /// The numbering that a session had of this mailbox on another server, or none if it cannot be so.
    pub fn adopted(now: &View, adoption: &Adoption) -> Option<Numbering> {
        let view = now.as_known(|uid| adoption.uids.contains(uid), adoption.modseq);
        let missing = adoption.uids.named().checked_sub(view.exists())?;
        if missing.saturating_add(adoption.ghosts.named()) > ADOPTED_GHOSTS {
            return None;
        }
        let mut ghosts: Vec<u32> = adoption.ghosts.iter().flat_map(|(first, last)| first..=last).collect();
        // In proportion to what is there and to what is missing, for ranges hold both.
        for (first, last) in adoption.uids.iter().filter(|_| missing > 0) {
            ghosts.extend((first..=last).filter(|uid| view.get(*uid).is_none()));
        }
        ghosts.sort_unstable();
        ghosts.dedup();
        // Those in which they were all there; what the other server has expunged since is not among them.
        let complete = if adoption.ghosts.is_empty() { adoption.modseq } else { adoption.complete };
        let (view, ghosts, saved) = (Arc::new(view), Arc::new(ghosts), Arc::new(adoption.saved.clone()));
        Some(Numbering { view, ghosts, saved, complete })
    }

    /// The UIDs that the client counts: of messages that were there when it was told last, and of those that are gone.
    pub fn counted(&self) -> (Ranges, Ranges) {
        let there = self.view.records().iter().map(|record| record.uid).collect();
        (there, self.ghosts.iter().copied().collect())
    }

    /// HIGHESTMODSEQ of the last view in which all that are ghosts now were there.
    pub fn complete(&self) -> u64 {
        self.complete
    }

    /// What `$` names from now on, as UIDs.
    pub fn save(&mut self, found: Ranges) {
        self.saved = Arc::new(found);
    }

    pub fn saved(&self) -> &Ranges {
        &self.saved
    }

    /// The modification sequence up to which the client has been told of everything: what it may keep as HIGHESTMODSEQ. An
    /// expunge that it has not heard of must be above (RFC 7162 section 3.2.7), or it never hears of it.
    pub fn modseq(&self) -> u64 {
        if self.ghosts.is_empty() { self.view.modseq() } else { self.complete }
    }

    /// What was told last.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Messages as the client counts them.
    pub fn count(&self) -> u32 {
        number(self.view.records().len() + self.ghosts.len())
    }

    pub fn last_uid(&self) -> u32 {
        let last = self.view.records().last().map_or(0, |record| record.uid);
        last.max(self.ghosts.last().copied().unwrap_or(0))
    }

    /// Takes over a newer view. What is gone is still counted until [`Numbering::bury`].
    pub fn advance(&mut self, now: Arc<View>) -> Changes {
        let before = std::mem::replace(&mut self.view, now);
        if Arc::ptr_eq(&before, &self.view) {
            return Changes::default();
        }
        let changes = self.view.since(&before);
        if !changes.gone.is_empty() {
            if self.ghosts.is_empty() {
                self.complete = before.modseq();
            }
            let ghosts = Arc::make_mut(&mut self.ghosts);
            ghosts.extend(&changes.gone);
            // Two sorted runs.
            ghosts.sort();
        }
        changes
    }

    /// The numbers of the messages that are gone, each as it is when those before it were told; they count no longer.
    pub fn bury(&mut self) -> Vec<u32> {
        let rank = |uid: u32| number(self.view.records().lower_bound(uid) + 1);
        std::mem::take(&mut self.ghosts).iter().copied().map(rank).collect()
    }

    /// The UIDs of the messages that are gone, as ranges; they count no longer.
    pub fn bury_uids(&mut self) -> Vec<(u32, u32)> {
        let uids: UidSet = std::mem::take(&mut self.ghosts).iter().copied().collect();
        uids.iter().collect()
    }

    /// Messages that are gone, but that the client counts.
    pub fn ghosts(&self) -> usize {
        self.ghosts.len()
    }

    /// Their UIDs, ascending.
    pub fn ghost_uids(&self) -> &[u32] {
        &self.ghosts
    }

    /// The messages that are there, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Record)> {
        self.iter_from(0)
    }

    /// The same without so many of the first.
    pub fn iter_from(&self, from: usize) -> impl Iterator<Item = (u32, &Record)> {
        let before = self.view.records().at(from).map_or(0, |first| self.sequence(first.uid) - 1);
        let gone = before.saturating_sub(number(from)) as usize;
        let mut ghosts = self.ghosts.get(gone..).unwrap_or_default().iter().peekable();
        let mut sequence = before;
        self.view.records().iter().skip(from).map(move |record| {
            while ghosts.next_if(|ghost| **ghost < record.uid).is_some() {
                sequence += 1;
            }
            sequence += 1;
            (sequence, record)
        })
    }

    /// The messages that are there, the last first, without so many of the last.
    pub fn iter_back_from(&self, from: usize) -> impl Iterator<Item = (u32, &Record)> {
        let mut before = self.ghosts.len();
        let records = self.view.records();
        let end = records.len();
        records.iter().rev().enumerate().skip(from).map(move |(back, record)| {
            while let Some(last) = before.checked_sub(1)
                && self.ghosts.get(last).is_some_and(|ghost| *ghost > record.uid)
            {
                before = last;
            }
            (number(end - back + before), record)
        })
    }

    /// The messages that a set names and that are there, in order. Takes time in proportion to the set and to what it
    /// names: [`Numbering::weight`].
    pub fn targets(&self, set: &SequenceSet, by_uid: bool) -> impl Iterator<Item = (u32, &Record)> {
        let mut ghosts = 0;
        self.places(set, by_uid).into_iter().flat_map(|(from, to)| from..to).filter_map(move |at| {
            let record = self.view.records().at(at)?;
            while self.ghosts.get(ghosts).is_some_and(|ghost| *ghost < record.uid) {
                ghosts += 1;
            }
            Some((number(at + ghosts + 1), record))
        })
    }

    /// Where they are among the messages that are there: from and to (exclusive), in order.
    pub fn places(&self, set: &SequenceSet, by_uid: bool) -> Vec<(usize, usize)> {
        match by_uid {
            _ if set.is_saved() => self.saved.iter().map(|range| self.uid_places(range)).collect(),
            true => set.resolve(self.last_uid()).iter().map(|range| self.uid_places(range)).collect(),
            false => self.sequence_places(set.resolve(self.count()).iter()),
        }
    }

    /// Ranges of a set and messages that it names, at most.
    pub fn weight(&self, set: &SequenceSet) -> usize {
        if set.is_saved() {
            let named = self.saved.named().min(self.count() as usize);
            return self.saved.len().saturating_add(named).saturating_add(self.ghosts.len());
        }
        set.ranges().saturating_add(set.named().min(self.count() as usize)).saturating_add(self.ghosts.len())
    }

    /// From and to (exclusive) among the messages that are there.
    fn uid_places(&self, (first, last): (u32, u32)) -> (usize, usize) {
        let records = self.view.records();
        let end = last.checked_add(1).map_or(records.len(), |after| records.lower_bound(after));
        (records.lower_bound(first), end)
    }

    /// The same for numbers: each ghost before a message counts, and none is a message.
    fn sequence_places(&self, named: impl Iterator<Item = (u32, u32)>) -> Vec<(usize, usize)> {
        let records = self.view.records();
        let ghosts = self.ghost_numbers();
        // Messages with a number below this one.
        let below = |sequence: usize| {
            sequence
                .saturating_sub(1)
                .saturating_sub(ghosts.partition_point(|ghost| *ghost < sequence))
                .min(records.len())
        };
        named.map(|(first, last)| (below(first as usize), below(last as usize + 1))).collect()
    }

    /// Whether a set of numbers names a message that is gone. `$` never does: what goes is taken out of it.
    pub fn misses(&self, set: &SequenceSet) -> bool {
        let ghosts = self.ghost_numbers();
        !ghosts.is_empty()
            && set.resolve(self.count()).iter().any(|(first, last)| {
                let at = ghosts.partition_point(|ghost| *ghost < first as usize);
                ghosts.get(at).is_some_and(|ghost| *ghost <= last as usize)
            })
    }

    /// Numbers of the ghosts, ascending.
    fn ghost_numbers(&self) -> Vec<usize> {
        let records = self.view.records();
        let number = |(before, uid): (usize, &u32)| records.lower_bound(*uid) + before + 1;
        self.ghosts.iter().enumerate().map(number).collect()
    }

    /// The number of a message that is there.
    pub fn sequence(&self, uid: u32) -> u32 {
        let before = self.view.records().lower_bound(uid) + self.ghosts.partition_point(|ghost| *ghost < uid);
        number(before + 1)
    }
}

pub fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::imap::{Cursor, Limits};
    use store::{Records, System};

    fn record(uid: u32) -> Record {
        Record {
            uid,
            modseq: 1,
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

    fn view(uids: &[u32]) -> Arc<View> {
        let records = Records::from_sorted(uids.iter().map(|uid| record(*uid)).collect());
        Arc::new(View::default().with(records))
    }

    fn set(text: &str) -> SequenceSet {
        Cursor::new(text.as_bytes(), Limits::default()).read(SequenceSet::parse).unwrap()
    }

    fn numbers<'a>(targets: impl Iterator<Item = (u32, &'a Record)>) -> Vec<(u32, u32)> {
        targets.map(|(sequence, record)| (sequence, record.uid)).collect()
    }

    #[test]
    fn what_is_gone_is_counted_until_it_is_told() {
        let mut numbering = Numbering::new(view(&[2, 4, 6]));
        let changes = numbering.advance(view(&[2, 6, 7]));
        assert_eq!((changes.gone, changes.new), (vec![4], vec![7]));
        assert_eq!(numbering.count(), 4);
        assert_eq!(numbers(numbering.targets(&set("1:*"), false)), [(1, 2), (3, 6), (4, 7)]);
        assert_eq!(numbers(numbering.targets(&set("2"), false)), []);
        assert_eq!(numbers(numbering.targets(&set("4:6"), true)), [(3, 6)]);
        let mut by_uid = numbering.clone();
        assert_eq!((by_uid.bury_uids(), by_uid.ghosts()), (vec![(4, 4)], 0));
        assert_eq!(numbering.bury(), [2]);
        assert_eq!(numbers(numbering.targets(&set("*,2"), false)), [(2, 6), (3, 7)]);
    }

    #[test]
    fn the_highest_modification_sequence_is_not_ahead_of_an_expunge_that_was_not_told() {
        let at = |uids: &[u32], highestmodseq| {
            let mut view = (*view(uids)).clone();
            view.highestmodseq = highestmodseq;
            Arc::new(view)
        };
        let mut numbering = Numbering::new(at(&[1, 2, 3], 0));
        assert_eq!(numbering.modseq(), 1);
        numbering.advance(at(&[1, 2, 3], 7));
        assert_eq!(numbering.modseq(), 7);
        numbering.advance(at(&[1, 3], 9));
        numbering.advance(at(&[1, 3, 4], 10));
        numbering.advance(at(&[1, 4], 11));
        assert_eq!(numbering.modseq(), 7);
        numbering.bury();
        assert_eq!(numbering.modseq(), 11);
    }

    proptest! {
        #[test]
        fn a_client_that_follows_knows_the_mailbox(
            steps in proptest::collection::vec((proptest::collection::vec(any::<bool>(), 0..12), 0u32..3, any::<bool>()), 1..20)
        ) {
            let mut mailbox: Vec<u32> = vec![1, 2, 3, 4, 5];
            let mut next = 6;
            let mut numbering = Numbering::new(view(&mailbox));
            // What a client believes: it deletes by EXPUNGE and appends by EXISTS.
            let mut client = mailbox.clone();
            for (keep, arrive, tell) in steps {
                let mut keep = keep.into_iter();
                mailbox.retain(|_| keep.next().unwrap_or(true));
                mailbox.extend(next..next + arrive);
                next += arrive;
                let changes = numbering.advance(view(&mailbox));
                if tell {
                    for sequence in numbering.bury() {
                        client.remove(sequence as usize - 1);
                    }
                }
                client.extend(changes.new);
                prop_assert_eq!(client.len(), numbering.count() as usize);
                for (sequence, record) in numbering.iter() {
                    prop_assert_eq!(client[sequence as usize - 1], record.uid);
                    prop_assert_eq!(numbering.sequence(record.uid), sequence);
                }
                let all = numbers(numbering.targets(&set("1:*"), false));
                prop_assert_eq!(all, numbers(numbering.iter()));
                for from in 0..mailbox.len() + 2 {
                    let forth: Vec<_> = numbers(numbering.iter()).into_iter().skip(from).collect();
                    prop_assert_eq!(numbers(numbering.iter_from(from)), forth);
                    let back: Vec<_> = numbers(numbering.iter()).into_iter().rev().skip(from).collect();
                    prop_assert_eq!(numbers(numbering.iter_back_from(from)), back);
                }
                let saved: Ranges = [2, 3, 5, 8].into_iter().collect();
                numbering.save(saved);
                let named = numbers(numbering.iter().filter(|(_, r)| matches!(r.uid, 2 | 3 | 5 | 8)));
                prop_assert_eq!(numbers(numbering.targets(&set("$"), false)), named.clone());
                prop_assert_eq!(numbers(numbering.targets(&set("$"), true)), named);
                prop_assert!(!numbering.misses(&set("$")));
                let some = set("2,4:6,9:*");
                let by_number = numbers(numbering.iter().filter(|(n, _)| {
                    matches!(n, 2 | 4..=6) || *n >= 9.min(numbering.count())
                }));
                prop_assert_eq!(numbers(numbering.targets(&some, false)), by_number);
                let by_uid = numbers(numbering.iter().filter(|(_, r)| {
                    matches!(r.uid, 2 | 4..=6) || r.uid >= 9.min(numbering.last_uid())
                }));
                prop_assert_eq!(numbers(numbering.targets(&some, true)), by_uid);
            }
        }

        #[test]
        fn a_client_whose_mailbox_moves_to_other_servers_knows_it_all_the_same(
            steps in proptest::collection::vec(
                (proptest::collection::vec(0u8..6, 0..12), 0u32..3, any::<bool>(), any::<bool>()),
                1..20,
            )
        ) {
            let mut mailbox: Vec<Record> = (1..=5).map(record).collect();
            let (mut next, mut modseq) = (6, 1);
            let at = |mailbox: &[Record], modseq| {
                let mut view = View::default().with(Records::from_sorted(mailbox.to_vec()));
                (view.uidvalidity, view.highestmodseq, view.last_uid) = (7, modseq, 99);
                Arc::new(view)
            };
            let mut numbering = Numbering::new(at(&mailbox, modseq));
            let saved: Ranges = [2, 3, 5, 8].into_iter().collect();
            numbering.save(saved.clone());
            // UIDs that a client counts, and which change of each it knows.
            let mut client: Vec<(u32, u64)> = mailbox.iter().map(|r| (r.uid, r.modseq)).collect();
            for (fates, arrive, tell, moves) in steps {
                modseq += 1;
                let mut fates = fates.into_iter();
                mailbox.retain_mut(|record| match fates.next() {
                    Some(0) => false,
                    Some(1) => {
                        record.modseq = modseq;
                        true
                    }
                    _ => true,
                });
                mailbox.extend((next..next + arrive).map(|uid| Record { modseq, ..record(uid) }));
                next += arrive;
                let now = at(&mailbox, modseq);
                if moves {
                    let (uids, ghosts) = numbering.counted();
                    let adoption = Adoption {
                        name: "user.fred".into(),
                        uniqueid: "u".into(),
                        uidvalidity: 7,
                        modseq: numbering.view().modseq(),
                        complete: numbering.complete(),
                        keywords: 0,
                        examined: false,
                        annotate: false,
                        uids,
                        ghosts,
                        recent: Ranges::default(),
                        recent_until: 0,
                        saved: numbering.saved().clone(),
                    };
                    let before = (numbering.count(), numbering.modseq());
                    numbering = Numbering::adopted(&now, &adoption).unwrap();
                    prop_assert_eq!((numbering.count(), numbering.modseq()), before);
                    prop_assert_eq!(numbering.saved(), &saved);
                }
                let changes = numbering.advance(now.clone());
                if tell {
                    for sequence in numbering.bury() {
                        client.remove(sequence as usize - 1);
                    }
                }
                client.extend(changes.new.iter().map(|uid| (*uid, now.get(*uid).unwrap().modseq)));
                for uid in changes.changed {
                    let known = client.iter_mut().find(|(known, _)| *known == uid).unwrap();
                    known.1 = now.get(uid).unwrap().modseq;
                }
                prop_assert_eq!(client.len(), numbering.count() as usize);
                for (sequence, record) in numbering.iter() {
                    prop_assert_eq!(client[sequence as usize - 1], (record.uid, record.modseq));
                }
            }
        }
    }

    #[test]
    fn a_state_that_cannot_be_is_not_taken_over() {
        let adoption = |uids: &str| Adoption {
            name: "user.fred".into(),
            uniqueid: "u".into(),
            uidvalidity: 7,
            modseq: 1,
            complete: 1,
            keywords: 0,
            examined: false,
            annotate: false,
            uids: set(uids).resolve(u32::MAX),
            ghosts: Ranges::default(),
            recent: Ranges::default(),
            recent_until: 0,
            saved: Ranges::default(),
        };
        let now = view(&[1, 2, 3]);
        assert!(Numbering::adopted(&now, &adoption("1:3,5")).is_some());
        // Four thousand million messages that are gone.
        assert!(Numbering::adopted(&now, &adoption("1:4294967295")).is_none());
    }
}
