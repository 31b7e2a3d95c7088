//! Reading a list back from its store: its history, its tables in the background, and changes too old for memory.
//!
//! ```text
//! history = version(2) id(16 bytes) term seq flags floor jump      flags: 1 own numbering, 2 complete; jump since 2
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
    inner::{Inner, Stored, Tables},
    list::{Changes, Error, OpenError, Options, Pruned, Role, latest_only},
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
    /// A replica came here by a full listing. Who is at a number before that may have what this list never had, and
    /// never deletes: nobody begins from there, though who was here all the time can go on.
    pub jump: u64,
}

impl Meta {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.position.list.0.to_be_bytes());
        put_number(&mut out, self.position.term);
        put_number(&mut out, self.position.seq);
        out.push(u8::from(self.own) | u8::from(self.complete) << 1);
        put_number(&mut out, self.floor);
        put_number(&mut out, self.jump);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, crate::codec::DecodeError> {
        let mut r = Reader(bytes);
        let version = r.version(VERSION)?;
        let id = r.take(16)?.iter().fold(0u128, |id, &b| id << 8 | u128::from(b));
        let (term, seq, flags, floor) = (r.number()?, r.number()?, r.byte()?, r.number()?);
        let jump = if version == 1 { seq } else { r.number()? };
        let position = Position { list: ListId(id), term, seq };
        Ok(Meta { position, own: flags & 1 != 0, complete: flags & 2 != 0, floor, jump })
    }
}

/// The stored history; a new store gets one.
///
/// A replica's numbers of its own do not outlive it: its disk follows behind, so that some were given out which a new
/// start would give to other changes. Nobody resumes from them.
pub(crate) fn meta(store: &dyn Store, options: &Options) -> Result<Meta, OpenError> {
    let owner = options.role == Role::Owner;
    if !owner {
        // It takes over other numbers, and may lose its last ones.
        store.forget_witness()?;
    }
    if let Some(bytes) = store.get(&[store::META])? {
        let mut meta = Meta::decode(&bytes)?;
        // Unfinished is a crash in the middle of a synchronisation.
        if meta.position.list == UNFINISHED || (!owner && meta.own) {
            meta.position.list = ListId((options.chance)());
            meta.floor = meta.position.seq;
            meta.own = true;
        }
        lost(store, &meta)?;
        return Ok(meta);
    }
    let position = Position { list: ListId((options.chance)()), term: 1, seq: 0 };
    let meta = Meta { position, own: true, complete: owner, floor: 0, jump: 0 };
    lost(store, &meta)?;
    store.apply(vec![(vec![store::META], Some(meta.encode()))])?;
    store.sync()?;
    Ok(meta)
}

/// An owner's rows must tell of everything that is known to have been on disk. A database whose tail is cut or damaged
/// opens as what it was before.
fn lost(store: &dyn Store, meta: &Meta) -> Result<(), OpenError> {
    let Some(known) = store.witnessed() else { return Ok(()) };
    let here = meta.position;
    if (known.list, known.term) == (here.list, here.term) && known.seq <= here.seq {
        return Ok(());
    }
    let what = format!("it was on disk up to {known}, and tells of no more than {here}");
    Err(StoreError::Corrupt("mailbox list".into(), what).into())
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

/// Fills the tables beside everything else.
pub(crate) fn start(inner: &Arc<Inner>) -> Result<(), OpenError> {
    let spawn = inner.options.spawn;
    let inner = Arc::downgrade(inner);
    let task = async move {
        if let Err(error) = fill(&inner).await
            && let Some(inner) = inner.upgrade()
        {
            inner.fail(&format!("cannot load the mailbox list: {error}"), error.is_damage());
        }
    };
    spawn("list-load", Box::pin(task))
        .map_err(|e| StoreError::Io { doing: "start the loader", why: e.to_string() })?;
    Ok(())
}

async fn fill(inner: &Weak<Inner>) -> Result<(), Error> {
    let mut from = Vec::new();
    // Nobody holds the list any more: the loader does not keep it alive.
    let Some(held) = inner.upgrade() else { return Ok(()) };
    let mut recent = {
        let tables = held.read();
        tables.window.recent(tables.meta.floor)
    };
    let (since, upto) = recent.span();
    deletions(&held, since, upto, |seq, key| recent.see(seq, key))?;
    drop(held);
    loop {
        let Some(inner) = inner.upgrade() else { return Ok(()) };
        inner.store.pace().await;
        let (mut tables, stored) = page(&inner, &from)?;
        for (key, entry) in &stored.entries {
            let Ok(name) = MailboxName::from_key(key) else { continue };
            tables.table.put(&name, entry);
            recent.see(entry.seq, key);
        }
        match stored.next {
            Some(next) => from = next,
            None => {
                tables.window.precede(recent);
                tables.loaded = true;
                drop(tables);
                inner.loaded.set(true);
                return Ok(());
            }
        }
    }
}

/// A page of what readers may see, with the lock under which it is still true. The store is read without it.
fn page<'a>(inner: &'a Inner, from: &[u8]) -> Result<(RwLockWriteGuard<'a, Tables>, Stored), Error> {
    let size = inner.options.bounds.page;
    for _ in 0..TRIES {
        let published = inner.read().published;
        let mut stored = inner.scanned(from, size)?;
        let tables = inner.write();
        if tables.published == published {
            stored.take_back(from, &tables);
            return Ok((tables, stored));
        }
    }
    let tables = inner.write();
    let stored = inner.stored(&tables, from, size)?;
    Ok((tables, stored))
}

