//! A change of a mailbox under construction: what it does, to the log and to the view alike. How it is made and comes to hold is
//! [`making`]'s.

mod counted;
mod large;
mod making;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc};

use protocol::{
    event::{Event, Events},
    flag::Flag,
};

use super::{
    annotations::{Annotations, SHARED},
    codec::put_frame,
    commit::{Note, Place},
    error::StoreError,
    header::Header,
    index,
    op::Op,
    quota::{Delta, Usage},
    record::{Annotation, Record, System},
    stage::Staged,
    view::View,
};
use crate::limits::{ANNOTATION_BYTES, ANNOTATION_SHARE, KEYWORDS, TOMBSTONES, rows};

/// A change under construction.
pub struct Change {
    /// The state after it: what its operations made of the state before.
    view: View,
    /// Epoch seconds.
    pub now: i64,
    ops: Vec<u8>,
    places: Vec<Place>,
    unlink: Vec<u32>,
    cache: Vec<u8>,
    cache_at: u64,
    notes: Vec<Note>,
    modseq: u64,
    /// What happens to messages by it.
    events: Events,
    /// Bits of keywords that it names: no message may have them yet.
    defined: u128,
    /// The version of the index file that knows all of it.
    version: u32,
    /// Whether a growing usage must fit into the quota.
    must_fit: bool,
    /// How long it is remembered which messages are gone, in seconds.
    history: i64,
    header: Arc<Header>,
}

/// The newest state of a mailbox, which may not be on disk yet, and where its next frame goes.
pub struct Working {
    pub tip: Arc<View>,
    pub end: u64,
    pub generation: u64,
    pub version: u32,
    pub cache_end: u64,
    /// `end`, `generation` and `version` of what is published.
    pub saved: (u64, u64, u32),
}

impl Working {
    /// Whether the index has many more bytes than its messages need.
    fn is_bloated(&self) -> bool {
        let messages = (self.tip.records.len() + self.tip.expunged.len()) as u64;
        let needed = (messages.saturating_mul(COMPACT_RECORD))
            .saturating_add(self.tip.tombstones.len() as u64 * COMPACT_RUN)
            // Annotations of any size are no bloat, but those that were replaced.
            .saturating_add(self.tip.annotation_bytes.saturating_mul(2));
        self.end > COMPACT_FROM && self.end > needed
    }
}

/// What a change is built on.
struct Base {
    tip: Arc<View>,
    end: u64,
    cache_end: u64,
    generation: u64,
    version: u32,
}

impl Change {
    fn new(base: &Base, header: Arc<Header>, now: i64, history: i64) -> Change {
        Change {
            view: (*base.tip).clone(),
            now,
            ops: Vec::new(),
            places: Vec::new(),
            unlink: Vec::new(),
            cache: Vec::new(),
            cache_at: base.cache_end,
            notes: Vec::new(),
            modseq: base.tip.modseq() + 1,
            events: Events::NONE,
            defined: 0,
            version: 1,
            must_fit: true,
            history,
            header,
        }
    }

    fn is_nothing(&self) -> bool {
        self.ops.is_empty()
    }

    /// As it stands in the index; a file of an earlier version is written anew, with the change in it.
    fn frame(&self, base: &Base) -> Vec<u8> {
        if base.version < self.version {
            return index::snapshot(&self.view, base.generation + 1);
        }
        let mut frame = Vec::with_capacity(self.ops.len() + 16);
        if !self.is_nothing() {
            put_frame(&mut frame, base.generation, &self.ops);
        }
        frame
    }

    fn delta(&self, base: &Base) -> Delta {
        Delta::between(&Usage::of(&base.tip), &Usage::of(&self.view))
    }

    /// Lets the change exceed the quota.
    pub fn ignore_quota(&mut self) {
        self.must_fit = false;
    }

    pub fn note(&mut self, note: Note) {
        self.notes.push(note);
    }

    /// The state after what was done so far.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The modification sequence of what it changes.
    pub fn modseq(&self) -> u64 {
        self.modseq
    }

