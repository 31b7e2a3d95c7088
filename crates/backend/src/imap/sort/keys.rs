//! What SORT and THREAD compare of messages, in columns by UID: a message never changes, so a column only grows, and loses
//! what is gone. Made of the frames of the cache; a message's file is read only where the cache has lost its frame.

use std::hash::{BuildHasher, RandomState};
use std::iter::Peekable;
use std::sync::{Arc, LazyLock};

use work::aside::{Budget, Spent};

use crate::imap::limits::FRAMES;
use crate::imap::search::scan::Found;
use mime::Cached;
use store::{Mailbox, Record, View};

/// Nothing.
pub const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sent,
    Subject,
    From,
    To,
    Cc,
    DisplayFrom,
    DisplayTo,
    Threads,
}

impl Kind {
    pub const COUNT: usize = 8;
}

/// The columns that a command needs.
#[derive(Clone, Default)]
pub struct Keys {
    columns: [Option<Arc<Column>>; Kind::COUNT],
}

/// One kind of key of some messages of a mailbox.
pub struct Column {
    /// Ascending.
    uids: Arc<[u32]>,
    values: Values,
}

enum Values {
    /// Epoch seconds.
    Sent(Vec<i64>),
    Texts(Arc<Texts>),
    Threads(Arc<Threads>),
}

/// Texts one behind the other.
#[derive(Default)]
pub struct Texts {
    /// The end of each.
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

/// Texts, and the place in them of each message that was found.
pub type Placed = (Arc<Texts>, Vec<u32>);

/// Message-ids as numbers: the same one has the same number.
#[derive(Default)]
pub struct Threads {
    /// Of each message its own; [`NONE`] where it has none.
    pub own: Vec<u32>,
    /// What each refers to: its references end at `ends`.
    ends: Vec<u32>,
    references: Vec<u32>,
    /// Of each message: something that is the same for the same base subject; 0 for an empty one.
    pub subjects: Vec<u64>,
    pub replies: Vec<bool>,
    /// The ids' hashes in ascending order, and the number of each.
    hashes: Vec<u64>,
    numbers: Vec<u32>,
}

/// What is read of one message.
#[derive(Debug, Clone, Default)]
pub struct Row {
    pub sent: i64,
    pub subject: Vec<u8>,
    pub is_reply: bool,
    pub from: Vec<u8>,
    pub to: Vec<u8>,
    pub cc: Vec<u8>,
    pub display_from: Vec<u8>,
    pub display_to: Vec<u8>,
    /// Hashes of message-ids.
    pub own: Option<u64>,
    pub references: Vec<u64>,
}

/// The part between an end and the one before it; nothing where there is no such end.
fn part<'p, T>(all: &'p [T], ends: &[u32], at: u32) -> &'p [T] {
    let at = at as usize;
    let start = at.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    let end = ends.get(at).copied().unwrap_or(start);
    all.get(start as usize..end as usize).unwrap_or_default()
}

/// Goes on in a list that ascends by UID, up to the one that is asked for: what stands there.
pub fn at_uid<T: Copy>(list: &mut Peekable<impl Iterator<Item = (u32, T)>>, uid: u32) -> Option<T> {
    while list.next_if(|(there, _)| *there < uid).is_some() {}
    list.peek().filter(|(there, _)| *there == uid).map(|(_, what)| *what)
}

impl Texts {
    pub fn get(&self, at: u32) -> &[u8] {
        part(&self.bytes, &self.ends, at)
    }

    fn push(&mut self, text: &[u8]) {
        // Beyond 4 GiB nothing is compared any more.
        if u32::try_from(self.bytes.len() + text.len()).is_ok() {
            self.bytes.extend_from_slice(text);
        }
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }
}

impl Threads {
    pub fn references(&self, at: u32) -> &[u32] {
        part(&self.references, &self.ends, at)
    }

    /// Ids are numbers below this one.
    pub fn ids(&self) -> usize {
        self.hashes.len()
    }

    fn number(&self, hash: u64) -> u32 {
        let at = self.hashes.binary_search(&hash).ok();
        at.and_then(|at| self.numbers.get(at)).copied().unwrap_or(NONE)
    }

    /// Gives numbers to ids that have none.
    fn learn(&mut self, mut hashes: Vec<u64>) {
        hashes.sort_unstable();
        hashes.dedup();
        hashes.retain(|hash| self.hashes.binary_search(hash).is_err());
        let mut merged = (Vec::new(), Vec::new());
        let mut known = self.hashes.iter().copied().zip(self.numbers.iter().copied()).peekable();
        for (number, hash) in (self.hashes.len() as u32..).zip(hashes) {
            while let Some((before, its)) = known.next_if(|(known, _)| *known < hash) {
                merged.0.push(before);
                merged.1.push(its);
            }
            merged.0.push(hash);
            merged.1.push(number);
        }
        for (hash, number) in known {
            merged.0.push(hash);
            merged.1.push(number);
        }
        (self.hashes, self.numbers) = merged;
    }

