//! Changing a mailbox: a [`Change`] is built on the newest state under the mailbox's lock, handed to the commit log in
//! the same breath, and published when it holds. Nobody waits while holding the lock.

use std::sync::Arc;

use protocol::imap::Flag;
use tokio::sync::oneshot;

use super::{
    codec::put_frame,
    commit::{Content, Job, Note, Place},
    error::StoreError,
    index::{self, Op},
    lock,
    mailbox::Mailbox,
    quota::{Delta, Usage},
    record::{Record, System},
    stage::Staged,
    view::View,
};

/// A change under construction.
pub struct Change {
    /// The state after it.
    pub view: View,
    /// Epoch seconds.
    pub now: i64,
    ops: Vec<u8>,
    places: Vec<Place>,
    unlink: Vec<u32>,
    cache: Vec<u8>,
    cache_at: u64,
    notes: Vec<Note>,
    raised: bool,
    /// Whether a growing usage must fit into the quota.
    must_fit: bool,
}

/// The newest state of a mailbox, which may not be on disk yet, and where its next frame goes.
pub struct Working {
    pub tip: Arc<View>,
    pub end: u64,
    pub generation: u64,
    pub cache_end: u64,
    /// `end` and `generation` of what is published.
    pub saved: (u64, u64),
}

impl Mailbox {
    /// Makes a change and waits until it holds. `build` says what changes; an error of it changes nothing.
    pub(crate) async fn change<R>(
        self: &Arc<Self>,
        build: impl FnOnce(&mut Change) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let permit = self.shared.commit.permit().await?;
        let (result, held) = {
            let mut working = lock(&self.working);
            if working.tip.gone {
                return Err(StoreError::NoMailbox);
            }
            let mut change = Change::new(&working, self.shared.now());
            let result = build(&mut change)?;
            if change.is_nothing() {
                return Ok(result);
            }
            let (done, held) = oneshot::channel();
            let job = self.job(&mut working, change, done)?;
            self.shared.commit.submit(job, permit);
            (result, held)
        };
        held.await.unwrap_or(Err(StoreError::Closed))?;
        Ok(result)
    }

    fn job(
        self: &Arc<Self>,
        working: &mut Working,
        change: Change,
        done: oneshot::Sender<Result<(), StoreError>>,
    ) -> Result<Job, StoreError> {
        let Change { view, ops, places, unlink, cache, notes, must_fit, .. } = change;
        let (before, after) = (Usage::of(&working.tip), Usage::of(&view));
        let delta = Delta::between(&before, &after);
        let root = self.quota_root();
        self.shared.quotas.add(root.as_ref(), delta, must_fit)?;
        let messages = (view.records.len() + view.expunged.len()) as u64;
        let content = if working.end > COMPACT_FROM && working.end > messages * COMPACT_RECORD {
            working.generation += 1;
            let bytes = index::snapshot(&view, working.generation);
            working.end = bytes.len() as u64;
            Content::Replace(bytes)
        } else {
            let mut frame = Vec::with_capacity(ops.len() + 16);
            put_frame(&mut frame, working.generation, &ops);
            let offset = working.end;
            working.end += frame.len() as u64;
            Content::Append { offset, frame }
        };
        let cache_at = working.cache_end;
        working.cache_end += cache.len() as u64;
        let view = Arc::new(view);
        working.tip = view.clone();
        let saved = (working.end, working.generation);
        let mailbox = self.clone();
        let epoch = self.log.epoch();
        let done = move |result: Result<(), StoreError>| {
            match &result {
                Ok(()) => mailbox.publish(view, saved, after),
                Err(_) => {
                    // The counts are those of one change, whichever job fails first.
                    let _ = mailbox.shared.quotas.add(root.as_ref(), delta.negated(), false);
                    mailbox.set_back(epoch);
                }
            }
            // Who asked may have gone away; the change holds all the same.
            let _ = done.send(result);
        };
        Ok(Job {
            log: self.log.clone(),
            epoch,
            generation: saved.1,
            content,
            places,
            unlink,
            cache: (!cache.is_empty()).then(|| (self.cache.clone(), cache_at, cache)),
            notes,
            done: Box::new(done),
        })
    }

    fn publish(&self, view: Arc<View>, saved: (u64, u64), usage: Usage) {
        lock(&self.working).saved = saved;
        self.shared.quotas.note(&self.id, Some(usage));
        // A mailbox that was deleted meanwhile stays so.
        self.view.send_if_modified(|now| {
            let gone = now.gone;
            if !gone {
                *now = view;
            }
            !gone
        });
    }

    /// Forgets what was built on a change that failed. Jobs that wait are refused by their epoch.
    fn set_back(&self, epoch: u64) {
        let mut working = lock(&self.working);
        if self.log.epoch() != epoch {
            return;
        }
        self.log.void();
        let published = self.view.borrow().clone();
        // UIDs are never given twice, not even those that failed.
        let last_uid = working.tip.last_uid;
        let mut view = (*published).clone();
        view.last_uid = last_uid;
        working.tip = Arc::new(view);
        (working.end, working.generation) = working.saved;
    }
}

