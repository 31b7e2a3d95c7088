//! Going through the messages of a mailbox, in slices.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use protocol::imap::command::search::Key;
use work::aside::{Budget, Spent};

use super::{Criteria, Facts, Ground, Source};
use crate::imap::aside::Progress;
use crate::imap::marks::Marks;
use crate::imap::numbering::Numbering;
use crate::imap::selected::now;
use mime::{Cached, Structure};
use store::{Frames, Lacking, Mailbox, Record};

/// A search under way.
pub struct Scan {
    criteria: Criteria,
    pub place: Place,
    /// What the index of texts knows, once it was opened.
    lacking: Option<Lacking>,
    /// What was read last of the cache.
    frames: Frames,
    reach: Reach,
    /// Messages that were looked at.
    at: usize,
    is_done: bool,
    /// In the order of their numbers, once it is done.
    pub found: Vec<Found>,
    progress: Arc<Progress>,
}

/// Where is searched: a mailbox as one user sees it. Cheap to clone.
#[derive(Clone)]
pub struct Place {
    pub mailbox: Arc<Mailbox>,
    pub numbering: Numbering,
    pub marks: Marks,
    pub user: Arc<str>,
}

/// A message that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub sequence: u32,
    pub uid: u32,
    pub modseq: u64,
    /// RFC 6203: 1 to 100.
    pub score: u8,
}

/// Which of the messages that fulfil the criteria are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    All,
    First(usize),
    Last(usize),
}

impl Scan {
    pub fn new(place: Place, key: Key, charset: &str, reach: Reach, progress: Arc<Progress>) -> Scan {
        let view = place.mailbox.view();
        let ground = Ground {
            charset,
            last_sequence: place.numbering.count(),
            last_uid: place.numbering.last_uid(),
            now: now(),
            saved: place.numbering.saved(),
            keyword: &|word| view.keyword_bit(word),
        };
        let criteria = Criteria::new(key, &ground);
        progress.total.store(place.numbering.view().exists(), Ordering::Relaxed);
        let (lacking, frames) = (None, Frames::default());
        Scan { criteria, place, lacking, frames, reach, at: 0, is_done: false, found: Vec::new(), progress }
    }

    /// Goes on. True when all is found.
    pub fn slice(&mut self, budget: &Budget) -> Result<bool, Spent> {
        if self.is_done {
            return Ok(true);
        }
        let Place { mailbox, numbering, marks, user } = &self.place;
        let mut wanted = match self.reach {
            Reach::All => usize::MAX,
            Reach::First(count) | Reach::Last(count) => count.saturating_sub(self.found.len()),
        };
        let sought = &mut self.criteria.sought;
        let lacking = self.lacking.get_or_insert_with(|| mailbox.lacking(std::mem::take(sought)));
        let (from, frames) = (self.at, &mut self.frames);
        let mut look = |(sequence, record): (u32, &Record)| {
            budget.check()?;
            let system = marks.system(record);
            let facts = Facts { sequence, record, system, recent: marks.is_recent(record), user };
            let mut stored = Stored {
                mailbox,
                record,
                lacking: &mut *lacking,
                frames: &mut *frames,
                structure: None,
                bytes: Bytes::new(),
                whole: false,
            };
            if let Some(score) = self.criteria.fulfils(&facts, &mut stored, budget)? {
                self.found.push(Found { sequence, uid: record.uid, modseq: record.modseq, score });
                wanted = wanted.saturating_sub(1);
            }
            self.at += 1;
            Ok(wanted > 0 && !budget.is_slice_over())
        };
        // Looks at messages until it has enough for now.
        let all = match self.reach {
            Reach::Last(_) => try_all(numbering.iter_back_from(from), &mut look)?,
            Reach::All | Reach::First(_) => try_all(numbering.iter_from(from), &mut look)?,
        };
        self.progress.done.store(self.at, Ordering::Relaxed);
        self.is_done = all || wanted == 0;
        if self.is_done && matches!(self.reach, Reach::Last(_)) {
            self.found.reverse();
        }
        Ok(self.is_done)
    }
}

/// Whether `look` went through all of them.
fn try_all<'m>(
    mut messages: impl Iterator<Item = (u32, &'m Record)>,
    look: &mut impl FnMut((u32, &'m Record)) -> Result<bool, Spent>,
) -> Result<bool, Spent> {
    loop {
        match messages.next() {
            None => return Ok(true),
            Some(message) if !look(message)? => return Ok(false),
            Some(_) => {}
        }
    }
}

/// A message in the store, read as far as a search needs it.
struct Stored<'m> {
    mailbox: &'m Arc<Mailbox>,
    record: &'m Record,
    lacking: &'m mut Lacking,
    frames: &'m mut Frames,
    structure: Option<Arc<Structure>>,
    bytes: Bytes,
    whole: bool,
}

impl Source for Stored<'_> {
    fn lacks(&mut self, which: usize) -> bool {
        self.lacking.proves(self.record, which)
    }

    fn cached(&mut self) -> Option<Cached> {
        self.mailbox.next_cached(self.record, self.frames).ok()
    }

    fn structure(&mut self) -> Option<Arc<Structure>> {
        if self.structure.is_none() {
            self.structure = self.mailbox.next_structure(self.record, self.frames).ok();
        }
        self.structure.clone()
    }

    fn bytes(&mut self, whole: bool) -> Option<Bytes> {
        if self.bytes.is_empty() || (whole && !self.whole) {
            let structure = self.structure()?;
            let size = if whole { structure.size } else { structure.header_size() };
            let range = 0..u64::from(size);
            (self.bytes, self.whole) = (self.mailbox.read_blocking(self.record.uid, range).ok()?, whole);
        }
        Some(self.bytes.clone())
    }
}
