//! The one writer of a list: group commit.
//!
//! It takes all requests that wait, judges each change on top of those before it, writes what holds as one atomic
//! batch, syncs once (an owner; a replica never does), publishes to the tables in memory, and then answers them all.
//! A request is done as a whole or not at all. After a failed write or sync nothing more is accepted: what the disk
//! holds is unknown until it is opened again.

use std::{collections::HashMap, sync::Arc, sync::PoisonError};

use protocol::{
    mupdate::{
        position::Position,
        state::{Next, step},
    },
    name::MailboxName,
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    behind::Behind,
    change::{Action, Change, CommitError, Follow},
    conflict::Conflict,
    entry::Entry,
    list::{Inner, OpenError, Role, new_list_id},
    load::{CONFLICTS_KEPT, Meta, UNFINISHED},
    store::{self, StoreError, Write},
};

pub(crate) type Reply = oneshot::Sender<Result<Position, CommitError>>;

pub(crate) enum Request {
    Commit { changes: Vec<Change>, reply: Reply },
    Follow { follow: Follow, reply: Reply },
    Renew { reply: Reply },
    Resolve { name: MailboxName, reply: Reply },
    Close { reply: Reply },
}

/// Starts the writer's thread. It ends with the last handle of the list, or at [`Request::Close`].
pub(crate) fn start(inner: Arc<Inner>) -> Result<mpsc::Sender<Request>, OpenError> {
    let (queue, mut requests) = mpsc::channel(QUEUE);
    let behind = match inner.options.role {
        Role::Owner => None,
        Role::Replica => Some(Behind::start(&inner)?),
    };
    let thread = std::thread::Builder::new().name("list-write".into());
    let run = move || {
        let mut writer = Writer { inner, behind, tombs: 0, since_prune: PRUNE_EVERY };
        let mut group = Vec::with_capacity(GROUP);
        while requests.blocking_recv_many(&mut group, GROUP) > 0 {
            if let Some(last) = writer.commit(std::mem::take(&mut group)) {
                requests.close();
                // The store is let go of before the answer, so that who waits for it can open it again.
                let position = writer.finish();
                drop((writer, requests));
                let _ = last.send(position);
                return;
            }
        }
        let _ = writer.finish();
    };
    thread.spawn(run).map_err(|e| StoreError::Io { doing: "start the writer", why: e.to_string() })?;
    Ok(queue)
}

struct Writer {
    inner: Arc<Inner>,
    /// A replica's disk.
    behind: Option<Behind>,
    /// Tombstones in the store, as far as counted.
    tombs: usize,
    since_prune: usize,
}

/// A name that changes.
#[derive(Clone)]
struct Changed {
    /// The number of its change, and the entry after it.
    seq: u64,
    entry: Option<Entry>,
    /// The number of the entry that is stored, if it was looked up already.
    stored: Stored,
}

#[derive(Clone, Copy)]
enum Stored {
    NotAsked,
    None,
    Seq(u64),
}

/// What one group of requests amounts to.
struct Draft {
    meta: Meta,
    /// Number and new state of every name touched.
    names: HashMap<MailboxName, Changed>,
    /// Numbers given, in order: a name may come twice.
    log: Vec<(u64, MailboxName)>,
    conflicts: Vec<(MailboxName, Option<Conflict>)>,
    /// The numbering changed: what subscribers hold is of another list.
    renumbered: bool,
}

impl Writer {
    /// Does one group; gives the reply of a request to close, if there was one.
    fn commit(&mut self, group: Vec<Request>) -> Option<Reply> {
        let mut draft = Draft {
            meta: self.inner.read().meta,
            names: HashMap::new(),
            log: Vec::new(),
            conflicts: Vec::new(),
            renumbered: false,
        };
        let (mut answers, mut close) = (Vec::with_capacity(group.len()), None);
        let poison = self.poison();
        for request in group {
            if let (Some(why), Request::Commit { .. } | Request::Follow { .. }) = (&poison, &request) {
                request.answer(Err(CommitError::Poisoned(why.clone())));
                continue;
            }
            match request {
                Request::Commit { changes, reply } => answers.push((reply, self.judge(&mut draft, changes))),
                Request::Follow { follow, reply } => {
                    answers.push((reply, self.take_over(&mut draft, follow)))
                }
                Request::Renew { reply } => {
                    draft.renumber();
                    answers.push((reply, Ok(draft.meta.position)));
                }
                Request::Resolve { name, reply } => {
                    draft.conflicts.push((name, None));
                    answers.push((reply, Ok(draft.meta.position)));
                }
                Request::Close { reply } => close = Some(reply),
            }
        }
        let stored = self.store(draft);
        for (reply, answer) in answers {
            // Who asked may have gone; the change stands.
            let _ = reply.send(match &stored {
                Ok(()) => answer,
                Err(why) => Err(CommitError::Poisoned(why.clone())),
            });
        }
        close
    }

