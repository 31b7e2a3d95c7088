//! Changing a mailbox: a [`Change`] is built on the newest state by whoever has the mailbox's turn, handed to the commit
//! log in the same breath, and published when it holds. The lock is held for moments only, and never while waiting.

use std::sync::{Arc, MutexGuard};

use protocol::{imap::Flag, name::MailboxName};
use tokio::sync::oneshot;

use super::{
    blocking,
    codec::put_frame,
    commit::{Content, Job, Note, Permit, Place},
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

/// What a change is built on.
struct Base {
    tip: Arc<View>,
    cache_end: u64,
    generation: u64,
}

/// The outcome of a change that was handed in; none where there was nothing to change.
type Held = Option<oneshot::Receiver<Result<(), StoreError>>>;

impl Mailbox {
    /// Makes a change and waits until it holds. `build` says what changes; an error of it changes nothing.
    pub(crate) async fn change<R>(
        self: &Arc<Self>,
        build: impl FnOnce(&mut Change) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let (result, held) = {
            let _turn = self.turn.lock().await;
            let permit = self.shared.commit.permit().await?;
            self.begin(build, permit)?
        };
        self.hold(held).await?;
        Ok(result)
    }

    /// The same for a change of `messages` messages: that of many is built on a blocking thread, while other changes of
    /// the mailbox wait and nothing else does.
    pub(crate) async fn change_of<R: Send + 'static>(
        self: &Arc<Self>,
        messages: usize,
        build: impl FnOnce(&mut Change) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        if messages <= MANY {
            return self.change(build).await;
        }
        let turn = self.turn.clone().lock_owned().await;
        let permit = self.shared.commit.permit().await?;
        let mailbox = self.clone();
        let begun = blocking(move || {
            let _turn = turn;
            mailbox.begin(build, permit)
        });
        let (result, held) = begun.await?;
        self.hold(held).await?;
        Ok(result)
    }

    /// Waits until a change holds.
    async fn hold(self: &Arc<Self>, held: Held) -> Result<(), StoreError> {
        let Some(held) = held else { return Ok(()) };
        held.await.unwrap_or(Err(StoreError::Closed))?;
        if is_bloated(&lock(&self.working)) {
            // Only the index's size is at stake, and the next change tries again.
            if let Err(error) = self.compact().await {
                tracing::debug!(%error, mailbox = self.id, "the index is not compacted");
            }
        }
        Ok(())
    }

    /// Builds a change and hands it in. The caller has the turn, so that nobody builds on the same state meanwhile.
    fn begin<R>(
        self: &Arc<Self>,
        build: impl FnOnce(&mut Change) -> Result<R, StoreError>,
        permit: Permit,
    ) -> Result<(R, Held), StoreError> {
        let base = self.base()?;
        let mut change = Change::new(&base, self.shared.now());
        let result = build(&mut change)?;
        if change.is_nothing() {
            return Ok((result, None));
        }
        let mut frame = Vec::with_capacity(change.ops.len() + 16);
        put_frame(&mut frame, base.generation, &change.ops);
        let mut working = self.still(&base)?;
        let root = self.quota_root();
        let delta = Delta::between(&Usage::of(&base.tip), &Usage::of(&change.view));
        self.shared.quotas.add(root.as_ref(), delta, change.must_fit)?;
        let (offset, cache_at) = (working.end, working.cache_end);
        working.end += frame.len() as u64;
        working.cache_end += change.cache.len() as u64;
        let Change { view, places, unlink, cache, notes, .. } = change;
        let (mut job, held) =
            self.job(&mut working, Arc::new(view), Content::Append { offset, frame }, (root, delta));
        job.cache = (!cache.is_empty()).then(|| (self.cache.clone(), cache_at, cache));
        (job.places, job.unlink, job.notes) = (places, unlink, notes);
        self.shared.commit.submit(job, permit);
        Ok((result, Some(held)))
    }

    /// Writes the index anew. It is encoded without the lock: the turn keeps changes away.
    async fn compact(self: &Arc<Self>) -> Result<(), StoreError> {
        let turn = self.turn.clone().lock_owned().await;
        let permit = self.shared.commit.permit().await?;
        let mailbox = self.clone();
        let held = blocking(move || {
            let _turn = turn;
            let base = mailbox.base()?;
            if !is_bloated(&lock(&mailbox.working)) {
                return Ok(None);
            }
            let generation = base.generation + 1;
            let bytes = index::snapshot(&base.tip, generation);
            let mut working = mailbox.still(&base)?;
            (working.generation, working.end) = (generation, bytes.len() as u64);
            let nothing = (None, Delta::default());
            let (job, held) = mailbox.job(&mut working, base.tip, Content::Replace(bytes), nothing);
            mailbox.shared.commit.submit(job, permit);
            Ok(Some(held))
        });
        match held.await? {
            Some(held) => held.await.unwrap_or(Err(StoreError::Closed)),
            None => Ok(()),
        }
    }

    fn base(&self) -> Result<Base, StoreError> {
        let working = lock(&self.working);
        if working.tip.gone {
            return Err(StoreError::NoMailbox);
        }
        Ok(Base { tip: working.tip.clone(), cache_end: working.cache_end, generation: working.generation })
    }

    /// The state, if it is what a change was built on: the mailbox may be gone since, or an earlier change have failed.
    fn still(&self, base: &Base) -> Result<MutexGuard<'_, Working>, StoreError> {
        let working = lock(&self.working);
        if working.tip.gone {
            return Err(StoreError::NoMailbox);
        }
        if Arc::ptr_eq(&working.tip, &base.tip) { Ok(working) } else { Err(StoreError::Busy) }
    }

    /// What is to be written and then published. `counted`: the quota root, and what was added to it.
    fn job(
        self: &Arc<Self>,
        working: &mut Working,
        view: Arc<View>,
        content: Content,
        (root, delta): (Option<MailboxName>, Delta),
    ) -> (Job, oneshot::Receiver<Result<(), StoreError>>) {
        working.tip = view.clone();
        let usage = Usage::of(&view);
        let saved = (working.end, working.generation);
        let (tell, held) = oneshot::channel();
        let (mailbox, epoch) = (self.clone(), self.log.epoch());
        let done = move |result: Result<(), StoreError>| {
            match &result {
                Ok(()) => mailbox.publish(view, saved, usage),
                Err(_) => {
                    // The counts are those of one change, whichever job fails first.
                    let _ = mailbox.shared.quotas.add(root.as_ref(), delta.negated(), false);
                    mailbox.set_back(epoch);
                }
            }
            // Who asked may have gone away; the change holds all the same.
            let _ = tell.send(result);
        };
        let job = Job {
            log: self.log.clone(),
            epoch,
            generation: saved.1,
            content,
            places: Vec::new(),
            unlink: Vec::new(),
            cache: None,
            notes: Vec::new(),
            done: Box::new(done),
        };
        (job, held)
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
    fn new(base: &Base, now: i64) -> Change {
        Change {
            view: (*base.tip).clone(),
            now,
            ops: Vec::new(),
            places: Vec::new(),
            unlink: Vec::new(),
            cache: Vec::new(),
            cache_at: base.cache_end,
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
            self.view.highestmodseq = self.view.modseq() + 1;
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

/// Whether the index has many more bytes than its messages need.
fn is_bloated(working: &Working) -> bool {
    let messages = (working.tip.records.len() + working.tip.expunged.len()) as u64;
    working.end > COMPACT_FROM && working.end > messages * COMPACT_RECORD
}

/// A change of more messages is built on a blocking thread.
const MANY: usize = 256;
/// Keywords of a mailbox.
const KEYWORDS: usize = 128;
/// An index smaller than this is not compacted.
const COMPACT_FROM: u64 = 64 << 10;
/// An index with more bytes per message is.
const COMPACT_RECORD: u64 = 400;
