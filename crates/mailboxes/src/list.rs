//! A list of mailboxes: reading, following changes, and the door to its writer.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use protocol::{
    acl::{Acl, Rights, Who},
    mupdate::position::Position,
    name::MailboxName,
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    change::{Change, CommitError, Follow},
    codec::DecodeError,
    conflict::Conflict,
    entry::Entry,
    inner::{Inner, Tables},
    listing::{Difference, Listing},
    load,
    signal::{Signal, Watch},
    store::{self, Logged, Memory, Sled, Store, StoreError},
    table::Table,
    window::Window,
    work::{self, Spawn},
    writer::{self, Request},
};

/// A handle to one list; cheap to clone, usable from any thread. Reads never wait for a disk once the tables are
/// loaded. The database is closed when the last handle is gone and its writer has ended ([`List::close`]).
#[derive(Clone)]
pub struct List {
    pub(crate) inner: Arc<Inner>,
    queue: mpsc::Sender<Request>,
}

/// How a list is kept.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub role: Role,
    /// Whether the tables are loaded into memory. A daemon that only looks up single names does without.
    pub tables: bool,
    pub bounds: Bounds,
    /// Epoch seconds.
    pub clock: fn() -> u64,
    /// A number that never comes twice, for identities.
    pub chance: fn() -> u128,
    /// Runs the list's tasks.
    pub spawn: Spawn,
}

/// What is kept, and what is done at once. A simulation makes all of it small.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Deletions remembered, by number and by age in seconds.
    pub tombstones: usize,
    pub tombstone_age: u64,
    /// Changes between two prunings of these.
    pub prune_every: usize,
    /// Changes in memory, for subscribers.
    pub window: usize,
    /// Rows in one batch of a replica.
    pub chunk: usize,
    /// Rows that the loader takes under one lock.
    pub page: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            tombstones: 1_000_000,
            tombstone_age: 7 * 24 * 3600,
            prune_every: 8192,
            window: 65_536,
            chunk: 1000,
            page: 500,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The authority: every commit is on disk before it is answered.
    Owner,
    /// Follows an upstream ([`List::follow`]); a crash may lose what the stream brings again.
    Replica,
}

impl Options {
    pub fn owner() -> Self {
        Options {
            role: Role::Owner,
            tables: true,
            bounds: Bounds::default(),
            clock: epoch_seconds,
            chance,
            spawn: work::on_a_thread,
        }
    }

    pub fn replica() -> Self {
        Options { role: Role::Replica, ..Self::owner() }
    }

    pub fn without_tables(self) -> Self {
        Options { tables: false, ..self }
    }
}

