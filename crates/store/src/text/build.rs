//! Making an index complete, a segment at a time: what is missing is read, what is gone is left out, small segments become one. On a
//! thread that may block.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use mime::searched;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{
    super::{
        Store, blocking, disk,
        error::{Doing, StoreError},
        lock,
        mailbox::Mailbox,
        reconstruct::Which,
        record::Record,
        records::Records,
    },
    DIR, Files,
    desk::{Indexable, Step, Texts, at_leisure, changes},
    discard,
    grams::Collector,
    remove,
    segment::{self, BUCKETS, Draft, Known, NEW, Segment},
};
use crate::{
    codec::Truncated,
    limits::{
        TEXT_DISTINCT, TEXT_ENOUGH, TEXT_FEW, TEXT_FREE, TEXT_LEAST, TEXT_MESSAGE, TEXT_PAIRS, TEXT_SEGMENT,
        TEXT_SHARE, rows,
    },
};

/// What [`Store::index_texts`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indexed {
    pub mailboxes: u64,
    /// `name: why not`, one each.
    pub failed: Vec<String>,
}

/// How little is worth a file.
#[derive(Debug, Clone, Copy)]
pub struct Care {
    /// Messages that are missing.
    pub least: usize,
    /// A segment is written anew if one message of so many is gone.
    pub worn: usize,
}

impl Care {
    /// In the background.
    pub const USUAL: Care = Care { least: TEXT_LEAST, worn: 8 };
    /// When somebody asks for it.
    pub const GREAT: Care = Care { least: TEXT_FEW, worn: usize::MAX };
    /// Only what is gone matters.
    pub const GONE: Care = Care { least: usize::MAX, worn: usize::MAX };
}

impl Store {
    /// Brings the index of mailboxes up to date now, but for the last few messages.
    pub async fn index_texts(&self, which: &Which) -> Result<Indexed, StoreError> {
        let mut done = Indexed::default();
        if !self.inner.shared.texts.is_on() {
            return Ok(done);
        }
        for name in self.named(which)? {
            // An error: reserved, or somebody else's.
            let indexed = match self.mailbox(&name).await {
                Ok(mailbox) => {
                    let index = move || {
                        let stop = || mailbox.shared.texts.is_closing();
                        while mailbox.index_some(Care::GREAT, &stop)? == Step::More {}
                        Ok(())
                    };
                    at_leisure(index).await
                }
                Err(error) => Err(error),
            };
            match indexed {
                Ok(()) => done.mailboxes += 1,
                Err(error) => done.failed.push(format!("{name}: {error}")),
            }
        }
        Ok(done)
    }
}

impl Indexable for Mailbox {
    fn texts(&self) -> &Texts {
        &self.texts
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn index_next(&self, stop: &dyn Fn() -> bool) -> Result<Step, StoreError> {
        self.index_some(Care::USUAL, stop)
    }
}

impl Mailbox {
    /// Takes out of the index what it knows of messages that are gone. Best effort: what stays is never believed, and goes the next
    /// time.
    pub(crate) async fn forget_texts(self: &Arc<Self>) {
        let (mailbox, dir) = (self.clone(), self.texts_dir());
        if !blocking(move || Ok(dir.is_dir())).await.unwrap_or(true) {
            return;
        }
        let forget = move || {
            let stop = || mailbox.shared.texts.is_closing();
            while mailbox.index_some(Care::GONE, &stop)? == Step::More {}
            Ok::<(), StoreError>(())
        };
        if let Err(error) = at_leisure(forget).await {
            warn!(%error, mailbox = self.id, "the index of texts still knows of messages that are gone");
        }
    }

    /// Has its index go on where much has come or gone.
    pub(crate) fn count_texts(self: &Arc<Self>) {
        let (now, exists) = {
            let view = self.view.borrow();
            (changes(&view), view.exists())
        };
        let least = TEXT_LEAST.max(exists / TEXT_SHARE) as u64;
        if now.saturating_sub(self.texts.mark.load(Ordering::Relaxed)) >= least {
            self.texts.mark.store(now, Ordering::Relaxed);
            self.shared.texts.want(self);
        }
    }

    pub(super) fn texts_dir(&self) -> PathBuf {
        self.dir().join(DIR)
    }

