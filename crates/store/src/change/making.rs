//! How a mailbox is changed: a [`Change`] is built on the newest state by whoever has the mailbox's turn, handed to the commit
//! log in the same breath, and published when it holds. The lock is held for moments only, and never while waiting.

use std::{
    fs,
    sync::{Arc, MutexGuard},
};

use protocol::event::Events;
use tokio::{
    runtime::Handle,
    sync::{OwnedMutexGuard, oneshot},
    task::JoinHandle,
};

use super::{Base, Change, Working, counted::Counted};
use crate::{
    commit::{Ahead, Content, Job, Permit},
    error::StoreError,
    gates::Gate,
    index,
    limits::MANY,
    lock,
    mailbox::Mailbox,
    quota::Usage,
    view::View,
};

/// How a change ended, and the removal of files that it began.
type Outcome = Result<Option<JoinHandle<()>>, StoreError>;
/// The outcome of a change that was handed in; none where there was nothing to change.
pub(super) type Held = Option<oneshot::Receiver<Outcome>>;

/// How a change is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// By the commit thread.
    Small,
    /// Before it is handed in, on the caller's blocking thread ([`Ahead`]). Nothing of the mailbox is on its way to the commit thread.
    Large,
}

/// A change that is built, and counted. What is left is to hand it in.
struct Made {
    change: Change,
    /// As it stands in the index.
    frame: Vec<u8>,
    ahead: Option<Ahead>,
    counted: Counted,
}

impl Mailbox {
    /// Makes a change and waits until it holds. `build` says what changes; an error of it changes nothing.
    pub(crate) async fn change<R>(
        self: &Arc<Self>,
        build: impl FnOnce(&mut Change) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let (result, held) = {
            let _turn = self.turn().await?;
            let permit = self.shared.commit.permit().await?;
            self.begin(build, permit, Size::Small)?
        };
        self.hold(held).await?;
        Ok(result)
    }