impl List {
    /// Opens or creates `dir/list.sled`. Blocks; the tables load in the background ([`List::loaded`]).
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        std::fs::create_dir_all(dir).map_err(|e| StoreError::Io {
            doing: "create the directory of the mailbox list",
            why: e.to_string(),
        })?;
        let path = dir.join("list.sled");
        let store: Arc<dyn Store> = match options.role {
            Role::Owner => Arc::new(Logged::open(Sled::open(&path)?, &path)?),
            Role::Replica => {
                let store = Sled::open(&path)?;
                store::settle(&store, &path)?;
                Arc::new(store)
            }
        };
        Self::with_store(store, options)
    }

    /// As [`List::open`], for the daemon that the list belongs to: a tool that has it just now is waited for, 3 s at
    /// most. Blocks meanwhile.
    pub fn open_when_free(dir: &Path, options: Options) -> Result<Self, OpenError> {
        let until = Instant::now() + TOOL;
        loop {
            match Self::open(dir, options) {
                Err(error) if error.is_busy() && Instant::now() < until => std::thread::sleep(TOOL_STEP),
                other => return other,
            }
        }
    }

    /// A list that lives in memory alone, and is authoritative.
    pub fn memory() -> Self {
        match Self::with_store(Arc::new(Memory::new()), Options::owner()) {
            Ok(list) => list,
            // An empty store in memory has nothing to fail on.
            Err(error) => unreachable!("{error}"),
        }
    }

    /// A list on a store of the caller's.
    pub fn with_store(store: Arc<dyn Store>, options: Options) -> Result<Self, OpenError> {
        if options.role == Role::Owner {
            // Of what a process before wrote, and could not sync, nothing is told before it is on disk.
            store.sync()?;
        }
        let meta = load::meta(&*store, &options)?;
        let conflicts = load::conflicts(&*store)?;
        let window = Window::new(options.bounds.window, meta.position.seq);
        let (table, unsynced) = (Table::default(), HashMap::new());
        let tables = Tables { table, loaded: false, published: 0, unsynced, window, meta, conflicts };
        let inner = Arc::new(Inner {
            store,
            options,
            tables: RwLock::new(tables),
            loaded: Signal::new(false),
            position: Signal::new(meta.position),
            failed: Signal::new(None),
            backlog: Arc::default(),
        });
        let queue = writer::start(inner.clone())?;
        if options.tables {
            load::start(&inner)?;
        }
        Ok(List { inner, queue })
    }

    /// The entry of a name.
    pub fn get(&self, name: &MailboxName) -> Result<Option<Entry>, Error> {
        self.inner.get(name)
    }

    /// At most `limit` entries after a name (from the start without one), in key order.
    pub fn scan(&self, after: Option<&MailboxName>, limit: usize) -> Result<Page, Error> {
        let from = after.map(|name| [&name.key()[..], &[0]].concat()).unwrap_or_default();
        self.inner.page(&from, &[], limit)
    }

    /// At most `limit` entries of a mailbox and those below it, after a name, in key order.
    pub fn subtree(
        &self,
        root: &MailboxName,
        after: Option<&MailboxName>,
        limit: usize,
    ) -> Result<Page, Error> {
        let prefix = root.key();
        let from = after.map(|name| [&name.key()[..], &[0]].concat()).unwrap_or_else(|| prefix.clone());
        let mut page = self.inner.page(&from, &prefix, limit)?;
        // The subtree is one run in key order: the first name beside it ends it.
        let end = page.entries.iter().position(|(name, _)| name != root && !name.is_below(root));
        if let Some(end) = end {
            page.entries.truncate(end);
            page.more = false;
        }
        Ok(page)
    }

    /// Everything a user may see: the subtree of `inbox`, and what an ACL grants the user, `anyone` or one of the user's
    /// groups (`staff`, not `group:staff`) lookup on. In key order. The caller still judges the rights of each.
    pub fn visible_to(
        &self,
        inbox: Option<&MailboxName>,
        userid: &str,
        groups: &[String],
    ) -> Result<Vec<(MailboxName, Entry)>, Error> {
        let mut found: Vec<(MailboxName, Entry)> = Vec::new();
        if let Some(inbox) = inbox {
            let mut after = None;
            loop {
                let page = self.subtree(inbox, after.as_ref(), PAGE)?;
                found.extend(page.entries);
                after = found.last().map(|(name, _)| name.clone());
                if !page.more {
                    break;
                }
            }
        }
        let groups_named: Vec<String> = groups.iter().map(|group| format!("group:{group}")).collect();
        let mut identifiers = vec!["anyone", userid];
        identifiers.extend(groups_named.iter().map(String::as_str));
        let tables = self.inner.read();
        if tables.loaded {
            let names = tables.table.seen_by(&identifiers);
            found.extend(names.into_iter().filter_map(|n| tables.table.get(&n).map(|entry| (n, entry))));
        } else {
            drop(tables);
            self.search(Who { userid, groups }, &mut found)?;
        }
        found.sort_by_cached_key(|(name, _)| name.key());
        found.dedup_by(|a, b| a.0 == b.0);
        Ok(found)
    }

    /// Walks everything for what `who` may look up: before the tables are there.
    fn search(&self, who: Who<'_>, found: &mut Vec<(MailboxName, Entry)>) -> Result<(), Error> {
        let mut after = None;
        loop {
            let page = self.scan(after.as_ref(), PAGE)?;
            after = page.entries.last().map(|(name, _)| name.clone());
            let seen = |entry: &Entry| Acl::parse(&entry.acl).rights(who).contains(Rights::LOOKUP);
            found.extend(page.entries.into_iter().filter(|(_, entry)| seen(entry)));
            if !page.more {
                return Ok(());
            }
        }
    }

    /// Does these changes, all or none, and returns when they hold: on an owner, when they are on disk.
    pub async fn commit(&self, changes: Vec<Change>) -> Result<Position, CommitError> {
        if self.inner.options.role == Role::Replica {
            return Err(CommitError::ReadOnly);
        }
        self.ask(|reply| Request::Commit { changes, reply }).await
    }

    /// Queues the changes, and gives what [`List::commit`] would: for a connection that pipelines. Queued requests are
    /// done in order.
    pub async fn submit(&self, changes: Vec<Change>) -> Result<Pending, CommitError> {
        if self.inner.options.role == Role::Replica {
            return Err(CommitError::ReadOnly);
        }
        let (reply, answer) = oneshot::channel();
        self.queue.send(Request::Commit { changes, reply }).await.map_err(|_| CommitError::Closed)?;
        Ok(answer)
    }

    /// The same from a thread without a runtime.
    pub fn commit_blocking(&self, changes: Vec<Change>) -> Result<Position, CommitError> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Commit { changes, reply };
        self.queue.blocking_send(request).map_err(|_| CommitError::Closed)?;
        answer.blocking_recv().unwrap_or(Err(CommitError::Closed))
    }

    /// Takes over what an upstream says, at the upstream's position.
    pub async fn follow(&self, follow: Follow) -> Result<Position, CommitError> {
        self.ask(|reply| Request::Follow { follow, reply }).await
    }

    /// Gives the list a new identity: after an undump or a restore, nobody resumes from what was before.
    pub async fn renew(&self) -> Result<Position, CommitError> {
        self.ask(|reply| Request::Renew { reply }).await
    }

    /// Ends the showing of a conflict.
    pub async fn resolve(&self, name: MailboxName) -> Result<Position, CommitError> {
        self.ask(|reply| Request::Resolve { name, reply }).await
    }

    /// Writes everything to disk and ends the writer: later commits are refused. The database is free for another
    /// process when the handles are dropped.
    pub async fn close(&self) -> Result<Position, CommitError> {
        self.ask(|reply| Request::Close { reply }).await
    }

    pub fn role(&self) -> Role {
        self.inner.options.role
    }

    pub fn position(&self) -> Position {
        self.inner.read().meta.position
    }

    /// Where the upstream stood when the list held everything of it; none where the numbers are the list's own.
    pub fn followed(&self) -> Option<Position> {
        let meta = self.inner.read().meta;
        (meta.complete && !meta.own).then_some(meta.position)
    }

    /// Whether the list holds everything up to its position: a replica before its first synchronisation does not.
    pub fn is_complete(&self) -> bool {
        self.inner.read().meta.complete
    }

    /// Moves with every change.
    pub fn watch(&self) -> Watch<Position> {
        self.inner.position.watch()
    }

    /// Returns when the tables are in memory; at once where they never will be.
    pub async fn loaded(&self) {
        if self.inner.options.tables {
            let mut loaded = self.inner.loaded.watch();
            // An error means that the list is gone, and with it the wait.
            let _ = loaded.wait_for(|done| *done).await;
        }
    }

    pub fn is_loaded(&self) -> bool {
        self.inner.loaded.get()
    }

    /// Why nothing more is accepted, if so.
    pub fn failure(&self) -> Option<Failure> {
        self.inner.failed.get()
    }

    /// Returns when nothing more is accepted, and why. Of a list that is closed it never does.
    pub async fn failed(&self) -> Failure {
        let mut failed = self.inner.failed.watch();
        match failed.wait_for(Option::is_some).await {
            Ok(Some(failure)) => failure,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Compares with a full list of an upstream's. Walks both, beside the list's other tasks.
    pub async fn difference(&self, listing: Listing) -> Result<Difference, Error> {
        let list = self.clone();
        self.beside("list-compare", move || listing.difference(&list)).await?
    }

    /// Whether a copy of this list that stands there can be brought here by what changed since.
    pub fn can_resume(&self, at: Position) -> bool {
        let tables = self.inner.read();
        let (meta, here) = (tables.meta, tables.meta.position);
        (at.list, at.term) == (here.list, here.term)
            && (meta.jump.max(meta.floor)..=here.seq).contains(&at.seq)
            && (tables.window.covers(at.seq) || self.inner.backlog.is_empty())
    }

    /// Names changed after `seq`, oldest first: about `limit` of them, or all where that is long ago. [`Pruned`] when it
    /// is too long ago to know.
    pub async fn changes_after(&self, seq: u64, limit: usize) -> Result<Changes, Pruned> {
        {
            let tables = self.inner.read();
            if seq < tables.meta.floor {
                return Err(Pruned);
            }
            if tables.window.covers(seq) {
                let (keys, upto) = tables.window.after(seq, limit);
                let mut names: Vec<MailboxName> =
                    keys.iter().filter_map(|k| MailboxName::from_key(k).ok()).collect();
                latest_only(&mut names);
                return Ok(Changes { names, upto });
            }
        }
        let inner = self.inner.clone();
        self.beside("list-changes", move || load::changes(&inner, seq)).await.unwrap_or(Err(Pruned))
    }

    /// Does what takes long beside the list's other tasks.
    async fn beside<T: Send + 'static>(
        &self,
        task: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let work = async move {
            // Who asked may have gone.
            let _ = reply.send(work());
        };
        let started = (self.inner.options.spawn)(task, Box::pin(work));
        let why = match started {
            Ok(()) => match answer.await {
                Ok(result) => return Ok(result),
                Err(gone) => gone.to_string(),
            },
            Err(error) => error.to_string(),
        };
        Err(StoreError::Io { doing: "read the mailbox list", why }.into())
    }

    /// Mailboxes per server and partition, reservations, size: what a status page shows.
    pub fn summary(&self) -> Summary {
        let tables = self.inner.read();
        let mut locations: Vec<_> = tables.table.locations().map(|(l, n)| (l.to_string(), n)).collect();
        locations.sort();
        Summary {
            position: tables.meta.position,
            complete: tables.meta.complete,
            loaded: tables.loaded,
            entries: tables.table.len(),
            reserved: tables.table.reserved_count(),
            locations,
            memory: tables.table.memory() + tables.window.memory(),
            disk: self.inner.store.size(),
        }
    }

    /// How many entries there are.
    pub fn count(&self) -> usize {
        self.inner.read().table.len()
    }

    /// Octets of memory that the entries take. Looks at every block: some milliseconds for a million entries.
    pub fn weight(&self) -> usize {
        self.inner.read().table.memory()
    }

    /// Reserved names and since when, oldest first (at most 10,000).
    pub fn reservations(&self) -> Vec<(MailboxName, Entry)> {
        let tables = self.inner.read();
        let names = tables.table.reserved().into_iter();
        let mut found: Vec<_> = names.filter_map(|n| tables.table.get(&n).map(|entry| (n, entry))).collect();
        found.sort_by_key(|(_, entry)| entry.mtime);
        found
    }

    pub fn conflicts(&self) -> Vec<Conflict> {
        self.inner.read().conflicts.values().cloned().collect()
    }

    async fn ask(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<Position, CommitError>>) -> Request,
    ) -> Result<Position, CommitError> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(request(reply)).await.map_err(|_| CommitError::Closed)?;
        answer.await.unwrap_or(Err(CommitError::Closed))
    }
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "List({})", self.position())
    }
}