    /// Does one step towards a complete index. It ends early when `stop` says so, or the mailbox goes.
    pub(crate) fn index_some(&self, care: Care, stop: &dyn Fn() -> bool) -> Result<Step, StoreError> {
        let _alone = lock(&self.texts.building);
        let ends = || stop() || self.view.borrow().gone;
        if ends() {
            return Ok(Step::Done);
        }
        let dir = self.texts_dir();
        let files = Files::open(&dir);
        if files.leave {
            return Ok(Step::Done);
        }
        if !files.useless.iter().all(|path| discard(path)) {
            return Ok(Step::Done);
        }
        let view = self.view();
        let survey = Survey::of(&files.segments, view.records());
        let number = files.segments.first().map_or(1, |newest| newest.number + 1);
        let work = survey.work(&files.segments, care);
        let bytes = match &work {
            Work::Nothing => return Ok(Step::Done),
            Work::Remove(path) => {
                return Ok(if remove(path) { Step::More } else { Step::Done });
            }
            Work::Add => self.draft(&survey.missing, &ends)?.map(Draft::finish),
            Work::Rewrite(which) => {
                let sources: Vec<Source<'_>> =
                    which.iter().filter_map(|at| survey.source(&files.segments, *at)).collect();
                match rewritten(&sources, &ends) {
                    Ok(draft) => draft.map(Draft::finish),
                    Err(damaged) => {
                        return Ok(if discard(&damaged.path) { Step::More } else { Step::Done });
                    }
                }
            }
        };
        let Some(bytes) = bytes else { return Ok(Step::Done) };
        self.check_text_room(bytes.len() as u64)?;
        fs::create_dir_all(&dir).doing("create", &dir)?;
        let written = segment::write(&dir, number, &bytes);
        if written.is_err() {
            remove(&dir.join(NEW));
        }
        written?;
        if let Work::Rewrite(which) = work {
            // Only now: until the new one has its name they are what there is.
            for old in which.iter().filter_map(|at| files.segments.get(*at)) {
                remove(&old.path);
            }
        }
        Ok(Step::More)
    }

    /// The index must not be what fills a disk.
    fn check_text_room(&self, bytes: u64) -> Result<(), StoreError> {
        let partition = self.partition();
        let (free, all, _) = disk::space(&partition)?;
        if free.saturating_sub(bytes / 1024) < (all / TEXT_FREE).min(TEXT_ENOUGH / 1024) {
            rows::TEXT_FREE.met(format_args!(
                "{}: too full for a text index: messages are read instead",
                partition.display()
            ));
            return Err(StoreError::NoSpace);
        }
        Ok(())
    }

    /// The segment of some messages: as many of the first as one holds. None if it must end.
    fn draft(&self, missing: &[Record], ends: &impl Fn() -> bool) -> Result<Option<Draft>, StoreError> {
        let (mut collector, mut known, mut pairs) = (Collector::new(), Vec::new(), Vec::new());
        for record in missing {
            if ends() {
                return Ok(None);
            }
            let is_read = self.collect(record, &mut collector);
            let opaque = !is_read || collector.len() > TEXT_DISTINCT;
            if !opaque && !known.is_empty() && pairs.len() + collector.len() > TEXT_PAIRS {
                break;
            }
            let number = known.len() as u32;
            let found = collector.drain().map(|slot| segment::pair(slot, number));
            if opaque {
                found.for_each(drop)
            } else {
                pairs.extend(found)
            }
            known.push(Known::new(record, opaque));
        }
        pairs.sort_unstable();
        Ok((!known.is_empty()).then(|| Draft::of_pairs(known, &pairs)))
    }

    /// The trigrams of a message. False where it cannot be read, or is very large.
    fn collect(&self, record: &Record, collector: &mut Collector) -> bool {
        if record.size > TEXT_MESSAGE {
            return false;
        }
        let read = self.structure_blocking(record.uid);
        let read = read.and_then(|structure| Ok((structure, self.read_blocking(record.uid, 0..u64::MAX)?)));
        let Ok((structure, message)) = read else { return false };
        collector.add(&searched(&structure.header_lines(&message)));
        structure.body_texts(&message).iter().for_each(|text| collector.add(&searched(text)));
        true
    }
}

/// What is to be done next.
enum Work {
    Nothing,
    /// A file that knows nothing that another does not.
    Remove(std::path::PathBuf),
    /// The first that are missing.
    Add,
    /// Segments into one, without what is gone.
    Rewrite(Vec<usize>),
}

/// What segments know of the messages that are there.
struct Survey {
    /// Of each segment, which messages are there, and in no newer one.
    live: Vec<Vec<bool>>,
    /// The first messages that no segment knows, and how many there are.
    missing: Vec<Record>,
    missing_count: usize,
}

impl Survey {
    fn of(segments: &[Segment], records: &Records) -> Survey {
        let mut live: Vec<Vec<bool>> =
            segments.iter().map(|segment| vec![false; segment.messages.len()]).collect();
        let known = |(at, segment): (usize, &Segment)| {
            let places = segment.messages.iter().enumerate();
            places.map(|(place, known)| (*known, at, place)).collect::<Vec<_>>()
        };
        let mut all: Vec<(Known, usize, usize)> = segments.iter().enumerate().flat_map(known).collect();
        all.sort_unstable_by_key(|(known, at, _)| (known.uid, *at));
        let mut all = all.into_iter().peekable();
        let (mut missing, mut missing_count) = (Vec::new(), 0);
        for record in records.iter() {
            while all.next_if(|(known, ..)| known.uid < record.uid).is_some() {}
            let mut is_known = false;
            while let Some((known, at, place)) = all.next_if(|(known, ..)| known.uid == record.uid) {
                if !is_known && known.is(record) {
                    is_known = true;
                    if let Some(live) = live.get_mut(at).and_then(|live| live.get_mut(place)) {
                        *live = true;
                    }
                }
            }
            if !is_known {
                missing_count += 1;
                if missing.len() < TEXT_SEGMENT {
                    missing.push(record.clone());
                }
            }
        }
        Survey { live, missing, missing_count }
    }