    /// Does an operation: in the log, and in the view.
    pub fn op(&mut self, op: Op) {
        op.encode(&mut self.ops);
        self.version = self.version.max(op.format());
        self.events = self.events.with(events_of(&op));
        self.view.apply(op);
    }

    /// Adds messages at the end; UIDs ascend.
    pub fn append(&mut self, messages: &[(Arc<Staged>, System, u128, i64)]) -> Result<Vec<u32>, StoreError> {
        let modseq = self.modseq;
        let mut uids = Vec::with_capacity(messages.len());
        for (staged, flags, keywords, internaldate) in messages {
            let uid = self.view.last_uid.checked_add(1).ok_or(StoreError::NotSupported)?;
            let record = Record {
                uid,
                modseq,
                createdmodseq: modseq,
                internaldate: *internaldate,
                savedate: self.now,
                last_updated: self.now,
                size: staged.size,
                header_size: staged.header_size,
                guid: staged.guid,
                flags: *flags,
                keywords: *keywords,
                cache: self.cache_at + self.cache.len() as u64,
                annotations: None,
            };
            put_frame(&mut self.cache, u64::from(uid), staged.cached.bytes());
            self.op(Op::Append(record));
            self.places.push(Place { uid, staged: staged.clone() });
            uids.push(uid);
        }
        Ok(uids)
    }

    /// Gives a message that has just come its annotations, in the change by which it comes. `from`: the mailbox that it comes from. One
    /// that has more annotations than a mailbox can, since it is an old one, can still be copied as a whole.
    pub fn arrive(
        &mut self,
        uid: u32,
        annotations: Annotations,
        from: Option<&View>,
    ) -> Result<(), StoreError> {
        let Some(annotations) = annotations else { return Ok(()) };
        self.give(uid, Arc::unwrap_or_clone(annotations), from)
    }

    /// Gives a message these annotations, unless the mailbox had more of them then than it can: while it is open they are in memory.
    pub fn annotate(&mut self, uid: u32, annotations: Vec<Annotation>) -> Result<(), StoreError> {
        self.give(uid, annotations, None)
    }

    fn give(
        &mut self,
        uid: u32,
        annotations: Vec<Annotation>,
        from: Option<&View>,
    ) -> Result<(), StoreError> {
        let (before, modseq) = (self.view.annotation_memory(), self.modseq());
        let private = annotations.iter().filter(|annotation| annotation.user != SHARED);
        let users: BTreeSet<String> = private.map(|annotation| annotation.user.clone()).collect();
        let users: Vec<(String, u64)> =
            users.into_iter().map(|user| (user.clone(), self.view.private.of(&user))).collect();
        self.op(Op::Annotate { uid, modseq, annotations });
        let now = self.view.annotation_memory();
        let most = from.map_or(0, View::annotation_memory).max(ANNOTATION_BYTES);
        if now > most && now > before {
            rows::ANNOTATION_BYTES
                .met("the annotations of a mailbox are as large as they can be: one more is refused");
            return Err(StoreError::TooManyAnnotations);
        }
        for (user, before) in users {
            let now = self.view.private.of(&user);
            let most = from.map_or(0, |from| from.private.of(&user)).max(ANNOTATION_SHARE);
            if now > most && now > before && self.owner().as_deref() != Some(user.as_str()) {
                rows::ANNOTATION_SHARE.met(
                    "a user's own annotations of the messages of another's mailbox are as large as they can be: one more is refused",
                );
                return Err(StoreError::TooManyAnnotations);
            }
        }
        Ok(())
    }

    /// Whose mailbox it is.
    fn owner(&self) -> Option<String> {
        self.header.name().ok()?.owner()
    }