/// Some entries in key order.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub entries: Vec<(MailboxName, Entry)>,
    /// Whether there may be entries after these.
    pub more: bool,
}

/// The answer to come of queued changes; an error of the channel means that the list was closed.
pub type Pending = oneshot::Receiver<Result<Position, CommitError>>;

/// Names that changed, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    pub names: Vec<MailboxName>,
    /// With these, everything up to this number is known.
    pub upto: u64,
}

/// The changes asked for are no longer known: take the full list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("changes since then are no longer kept")]
pub struct Pruned;

/// A list in figures.
#[derive(Debug, Clone)]
pub struct Summary {
    pub position: Position,
    pub complete: bool,
    pub loaded: bool,
    pub entries: usize,
    pub reserved: usize,
    /// Location text and entries there.
    pub locations: Vec<(String, u32)>,
    /// Bytes of all tables in memory.
    pub memory: usize,
    pub disk: u64,
}

/// Why a list accepts nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub why: Arc<str>,
    /// What is stored cannot be read; else it could not be written.
    pub damaged: bool,
}

/// Reading failed: the answer is not known. Never to be taken for "no such mailbox".
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("mailbox list: {0}")]
    Decode(#[from] DecodeError),
}

impl Error {
    /// What is stored is not what was written.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Error::Store(StoreError::Corrupt(..))
                | Error::Decode(DecodeError::Damaged(_) | DecodeError::Short)
        )
    }
}

