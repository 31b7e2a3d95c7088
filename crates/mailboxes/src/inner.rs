//! What a list's handles, its writer and its loader share.

#[cfg(debug_assertions)]
use std::cell::RefCell;
use std::{
    collections::{BTreeMap, HashMap},
    ops::Deref,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use protocol::{mupdate::position::Position, name::MailboxName};

use crate::{
    behind::Backlog,
    conflict::Conflict,
    entry::Entry,
    list::{Error, Failure, Options, Page},
    load::Meta,
    signal::Signal,
    store::{self, Store},
    table::Table,
    window::Window,
};

/// What handles, writer and loader share.
pub(crate) struct Inner {
    pub store: Arc<dyn Store>,
    pub options: Options,
    pub tables: RwLock<Tables>,
    pub loaded: Signal<bool>,
    pub position: Signal<Position>,
    /// Why nothing more is accepted.
    pub failed: Signal<Option<Failure>>,
    /// What a replica has in memory and not yet on disk.
    pub backlog: Arc<Backlog>,
}

pub(crate) struct Tables {
    pub table: Table,
    /// Whether `table` holds everything.
    pub loaded: bool,
    /// How often something was published.
    pub published: u64,
    /// What an owner's store has and its disk may not have yet, as it was before: that is what readers are told, also
    /// should the disk fail. Empty once `table` is there to say it.
    pub unsynced: HashMap<MailboxName, Option<Entry>>,
    pub window: Window,
    pub meta: Meta,
    pub conflicts: BTreeMap<MailboxName, Conflict>,
}

impl Inner {
    /// Never twice at a time on one thread: a writer that waits between the two waits for ever, and so does the second.
    /// Builds with debug assertions see to it.
    pub fn read(&self) -> Reading<'_> {
        let once = Once::begin(self);
        Reading { tables: self.tables.read().unwrap_or_else(PoisonError::into_inner), _once: once }
    }

    pub fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, name: &MailboxName) -> Result<Option<Entry>, Error> {
        // The store is read under the lock: what is being written is in `unsynced` first.
        let tables = self.read();
        if tables.loaded {
            return Ok(tables.table.get(name));
        }
        if let Some(before) = tables.unsynced.get(name) {
            return Ok(before.clone());
        }
        let stored = self.store.get(&store::name_row(&name.key())).map_err(|e| self.noted(e.into()))?;
        stored.map(|bytes| Entry::decode(&bytes)).transpose().map_err(|e| self.noted(e.into()))
    }

    /// Entries from the key `from` on whose key begins with `prefix`.
    pub fn page(&self, from: &[u8], prefix: &[u8], limit: usize) -> Result<Page, Error> {
        let mut page = Page::default();
        let tables = self.read();
        if tables.loaded {
            tables.table.scan(from, |key, name, entry| {
                if !key.starts_with(prefix) {
                    return false;
                }
                page.more = page.entries.len() >= limit;
                if !page.more {
                    page.entries.push((name, entry));
                }
                !page.more
            });
            return Ok(page);
        }
        let mut from = from.to_vec();
        // A page may turn out empty where all its rows are not on disk yet.
        while page.entries.is_empty() {
            let stored = self.stored(&tables, &from, limit).map_err(|e| self.noted(e))?;
            let beside = stored.entries.iter().find(|(key, _)| !key.starts_with(prefix));
            let ended = beside.is_some() || stored.next.is_none();
            page.entries = stored
                .entries
                .into_iter()
                .take_while(|(key, _)| key.starts_with(prefix))
                .filter_map(|(key, entry)| Some((MailboxName::from_key(&key).ok()?, entry)))
                .collect();
            page.more = !ended;
            match stored.next {
                Some(next) if page.more => from = next,
                _ => break,
            }
        }
        Ok(page)
    }

    /// A page of the store's rows, as readers may see them.
    pub fn stored(&self, tables: &Tables, from: &[u8], limit: usize) -> Result<Stored, Error> {
        let mut stored = self.scanned(from, limit)?;
        stored.take_back(from, tables);
        Ok(stored)
    }

    /// A page of the store's rows as they are.
    pub fn scanned(&self, from: &[u8], limit: usize) -> Result<Stored, Error> {
        let rows = self.store.scan(&store::name_row(from), &[store::NAME + 1], limit)?;
        let last = rows.last().filter(|_| rows.len() >= limit).and_then(|(row, _)| row.get(1..));
        let next = last.map(|key| [key, &[0]].concat());
        let mut entries = BTreeMap::new();
        for (row, bytes) in rows {
            entries.insert(row.get(1..).unwrap_or_default().to_vec(), Entry::decode(&bytes)?);
        }
        Ok(Stored { entries, next })
    }

    /// Why nothing more is accepted, if so.
    pub fn failure(&self) -> Option<Arc<str>> {
        self.failed.get().map(|failure| failure.why)
    }

    /// From now on nothing more is accepted.
    pub fn fail(&self, why: &str, damaged: bool) -> Arc<str> {
        let why: Arc<str> = why.into();
        let failure = Failure { why: why.clone(), damaged };
        self.failed.update(|failed| {
            // The first one is the cause of the others.
            let first = failed.is_none();
            if first {
                tracing::error!(why = &*failure.why, "the mailbox list accepts nothing more");
                *failed = Some(failure);
            }
            first
        });
        why
    }

    /// Takes note of an error in reading: who cannot read may not write either.
    pub fn noted(&self, error: Error) -> Error {
        if error.is_damage() {
            self.fail(&error.to_string(), true);
        }
        error
    }
}

/// The tables while they are read.
pub(crate) struct Reading<'a> {
    tables: RwLockReadGuard<'a, Tables>,
    _once: Once,
}

impl Deref for Reading<'_> {
    type Target = Tables;

    fn deref(&self) -> &Tables {
        &self.tables
    }
}

#[cfg(debug_assertions)]
thread_local! {
    /// The lists that this thread is reading.
    static READ: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// This thread reads a list.
struct Once {
    #[cfg(debug_assertions)]
    list: usize,
}

#[cfg(debug_assertions)]
impl Once {
    fn begin(inner: &Inner) -> Once {
        let list = std::ptr::from_ref(inner).addr();
        READ.with_borrow_mut(|read| {
            assert!(!read.contains(&list), "a list is read twice at a time");
            read.push(list);
        });
        Once { list }
    }
}

#[cfg(debug_assertions)]
impl Drop for Once {
    fn drop(&mut self) {
        READ.with_borrow_mut(|read| read.retain(|list| *list != self.list));
    }
}

#[cfg(not(debug_assertions))]
impl Once {
    fn begin(_: &Inner) -> Once {
        Once {}
    }
}

/// Rows of the store by key, and from where to go on.
pub(crate) struct Stored {
    pub entries: BTreeMap<Vec<u8>, Entry>,
    pub next: Option<Vec<u8>>,
}

impl Stored {
    /// Puts what the disk may not have yet back to what was before.
    pub fn take_back(&mut self, from: &[u8], tables: &Tables) {
        for (name, before) in &tables.unsynced {
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
