//! How a mailbox is changed: a [`Change`] is built on the newest state by whoever has the mailbox's turn, handed to the commit
//! log in the same breath, and published when it holds. The lock is held for moments only, and never while waiting.

use std::sync::{Arc, MutexGuard};

use protocol::{event::Events, name::MailboxName};
use tokio::sync::{OwnedMutexGuard, oneshot};

use super::{Base, Change, Working};
use crate::{
    blocking,
    commit::{Content, Job, Permit},
    error::StoreError,
    gates::Gate,
    index,
    limits::{KEYWORDS, MANY},
    lock,
    mailbox::Mailbox,
    quota::{Delta, Usage},
    view::View,
};

/// The outcome of a change that was handed in; none where there was nothing to change.
type Held = Option<oneshot::Receiver<Result<(), StoreError>>>;

impl Mailbox {
    /// Makes a change and waits until it holds. `build` says what changes; an error of it changes nothing.
    pub(crate) async fn change<R>(
        self: &Arc<Self>,
        build: impl FnOnce(&mut Change) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let (result, held) = {
            let _turn = self.turn().await?;
            let permit = self.shared.commit.permit().await?;
            self.begin(build, permit)?
        };
        self.hold(held).await?;
        Ok(result)
    }

    /// The right to build a change. Where a move keeps changes away it is waited for without that right.
    async fn turn(&self) -> Result<OwnedMutexGuard<()>, StoreError> {
        let gate = Gate::Mailbox(&self.id);
        loop {
            let turn = self.turn.clone().lock_owned().await;
            if self.shared.gates.state(gate).is_none() {
                return Ok(turn);
            }
            drop(turn);
            self.shared.gates.pass(gate).await?;
        }
    }

    /// The same for two mailboxes.
    async fn turns(first: &Mailbox, second: &Mailbox) -> Result<[OwnedMutexGuard<()>; 2], StoreError> {
        loop {
            let turns = [first.turn().await?, second.turn.clone().lock_owned().await];
            let gates = [Gate::Mailbox(&first.id), Gate::Mailbox(&second.id)];
            if gates.iter().all(|gate| first.shared.gates.state(*gate).is_none()) {
                return Ok(turns);
            }
            drop(turns);
            for gate in gates {
                first.shared.gates.pass(gate).await?;
            }
        }
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
        let turn = self.turn().await?;
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
        let turns = Mailbox::turns(first, second).await?;
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
        let mut ours = Change::new(&bases.0, self.header(), now, history);
        let mut theirs = Change::new(&bases.1, other.header(), now, history);
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
        let mut change = Change::new(&base, self.header(), self.shared.now(), self.shared.history);
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
        job.cache = (!cache.is_empty()).then(|| (self.home().cache.clone(), cache_at, cache));
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

    fn is_gone(&self) -> StoreError {
        self.moved_to().map_or(StoreError::NoMailbox, StoreError::Moved)
    }

    fn base(&self) -> Result<Base, StoreError> {
        let working = lock(&self.working);
        if working.tip.gone {
            return Err(self.is_gone());
        }
        let Working { generation, version, cache_end, .. } = *working;
        Ok(Base { tip: working.tip.clone(), cache_end, generation, version })
    }

    /// The state, if it is what a change was built on: the mailbox may be gone since, or an earlier change have failed.
    fn still(&self, base: &Base) -> Result<MutexGuard<'_, Working>, StoreError> {
        let working = lock(&self.working);
        if working.tip.gone {
            return Err(self.is_gone());
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
        let log = self.home().log.clone();
        let (mailbox, epoch) = (self.clone(), log.epoch());
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
        (Job::new(log, epoch, saved.1, content, Box::new(done)), held)
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
        self.shared.articles.tell(events, || self.name());
        if self.shared.hub.is_watched()
            && let Ok(name) = self.name()
        {
            self.shared.hub.tell(&name, events);
        }
    }

    /// Forgets what was built on a change that failed. Jobs that wait are refused by their epoch.
    fn set_back(&self, epoch: u64) {
        let mut working = lock(&self.working);
        let log = self.home().log.clone();
        if log.epoch() != epoch {
            return;
        }
        log.void();
        let published = self.view.borrow().clone();
        // UIDs are never given twice, not even those that failed.
        let last_uid = working.tip.last_uid;
        let mut view = (*published).clone();
        view.last_uid = last_uid;
        working.tip = Arc::new(view);
        (working.end, working.generation, working.version) = working.saved;
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