    fn finish(&mut self) -> Result<Position, CommitError> {
        // Waits for what is still to be written.
        self.behind = None;
        if let Err(error) = self.inner.store.sync() {
            tracing::error!(%error, "cannot sync the mailbox list at its closing");
        }
        Ok(self.inner.read().meta.position)
    }

    /// Judges a request's changes one after the other on top of the draft; undoes them all if one is refused.
    fn judge(&self, draft: &mut Draft, changes: Vec<Change>) -> Result<Position, CommitError> {
        let before = (draft.meta, draft.log.len(), draft.conflicts.len());
        let mut undo: Vec<(MailboxName, Option<Changed>)> = Vec::with_capacity(changes.len());
        for change in changes {
            let (current, stored) = self.current(draft, &change.name)?;
            match self.decide(&change, current.as_ref()) {
                Ok(None) if current.is_none() => {}
                Ok(next) => {
                    undo.push((change.name.clone(), draft.names.get(&change.name).cloned()));
                    self.note_conflict(draft, &change, current.as_ref(), next.as_ref());
                    draft.number(change.name, next, stored);
                }
                Err(error) => {
                    for (name, old) in undo.into_iter().rev() {
                        match old {
                            Some(old) => draft.names.insert(name, old),
                            None => draft.names.remove(&name),
                        };
                    }
                    draft.meta = before.0;
                    draft.log.truncate(before.1);
                    draft.conflicts.truncate(before.2);
                    return Err(error);
                }
            }
        }
        Ok(draft.meta.position)
    }

    fn decide(&self, change: &Change, current: Option<&Entry>) -> Result<Option<Entry>, CommitError> {
        if change.expect.as_ref().is_some_and(|expect| !expect.holds(current)) {
            return Err(CommitError::Changed { name: change.name.clone() });
        }
        match &change.action {
            Action::Put(entry) => Ok(Some(Entry::clone(entry))),
            Action::Delete => Ok(None),
            Action::Mupdate(write) => {
                let met = write.meets(current.map(|entry| (entry.is_active(), &entry.location)));
                let next = step(write.clone(), met)
                    .map_err(|refusal| CommitError::Refused { name: change.name.clone(), refusal })?;
                Ok(match next {
                    Next::Reserved(location) => Some(Entry::reserved(location)),
                    Next::Active(location, acl) => Some(Entry::active(location, acl)),
                    Next::Gone => None,
                })
            }
        }
    }

    /// An ACTIVATE that takes an active mailbox from another server is kept to be shown, a DELETE ends it.
    fn note_conflict(&self, draft: &mut Draft, change: &Change, old: Option<&Entry>, new: Option<&Entry>) {
        let Action::Mupdate(_) = change.action else { return };
        let name = &change.name;
        let known = draft.conflicts.iter().rev().find(|(n, _)| n == name).map(|(_, c)| c.clone());
        let tables = self.inner.read();
        let known = known.unwrap_or_else(|| tables.conflicts.get(name).cloned());
        match (old, new) {
            (Some(old), Some(new)) if old.is_active() && new.is_active() && old.server() != new.server() => {
                let now = (self.inner.options.clock)();
                if known.is_none() && tables.conflicts.len() >= CONFLICTS_KEPT {
                    return;
                }
                let pair = |c: &Conflict| c.lost.server() == new.server() || c.won.server() == new.server();
                if !known.as_ref().is_some_and(pair) {
                    tracing::warn!(mailbox = %name, lost = %old.location, won = %new.location,
                        "two servers claim one mailbox: the later wins");
                }
                let (first, times) = known.map_or((now, 0), |c| (c.first, c.times));
                let (lost, won) = (old.location.clone(), new.location.clone());
                let conflict = Conflict { name: name.clone(), lost, won, first, last: now, times: times + 1 };
                draft.conflicts.push((name.clone(), Some(conflict)));
            }
            (_, None) if known.is_some() => draft.conflicts.push((name.clone(), None)),
            _ => {}
        }
    }