/// Names changed after `seq`, oldest first, for a cursor older than what memory keeps: looks at every entry. What is
/// changed again meanwhile has a number beyond those, and comes after them.
pub(crate) fn changes(inner: &Inner, seq: u64) -> Result<Changes, Pruned> {
    let upto = inner.read().meta.position.seq;
    let read = || -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let mut all = Vec::new();
        deletions(inner, seq, upto, |seq, key| all.push((seq, key.to_vec())))?;
        let mut from = Vec::new();
        loop {
            let page = inner.page(&from, &[], PAGE)?;
            let new = page.entries.iter().filter(|(_, entry)| entry.seq > seq && entry.seq <= upto);
            all.extend(new.map(|(name, entry)| (entry.seq, name.key())));
            match page.entries.last() {
                Some((last, _)) if page.more => from = [&last.key()[..], &[0]].concat(),
                _ => return Ok(all),
            }
        }
    };
    let mut all = read().map_err(|error| {
        tracing::error!(%error, "cannot read the changes of the mailbox list");
        Pruned
    })?;
    // Some may have been forgotten meanwhile; and a replica's disk may not have the last ones yet.
    if seq < inner.read().meta.floor || !inner.backlog.is_empty() {
        return Err(Pruned);
    }
    all.sort();
    let mut names = all.iter().filter_map(|(_, key)| MailboxName::from_key(key).ok()).collect();
    latest_only(&mut names);
    Ok(Changes { names, upto })
}

/// Tells of the stored deletions from after `since` up to `upto`.
pub(crate) fn deletions(
    inner: &Inner,
    since: u64,
    upto: u64,
    mut tell: impl FnMut(u64, &[u8]),
) -> Result<(), Error> {
    let (mut from, to) =
        (store::tomb_row(since.saturating_add(1), &[]), store::tomb_row(upto.saturating_add(1), &[]));
    loop {
        let rows = inner.store.scan(&from, &to, PAGE).map_err(|error| inner.noted(error.into()))?;
        for (row, _) in &rows {
            if let Some((seq, key)) = store::tomb_parts(row) {
                tell(seq, key);
            }
        }
        match rows.last() {
            Some((row, _)) if rows.len() >= PAGE => from = [&row[..], &[0]].concat(),
            _ => return Ok(()),
        }
    }
}

/// Stands in a stored position while a synchronisation is written in several batches.
pub(crate) const UNFINISHED: ListId = ListId(0);
const VERSION: u8 = 2;
/// Rows read at once.
const PAGE: usize = 1000;
/// Readings of a page that a commit may spoil before commits are kept waiting.
const TRIES: usize = 3;
/// Conflicts kept at most.
pub(crate) const CONFLICTS_KEPT: usize = 10_000;
