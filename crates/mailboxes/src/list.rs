//! A list of mailboxes: reading, following changes, and the door to its writer.

use std::{path::Path, sync::Arc, time::Instant};

use protocol::{
    acl::{Acl, Rights, Who},
    location::ServerName,
    mupdate::position::Position,
    name::MailboxName,
};
use tokio::sync::{mpsc, oneshot};

use crate::limits::{CONFLICTS, CORDONS, LIST_PAGE, TOOL, TOOL_STEP};
use crate::{
    authority::{Local, Shared},
    behind::Behind,
    change::{Change, Follow},
    conflict::Conflict,
    cordon::Cordons,
    disk::Disk,
    entry::Entry,
    error::{CommitError, Error, Failure, OpenError, Pruned},
    history::History,
    listing::{Difference, Listing},
    load,
    options::{Options, Role},
    page::{Changes, Page, Summary},
    publish::{Published, key_after},
    rows::Recorder,
    shared::{self, Doors},
    signal::Watch,
    store::{Logged, Memory, Sled, Store, StoreError},
    writer::{self, Keeper, Request},
};

/// A handle to one list; cheap to clone, usable from any thread. Reads never wait for a disk once the tables are
/// loaded. The database is closed when the last handle is gone and its writer has ended ([`List::close`]).
#[derive(Clone)]
pub struct List {
    published: Arc<Published>,
    queue: mpsc::Sender<Request>,
    /// Of one of several masters' lists: where its writes go, and what proves its reads.
    doors: Option<Arc<Doors>>,
}