    fn take_over(&self, draft: &mut Draft, follow: Follow) -> Result<Position, CommitError> {
        match follow.position {
            Some(position) => {
                let here = draft.meta.position;
                if (here.list, here.term) != (position.list, position.term) || draft.meta.own {
                    draft.renumbered = true;
                    draft.meta.floor = position.seq;
                }
                draft.meta.own = false;
                draft.meta.position = position;
            }
            None if !draft.meta.own => draft.renumber(),
            None => {}
        }
        // Nobody has followed a list that was never complete: its beginning is one change.
        let first = follow.complete && !draft.meta.complete;
        if first {
            draft.meta.position.seq += u64::from(follow.position.is_none());
            draft.meta.floor = draft.meta.position.seq;
            draft.renumbered = true;
        }
        draft.meta.complete |= follow.complete;
        for (name, entry) in follow.changes {
            match follow.position.is_some() || first {
                true => draft.put(draft.meta.position.seq, name, entry, Stored::NotAsked),
                false => draft.number(name, entry, Stored::NotAsked),
            }
        }
        Ok(draft.meta.position)
    }

    /// The entry as the draft has it, and the number of the one stored.
    fn current(&self, draft: &Draft, name: &MailboxName) -> Result<(Option<Entry>, Stored), CommitError> {
        if let Some(changed) = draft.names.get(name) {
            return Ok((changed.entry.clone(), changed.stored));
        }
        let entry = self.inner.get(name).map_err(|e| CommitError::Poisoned(self.fail(&e.to_string())))?;
        let stored = entry.as_ref().map_or(Stored::None, |entry| Stored::Seq(entry.seq));
        Ok((entry, stored))
    }

    /// Makes the draft hold. An owner's is on disk before anybody sees it. A replica's is seen at once, and the disk
    /// follows; while its tables are not loaded, and so cannot be read, it is stored first.
    fn store(&mut self, mut draft: Draft) -> Result<(), Arc<str>> {
        let mut batch = self.rows(&mut draft)?;
        if batch.is_empty() && draft.meta.encode() == self.inner.read().meta.encode() {
            return Ok(());
        }
        let store = self.inner.store.clone();
        let apply = |batch| store.apply(batch).map_err(|e: StoreError| self.fail(&e.to_string()));
        let Some(behind) = &self.behind else {
            batch.push((vec![store::META], Some(draft.meta.encode())));
            apply(batch)?;
            self.inner.store.sync().map_err(|e| self.fail(&e.to_string()))?;
            self.publish(draft);
            return Ok(());
        };
        let meta = draft.meta;
        if self.inner.read().loaded {
            behind.announce(&batch);
            self.publish(draft);
            chunks(batch, &meta, |batch| behind.put(batch));
        } else {
            let mut result = Ok(());
            chunks(batch, &meta, |batch| {
                if result.is_ok() {
                    result = apply(batch);
                }
            });
            result?;
            self.publish(draft);
        }
        Ok(())
    }

    /// The rows that the draft changes, without the position. Entries get their numbers and times here.
    fn rows(&mut self, draft: &mut Draft) -> Result<Vec<Write>, Arc<str>> {
        let now = (self.inner.options.clock)();
        let floor = draft.meta.floor;
        let mut batch: Vec<Write> = Vec::with_capacity(draft.names.len() * 2 + 1);
        for (name, Changed { seq, entry, stored }) in &mut draft.names {
            let key = name.key();
            let old = match stored {
                Stored::NotAsked => {
                    self.inner.get(name).map_err(|e| self.fail(&e.to_string()))?.map(|entry| entry.seq)
                }
                Stored::None => None,
                Stored::Seq(seq) => Some(*seq),
            };
            if let Some(old) = old {
                batch.push((store::change_row(store::LIVE, old, &key), None));
            }
            // Nobody asks for changes up to the floor.
            let told = *seq > floor;
            match entry {
                Some(entry) => {
                    entry.seq = *seq;
                    if entry.mtime == 0 {
                        entry.mtime = now;
                    }
                    if told {
                        batch.push((store::change_row(store::LIVE, *seq, &key), Some(Vec::new())));
                    }
                    batch.push((store::name_row(&key), Some(entry.encode())));
                }
                None => {
                    if told {
                        let mut value = vec![1];
                        crate::codec::put_number(&mut value, now);
                        batch.push((store::change_row(store::TOMB, *seq, &key), Some(value)));
                        self.tombs += 1;
                    }
                    batch.push((store::name_row(&key), None));
                }
            }
        }
        for (name, conflict) in &draft.conflicts {
            let row = [&[store::CONFLICT][..], &name.key()].concat();
            batch.push((row, conflict.as_ref().map(Conflict::encode)));
        }
        self.since_prune += draft.log.len();
        if self.since_prune >= PRUNE_EVERY {
            self.prune(draft, now, &mut batch).map_err(|e| self.fail(&e.to_string()))?;
        }
        Ok(batch)
    }