    fn push(&mut self, row: &Row) {
        self.own.push(row.own.map_or(NONE, |hash| self.number(hash)));
        for hash in &row.references {
            let number = self.number(*hash);
            self.references.push(number);
        }
        self.ends.push(u32::try_from(self.references.len()).unwrap_or(u32::MAX));
        self.subjects.push(if row.subject.is_empty() { 0 } else { hash(&row.subject).max(1) });
        self.replies.push(row.is_reply);
    }

    /// The same of the message of another column that has the same ids.
    fn take(&mut self, from: &Threads, at: u32) {
        self.own.push(from.own.get(at as usize).copied().unwrap_or(NONE));
        self.references.extend_from_slice(from.references(at));
        self.ends.push(u32::try_from(self.references.len()).unwrap_or(u32::MAX));
        self.subjects.push(from.subjects.get(at as usize).copied().unwrap_or(0));
        self.replies.push(from.replies.get(at as usize).copied().unwrap_or(false));
    }
}

impl Row {
    fn of(cached: &Cached, record: &Record) -> Row {
        let sort = cached.sort_keys().unwrap_or_default();
        let thread = cached.thread_keys().unwrap_or_default();
        Row {
            sent: sort.sent.unwrap_or(record.internaldate),
            subject: sort.base_subject.to_vec(),
            is_reply: sort.is_reply,
            from: sort.from.to_vec(),
            to: sort.to.to_vec(),
            cc: sort.cc.to_vec(),
            display_from: sort.display_from.to_vec(),
            display_to: sort.display_to.to_vec(),
            own: thread.message_id.map(hash),
            references: thread.references.map(hash).collect(),
        }
    }

    fn text(&self, kind: Kind) -> &[u8] {
        match kind {
            Kind::Subject => &self.subject,
            Kind::From => &self.from,
            Kind::To => &self.to,
            Kind::Cc => &self.cc,
            Kind::DisplayFrom => &self.display_from,
            Kind::DisplayTo => &self.display_to,
            Kind::Sent | Kind::Threads => &[],
        }
    }
}

impl Column {
    /// Bytes that it holds, about.
    pub fn bytes(&self) -> usize {
        let values = match &self.values {
            Values::Sent(sent) => sent.len() * 8,
            Values::Texts(texts) => texts.ends.len() * 4 + texts.bytes.len(),
            Values::Threads(threads) => {
                threads.own.len() * 17 + threads.references.len() * 4 + threads.hashes.len() * 12
            }
        };
        self.uids.len() * 4 + values
    }

    /// Those of another column that are still there, and new ones. All ascend by UID.
    fn merged(kind: Kind, old: Option<&Column>, uids: &Arc<[u32]>, new: &[(u32, Row)]) -> Column {
        let mut from = old.into_iter().flat_map(Column::by_uid).peekable();
        let (mut sent, mut texts, mut threads) = (Vec::new(), Texts::default(), Threads::default());
        let before = old.map(|old| &old.values);
        if kind == Kind::Threads {
            if let Some(Values::Threads(before)) = before {
                threads.hashes.clone_from(&before.hashes);
                threads.numbers.clone_from(&before.numbers);
            }
            let ids = new.iter().flat_map(|(_, row)| row.references.iter().copied().chain(row.own));
            threads.learn(ids.collect());
        }
        let empty = Row::default();
        let mut new = new.iter().map(|(uid, row)| (*uid, row)).peekable();
        for uid in uids.iter() {
            let row = at_uid(&mut new, *uid).unwrap_or(&empty);
            match (before, at_uid(&mut from, *uid)) {
                (Some(Values::Sent(values)), Some(at)) => sent.extend(values.get(at as usize)),
                (Some(Values::Texts(values)), Some(at)) => texts.push(values.get(at)),
                (Some(Values::Threads(values)), Some(at)) => threads.take(values, at),
                _ if kind == Kind::Sent => sent.push(row.sent),
                _ if kind == Kind::Threads => threads.push(row),
                _ => texts.push(row.text(kind)),
            }
        }
        let values = match kind {
            Kind::Sent => Values::Sent(sent),
            Kind::Threads => Values::Threads(Arc::new(threads)),
            _ => Values::Texts(Arc::new(texts)),
        };
        Column { uids: uids.clone(), values }
    }

    /// Places in the column of the messages that were found; both ascend.
    fn places(&self, found: &[Found]) -> Vec<u32> {
        let mut places = self.by_uid().peekable();
        found.iter().map(|found| at_uid(&mut places, found.uid).unwrap_or(NONE)).collect()
    }

    /// UIDs with their places.
    fn by_uid(&self) -> impl Iterator<Item = (u32, u32)> {
        self.uids.iter().copied().zip(0u32..)
    }
}

