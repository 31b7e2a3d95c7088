//! Reading a list back from its store: its history, its tables in the background, and changes too old for memory.
//!
//! ```text
//! history = version(1) id(16 bytes) term seq flags floor      flags: 1 own numbering, 2 complete
//! ```
//!
//! The loader reads a page of rows and puts them into the tables under their lock, if nothing was published meanwhile;
//! else it reads them again, at last with the lock held. The writer publishes under the same lock after its batch is in
//! the store, so whichever comes second has the newer state: nothing is missed, nothing goes back. Look-ups wait for a
//! page at most.

use std::{
    collections::BTreeMap,
    sync::{Arc, RwLockWriteGuard, Weak},
};

use protocol::{
    mupdate::position::{ListId, Position},
    name::MailboxName,
};

use crate::{
    codec::{Reader, put_number},
    conflict::Conflict,
    entry::Entry,
    list::{Changes, Error, Inner, OpenError, Pruned, Role, Tables, latest_only, new_list_id},
    store::{self, Store, StoreError},
};

/// A list's history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meta {
    pub position: Position,
    /// Whether the numbers are this list's own, not its upstream's.
    pub own: bool,
    /// Whether everything up to the position is here.
    pub complete: bool,
    /// Deletions up to this number may be forgotten: nobody resumes from before it.
    pub floor: u64,
}

impl Meta {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.position.list.0.to_be_bytes());
        put_number(&mut out, self.position.term);
        put_number(&mut out, self.position.seq);
        out.push(u8::from(self.own) | u8::from(self.complete) << 1);
        put_number(&mut out, self.floor);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, crate::codec::DecodeError> {
        let mut r = Reader(bytes);
        r.version(VERSION)?;
        let id = r.take(16)?.iter().fold(0u128, |id, &b| id << 8 | u128::from(b));
        let (term, seq, flags, floor) = (r.number()?, r.number()?, r.byte()?, r.number()?);
        let position = Position { list: ListId(id), term, seq };
        Ok(Meta { position, own: flags & 1 != 0, complete: flags & 2 != 0, floor })
    }
}

/// The stored history; a new store gets one.
pub(crate) fn meta(store: &dyn Store, role: Role) -> Result<Meta, OpenError> {
    if let Some(bytes) = store.get(&[store::META])? {
        let mut meta = Meta::decode(&bytes)?;
        if meta.position.list == UNFINISHED {
            // A crash in the middle of a synchronisation: what is here is usable, but nobody resumes from it.
            meta.position.list = new_list_id();
            meta.floor = meta.position.seq;
            meta.own = true;
        }
        return Ok(meta);
    }
    let position = Position { list: new_list_id(), term: 1, seq: 0 };
    let meta = Meta { position, own: true, complete: role == Role::Owner, floor: 0 };
    store.apply(vec![(vec![store::META], Some(meta.encode()))])?;
    store.sync()?;
    Ok(meta)
}

pub(crate) fn conflicts(store: &dyn Store) -> Result<BTreeMap<MailboxName, Conflict>, OpenError> {
    let mut found = BTreeMap::new();
    for (row, bytes) in store.scan(&[store::CONFLICT], &[store::CONFLICT + 1], CONFLICTS_KEPT)? {
        if let Ok(name) = MailboxName::from_key(row.get(1..).unwrap_or_default()) {
            found.insert(name.clone(), Conflict::decode(name, &bytes)?);
        }
    }
    Ok(found)
}

/// Fills the tables on a thread of its own.
pub(crate) fn start(inner: &Arc<Inner>) -> Result<(), OpenError> {
    let thread = std::thread::Builder::new().name("list-load".into());
    let inner = Arc::downgrade(inner);
    let run = move || {
        if let Err(error) = fill(&inner) {
            tracing::error!(%error, "cannot load the mailbox list");
            let Some(inner) = inner.upgrade() else { return };
            let mut poison = inner.poison.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            *poison = Some(error.to_string().into());
        }
    };
    thread.spawn(run).map_err(|e| StoreError::Io { doing: "start the loader", why: e.to_string() })?;
    Ok(())
}