    /// Forgets the oldest tombstones: those beyond the number kept, and those older than a week.
    fn prune(&mut self, draft: &mut Draft, now: u64, batch: &mut Vec<Write>) -> Result<(), StoreError> {
        self.since_prune = 0;
        let from = store::change_row(store::TOMB, 0, &[]);
        let rows = self.inner.store.scan(&from, &[store::TOMB + 1], TOMBS_KEPT + PRUNED_AT_ONCE)?;
        self.tombs = rows.len();
        for (row, value) in rows.iter().take(PRUNED_AT_ONCE) {
            let mut reader = crate::codec::Reader(value.get(1..).unwrap_or_default());
            let age = now.saturating_sub(reader.number().unwrap_or(0));
            let (Some((seq, _)), true) =
                (store::change_parts(row), self.tombs > TOMBS_KEPT || age > TOMB_AGE)
            else {
                break;
            };
            draft.meta.floor = draft.meta.floor.max(seq.min(draft.meta.position.seq));
            batch.push((row.clone(), None));
            self.tombs -= 1;
        }
        Ok(())
    }

    fn publish(&self, draft: Draft) {
        let mut tables = self.inner.write();
        tables.published += 1;
        if self.inner.options.tables {
            for (name, changed) in &draft.names {
                match &changed.entry {
                    Some(entry) => tables.table.put(name, entry),
                    None => tables.table.remove(name),
                }
            }
        }
        if draft.renumbered {
            tables.window.reset(draft.meta.position.seq);
        } else {
            for (seq, name) in &draft.log {
                tables.window.push(*seq, &name.key());
            }
        }
        for (name, conflict) in draft.conflicts {
            match conflict {
                Some(conflict) => tables.conflicts.insert(name, conflict),
                None => tables.conflicts.remove(&name),
            };
        }
        tables.meta = draft.meta;
        drop(tables);
        self.inner.position.send_if_modified(|position| {
            let moved = *position != draft.meta.position;
            *position = draft.meta.position;
            moved
        });
    }

    fn poison(&self) -> Option<Arc<str>> {
        self.inner.poison.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fail(&self, why: &str) -> Arc<str> {
        tracing::error!(why, "the mailbox list cannot be written");
        let why: Arc<str> = why.into();
        *self.inner.poison.write().unwrap_or_else(PoisonError::into_inner) = Some(why.clone());
        why
    }
}

impl Draft {
    fn number(&mut self, name: MailboxName, entry: Option<Entry>, stored: Stored) {
        self.meta.position.seq += 1;
        self.put(self.meta.position.seq, name, entry, stored);
    }

    fn put(&mut self, seq: u64, name: MailboxName, entry: Option<Entry>, stored: Stored) {
        self.log.push((seq, name.clone()));
        self.names.insert(name, Changed { seq, entry, stored });
    }

    /// A new identity with the numbers going on: nobody resumes from before.
    fn renumber(&mut self) {
        self.meta.position.list = new_list_id();
        self.meta.position.term = 1;
        self.meta.position.seq += 1;
        self.meta.floor = self.meta.position.seq;
        self.meta.own = true;
        self.renumbered = true;
    }
}

/// Hands out a replica's rows with the position they lead to. Many of them go in several batches, in key order: until
/// the last one is written, the stored position is one that nobody can resume from.
fn chunks(mut rows: Vec<Write>, meta: &Meta, mut put: impl FnMut(Vec<Write>)) {
    if rows.len() > CHUNK {
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut unfinished = *meta;
        unfinished.position.list = UNFINISHED;
        put(vec![(vec![store::META], Some(unfinished.encode()))]);
    }
    let mut rows = rows.into_iter().peekable();
    loop {
        let mut batch: Vec<Write> = rows.by_ref().take(CHUNK).collect();
        let last = rows.peek().is_none();
        if last {
            batch.push((vec![store::META], Some(meta.encode())));
        }
        put(batch);
        if last {
            return;
        }
    }
}

impl Request {
    fn answer(self, answer: Result<Position, CommitError>) {
        match self {
            Request::Commit { reply, .. }
            | Request::Follow { reply, .. }
            | Request::Renew { reply }
            | Request::Resolve { reply, .. }
            | Request::Close { reply } => {
                let _ = reply.send(answer);
            }
        }
    }
}

/// Requests that may wait; who finds it full waits to ask.
const QUEUE: usize = 4096;
/// Requests in one group.
const GROUP: usize = 1024;
/// Rows in one batch of a replica.
const CHUNK: usize = 1000;
/// Tombstones kept by number and by age in seconds (7 days).
const TOMBS_KEPT: usize = 1_000_000;
const TOMB_AGE: u64 = 7 * 24 * 3600;
/// Changes between two prunings, and rows forgotten by one.
const PRUNE_EVERY: usize = 8192;
const PRUNED_AT_ONCE: usize = 16_384;