impl Keys {
    fn column(&self, kind: Kind) -> Option<&Arc<Column>> {
        self.columns.get(kind as usize)?.as_ref()
    }

    pub fn put(&mut self, kind: Kind, column: Arc<Column>) {
        if let Some(slot) = self.columns.get_mut(kind as usize) {
            *slot = Some(column);
        }
    }

    pub fn take_over(&mut self, kinds: &[Kind], from: &Keys) {
        for kind in kinds {
            if let Some(column) = from.column(*kind) {
                self.put(*kind, column.clone());
            }
        }
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Column>> {
        self.columns.iter().flatten()
    }

    pub fn sent(&self, found: &[Found]) -> impl Iterator<Item = i64> {
        let column = self.column(Kind::Sent);
        let places = column.map(|column| column.places(found)).unwrap_or_default();
        let values = column.map(|column| &column.values);
        places.into_iter().map(move |at| match values {
            Some(Values::Sent(sent)) => sent.get(at as usize).copied().unwrap_or(0),
            _ => 0,
        })
    }

    /// The first bytes of the texts as numbers, the texts, and the place in them of each message.
    pub fn texts(&self, kind: Kind, found: &[Found]) -> (Vec<u64>, Option<Placed>) {
        let Some(column) = self.column(kind) else { return (vec![0; found.len()], None) };
        let Values::Texts(texts) = &column.values else { return (vec![0; found.len()], None) };
        let places = column.places(found);
        (places.iter().map(|at| beginning(texts.get(*at))).collect(), Some((texts.clone(), places)))
    }

    /// The threads' column, and the place in it of each message.
    pub fn threads(&self, found: &[Found]) -> Option<(Arc<Threads>, Vec<u32>)> {
        let column = self.column(Kind::Threads)?;
        let Values::Threads(threads) = &column.values else { return None };
        Some((threads.clone(), column.places(found)))
    }

    #[cfg(test)]
    pub fn made_of(kinds: &[Kind], uids: &[u32], rows: &[Row]) -> Keys {
        let rows: Vec<(u32, Row)> = uids.iter().copied().zip(rows.iter().cloned()).collect();
        let mut keys = Keys::default();
        for kind in kinds {
            keys.put(*kind, Arc::new(Column::merged(*kind, None, &uids.into(), &rows)));
        }
        keys
    }
}

/// Columns that are being made.
pub struct Preparation {
    kinds: Vec<Kind>,
    /// What is known already.
    keys: Keys,
    mailbox: Arc<Mailbox>,
    /// Of messages that a column lacks, ascending: those that are read, and those to come.
    rows: Vec<(u32, Row)>,
    missing: Option<std::vec::IntoIter<Record>>,
}

impl Preparation {
    /// `keys`: those of an earlier time.
    pub fn new(mailbox: Arc<Mailbox>, kinds: Vec<Kind>, keys: Keys) -> Preparation {
        Preparation { kinds, keys, mailbox, rows: Vec::new(), missing: None }
    }

    /// Goes on. The columns, and whether they are new, when all messages that were found are in them.
    pub fn slice(
        &mut self,
        found: &[Found],
        view: &View,
        budget: &Budget,
    ) -> Result<Option<(Keys, bool)>, Spent> {
        let mut missing = match self.missing.take() {
            Some(missing) => missing,
            None => self.missing(found, view).into_iter(),
        };
        while !missing.as_slice().is_empty() {
            budget.check()?;
            if budget.is_slice_over() {
                self.missing = Some(missing);
                return Ok(None);
            }
            let run = missing.as_slice().get(..FRAMES).unwrap_or(missing.as_slice());
            let read = self.mailbox.read_keys(run);
            let read = read.into_iter().zip(run).map(|(cached, record)| match cached {
                Ok(cached) => (record.uid, Row::of(&cached, record)),
                // A message that cannot be read is compared by what the index has.
                Err(_) => (record.uid, Row { sent: record.internaldate, ..Row::default() }),
            });
            let before = self.rows.len();
            self.rows.extend(read);
            let read = (self.rows.len() - before).max(1);
            missing.by_ref().take(read).for_each(drop);
        }
        let is_new = !self.rows.is_empty() || self.kinds.iter().any(|kind| self.keys.column(*kind).is_none());
        if is_new {
            self.merge(found, view);
        }
        let mut keys = Keys::default();
        keys.take_over(&self.kinds, &self.keys);
        Ok(Some((keys, is_new)))
    }