    /// The right to build a change. Where a move keeps changes away it is waited for without that right.
    pub(super) async fn turn(&self) -> Result<OwnedMutexGuard<()>, StoreError> {
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
    pub(super) async fn turns(
        first: &Mailbox,
        second: &Mailbox,
    ) -> Result<[OwnedMutexGuard<()>; 2], StoreError> {
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

    /// Waits until a change holds.
    pub(super) async fn hold(self: &Arc<Self>, held: Held) -> Result<(), StoreError> {
        let Some(held) = held else { return Ok(()) };
        if let Some(removal) = held.await.unwrap_or(Err(StoreError::Closed))? {
            // Files that stay go with the next expiry.
            let _ = removal.await;
        }
        if lock(&self.working).is_bloated() {
            // Only the index's size is at stake, and the next change tries again.
            if let Err(error) = self.compact().await {
                tracing::debug!(%error, mailbox = self.id, "the index is not compacted");
            }
        }
        Ok(())
    }

    /// Builds two changes and hands them in as one. The caller has both turns.
    pub(super) fn begin_both<R>(
        self: &Arc<Self>,
        other: &Arc<Self>,
        build: impl FnOnce(&mut Change, &mut Change) -> Result<R, StoreError>,
        permit: Permit,
        size: Size,
    ) -> Result<(R, [Held; 2]), StoreError> {
        let bases = (self.base_for(size)?, other.base_for(size)?);
        let mut ours = self.new_change(&bases.0);
        let mut theirs = other.new_change(&bases.1);
        let result = build(&mut ours, &mut theirs)?;
        if ours.is_nothing() && theirs.is_nothing() {
            return Ok((result, [None, None]));
        }
        let (first, second) = self.count_both(other, (&ours, &bases.0), (&theirs, &bases.1))?;
        let made = (self.ready(ours, &bases.0, first, size)?, other.ready(theirs, &bases.1, second, size)?);
        let (mut first, mut second);
        if self.id < other.id {
            first = self.still(&bases.0)?;
            second = other.still(&bases.1)?;
        } else {
            second = other.still(&bases.1)?;
            first = self.still(&bases.0)?;
        }
        let (mut job, held) = self.enlist(&mut first, made.0);
        let (with, others) = other.enlist(&mut second, made.1);
        job.with = Some(Box::new(with));
        self.shared.commit.submit(job, permit);
        Ok((result, [Some(held), Some(others)]))
    }

    /// Builds a change and hands it in. The caller has the turn, so that nobody builds on the same state meanwhile.
    pub(super) fn begin<R>(
        self: &Arc<Self>,
        build: impl FnOnce(&mut Change) -> Result<R, StoreError>,
        permit: Permit,
        size: Size,
    ) -> Result<(R, Held), StoreError> {
        let base = self.base_for(size)?;
        let mut change = self.new_change(&base);
        let result = build(&mut change)?;
        if change.is_nothing() {
            return Ok((result, None));
        }
        let counted = Counted::new(&self.shared, self.quota_root(), change.delta(&base), change.must_fit)?;
        let made = self.ready(change, &base, counted, size)?;
        let mut working = self.still(&base)?;
        let (job, held) = self.enlist(&mut working, made);
        self.shared.commit.submit(job, permit);
        Ok((result, Some(held)))
    }

    fn new_change(&self, base: &Base) -> Change {
        Change::new(base, self.header(), self.shared.now(), self.shared.history)
    }

    /// Counts two changes, of which only the first must fit.
    fn count_both(
        &self,
        other: &Mailbox,
        ours: (&Change, &Base),
        theirs: (&Change, &Base),
    ) -> Result<(Counted, Counted), StoreError> {
        let deltas = (ours.0.delta(ours.1), theirs.0.delta(theirs.1));
        let (root, others) = (self.quota_root(), other.quota_root());
        let must_fit = ours.0.must_fit;
        if root == others {
            // What comes to one of them goes from the other.
            let both = Counted::new(&self.shared, root, deltas.0.plus(deltas.1), must_fit)?;
            return Ok(both.split(deltas));
        }
        let first = Counted::new(&self.shared, root, deltas.0, must_fit)?;
        // It shrinks, and is counted whatever it is.
        Ok((first, Counted::new(&self.shared, others, deltas.1, false)?))
    }

    /// Writes a large change ahead.
    fn ready(&self, change: Change, base: &Base, counted: Counted, size: Size) -> Result<Made, StoreError> {
        let frame = change.frame(base);
        let ahead = match size {
            Size::Large if !change.is_nothing() => Some(self.write_ahead(&change, base, &frame)?),
            Size::Large | Size::Small => None,
        };
        Ok(Made { change, frame, ahead, counted })
    }

    /// Makes a job of a change, and takes it for done.
    fn enlist(self: &Arc<Self>, working: &mut Working, made: Made) -> (Job, oneshot::Receiver<Outcome>) {
        let Made { change, frame, ahead, counted } = made;
        let (offset, cache_at) = (working.end, working.cache_end);
        working.cache_end += change.cache.len() as u64;
        let replaces = working.version < change.version;
        match replaces {
            true => {
                (working.generation, working.end) = (working.generation + 1, frame.len() as u64);
                working.version = index::FORMAT;
            }
            false => working.end += frame.len() as u64,
        }
        let content = match &ahead {
            Some(ahead) => ahead.seal(),
            None if replaces => Content::Replace(frame),
            None => Content::Append { offset, frame },
        };
        let Change { view, places, unlink, cache, notes, events, .. } = change;
        let is_written = ahead.is_some();
        let (now, later) = if unlink.len() > MANY { (Vec::new(), unlink) } else { (unlink, Vec::new()) };
        let end = End { view: Arc::new(view), counted, events, ahead, unlink: later };
        let (mut job, held) = self.job(working, content, end);
        (job.unlink, job.notes) = (now, notes);
        if !is_written {
            job.cache = (!cache.is_empty()).then(|| (self.home().cache.clone(), cache_at, cache));
            job.places = places;
        }
        (job, held)
    }

    fn is_gone(&self) -> StoreError {
        self.moved_to().map_or(StoreError::NoMailbox, StoreError::Moved)
    }

    /// What a change is built on. A large one is written to an index of the newest format.
    fn base_for(&self, size: Size) -> Result<Base, StoreError> {
        let base = self.base()?;
        if size == Size::Small || base.version == index::FORMAT {
            return Ok(base);
        }
        self.rewrite()?;
        self.base()
    }

    pub(super) fn base(&self) -> Result<Base, StoreError> {
        let working = lock(&self.working);
        if working.tip.gone {
            return Err(self.is_gone());
        }
        let Working { end, generation, version, cache_end, .. } = *working;
        Ok(Base { tip: working.tip.clone(), end, cache_end, generation, version })
    }

    /// The state, if it is what a change was built on: the mailbox may be gone since, or an earlier change have failed.
    fn still(&self, base: &Base) -> Result<MutexGuard<'_, Working>, StoreError> {
        let working = lock(&self.working);
        if working.tip.gone {
            return Err(self.is_gone());
        }
        if Arc::ptr_eq(&working.tip, &base.tip) { Ok(working) } else { Err(StoreError::Busy) }
    }

    /// What is to be written, and what then happens.
    fn job(
        self: &Arc<Self>,
        working: &mut Working,
        content: Content,
        end: End,
    ) -> (Job, oneshot::Receiver<Outcome>) {
        working.tip = end.view.clone();
        let saved = (working.end, working.generation, working.version);
        let (tell, held) = oneshot::channel();
        let log = self.home().log.clone();
        let (mailbox, epoch) = (self.clone(), log.epoch());
        let runtime = Handle::current();
        let done = move |result: Result<(), StoreError>| {
            let outcome = match result {
                Ok(()) => Ok(mailbox.succeed(end, saved, &runtime)),
                Err(error) => {
                    mailbox.fail(end, epoch, &error, &runtime);
                    Err(error)
                }
            };
            // Whoever asked may have gone away; the change holds all the same.
            let _ = tell.send(outcome);
        };
        (Job::new(log, epoch, saved.1, content, Box::new(done)), held)
    }

    /// A change holds. What removes its files, where they are many.
    fn succeed(
        self: &Arc<Self>,
        end: End,
        saved: (u64, u64, u32),
        runtime: &Handle,
    ) -> Option<JoinHandle<()>> {
        let End { view, counted, events, ahead, unlink } = end;
        ahead.into_iter().for_each(Ahead::holds);
        counted.holds();
        let usage = Usage::of(&view);
        self.publish(view, saved, usage, events);
        self.count_texts();
        if unlink.is_empty() {
            return None;
        }
        let dir = self.dir();
        Some(runtime.spawn_blocking(move || {
            for uid in unlink {
                // A file that is still there is removed by the next expiry.
                let _ = fs::remove_file(dir.join(format!("{uid}.")));
            }
        }))
    }

    /// A change failed: it is as if it had never been made.
    fn fail(&self, end: End, epoch: u64, error: &StoreError, runtime: &Handle) {
        // The counts are those of one change, whichever job fails first.
        drop(end.counted);
        if let Some(mut ahead) = end.ahead {
            ahead.fails(error);
            runtime.spawn_blocking(move || drop(ahead));
        }
        self.set_back(epoch);
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

/// How a change ends, when it holds or fails.
struct End {
    view: Arc<View>,
    counted: Counted,
    events: Events,
    ahead: Option<Ahead>,
    /// Files that go when it holds: so many that others would wait for it on the commit thread.
    unlink: Vec<u32>,
}