    /// The bit of a keyword, which is defined where it is new.
    pub fn keyword(&mut self, word: &str) -> Result<u128, StoreError> {
        if let Some(bit) = self.view.keyword_bit(word) {
            self.defined |= bit;
            return Ok(bit);
        }
        let free = self.view.keywords.iter().position(|word| word.is_empty());
        let free = match free {
            None if self.view.keywords.len() >= KEYWORDS => {
                // Those that no message has come free when one is needed; those of this change count, too.
                let used = self.view.keywords_in_use() | self.defined;
                let free = (0..KEYWORDS).find(|bit| used >> bit & 1 == 0);
                Some(free.ok_or_else(|| {
                    rows::KEYWORDS.met("a mailbox has as many keywords as it can: one more is refused");
                    StoreError::TooManyKeywords
                })?)
            }
            free => free,
        };
        let at = free.unwrap_or(self.view.keywords.len());
        let bit = u8::try_from(at).map_err(|_| StoreError::TooManyKeywords)?;
        match free {
            Some(_) => self.op(Op::Rename { bit, word: word.into() }),
            None => self.op(Op::Keyword(word.into())),
        }
        self.defined |= 1 << bit;
        Ok(1 << bit)
    }

    /// Gives up the keywords that no message has. How many.
    pub fn free_keywords(&mut self) -> usize {
        let used = self.view.keywords_in_use();
        let unused = |(at, word): (usize, &Arc<str>)| {
            (!word.is_empty() && used >> at & 1 == 0).then(|| u8::try_from(at).ok()).flatten()
        };
        let unused: Vec<u8> = self.view.keywords.iter().enumerate().filter_map(unused).collect();
        for bit in &unused {
            self.op(Op::Rename { bit: *bit, word: Arc::from("") });
        }
        unused.len()
    }

    /// System flags and keywords of a list.
    pub fn flags(&mut self, flags: &[Flag]) -> Result<(System, u128), StoreError> {
        let (mut system, mut keywords) = (System::NONE, 0);
        for flag in flags {
            match flag {
                Flag::Keyword(word) => keywords |= self.keyword(word)?,
                other => system = system.with(System::of(other).unwrap_or_default()),
            }
        }
        Ok((system, keywords))
    }

    /// Gives a message new flags.
    pub fn set_flags(&mut self, uid: u32, flags: System, keywords: u128) {
        self.op(Op::Flags { uid, modseq: self.modseq, flags, keywords, time: self.now });
    }

    /// Expunges messages (UIDs ascending); `unlink`: their files go now, `forget`: so does the memory of them.
    pub fn expunge(&mut self, uids: &[u32], unlink: bool, forget: bool) {
        let modseq = self.modseq;
        for &uid in uids {
            if self.view.get(uid).is_none() {
                continue;
            }
            self.op(Op::Expunge { uid, modseq, time: self.now });
            if forget {
                self.op(Op::Forget { uid, modseq });
            }
        }
        if unlink {
            self.unlink.extend_from_slice(uids);
        }
        self.drop_tombstones();
    }

    /// Keeps within bounds what is remembered of messages that are gone.
    pub fn drop_tombstones(&mut self) {
        let most = TOMBSTONES.max(self.view.exists());
        let oldest = self.now.saturating_sub(self.history);
        let Some(modseq) = self.view.tombstones().surplus(most, oldest) else { return };
        let mut state = index::state(&self.view);
        if let Op::State { deletedmodseq, .. } = &mut state {
            *deletedmodseq = modseq.max(*deletedmodseq);
        }
        self.op(state);
    }

    /// Forgets expunged messages for good, and their files.
    pub fn forget(&mut self, uids: &[u32]) {
        for &uid in uids {
            let Some(record) = self.view.expunged.get(uid) else { continue };
            self.op(Op::Forget { uid, modseq: record.modseq });
        }
        self.unlink.extend_from_slice(uids);
    }
}

/// What an operation is to those who wait for news.
fn events_of(op: &Op) -> Events {
    match op {
        Op::Append(_) => Events::of(Event::MessageNew),
        Op::Expunge { .. } => Events::of(Event::MessageExpunge),
        Op::Flags { .. } => Events::of(Event::FlagChange),
        Op::Annotate { .. } => Events::of(Event::AnnotationChange),
        _ => Events::NONE,
    }
}

/// An index smaller than this is not compacted.
const COMPACT_FROM: u64 = 64 << 10;
/// An index with more bytes per message is.
const COMPACT_RECORD: u64 = 400;
/// The same for each run of messages that are gone.
const COMPACT_RUN: u64 = 64;
