//! Changing a mailbox: a [`Change`] is built on the newest state by whoever has the mailbox's turn, handed to the commit
//! log in the same breath, and published when it holds. The lock is held for moments only, and never while waiting.

use std::sync::{Arc, MutexGuard};

use protocol::{
    flag::Flag,
    imap::command::notify::{Event, Events},
    name::MailboxName,
};
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
use crate::limits::{KEYWORDS, MANY, TOMBSTONES, rows};

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

/// What a change is built on.
struct Base {
    tip: Arc<View>,
    cache_end: u64,
    generation: u64,
    version: u32,
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
        if self.weight(messages) <= MANY {
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

    /// Messages that a change of so many looks at: all of them where a new keyword must find out which of the others are used.
    fn weight(&self, messages: usize) -> usize {
        let view = self.view();
        if view.keywords().len() < KEYWORDS { messages } else { messages.max(view.exists()) }
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

    /// Changes two mailboxes in one commit: after a crash both changes are there, or none. `ours` is the change of this mailbox,
    /// `theirs` that of the other, which is another one.
    pub(crate) async fn change_both<R: Send + 'static>(
        self: &Arc<Self>,
        other: &Arc<Self>,
        messages: usize,
        build: impl FnOnce(&mut Change, &mut Change) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        // Always in the same order, so that two who go opposite ways do not wait for each other.
        let (first, second) = if self.id < other.id { (self, other) } else { (other, self) };
        let turns = (first.turn.clone().lock_owned().await, second.turn.clone().lock_owned().await);
        let permit = self.shared.commit.permit().await?;
        let (ours, theirs) = (self.clone(), other.clone());
        let begin = move || {
            let _turns = turns;
            ours.begin_both(&theirs, build, permit)
        };
        let (result, [held, others]) = if self.weight(messages).max(other.weight(messages)) <= MANY {
            begin()?
        } else {
            blocking(begin).await?
        };
        self.hold(held).await?;
        other.hold(others).await?;
        Ok(result)
    }

    /// Builds two changes and hands them in as one. The caller has both turns.
    fn begin_both<R>(
        self: &Arc<Self>,
        other: &Arc<Self>,
        build: impl FnOnce(&mut Change, &mut Change) -> Result<R, StoreError>,
        permit: Permit,
    ) -> Result<(R, [Held; 2]), StoreError> {
        let bases = (self.base()?, other.base()?);
        let (now, history) = (self.shared.now(), self.shared.history);
        let mut ours = Change::new(&bases.0, now, history);
        let mut theirs = Change::new(&bases.1, now, history);
        let result = build(&mut ours, &mut theirs)?;
        if ours.is_nothing() && theirs.is_nothing() {
            return Ok((result, [None, None]));
        }
        let frames = (ours.frame(&bases.0), theirs.frame(&bases.1));
        let (mut first, mut second);
        if self.id < other.id {
            first = self.still(&bases.0)?;
            second = other.still(&bases.1)?;
        } else {
            second = other.still(&bases.1)?;
            first = self.still(&bases.0)?;
        }
        let deltas = (ours.delta(&bases.0), theirs.delta(&bases.1));
        let roots = (self.quota_root(), other.quota_root());
        let quotas = &self.shared.quotas;
        let must_fit = ours.must_fit;
        match roots.0 == roots.1 {
            // What comes to one of them goes from the other.
            true => quotas.add(roots.0.as_ref(), deltas.0.plus(deltas.1), must_fit)?,
            false => {
                quotas.add(roots.0.as_ref(), deltas.0, must_fit)?;
                // It shrinks, and is counted whatever it is.
                let _ = quotas.add(roots.1.as_ref(), deltas.1, false);
            }
        }
        let (mut job, held) = self.enlist(&mut first, ours, frames.0, (roots.0, deltas.0));
        let (with, others) = other.enlist(&mut second, theirs, frames.1, (roots.1, deltas.1));
        job.with = Some(Box::new(with));
        self.shared.commit.submit(job, permit);
        Ok((result, [Some(held), Some(others)]))
    }

    /// Builds a change and hands it in. The caller has the turn, so that nobody builds on the same state meanwhile.
    fn begin<R>(
        self: &Arc<Self>,
        build: impl FnOnce(&mut Change) -> Result<R, StoreError>,
        permit: Permit,
    ) -> Result<(R, Held), StoreError> {
        let base = self.base()?;
        let mut change = Change::new(&base, self.shared.now(), self.shared.history);
        let result = build(&mut change)?;
        if change.is_nothing() {
            return Ok((result, None));
        }
        let frame = change.frame(&base);
        let mut working = self.still(&base)?;
        let (root, delta) = (self.quota_root(), change.delta(&base));
        self.shared.quotas.add(root.as_ref(), delta, change.must_fit)?;
        let (job, held) = self.enlist(&mut working, change, frame, (root, delta));
        self.shared.commit.submit(job, permit);
        Ok((result, Some(held)))
    }

    /// Makes a job of a change whose usage is counted, and takes it for done.
    fn enlist(
        self: &Arc<Self>,
        working: &mut Working,
        change: Change,
        frame: Vec<u8>,
        counted: (Option<MailboxName>, Delta),
    ) -> (Job, oneshot::Receiver<Result<(), StoreError>>) {
        let (offset, cache_at) = (working.end, working.cache_end);
        working.cache_end += change.cache.len() as u64;
        let content = if working.version < change.version {
            (working.generation, working.end) = (working.generation + 1, frame.len() as u64);
            working.version = index::FORMAT;
            Content::Replace(frame)
        } else {
            working.end += frame.len() as u64;
            Content::Append { offset, frame }
        };
        let Change { view, places, unlink, cache, notes, events, .. } = change;
        let (mut job, held) = self.job(working, Arc::new(view), content, counted, events);
        job.cache = (!cache.is_empty()).then(|| (self.cache.clone(), cache_at, cache));
        (job.places, job.unlink, job.notes) = (places, unlink, notes);
        (job, held)
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
            working.version = index::FORMAT;
            let nothing = (None, Delta::default());
            let (job, held) =
                mailbox.job(&mut working, base.tip, Content::Replace(bytes), nothing, Events::NONE);
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
        let Working { generation, version, cache_end, .. } = *working;
        Ok(Base { tip: working.tip.clone(), cache_end, generation, version })
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
        events: Events,
    ) -> (Job, oneshot::Receiver<Result<(), StoreError>>) {
        working.tip = view.clone();
        let usage = Usage::of(&view);
        let saved = (working.end, working.generation, working.version);
        let (tell, held) = oneshot::channel();
        let (mailbox, epoch) = (self.clone(), self.log.epoch());
        let done = move |result: Result<(), StoreError>| {
            match &result {
                Ok(()) => {
                    mailbox.publish(view, saved, usage, events);
                    mailbox.count_texts();
                }
                Err(_) => {
                    // The counts are those of one change, whichever job fails first.
                    let _ = mailbox.shared.quotas.add(root.as_ref(), delta.negated(), false);
                    mailbox.set_back(epoch);
                }
            }
            // Who asked may have gone away; the change holds all the same.
            let _ = tell.send(result);
        };
        (Job::new(self.log.clone(), epoch, saved.1, content, Box::new(done)), held)
    }

    fn publish(&self, view: Arc<View>, saved: (u64, u64, u32), usage: Usage, events: Events) {
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
        if self.shared.hub.is_watched()
            && let Ok(name) = self.name()
        {
            self.shared.hub.tell(&name, events);
        }
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
        (working.end, working.generation, working.version) = working.saved;
    }
}

impl Change {
    fn new(base: &Base, now: i64, history: i64) -> Change {
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

/// Whether the index has many more bytes than its messages need.
fn is_bloated(working: &Working) -> bool {
    let messages = (working.tip.records.len() + working.tip.expunged.len()) as u64;
    let needed = (messages.saturating_mul(COMPACT_RECORD))
        .saturating_add(working.tip.tombstones.len() as u64 * COMPACT_RUN)
        // Annotations of any size are no bloat, but those that were replaced.
        .saturating_add(working.tip.annotation_bytes.saturating_mul(2));
    working.end > COMPACT_FROM && working.end > needed
}

/// An index smaller than this is not compacted.
const COMPACT_FROM: u64 = 64 << 10;
/// An index with more bytes per message is.
const COMPACT_RECORD: u64 = 400;
/// The same for each run of messages that are gone.
const COMPACT_RUN: u64 = 64;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::metadata::Setting;

    #[derive(Debug, Clone)]
    enum Act {
        Append(Vec<(u8, Option<u8>)>),
        Flags(Vec<(u32, u8, Option<u8>)>),
        Expunge(Vec<u32>, bool),
        Forget(Vec<u32>),
        Recent(u32),
        Pop3,
        Metadata(u8, Option<u8>),
    }

    fn act() -> impl Strategy<Value = Act> {
        let word = || proptest::option::of(0..4u8);
        let uids = || vec(1..40u32, 0..8);
        prop_oneof![
            vec((0..32u8, word()), 0..5).prop_map(Act::Append),
            vec((1..40u32, 0..32u8, word()), 0..8).prop_map(Act::Flags),
            (uids(), any::<bool>()).prop_map(|(uids, forget)| Act::Expunge(uids, forget)),
            uids().prop_map(Act::Forget),
            (0..40u32).prop_map(Act::Recent),
            Just(Act::Pop3),
            (0..4u8, proptest::option::of(0..9u8)).prop_map(|(entry, value)| Act::Metadata(entry, value)),
        ]
    }

    fn run(change: &mut Change, act: Act) {
        let words = |change: &mut Change, word: Option<u8>| {
            word.map_or(0, |word| change.keyword(&format!("$Word{word}")).unwrap())
        };
        match act {
            Act::Append(messages) => {
                for (flags, word) in messages {
                    let keywords = words(change, word);
                    let text = format!("Subject: {flags}\r\n\r\n{}", "x".repeat(usize::from(flags)));
                    let staged = Arc::new(Staged::in_memory(Bytes::from(text)));
                    change.append(&[(staged, System(flags), keywords, 77)]).unwrap();
                }
            }
            Act::Flags(changes) => {
                for (uid, flags, word) in changes {
                    let keywords = words(change, word);
                    change.set_flags(uid, System(flags), keywords);
                }
            }
            Act::Expunge(uids, forget) => change.expunge(&uids, false, forget),
            Act::Forget(uids) => change.forget(&uids),
            Act::Recent(uid) => change.op(Op::Recent(uid)),
            Act::Pop3 => change.op(Op::Pop3(change.now)),
            Act::Metadata(entry, value) => {
                let value = value.map(|length| vec![0; usize::from(length)]);
                let (entry, user) = (format!("/{}", entry / 2), format!("{}", entry % 2));
                let settings = vec![Setting { entry, user, value }];
                change.op(Op::Metadata { modseq: change.modseq(), settings });
            }
        }
    }

    /// All that sessions and files can see of a view.
    fn told(view: &View) -> String {
        let View { uidvalidity, last_uid, highestmodseq, deletedmodseq, recentuid, last_append, .. } = view;
        let View { pop3_last_login, gone, records, expunged, keywords, bytes, annotation_bytes, .. } = view;
        let tombstones: Vec<_> = view.tombstones.iter().collect();
        let (live, dead): (Vec<_>, Vec<_>) = (records.iter().collect(), expunged.iter().collect());
        format!(
            "{uidvalidity} {last_uid} {highestmodseq} {deletedmodseq} {recentuid} {last_append} {pop3_last_login} {gone} \
             {bytes} {annotation_bytes} {} {:?} {} {:?} {keywords:?} {live:#?} {dead:#?} {tombstones:?}",
            view.unseen,
            view.deleted(),
            view.exists(),
            view.metadata,
        )
    }

    proptest! {
        #[test]
        fn what_a_session_sees_is_what_a_restart_reads_whatever_the_clock_does(
            acts in vec((act(), 0..1000i64), 1..40),
        ) {
            let mut tip = Arc::new(View { uidvalidity: 7, ..View::default() });
            let mut file = index::snapshot(&tip, 1);
            for (act, now) in acts {
                let mut change = Change::new(&Base { tip: tip.clone(), cache_end: 0, generation: 1, version: index::FORMAT }, now, 500);
                run(&mut change, act);
                if !change.is_nothing() {
                    put_frame(&mut file, 1, &change.ops);
                    tip = Arc::new(change.view);
                }
            }
            prop_assert_eq!(told(&index::parse(&file).unwrap().view), told(&tip));
            let compact = index::snapshot(&tip, 2);
            prop_assert_eq!(told(&index::parse(&compact).unwrap().view), told(&tip));
            let counted = View::default().with(tip.records.clone());
            prop_assert_eq!((counted.bytes, counted.unseen), (tip.bytes, tip.unseen));
            prop_assert_eq!(counted.deleted(), tip.deleted());
        }
    }
}