    fn work(&self, segments: &[Segment], care: Care) -> Work {
        let alive: Vec<usize> =
            self.live.iter().map(|live| live.iter().filter(|live| **live).count()).collect();
        for ((segment, alive), at) in segments.iter().zip(&alive).zip(0..) {
            let gone = segment.messages.len() - alive;
            if *alive == 0 {
                return Work::Remove(segment.path.clone());
            }
            if gone > segment.messages.len() / care.worn {
                return Work::Rewrite(vec![at]);
            }
        }
        if self.missing_count >= care.least {
            return Work::Add;
        }
        // Neighbours by UID that fit into one, the older not much larger than the newer.
        let mut order: Vec<usize> = (0..segments.len()).collect();
        order.sort_by_key(|at| {
            segments.get(*at).and_then(|segment| segment.messages.first()).map(|known| known.uid)
        });
        for pair in order.windows(2).rev() {
            let both: Vec<&Segment> = pair.iter().filter_map(|at| segments.get(*at)).collect();
            let [before, after] = both.as_slice() else { continue };
            let fits = before.messages.len() + after.messages.len() <= TEXT_SEGMENT
                && before.pairs + after.pairs <= TEXT_PAIRS as u64;
            if fits && before.messages.len() < 2 * after.messages.len() {
                return Work::Rewrite(pair.to_vec());
            }
        }
        Work::Nothing
    }

    fn source<'s>(&'s self, segments: &'s [Segment], at: usize) -> Option<Source<'s>> {
        Some(Source { segment: segments.get(at)?, live: self.live.get(at)? })
    }
}

/// A segment that goes into a new one, with those of its messages that stay.
struct Source<'s> {
    segment: &'s Segment,
    live: &'s [bool],
}

/// Several segments as one. None if it must end; an error: that segment is damaged.
fn rewritten<'s>(sources: &[Source<'s>], ends: &impl Fn() -> bool) -> Result<Option<Draft>, &'s Segment> {
    let mut all: Vec<(Known, usize, usize)> = Vec::new();
    for (source, at) in sources.iter().zip(0..) {
        let places = source.segment.messages.iter().zip(source.live).enumerate();
        all.extend(places.filter(|(_, (_, live))| **live).map(|(place, (known, _))| (*known, at, place)));
    }
    all.sort_unstable();
    let mut numbers: Vec<Vec<Option<u16>>> =
        sources.iter().map(|source| vec![None; source.live.len()]).collect();
    for ((_, at, place), number) in all.iter().zip(0..) {
        if let Some(slot) = numbers.get_mut(*at).and_then(|numbers| numbers.get_mut(*place)) {
            *slot = Some(number);
        }
    }
    let mut draft = Draft::new(all.into_iter().map(|(known, ..)| known).collect());
    let mut lists: Vec<Vec<u16>> = vec![Vec::new(); 256];
    for bucket in 0..BUCKETS {
        if ends() {
            return Ok(None);
        }
        for (source, numbers) in sources.iter().zip(&numbers) {
            gather(source.segment, bucket, numbers, &mut lists).map_err(|Truncated| source.segment)?;
        }
        for (list, low) in lists.iter_mut().zip(0..=u8::MAX) {
            list.sort_unstable();
            draft.put(low, list);
            list.clear();
        }
        draft.next();
    }
    Ok(Some(draft))
}

/// Adds the lists of a bucket, with the numbers that the messages get.
fn gather(
    segment: &Segment,
    bucket: usize,
    numbers: &[Option<u16>],
    lists: &mut [Vec<u16>],
) -> Result<(), Truncated> {
    let bytes = segment.bucket(bucket)?;
    for entry in segment::entries(&bytes) {
        let entry = entry?;
        let Some(list) = lists.get_mut(usize::from(entry.low)) else { continue };
        super::list::decode(entry.rice, entry.list, segment.messages.len(), |message| {
            list.extend(numbers.get(usize::from(message)).copied().flatten());
        })?;
    }
    Ok(())
}