    /// Records of the messages that were found and that some column lacks.
    fn missing(&self, found: &[Found], view: &View) -> Vec<Record> {
        let mut lacking: Vec<u32> = Vec::new();
        for kind in &self.kinds {
            let absent = |uids: &[u32]| -> Vec<u32> {
                let mut uids = uids.iter().map(|uid| (*uid, ())).peekable();
                found.iter().map(|found| found.uid).filter(|uid| at_uid(&mut uids, *uid).is_none()).collect()
            };
            let these = self.keys.column(*kind).map_or_else(|| absent(&[]), |column| absent(&column.uids));
            if lacking.is_empty() {
                lacking = these;
            } else {
                lacking.extend(these);
                lacking.sort_unstable();
                lacking.dedup();
            }
        }
        lacking.iter().filter_map(|uid| view.get(*uid).cloned()).collect()
    }

    fn merge(&mut self, found: &[Found], view: &View) {
        let rows = std::mem::take(&mut self.rows);
        for kind in self.kinds.clone() {
            let old = self.keys.column(kind).cloned();
            let mut uids: Vec<u32> = found.iter().map(|found| found.uid).collect();
            if let Some(old) = &old {
                // What is gone meanwhile leaves the column.
                let mut records = view.records().iter().peekable();
                let is_there = |uid: &u32| {
                    while records.next_if(|record| record.uid < *uid).is_some() {}
                    records.peek().is_some_and(|record| record.uid == *uid)
                };
                uids.extend(old.uids.iter().copied().filter(is_there));
                // Two sorted runs.
                uids.sort();
                uids.dedup();
            }
            let column = Column::merged(kind, old.as_deref(), &uids.into(), &rows);
            self.keys.put(kind, Arc::new(column));
        }
    }
}

/// A number in the order of texts that differ in their first eight bytes.
pub fn beginning(text: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(bytes)
}

/// Nobody outside can make two that are the same.
fn hash(bytes: &[u8]) -> u64 {
    static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    STATE.hash_one(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(uids: &[u32]) -> Vec<Found> {
        let one = |uid: &u32| Found { sequence: *uid, uid: *uid, modseq: 1, score: 100 };
        uids.iter().map(one).collect()
    }

    fn row(n: u32) -> Row {
        let subject = format!("subject {}", n % 4).into_bytes();
        let references = (n.saturating_sub(3)..n).map(|n| hash(&n.to_le_bytes())).collect();
        Row { sent: i64::from(n), subject, own: Some(hash(&n.to_le_bytes())), references, ..Row::default() }
    }

    proptest! {
        #[test]
        fn a_column_that_grew_is_the_one_that_was_made_at_once(
            first in proptest::collection::btree_set(1u32..40, 0..20),
            more in proptest::collection::btree_set(1u32..40, 0..20),
            gone in proptest::collection::btree_set(1u32..40, 0..10),
        ) {
            let rows = |uids: &[u32]| uids.iter().map(|uid| (*uid, row(*uid))).collect::<Vec<_>>();
            let old: Vec<u32> = first.iter().copied().collect();
            let all: Vec<u32> = first.union(&more).copied().filter(|uid| !gone.contains(uid)).collect();
            let new: Vec<u32> = all.iter().copied().filter(|uid| !first.contains(uid)).collect();
            for kind in [Kind::Sent, Kind::Subject, Kind::Threads] {
                let before = Column::merged(kind, None, &old.as_slice().into(), &rows(&old));
                let grown = Column::merged(kind, Some(&before), &all.as_slice().into(), &rows(&new));
                let once = Column::merged(kind, None, &all.as_slice().into(), &rows(&all));
                let mut keys = [Keys::default(), Keys::default()];
                for (keys, column) in keys.iter_mut().zip([grown, once]) {
                    prop_assert!(column.bytes() >= all.len() * 4);
                    keys.put(kind, Arc::new(column));
                }
                let found = found(&all);
                let sent = |keys: &Keys| keys.sent(&found).collect::<Vec<_>>();
                prop_assert_eq!(sent(&keys[0]), sent(&keys[1]));
                let texts = |keys: &Keys| {
                    let (numbers, texts) = keys.texts(kind, &found);
                    let texts = texts.map(|(texts, places)| places.iter().map(|at| texts.get(*at).to_vec()).collect::<Vec<_>>());
                    (numbers, texts)
                };
                prop_assert_eq!(texts(&keys[0]), texts(&keys[1]));
                // Numbers of ids may differ, but not which of them are the same.
                let ids = |keys: &Keys| {
                    keys.threads(&found).map(|(threads, places)| {
                        let hash = |number: &u32| {
                            threads.numbers.iter().position(|n| n == number).map(|at| threads.hashes[at])
                        };
                        let of = |at: &u32| {
                            let references = threads.references(*at).iter().map(hash).collect::<Vec<_>>();
                            (hash(&threads.own[*at as usize]), references, threads.subjects[*at as usize])
                        };
                        places.iter().map(of).collect::<Vec<_>>()
                    })
                };
                prop_assert_eq!(ids(&keys[0]), ids(&keys[1]));
            }
        }
    }
}
