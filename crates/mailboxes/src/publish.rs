//! What a list shows: its tables and latest changes in memory, and whoever waits for the next. All handles read it; the
//! writer and the loader fill it.
//!
//! Until the tables are loaded, entries are read from the [`Disk`]. The writer publishes after its group holds, so that
//! nobody sees a change that a crash could undo; a replica's is seen at once, and the disk follows.

#[cfg(debug_assertions)]
use std::cell::RefCell;
use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use protocol::{mupdate::position::Position, name::MailboxName};

use crate::limits::LIST_PAGE;
use crate::{
    behind::Backlog,
    conflict::Conflict,
    cordon::Cordons,
    disk::{Disk, Stored},
    entry::Entry,
    error::{Error, Failure, Pruned},
    group::Group,
    history::History,
    options::Options,
    page::{Changes, Page},
    signal::Signal,
    table::Table,
    window::Window,
};

/// What handles, writer and loader share.
pub(crate) struct Published {
    pub disk: Arc<Disk>,
    pub options: Options,
    tables: RwLock<Tables>,
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
    pub window: Window,
    pub history: History,
    pub conflicts: BTreeMap<MailboxName, Conflict>,
    pub cordons: Arc<Cordons>,
}

impl Published {
    /// What is known of a list before anything is loaded.
    pub fn new(
        disk: Arc<Disk>,
        options: Options,
        history: History,
        conflicts: BTreeMap<MailboxName, Conflict>,
        cordons: Cordons,
    ) -> Published {
        let window = Window::new(options.bounds.window, history.position.seq);
        let table = Table::default();
        let cordons = Arc::new(cordons);
        let tables = Tables { table, loaded: false, published: 0, window, history, conflicts, cordons };
        Published {
            disk,
            options,
            tables: RwLock::new(tables),
            loaded: Signal::new(false),
            position: Signal::new(history.position),
            failed: Signal::new(None),
            backlog: Arc::default(),
        }
    }

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
        // The disk is read under the lock: what is published meanwhile waits.
        let tables = self.read();
        if tables.loaded {
            return Ok(tables.table.get(name));
        }
        self.disk.get(name).map_err(|e| self.noted(e))
    }

    /// At most `limit` entries after a name (from the start without one), in key order.
    pub fn scan(&self, after: Option<&MailboxName>, limit: usize) -> Result<Page, Error> {
        self.page(&after.map(key_after).unwrap_or_default(), &[], limit)
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
            let Stored { entries, next } = self.disk.page(&from, limit).map_err(|e| self.noted(e))?;
            let beside = entries.iter().any(|(key, _)| !key.starts_with(prefix));
            page.more = !beside && next.is_some();
            page.entries = entries
                .into_iter()
                .take_while(|(key, _)| key.starts_with(prefix))
                .filter_map(|(key, entry)| Some((MailboxName::from_key(&key).ok()?, entry)))
                .collect();
            match next {
                Some(next) if page.more => from = next,
                _ => break,
            }
        }
        Ok(page)
    }

    /// Names changed after `seq` as far as memory has them: about `limit` of them. None where the disk must be asked.
    pub fn recent_changes(&self, seq: u64, limit: usize) -> Result<Option<Changes>, Pruned> {
        let tables = self.read();
        if seq < tables.history.floor {
            return Err(Pruned);
        }
        if !tables.window.covers(seq) {
            return Ok(None);
        }
        let (keys, upto) = tables.window.after(seq, limit);
        Ok(Some(Changes::of(keys.into_iter(), upto)))
    }

    /// Names changed after `seq`, oldest first, for a cursor older than what memory keeps: looks at every entry. What is
    /// changed again meanwhile has a number beyond those, and comes after them.
    pub fn old_changes(&self, seq: u64) -> Result<Changes, Pruned> {
        let upto = self.read().history.position.seq;
        let mut all = self.old_keys(seq, upto).map_err(|error| {
            tracing::error!(%error, "cannot read the changes of the mailbox list");
            Pruned
        })?;
        // Some may have been forgotten meanwhile; and a replica's disk may not have the last ones yet.
        self.disk.check_floor(seq)?;
        if !self.backlog.is_empty() {
            return Err(Pruned);
        }
        all.sort_unstable();
        Ok(Changes::of(all.iter().map(|(_, key)| key.as_slice()), upto))
    }

    fn old_keys(&self, seq: u64, upto: u64) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let mut all = Vec::new();
        let read = self.disk.deletions(seq, upto, |seq, key| all.push((seq, key.to_vec())));
        read.map_err(|e| self.noted(e))?;
        let mut from = Vec::new();
        loop {
            let page = self.page(&from, &[], LIST_PAGE)?;
            let new = page.entries.iter().filter(|(_, entry)| entry.seq > seq && entry.seq <= upto);
            all.extend(new.map(|(name, entry)| (entry.seq, name.key())));
            match page.entries.last() {
                Some((last, _)) if page.more => from = key_after(last),
                _ => return Ok(all),
            }
        }
    }

    /// Shows what a group made of the list. The log has the numbers that were given, with the places of their proposals;
    /// without it the list is numbered anew.
    pub fn publish(&self, (group, log): (Group, Option<Vec<(u64, usize)>>)) {
        let mut tables = self.write();
        tables.published += 1;
        match log {
            Some(log) => {
                for (seq, place) in log {
                    if let Some(proposal) = group.proposals.get(place) {
                        tables.window.push(seq, &proposal.name.key());
                    }
                }
            }
            None => tables.window.reset(group.history.position.seq),
        }
        if self.options.tables {
            // In the order in which they came: a listing is in key order, and so quickly appended.
            for proposal in &group.proposals {
                match &proposal.new {
                    Some(entry) => tables.table.put(&proposal.name, entry),
                    None => tables.table.remove(&proposal.name),
                }
            }
        }
        for (name, conflict) in group.conflicts {
            match conflict {
                Some(conflict) => tables.conflicts.insert(name, conflict),
                None => tables.conflicts.remove(&name),
            };
        }
        let cordoned = !group.cordons.is_empty();
        if cordoned {
            let cordons = Arc::make_mut(&mut tables.cordons);
            for (server, since) in group.cordons {
                match since {
                    Some(since) => cordons.insert(server, since),
                    None => cordons.remove(&server),
                };
            }
        }
        let history = group.history;
        tables.history = history;
        drop(tables);
        self.position.update(|position| {
            // A replica's may change where its position does not.
            let moved = cordoned || *position != history.position;
            *position = history.position;
            moved
        });
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

    /// Takes note of an error in reading: a list that cannot be read may not be written either.
    pub fn noted(&self, error: Error) -> Error {
        if error.is_damage() {
            self.fail(&error.to_string(), true);
        }
        error
    }
}

/// The first key after a name's own.
pub(crate) fn key_after(name: &MailboxName) -> Vec<u8> {
    [&name.key()[..], &[0]].concat()
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
    fn begin(published: &Published) -> Once {
        let list = std::ptr::from_ref(published).addr();
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
    fn begin(_: &Published) -> Once {
        Once {}
    }
}