impl Change {
    fn new(working: &Working, now: i64) -> Change {
        Change {
            view: (*working.tip).clone(),
            now,
            ops: Vec::new(),
            places: Vec::new(),
            unlink: Vec::new(),
            cache: Vec::new(),
            cache_at: working.cache_end,
            notes: Vec::new(),
            raised: false,
            must_fit: true,
        }
    }

    fn is_nothing(&self) -> bool {
        self.ops.is_empty()
    }

    /// Lets the change exceed the quota.
    pub fn ignore_quota(&mut self) {
        self.must_fit = false;
    }

    pub fn note(&mut self, note: Note) {
        self.notes.push(note);
    }

    /// Adds an operation; what it means for the view is the caller's to do.
    pub fn op(&mut self, op: &Op) {
        op.encode(&mut self.ops);
    }

    /// The modseq of this change.
    pub fn modseq(&mut self) -> u64 {
        if !self.raised {
            self.raised = true;
            self.view.highestmodseq += 1;
        }
        self.view.highestmodseq
    }

    /// Adds messages at the end; UIDs ascend.
    pub fn append(&mut self, messages: &[(Arc<Staged>, System, u128, i64)]) -> Result<Vec<u32>, StoreError> {
        let modseq = self.modseq();
        let (mut uids, mut records) =
            (Vec::with_capacity(messages.len()), Vec::with_capacity(messages.len()));
        for (staged, flags, keywords, internaldate) in messages {
            let uid = self.view.last_uid.checked_add(1).ok_or(StoreError::NotSupported)?;
            self.view.last_uid = uid;
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
            put_frame(&mut self.cache, u64::from(uid), &staged.structure);
            self.op(&Op::Append(record.clone()));
            self.view.count(&record, true);
            self.places.push(Place { uid, staged: staged.clone() });
            records.push(record);
            uids.push(uid);
        }
        self.view.last_append = self.now;
        self.view.records = self.view.records.appended(records);
        Ok(uids)
    }

    /// The bit of a keyword, which is defined where it is new.
    pub fn keyword(&mut self, word: &str) -> Result<u128, StoreError> {
        if let Some(bit) = self.view.keyword_bit(word) {
            return Ok(bit);
        }
        if self.view.keywords.len() >= KEYWORDS {
            return Err(StoreError::TooManyKeywords);
        }
        let word: Arc<str> = word.into();
        self.op(&Op::Keyword(word.clone()));
        let keywords = Arc::make_mut(&mut self.view.keywords);
        keywords.push(word);
        Ok(1u128 << (keywords.len() - 1))
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

    /// Gives records (in UID order) new flags.
    pub fn set_flags(&mut self, changed: Vec<(Record, System, u128)>) {
        if changed.is_empty() {
            return;
        }
        let modseq = self.modseq();
        let mut records = Vec::with_capacity(changed.len());
        for (mut record, flags, keywords) in changed {
            self.view.count(&record, false);
            (record.modseq, record.flags, record.keywords, record.last_updated) =
                (modseq, flags, keywords, self.now);
            self.view.count(&record, true);
            self.op(&Op::Flags { uid: record.uid, modseq, flags, keywords, time: self.now });
            records.push(record);
        }
        self.view.records = self.view.records.updated(records);
    }

    /// Expunges messages (UIDs ascending); `unlink`: their files go now, `forget`: so does the memory of them.
    pub fn expunge(&mut self, uids: &[u32], unlink: bool, forget: bool) {
        if uids.is_empty() {
            return;
        }
        let modseq = self.modseq();
        let mut expunged = Vec::with_capacity(uids.len());
        for &uid in uids {
            let Some(record) = self.view.records.get(uid) else { continue };
            let mut record = record.clone();
            self.view.count(&record, false);
            (record.modseq, record.last_updated) = (modseq, self.now);
            self.op(&Op::Expunge { uid, modseq, time: self.now });
            if forget {
                self.op(&Op::Forget { uid, modseq });
            }
            expunged.push(record);
        }
        self.view.records = self.view.records.removed(uids);
        match forget {
            true => self.view.deletedmodseq = modseq,
            false => self.view.expunged = self.view.expunged.inserted(expunged),
        }
        if unlink {
            self.unlink.extend_from_slice(uids);
        }
    }

    /// Forgets expunged messages for good, and their files.
    pub fn forget(&mut self, uids: &[u32]) {
        for &uid in uids {
            let Some(record) = self.view.expunged.get(uid) else { continue };
            let modseq = record.modseq;
            self.op(&Op::Forget { uid, modseq });
            self.view.deletedmodseq = self.view.deletedmodseq.max(modseq);
        }
        self.view.expunged = self.view.expunged.removed(uids);
        self.unlink.extend_from_slice(uids);
    }
}

/// Keywords of a mailbox.
const KEYWORDS: usize = 128;
/// An index smaller than this is not compacted.
const COMPACT_FROM: u64 = 64 << 10;
/// An index with more bytes per message is.
const COMPACT_RECORD: u64 = 400;