impl List {
    /// Opens or creates `dir/list.sled`. Blocks; the tables load in the background ([`List::loaded`]).
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        std::fs::create_dir_all(dir).map_err(|e| StoreError::Io {
            doing: "create the directory of the mailbox list",
            why: e.to_string(),
        })?;
        let path = dir.join("list.sled");
        Self::with_store(Arc::new(Logged::open(Sled::open(&path)?, &path, options.role)?), options)
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
        let (local, disk, history) = match options.role {
            Role::Owner => {
                let local = Local::open(store, &options)?;
                let (disk, history) = (local.disk().clone(), local.history());
                (Some(local), disk, history)
            }
            Role::Replica => {
                let history = History::open(&*store, &options)?;
                (None, Arc::new(Disk::new(store, history.floor)), history)
            }
        };
        let conflicts = disk.conflicts(CONFLICTS)?;
        let cordons = disk.cordons(CORDONS)?;
        let published = Arc::new(Published::new(disk.clone(), options, history, conflicts, cordons));
        let keeper = match local {
            Some(local) => Keeper::Owner(local),
            None => Keeper::Replica {
                behind: Behind::start(disk.store.clone(), published.backlog.clone(), options.spawn)?,
                recorder: Recorder::new(disk, options.bounds),
            },
        };
        let queue = writer::start(published.clone(), keeper)?;
        if options.tables {
            load::start(&published)?;
        }
        Ok(List { published, queue, doors: None })
    }

    /// Makes a replica one of several masters' copy of what an authority has: it follows that, and takes writes for it. It is
    /// complete once the authority was reached.
    pub fn share<A: Shared>(self, authority: A) -> Result<Self, OpenError> {
        let doors = shared::start(authority, &self.published, self.queue.clone())?;
        Ok(List { doors: Some(Arc::new(doors)), ..self })
    }

    /// Whether other masters change it too.
    pub fn is_shared(&self) -> bool {
        self.doors.is_some()
    }

    /// Returns when everything that any master had acknowledged before the call is in the list; at once on a list of one master.
    /// It fails where the masters' database cannot be asked.
    pub async fn barrier(&self) -> Result<(), CommitError> {
        let Some(doors) = &self.doors else { return Ok(()) };
        let (reply, answer) = oneshot::channel();
        doors.barriers.send(reply).await.map_err(|_| CommitError::Closed)?;
        answer.await.unwrap_or(Err(CommitError::Closed)).map(drop)
    }

    /// Whether the masters' database can be asked; none on a list of one master.
    pub fn live(&self) -> Option<Watch<bool>> {
        self.doors.as_ref().map(|doors| doors.live.clone())
    }

    /// The entry of a name.
    pub fn get(&self, name: &MailboxName) -> Result<Option<Entry>, Error> {
        self.published.get(name)
    }

    /// At most `limit` entries after a name (from the start without one), in key order.
    pub fn scan(&self, after: Option<&MailboxName>, limit: usize) -> Result<Page, Error> {
        self.published.scan(after, limit)
    }

    /// At most `limit` entries of a mailbox and those below it, after a name, in key order.
    pub fn subtree(
        &self,
        root: &MailboxName,
        after: Option<&MailboxName>,
        limit: usize,
    ) -> Result<Page, Error> {
        let prefix = root.key();
        let from = after.map_or_else(|| prefix.clone(), key_after);
        let mut page = self.published.page(&from, &prefix, limit)?;
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
                let page = self.subtree(inbox, after.as_ref(), LIST_PAGE)?;
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
        let tables = self.published.read();
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
            let page = self.scan(after.as_ref(), LIST_PAGE)?;
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
        self.tell(|reply| Request::Commit { changes, reply }).await
    }

    /// Queues the changes, and gives what [`List::commit`] would: for a connection that pipelines. Queued requests are
    /// done in order.
    pub async fn submit(&self, changes: Vec<Change>) -> Result<Pending, CommitError> {
        let door = self.door()?;
        let (reply, answer) = oneshot::channel();
        door.send(Request::Commit { changes, reply }).await.map_err(|_| CommitError::Closed)?;
        Ok(answer)
    }

    /// The same from a thread without a runtime.
    pub fn commit_blocking(&self, changes: Vec<Change>) -> Result<Position, CommitError> {
        let door = self.door()?;
        let (reply, answer) = oneshot::channel();
        let request = Request::Commit { changes, reply };
        door.blocking_send(request).map_err(|_| CommitError::Closed)?;
        answer.blocking_recv().unwrap_or(Err(CommitError::Closed))
    }

    /// Takes over an upstream's changes, at the upstream's position.
    pub async fn follow(&self, follow: Follow) -> Result<Position, CommitError> {
        self.ask(|reply| Request::Follow { follow, reply }).await
    }

    /// Gives the list a new identity: after an undump or a restore, nobody resumes from what was before.
    pub async fn renew(&self) -> Result<Position, CommitError> {
        match self.is_shared() {
            true => self.tell(|reply| Request::Renew { reply }).await,
            false => self.ask(|reply| Request::Renew { reply }).await,
        }
    }

    /// Ends the showing of a conflict.
    pub async fn resolve(&self, name: MailboxName) -> Result<Position, CommitError> {
        match self.is_shared() {
            true => self.tell(|reply| Request::Resolve { name, reply }).await,
            false => self.ask(|reply| Request::Resolve { name, reply }).await,
        }
    }

    /// Writes everything to disk and ends the writer: later commits are refused. The database is free for another
    /// process when the handles are dropped.
    pub async fn close(&self) -> Result<Position, CommitError> {
        self.ask(|reply| Request::Close { reply }).await
    }

    pub fn role(&self) -> Role {
        self.published.options.role
    }

    pub fn position(&self) -> Position {
        self.published.read().history.position
    }

    /// Where the upstream stood when the list held everything of it; none where the numbers are the list's own.
    pub fn followed(&self) -> Option<Position> {
        let history = self.published.read().history;
        (history.complete && !history.own).then_some(history.position)
    }

    /// Whether the list holds everything up to its position: a replica before its first synchronisation does not.
    pub fn is_complete(&self) -> bool {
        self.published.read().history.complete
    }

    /// Moves with every change.
    pub fn watch(&self) -> Watch<Position> {
        self.published.position.watch()
    }

    /// Returns when the tables are in memory; at once where they never will be.
    pub async fn loaded(&self) {
        if self.published.options.tables {
            let mut loaded = self.published.loaded.watch();
            // An error means that the list is gone, and with it the wait.
            let _ = loaded.wait_for(|done| *done).await;
        }
    }

    pub fn is_loaded(&self) -> bool {
        self.published.loaded.get()
    }

    /// Why nothing more is accepted, if so.
    pub fn failure(&self) -> Option<Failure> {
        self.published.failed.get()
    }

    /// Returns when nothing more is accepted, and why. Of a list that is closed it never does.
    pub async fn failed(&self) -> Failure {
        let mut failed = self.published.failed.watch();
        match failed.wait_for(Option::is_some).await {
            Ok(Some(failure)) => failure,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Compares with a full list of an upstream's. Walks both, beside the list's other tasks.
    pub async fn difference(&self, listing: Listing) -> Result<Difference, Error> {
        let published = self.published.clone();
        self.beside("list-compare", move || listing.difference(&published)).await?
    }

    /// Whether a copy of this list that stands there can be brought here by what changed since.
    pub fn can_resume(&self, at: Position) -> bool {
        let tables = self.published.read();
        let (history, here) = (tables.history, tables.history.position);
        history.is_of(at)
            && (history.jump.max(history.floor)..=here.seq).contains(&at.seq)
            && (tables.window.covers(at.seq) || self.published.backlog.is_empty())
    }

    /// Names changed after `seq`, oldest first: about `limit` of them, or all where that is long ago. [`Pruned`] when it
    /// is too long ago to know.
    pub async fn changes_after(&self, seq: u64, limit: usize) -> Result<Changes, Pruned> {
        if let Some(recent) = self.published.recent_changes(seq, limit)? {
            return Ok(recent);
        }
        let published = self.published.clone();
        self.beside("list-changes", move || published.old_changes(seq)).await.unwrap_or(Err(Pruned))
    }

    /// Does what takes long beside the list's other tasks.
    async fn beside<T: Send + 'static>(
        &self,
        task: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let work = async move {
            // Whoever asked may have gone.
            let _ = reply.send(work());
        };
        let started = (self.published.options.spawn)(task, Box::pin(work));
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
        let tables = self.published.read();
        let mut locations: Vec<_> = tables.table.locations().map(|(l, n)| (l.to_string(), n)).collect();
        locations.sort();
        Summary {
            position: tables.history.position,
            complete: tables.history.complete,
            loaded: tables.loaded,
            entries: tables.table.len(),
            reserved: tables.table.reserved_count(),
            locations,
            memory: tables.table.memory() + tables.window.memory(),
            disk: self.published.disk.store.size(),
        }
    }

    /// How many entries there are.
    pub fn count(&self) -> usize {
        self.published.read().table.len()
    }

    /// Octets of memory that the entries take. Looks at every block: some milliseconds for a million entries.
    pub fn weight(&self) -> usize {
        self.published.read().table.memory()
    }

    /// Reserved names and since when, oldest first (at most 10,000).
    pub fn reservations(&self) -> Vec<(MailboxName, Entry)> {
        let tables = self.published.read();
        let names = tables.table.reserved().into_iter();
        let mut found: Vec<_> = names.filter_map(|n| tables.table.get(&n).map(|entry| (n, entry))).collect();
        found.sort_by_key(|(_, entry)| entry.mtime);
        found
    }

    pub fn conflicts(&self) -> Vec<Conflict> {
        self.published.read().conflicts.values().cloned().collect()
    }

    /// The servers that take no new mailboxes.
    pub fn cordons(&self) -> Arc<Cordons> {
        self.published.read().cordons.clone()
    }

    /// Has a server take no new mailboxes, or take them again.
    pub async fn cordon(&self, server: ServerName, cordoned: bool) -> Result<Position, CommitError> {
        self.tell(|reply| Request::Cordon { server, cordoned, reply }).await
    }

    /// Takes over all cordoned servers of an upstream; the caller sees to it that they are no more than a master has.
    pub async fn follow_cordons(&self, all: Cordons) -> Result<Position, CommitError> {
        self.ask(|reply| Request::Cordons { all, reply }).await
    }

    /// Where writes go. A replica's changes come from its upstream.
    fn door(&self) -> Result<&mpsc::Sender<Request>, CommitError> {
        match (&self.doors, self.role()) {
            (Some(doors), _) => Ok(&doors.writes),
            (None, Role::Owner) => Ok(&self.queue),
            (None, Role::Replica) => Err(CommitError::ReadOnly),
        }
    }

    async fn tell(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<Position, CommitError>>) -> Request,
    ) -> Result<Position, CommitError> {
        let (reply, answer) = oneshot::channel();
        self.door()?.send(request(reply)).await.map_err(|_| CommitError::Closed)?;
        answer.await.unwrap_or(Err(CommitError::Closed))
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

/// The answer to come of queued changes; an error of the channel means that the list was closed.
pub type Pending = oneshot::Receiver<Result<Position, CommitError>>;
