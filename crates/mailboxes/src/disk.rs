//! A list in its store, as entries and deletions instead of bytes: what the tables are loaded from, what readers are
//! answered from before that, and where changes older than the tables' window are found.
//!
//! The store has a batch before its disk has it. Of what an owner's disk may not have yet, readers get the entries before,
//! also should the disk fail.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use protocol::{location::ServerName, name::MailboxName};

use crate::limits::DISK_PAGE;
use crate::{
    conflict::Conflict,
    cordon::{self, Cordons},
    entry::Entry,
    error::{Error, OpenError, Pruned},
    store::{self, Store},
};

pub(crate) struct Disk {
    pub store: Arc<dyn Store>,
    /// The entries as they were before what is being written.
    unsynced: RwLock<Before>,
    /// The tables have all of it: nobody reads entries here any more.
    loaded: AtomicBool,
    /// Deletions up to this number may be forgotten.
    floor: AtomicU64,
}

type Before = HashMap<MailboxName, Option<Entry>>;

/// Entries by key, and from where to go on.
pub(crate) struct Stored {
    pub entries: BTreeMap<Vec<u8>, Entry>,
    pub next: Option<Vec<u8>>,
}

impl Disk {
    /// Deletions after the number `floor` are all there.
    pub fn new(store: Arc<dyn Store>, floor: u64) -> Disk {
        let (unsynced, loaded) = (RwLock::default(), AtomicBool::new(false));
        Disk { store, unsynced, loaded, floor: AtomicU64::new(floor) }
    }

    pub fn get(&self, name: &MailboxName) -> Result<Option<Entry>, Error> {
        // The lock is held meanwhile, so that no batch begins to be written.
        let unsynced = self.unsynced();
        if let Some(before) = unsynced.get(name) {
            return Ok(before.clone());
        }
        let stored = self.store.get(&store::name_row(&name.key()))?;
        Ok(stored.map(|bytes| Entry::decode(&bytes)).transpose()?)
    }

    /// A page of entries from a key on. It may be empty though more follow.
    pub fn page(&self, from: &[u8], limit: usize) -> Result<Stored, Error> {
        let unsynced = self.unsynced();
        let mut stored = self.written(from, limit)?;
        stored.take_back(from, &unsynced);
        Ok(stored)
    }

    /// The same of what is written, synced or not.
    pub fn written(&self, from: &[u8], limit: usize) -> Result<Stored, Error> {
        let rows = self.store.scan(&store::name_row(from), &[store::NAME + 1], limit)?;
        let last = rows.last().filter(|_| rows.len() >= limit).and_then(|(row, _)| row.get(1..));
        let next = last.map(|key| [key, &[0]].concat());
        let mut entries = BTreeMap::new();
        for (row, bytes) in rows {
            entries.insert(row.get(1..).unwrap_or_default().to_vec(), Entry::decode(&bytes)?);
        }
        Ok(Stored { entries, next })
    }

    /// Takes out of a page what is written and may not be on disk.
    pub fn take_back(&self, from: &[u8], stored: &mut Stored) {
        stored.take_back(from, &self.unsynced());
    }

    /// Passes on all entries, in key order.
    pub fn entries(&self, mut each: impl FnMut(&MailboxName, &Entry)) -> Result<(), Error> {
        let mut from = Vec::new();
        loop {
            let stored = self.page(&from, DISK_PAGE)?;
            for (key, entry) in &stored.entries {
                if let Ok(name) = MailboxName::from_key(key) {
                    each(&name, entry);
                }
            }
            match stored.next {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }

    /// Passes on the deletions after `since` up to `upto`, in order: number and key.
    pub fn deletions(&self, since: u64, upto: u64, mut each: impl FnMut(u64, &[u8])) -> Result<(), Error> {
        let (mut from, to) =
            (store::tomb_row(since.saturating_add(1), &[]), store::tomb_row(upto.saturating_add(1), &[]));
        loop {
            let rows = self.store.scan(&from, &to, DISK_PAGE)?;
            for (row, _) in &rows {
                if let Some((seq, key)) = store::tomb_parts(row) {
                    each(seq, key);
                }
            }
            match rows.last() {
                Some((row, _)) if rows.len() >= DISK_PAGE => from = [&row[..], &[0]].concat(),
                _ => return Ok(()),
            }
        }
    }

    /// The conflicts that are stored, `limit` at most.
    pub fn conflicts(&self, limit: usize) -> Result<BTreeMap<MailboxName, Conflict>, OpenError> {
        let mut found = BTreeMap::new();
        for (row, bytes) in self.store.scan(&[store::CONFLICT], &[store::CONFLICT + 1], limit)? {
            if let Ok(name) = MailboxName::from_key(row.get(1..).unwrap_or_default()) {
                found.insert(name.clone(), Conflict::decode(name, &bytes)?);
            }
        }
        Ok(found)
    }

    /// The cordoned servers that are stored, `limit` at most.
    pub fn cordons(&self, limit: usize) -> Result<Cordons, OpenError> {
        let mut found = Cordons::new();
        for (row, bytes) in self.store.scan(&[store::CORDON], &[store::CORDON + 1], limit)? {
            let server = str::from_utf8(row.get(1..).unwrap_or_default()).ok();
            if let Some(server) = server.and_then(|server| ServerName::parse(server).ok()) {
                found.insert(server, cordon::decode(&bytes)?);
            }
        }
        Ok(found)
    }

    /// A batch is about to be written. Until [`Disk::end_write`], readers get these entries.
    pub fn begin_write<'a>(&self, before: impl Iterator<Item = (&'a MailboxName, &'a Option<Entry>)>) {
        if !self.loaded.load(Ordering::Acquire) {
            self.unsynced_mut().extend(before.map(|(name, entry)| (name.clone(), entry.clone())));
        }
    }

    /// The batch is on disk.
    pub fn end_write(&self) {
        if !self.loaded.load(Ordering::Acquire) {
            self.unsynced_mut().clear();
        }
    }

    /// The tables hold everything: from here on entries are read there.
    pub fn set_loaded(&self) {
        self.loaded.store(true, Ordering::Release);
        self.unsynced_mut().clear();
    }

    /// Deletions up to this number may be forgotten. To be called before they are.
    pub fn set_floor(&self, floor: u64) {
        self.floor.store(floor, Ordering::Release);
    }

    /// Whether the deletions after a number are still all there. To be called after they were read.
    pub fn check_floor(&self, seq: u64) -> Result<(), Pruned> {
        if seq < self.floor.load(Ordering::Acquire) { Err(Pruned) } else { Ok(()) }
    }

    fn unsynced(&self) -> RwLockReadGuard<'_, Before> {
        self.unsynced.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn unsynced_mut(&self) -> RwLockWriteGuard<'_, Before> {
        self.unsynced.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stored {
    fn take_back(&mut self, from: &[u8], unsynced: &Before) {
        for (name, before) in unsynced {
            let key = name.key();
            if key.as_slice() < from || self.next.as_ref().is_some_and(|next| key >= *next) {
                continue;
            }
            match before {
                Some(entry) => self.entries.insert(key, entry.clone()),
                None => self.entries.remove(&key),
            };
        }
    }
}
