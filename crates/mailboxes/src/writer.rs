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
    change::{Action, Change, CommitError, Follow},
    conflict::Conflict,
    entry::Entry,
    list::{Inner, OpenError, Role, new_list_id},
    load::{CONFLICTS_KEPT, Meta},
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
    let thread = std::thread::Builder::new().name("list-write".into());
    let run = move || {
        let mut writer = Writer { inner, tombs: 0, since_prune: PRUNE_EVERY };
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
    /// Tombstones in the store, as far as counted.
    tombs: usize,
    since_prune: usize,
}

/// What one group of requests amounts to.
struct Draft {
    meta: Meta,
    /// New state of every name touched, in the order of first touch.
    names: HashMap<MailboxName, Option<Entry>>,
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
        let stored = self.store(&mut draft);
        if stored.is_ok() {
            self.publish(draft);
        }
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
        if let Err(error) = self.inner.store.sync() {
            tracing::error!(%error, "cannot sync the mailbox list at its closing");
        }
        Ok(self.inner.read().meta.position)
    }

    /// Judges a request's changes one after the other on top of the draft; undoes them all if one is refused.
    fn judge(&self, draft: &mut Draft, changes: Vec<Change>) -> Result<Position, CommitError> {
        let before = (draft.meta, draft.log.len(), draft.conflicts.len());
        let mut undo: Vec<(MailboxName, Option<Option<Entry>>)> = Vec::with_capacity(changes.len());
        for change in changes {
            let current = self.current(draft, &change.name)?;
            match self.decide(&change, current.as_ref()) {
                Ok(None) if current.is_none() => {}
                Ok(next) => {
                    undo.push((change.name.clone(), draft.names.get(&change.name).cloned()));
                    self.note_conflict(draft, &change, current.as_ref(), next.as_ref());
                    draft.number(change.name, next);
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
        let shared = match follow.position {
            Some(position) => {
                let here = draft.meta.position;
                if (here.list, here.term) != (position.list, position.term) || draft.meta.own {
                    draft.renumbered = true;
                    draft.meta.floor = position.seq;
                }
                draft.meta.own = false;
                draft.meta.position = position;
                Some(position.seq)
            }
            None => {
                if !draft.meta.own {
                    draft.renumber();
                }
                None
            }
        };
        draft.meta.complete |= follow.complete;
        for (name, entry) in follow.changes {
            match shared {
                Some(seq) => draft.put(seq, name, entry),
                None => draft.number(name, entry),
            }
        }
        Ok(draft.meta.position)
    }

    fn current(&self, draft: &Draft, name: &MailboxName) -> Result<Option<Entry>, CommitError> {
        match draft.names.get(name) {
            Some(entry) => Ok(entry.clone()),
            None => self.inner.get(name).map_err(|e| CommitError::Poisoned(self.fail(&e.to_string()))),
        }
    }

    /// Writes the draft as one batch. Entries get their times here.
    fn store(&mut self, draft: &mut Draft) -> Result<(), Arc<str>> {
        let now = (self.inner.options.clock)();
        let mut batch: Vec<Write> = Vec::with_capacity(draft.names.len() * 3 + 1);
        let last: HashMap<&MailboxName, u64> = draft.log.iter().map(|(seq, name)| (name, *seq)).collect();
        for (name, entry) in &mut draft.names {
            let key = name.key();
            let old = self.inner.get(name).map_err(|e| self.fail(&e.to_string()))?;
            if let Some(old) = old {
                batch.push((store::change_row(store::LIVE, old.seq, &key), None));
            }
            let seq = last.get(name).copied().unwrap_or(draft.meta.position.seq);
            match entry {
                Some(entry) => {
                    entry.seq = seq;
                    if entry.mtime == 0 {
                        entry.mtime = now;
                    }
                    batch.push((store::change_row(store::LIVE, seq, &key), Some(Vec::new())));
                    batch.push((store::name_row(&key), Some(entry.encode())));
                }
                None => {
                    let mut value = vec![1];
                    crate::codec::put_number(&mut value, now);
                    batch.push((store::change_row(store::TOMB, seq, &key), Some(value)));
                    batch.push((store::name_row(&key), None));
                    self.tombs += 1;
                }
            }
        }
        for (name, conflict) in &draft.conflicts {
            let row = [&[store::CONFLICT][..], &name.key()].concat();
            batch.push((row, conflict.as_ref().map(Conflict::encode)));
        }
        if batch.is_empty() && draft.meta.encode() == self.inner.read().meta.encode() {
            return Ok(());
        }
        self.since_prune += draft.log.len();
        if self.since_prune >= PRUNE_EVERY {
            self.prune(draft, now, &mut batch).map_err(|e| self.fail(&e.to_string()))?;
        }
        batch.push((vec![store::META], Some(draft.meta.encode())));
        self.inner.store.apply(batch).map_err(|e| self.fail(&e.to_string()))?;
        if self.inner.options.role == Role::Owner {
            self.inner.store.sync().map_err(|e| self.fail(&e.to_string()))?;
        }
        Ok(())
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
        if self.inner.options.tables {
            for (name, entry) in &draft.names {
                match entry {
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
    fn number(&mut self, name: MailboxName, entry: Option<Entry>) {
        self.meta.position.seq += 1;
        self.put(self.meta.position.seq, name, entry);
    }

    fn put(&mut self, seq: u64, name: MailboxName, entry: Option<Entry>) {
        self.log.push((seq, name.clone()));
        self.names.insert(name, entry);
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
/// Tombstones kept by number and by age in seconds (7 days).
const TOMBS_KEPT: usize = 1_000_000;
const TOMB_AGE: u64 = 7 * 24 * 3600;
/// Changes between two prunings, and rows forgotten by one.
const PRUNE_EVERY: usize = 8192;
const PRUNED_AT_ONCE: usize = 16_384;