/// The list cannot be opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("mailbox list: {0}")]
    Decode(#[from] DecodeError),
}

impl OpenError {
    /// Another process owns the database: exit 75, or ask that process.
    pub fn is_busy(&self) -> bool {
        matches!(self, OpenError::Store(StoreError::Busy(_)))
    }

    /// The database is damaged: a replica may begin anew.
    pub fn is_corrupt(&self) -> bool {
        matches!(
            self,
            OpenError::Store(StoreError::Corrupt(..))
                | OpenError::Decode(DecodeError::Damaged(_) | DecodeError::Short)
        )
    }
}

/// Keeps of each name its last mention.
pub(crate) fn latest_only(names: &mut Vec<MailboxName>) {
    let mut seen = std::collections::HashSet::with_capacity(names.len());
    names.reverse();
    names.retain(|name| seen.insert(name.clone()));
    names.reverse();
}

fn epoch_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Without a random source the clock must do: an identity has to differ, it guards nothing.
fn chance() -> u128 {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u128::from_be_bytes(bytes),
        Err(_) => {
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos()
        }
    }
}

const PAGE: usize = 1000;
/// How long a daemon waits at its start for a tool that reads its list, and how often it looks.
const TOOL: Duration = Duration::from_secs(3);
const TOOL_STEP: Duration = Duration::from_millis(10);
