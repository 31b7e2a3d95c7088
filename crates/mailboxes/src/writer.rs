//! The one writer of a list: group commit.
//!
//! It takes all requests that wait, judges each change on top of those before it, writes what holds as one atomic
//! batch, syncs once (an owner; a replica never does), publishes to the tables in memory, and then answers them all.
//! A request is done as a whole or not at all. After a failed write or sync nothing more is accepted: what the disk
//! holds is unknown until it is opened again.

use std::{collections::HashMap, sync::Arc};

use protocol::{
    mupdate::{
        position::{ListId, Position},
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
    inner::Inner,
    list::{Error, OpenError, Role},
    load::{self, CONFLICTS_KEPT, Meta, UNFINISHED},
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

/// Starts the writer. It ends with the last handle of the list, or at [`Request::Close`].
pub(crate) fn start(inner: Arc<Inner>) -> Result<mpsc::Sender<Request>, OpenError> {
    let (queue, mut requests) = mpsc::channel(QUEUE);
    let behind = match inner.options.role {
        Role::Owner => None,
        Role::Replica => Some(Behind::start(&inner)?),
    };
    let spawn = inner.options.spawn;
    // What is read from the disk itself is written in fewer and larger lots, too.
    let lingers = behind.is_some() && !inner.options.tables;
    let task = async move {
        let since_prune = inner.options.bounds.prune_every;
        let mut writer = Writer { inner, behind, tombs: None, since_prune };
        let mut group = Vec::with_capacity(GROUP);
        while requests.recv_many(&mut group, GROUP).await > 0 {
            if let Some(last) = writer.commit(std::mem::take(&mut group)).await {
                requests.close();
                // The store is let go of before the answer, so that who waits for it can open it again.
                let position = writer.finish().await;
                drop(requests);
                let _ = last.send(position);
                return;
            }
            if lingers {
                writer.inner.store.linger();
            }
        }
        let _ = writer.finish().await;
    };
    spawn("list-write", Box::pin(task))
        .map_err(|e| StoreError::Io { doing: "start the writer", why: e.to_string() })?;
    Ok(queue)
}

struct Writer {
    inner: Arc<Inner>,
    /// A replica's disk.
    behind: Option<Behind>,
    /// Tombstones in the store, once they were counted.
    tombs: Option<usize>,
    since_prune: usize,
}

/// A name that changes.
#[derive(Clone)]
struct Changed {
    /// The number of its change, and the entry after it.
    seq: u64,
    entry: Option<Entry>,
    stored: Stored,
}

/// What is stored of a name, if it was looked up already.
#[derive(Clone, Default)]
enum Stored {
    #[default]
    NotAsked,
    As(Option<Entry>),
}

/// What one group of requests amounts to.
struct Draft {
    meta: Meta,
    /// Number and new state of every name touched.
    names: HashMap<MailboxName, Changed>,
    /// Numbers given, in order: a name may come twice.
    log: Vec<(u64, MailboxName)>,
    conflicts: Vec<(MailboxName, Option<Conflict>)>,
    /// What was there, of every name touched (an owner's).
    before: Vec<(MailboxName, Option<Entry>)>,
    /// The numbering changed: what subscribers hold is of another list.
    renumbered: bool,
}

impl Writer {
    /// Does one group; gives the reply of a request to close, if there was one.
    async fn commit(&mut self, group: Vec<Request>) -> Option<Reply> {
        let mut draft = Draft {
            meta: self.inner.read().meta,
            names: HashMap::new(),
            log: Vec::new(),
            conflicts: Vec::new(),
            before: Vec::new(),
            renumbered: false,
        };
        let (mut answers, mut close) = (Vec::with_capacity(group.len()), None);
        for request in group {
            // Reading may fail in the middle of the group: nothing after that is taken, and nothing at all is stored.
            if let (Some(why), false) = (self.inner.failure(), matches!(request, Request::Close { .. })) {
                request.answer(Err(CommitError::Poisoned(why)));
                continue;
            }
            match request {
                Request::Commit { changes, reply } => answers.push((reply, self.judge(&mut draft, changes))),
                Request::Follow { follow, reply } => {
                    answers.push((reply, self.take_over(&mut draft, follow)))
                }
                Request::Renew { reply } => {
                    draft.renumber(self.new_id());
                    answers.push((reply, Ok(draft.meta.position)));
                }
                Request::Resolve { name, reply } => {
                    draft.conflicts.push((name, None));
                    answers.push((reply, Ok(draft.meta.position)));
                }
                Request::Close { reply } => close = Some(reply),
            }
        }
        let stored = match self.inner.failure() {
            Some(why) => Err(why),
            None => self.store(draft).await,
        };
        for (reply, answer) in answers {
            // Who asked may have gone; the change stands.
            let _ = reply.send(match &stored {
                Ok(()) => answer,
                Err(why) if self.inner.failure().is_none() => Err(CommitError::Unwritten(why.clone())),
                Err(why) => Err(CommitError::Poisoned(why.clone())),
            });
        }
        close
    }

    /// Writes what is still to be written, and lets go of the store.
    async fn finish(self) -> Result<Position, CommitError> {
        let owner = self.behind.is_none();
        if let Some(behind) = self.behind {
            behind.finish().await;
        }
        let position = self.inner.read().meta.position;
        match self.inner.store.finish() {
            Ok(()) if owner && self.inner.failure().is_none() => self.inner.store.witness(position, true),
            Ok(()) => {}
            Err(error) => tracing::error!(%error, "cannot sync the mailbox list at its closing"),
        }
        Ok(position)
    }

    /// Judges a request's changes one after the other on top of the draft; undoes them all if one is refused.
    fn judge(&self, draft: &mut Draft, changes: Vec<Change>) -> Result<Position, CommitError> {
        let before = (draft.meta, draft.log.len(), draft.conflicts.len());
        let mut undo: Vec<(MailboxName, Option<Changed>)> = Vec::with_capacity(changes.len());
        for change in changes {
            let decided = self
                .current(draft, &change.name)
                .and_then(|(current, stored)| Ok((self.decide(&change, current.as_ref())?, current, stored)));
            match decided {
                Ok((None, None, _)) => {}
                Ok((next, current, stored)) => {
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
                let other = (here.list, here.term) != (position.list, position.term) || draft.meta.own;
                // An upstream that went back has lost changes: its numbers will mean others from there on.
                if other || position.seq < here.seq {
                    draft.renumbered = true;
                    draft.meta.floor = position.seq;
                }
                if follow.whole {
                    draft.meta.jump = position.seq;
                }
                draft.meta.own = false;
                draft.meta.position = position;
            }
            None if !draft.meta.own => draft.renumber(self.new_id()),
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

    /// The entry as the draft has it, and as it is stored.
    fn current(&self, draft: &Draft, name: &MailboxName) -> Result<(Option<Entry>, Stored), CommitError> {
        if let Some(changed) = draft.names.get(name) {
            return Ok((changed.entry.clone(), changed.stored.clone()));
        }
        let entry = self.inner.get(name).map_err(|e| CommitError::Poisoned(self.unreadable(&e)))?;
        Ok((entry.clone(), Stored::As(entry)))
    }

    /// Makes the draft hold. An owner's is on disk before anybody sees it. A replica's is seen at once, and the disk
    /// follows; while its tables are not loaded, and so cannot be read, it is stored first.
    async fn store(&mut self, mut draft: Draft) -> Result<(), Arc<str>> {
        let mut batch = self.rows(&mut draft)?;
        if batch.is_empty() && draft.meta.encode() == self.inner.read().meta.encode() {
            return Ok(());
        }
        let Some(behind) = &self.behind else {
            batch.push((vec![store::META], Some(draft.meta.encode())));
            self.harden(&draft, batch).await?;
            self.publish(draft);
            return Ok(());
        };
        let (meta, before) = (draft.meta, self.inner.read().meta);
        let chunk = self.inner.options.bounds.chunk;
        if self.inner.read().loaded {
            behind.announce(&batch).await;
            self.publish(draft);
            chunks(batch, chunk, &before, &meta).for_each(|batch| behind.put(batch));
        } else {
            for batch in chunks(batch, chunk, &before, &meta) {
                self.inner.store.apply(batch).map_err(|e| self.unwritable(&e))?;
                self.inner.store.pace().await;
            }
            self.publish(draft);
        }
        Ok(())
    }

    /// Puts an owner's batch on disk. Until it is there, readers are told what was before.
    async fn harden(&self, draft: &Draft, batch: Vec<Write>) -> Result<(), Arc<str>> {
        {
            let mut tables = self.inner.write();
            tables.unsynced.extend(draft.before.iter().cloned());
            // What the batch forgets can no longer be asked for.
            tables.meta.floor = tables.meta.floor.max(draft.meta.floor);
        }
        let store = &self.inner.store;
        if draft.renumbered {
            // A crash must not leave the witness of other numbers.
            store.forget_witness().map_err(|e| self.unwritable(&e))?;
        }
        store.apply(batch).map_err(|e| self.unwritable(&e))?;
        store.pace().await;
        store.sync().map_err(|e| self.unwritable(&e))?;
        store.witness(draft.meta.position, false);
        Ok(())
    }

    /// The rows that the draft changes, without the position. Entries get their numbers and times here.
    fn rows(&mut self, draft: &mut Draft) -> Result<Vec<Write>, Arc<str>> {
        let now = (self.inner.options.clock)();
        let floor = draft.meta.floor;
        let mut batch: Vec<Write> = Vec::with_capacity(draft.names.len() * 2 + 1);
        for (name, Changed { seq, entry, stored }) in &mut draft.names {
            let key = name.key();
            if self.behind.is_none() {
                let old = match std::mem::take(stored) {
                    Stored::NotAsked => self.inner.get(name).map_err(|e| self.unreadable(&e))?,
                    Stored::As(old) => old,
                };
                draft.before.push((name.clone(), old));
            }
            match entry {
                Some(entry) => {
                    entry.seq = *seq;
                    if entry.mtime == 0 {
                        entry.mtime = now;
                    }
                    batch.push((store::name_row(&key), Some(entry.encode())));
                }
                None => {
                    // Nobody asks for changes up to the floor.
                    if *seq > floor {
                        let mut value = vec![1];
                        crate::codec::put_number(&mut value, now);
                        batch.push((store::tomb_row(*seq, &key), Some(value)));
                        self.tombs = self.tombs.map(|tombs| tombs.saturating_add(1));
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
        if self.since_prune >= self.inner.options.bounds.prune_every {
            self.prune(draft, now, &mut batch).map_err(|e| self.unreadable(&e))?;
        }
        Ok(batch)
    }

    /// Forgets the oldest tombstones: those beyond the number kept, and those older than a week.
    fn prune(&mut self, draft: &mut Draft, now: u64, batch: &mut Vec<Write>) -> Result<(), Error> {
        self.since_prune = 0;
        let bounds = self.inner.options.bounds;
        let (from, to) = (store::tomb_row(0, &[]), [store::TOMB + 1]);
        let mut tombs = match self.tombs {
            Some(tombs) => tombs,
            None => {
                let mut found = 0;
                load::deletions(&self.inner, 0, u64::MAX, |_, _| found += 1)?;
                found
            }
        };
        let forgotten = |tombs: usize, value: &[u8]| {
            let mut reader = crate::codec::Reader(value.get(1..).unwrap_or_default());
            let age = now.saturating_sub(reader.number().unwrap_or(0));
            tombs > bounds.tombstones || age > bounds.tombstone_age
        };
        let oldest = self.inner.store.scan(&from, &to, 1)?;
        if oldest.first().is_some_and(|(_, value)| forgotten(tombs, value)) {
            for (row, value) in self.inner.store.scan(&from, &to, PRUNED_AT_ONCE)? {
                let Some((seq, _)) = store::tomb_parts(&row).filter(|_| forgotten(tombs, &value)) else {
                    break;
                };
                draft.meta.floor = draft.meta.floor.max(seq.min(draft.meta.position.seq));
                batch.push((row, None));
                tombs = tombs.saturating_sub(1);
            }
        }
        self.tombs = Some(tombs);
        Ok(())
    }

    fn publish(&self, draft: Draft) {
        let mut tables = self.inner.write();
        tables.published += 1;
        if self.inner.options.tables {
            // In the order in which they came: a listing is in key order, and so quickly appended.
            for (_, name) in &draft.log {
                match draft.names.get(name).map(|changed| &changed.entry) {
                    Some(Some(entry)) => tables.table.put(name, entry),
                    _ => tables.table.remove(name),
                }
            }
        }
        tables.unsynced.clear();
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
        self.inner.position.update(|position| {
            let moved = *position != draft.meta.position;
            *position = draft.meta.position;
            moved
        });
    }

    fn new_id(&self) -> ListId {
        ListId((self.inner.options.chance)())
    }

    fn unreadable(&self, error: &Error) -> Arc<str> {
        self.inner.fail(&error.to_string(), error.is_damage())
    }

    /// What an owner's disk holds after a failure is unknown. A replica's upstream will tell it again, whatever that is.
    fn unwritable(&self, error: &StoreError) -> Arc<str> {
        let (why, damaged) = (error.to_string(), matches!(error, StoreError::Corrupt(..)));
        if self.behind.is_none() || damaged { self.inner.fail(&why, damaged) } else { why.into() }
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
    fn renumber(&mut self, id: ListId) {
        self.meta.position.list = id;
        self.meta.position.term = 1;
        self.meta.position.seq += 1;
        self.meta.floor = self.meta.position.seq;
        self.meta.own = true;
        self.renumbered = true;
    }
}

/// A replica's rows with the position they lead to. Many of them go in several batches, in key order: until the last
/// one is written, the stored position is one that nobody can resume from, and no more complete than before.
fn chunks(
    mut rows: Vec<Write>,
    chunk: usize,
    before: &Meta,
    meta: &Meta,
) -> impl Iterator<Item = Vec<Write>> + use<> {
    let (mut first, done) = (None, (vec![store::META], Some(meta.encode())));
    if rows.len() > chunk {
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let position = Position { list: UNFINISHED, ..meta.position };
        let unfinished = Meta { position, complete: before.complete, ..*meta };
        first = Some(vec![(vec![store::META], Some(unfinished.encode()))]);
    }
    let (mut rows, mut ended) = (rows.into_iter().peekable(), false);
    let rest = std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let mut batch: Vec<Write> = rows.by_ref().take(chunk).collect();
        ended = rows.peek().is_none();
        if ended {
            batch.push(done.clone());
        }
        Some(batch)
    });
    first.into_iter().chain(rest)
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
/// Rows forgotten by one pruning.
const PRUNED_AT_ONCE: usize = 16_384;
