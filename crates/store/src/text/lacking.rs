//! Asking the index: which messages cannot contain a text.

use std::sync::Arc;

use super::{
    super::{mailbox::Mailbox, record::Record},
    Files, Sought, discard,
    segment::Segment,
};
use crate::{codec::Truncated, limits::TEXT_LEAST};

/// What the index of a mailbox proves of some texts. It is asked for messages in about the order of their UIDs; blocks.
pub struct Lacking {
    mailbox: Arc<Mailbox>,
    /// By first UID.
    segments: Vec<Segment>,
    sought: Vec<Sought>,
    /// The message that was asked for last, and where it is.
    last: Option<(u32, Option<usize>)>,
    /// The segment that it is in, and what was read of that for each text: a bit a message that may contain it.
    at: usize,
    masks: Vec<Option<Vec<u64>>>,
    /// Messages that the index did not know.
    unknown: usize,
}

impl Mailbox {
    /// What the index proves of these texts. Whoever asks goes by their numbers.
    pub fn lacking(self: &Arc<Self>, sought: Vec<Sought>) -> Lacking {
        let mut lacking = Lacking {
            mailbox: self.clone(),
            segments: Vec::new(),
            masks: vec![None; sought.len()],
            sought,
            last: None,
            at: 0,
            unknown: 0,
        };
        if !lacking.sought.is_empty() && self.shared.texts.is_on() {
            let files = Files::open(&self.texts_dir());
            lacking.segments = files.segments;
            lacking.segments.sort_by_key(|segment| segment.messages.first().map(|known| known.uid));
            if !files.useless.is_empty() && !files.leave {
                self.shared.texts.want(self);
            }
        }
        lacking
    }
}

impl Lacking {
    /// Whether it is proven that a message does not contain the text of that number, neither in its header nor in its body.
    pub fn proves(&mut self, record: &Record, which: usize) -> bool {
        let Some(place) = self.place(record) else { return false };
        let mask = match self.masks.get(which) {
            Some(Some(mask)) => mask,
            Some(None) => match self.read(which) {
                Some(mask) => mask,
                None => return false,
            },
            None => return false,
        };
        mask.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 0)
    }

    /// Where the message is in the segment that is looked at, if any knows it.
    fn place(&mut self, record: &Record) -> Option<usize> {
        let uid = record.uid;
        if let Some((last, place)) = self.last
            && last == uid
        {
            return place;
        }
        // Behind the last one, or before it, or anywhere.
        let next = self.last.and_then(|(_, place)| place).map_or(0, |place| place + 1);
        let here = self.segments.get(self.at).and_then(|segment| {
            let is_next = segment.messages.get(next).is_some_and(|known| known.uid == uid);
            if is_next { Some(next) } else { known(segment, record) }
        });
        let here = here.filter(|place| {
            let message = self.segments.get(self.at).and_then(|segment| segment.messages.get(*place));
            message.is_some_and(|known| known.is(record) && !known.is_opaque())
        });
        let place = here.or_else(|| {
            let found = self
                .segments
                .iter()
                .enumerate()
                .find_map(|(at, segment)| Some((at, known(segment, record)?)));
            let (at, place) = found?;
            self.at = at;
            self.masks.iter_mut().for_each(|mask| *mask = None);
            Some(place)
        });
        self.unknown += usize::from(place.is_none());
        self.last = Some((uid, place));
        place
    }

    /// Reads which messages of the segment may contain a text.
    fn read(&mut self, which: usize) -> Option<&Vec<u64>> {
        let (segment, sought) = (self.segments.get(self.at)?, self.sought.get(which)?);
        match mask(segment, sought) {
            Ok(mask) => Some(self.masks.get_mut(which)?.insert(mask)),
            Err(Truncated) => {
                discard(&segment.path);
                self.segments.remove(self.at);
                self.masks.iter_mut().for_each(|mask| *mask = None);
                (self.at, self.last) = (0, None);
                self.unknown += TEXT_LEAST;
                None
            }
        }
    }
}

impl Drop for Lacking {
    /// The index is to know next time what it did not know now.
    fn drop(&mut self) {
        if self.unknown >= TEXT_LEAST {
            self.mailbox.shared.texts.want(&self.mailbox);
        }
    }
}

/// The place of a message of which something can be proven.
fn known(segment: &Segment, record: &Record) -> Option<usize> {
    if !segment.spans(record.uid) {
        return None;
    }
    let place = segment.place(record.uid)?;
    segment.messages.get(place).filter(|known| known.is(record) && !known.is_opaque()).map(|_| place)
}

/// The messages that have all trigrams of a text.
fn mask(segment: &Segment, sought: &Sought) -> Result<Vec<u64>, Truncated> {
    let words = segment.messages.len().div_ceil(64);
    let mut all = vec![u64::MAX; words];
    for slot in &sought.slots {
        let mut some = vec![0u64; words];
        segment.with(*slot, |message| {
            if let Some(word) = some.get_mut(usize::from(message) / 64) {
                *word |= 1 << (message % 64);
            }
        })?;
        all.iter_mut().zip(&some).for_each(|(all, some)| *all &= some);
        if all.iter().all(|word| *word == 0) {
            break;
        }
    }
    Ok(all)
}