fn fill(inner: &Weak<Inner>) -> Result<(), Error> {
    let mut from = vec![store::NAME];
    loop {
        // Nobody holds the list any more: the loader does not keep it alive.
        let Some(inner) = inner.upgrade() else { return Ok(()) };
        let (mut tables, rows) = page(&inner, &from)?;
        for (name, entry) in &rows.entries {
            tables.table.put(name, entry);
        }
        match rows.next {
            Some(next) => from = next,
            None => {
                tables.loaded = true;
                drop(tables);
                inner.loaded.send_replace(true);
                return Ok(());
            }
        }
    }
}

/// Entries as they are stored.
struct Rows {
    entries: Vec<(MailboxName, Entry)>,
    /// Where the next page begins.
    next: Option<Vec<u8>>,
}

/// A page, with the lock under which it is still true.
fn page<'a>(inner: &'a Inner, from: &[u8]) -> Result<(RwLockWriteGuard<'a, Tables>, Rows), Error> {
    for _ in 0..TRIES {
        let published = inner.read().published;
        let rows = read_rows(inner, from)?;
        let tables = inner.write();
        if tables.published == published {
            return Ok((tables, rows));
        }
    }
    let tables = inner.write();
    let rows = read_rows(inner, from)?;
    Ok((tables, rows))
}

fn read_rows(inner: &Inner, from: &[u8]) -> Result<Rows, Error> {
    let stored = inner.store.scan(from, &[store::NAME + 1], PAGE)?;
    let next = stored.last().filter(|_| stored.len() == PAGE).map(|(row, _)| [row, &[0][..]].concat());
    let mut entries = Vec::with_capacity(stored.len());
    for (row, bytes) in &stored {
        let Ok(name) = MailboxName::from_key(row.get(1..).unwrap_or_default()) else { continue };
        entries.push((name, Entry::decode(bytes)?));
    }
    Ok(Rows { entries, next })
}

/// Changes from the store, for a cursor older than what memory keeps.
pub(crate) fn changes(inner: &Inner, seq: u64, limit: usize) -> Result<Changes, Pruned> {
    if !inner.backlog.is_empty() {
        return Err(Pruned);
    }
    let now = inner.read().meta.position.seq;
    let rows = |kind: u8| {
        let from = store::change_row(kind, seq.saturating_add(1), &[]);
        let to = store::change_row(kind, now.saturating_add(1), &[]);
        inner.store.scan(&from, &to, limit.saturating_add(1)).map_err(|error| {
            tracing::error!(%error, "cannot read the changes of the mailbox list");
            Pruned
        })
    };
    let mut all: Vec<(u64, MailboxName)> = Vec::new();
    let mut upto = now;
    for kind in [store::LIVE, store::TOMB] {
        let rows = rows(kind)?;
        let cut = rows.len() > limit;
        let last = rows.last().and_then(|(row, _)| store::change_parts(row)).map(|(seq, _)| seq);
        all.extend(rows.iter().filter_map(|(row, _)| {
            let (seq, key) = store::change_parts(row)?;
            Some((seq, MailboxName::from_key(key).ok()?))
        }));
        // Rows of the last number may be missing: what is complete ends before it.
        if let (true, Some(last)) = (cut, last) {
            upto = upto.min(last.saturating_sub(1));
        }
    }
    if upto <= seq {
        // More rows share one number than a page holds: take them all.
        return changes(inner, seq, limit.saturating_mul(4));
    }
    all.retain(|(at, _)| *at <= upto);
    all.sort();
    let mut names: Vec<MailboxName> = all.into_iter().map(|(_, name)| name).collect();
    latest_only(&mut names);
    Ok(Changes { names, upto })
}

/// Stands in a stored position while a synchronisation is written in several batches.
pub(crate) const UNFINISHED: ListId = ListId(0);
const VERSION: u8 = 1;
const PAGE: usize = 500;
/// Readings of a page that a commit may spoil before commits are kept waiting.
const TRIES: usize = 3;
/// Conflicts kept at most.
pub(crate) const CONFLICTS_KEPT: usize = 10_000;
