//! Moves between this backend and others: both sides of them, and what is on disk of them.
//!
//! ```text
//! Moving::give ─► giving: the source's machine, a step at a time ─► peer ─► the other backend
//!                 rounds: what changed since the last round
//! SYNCAPPLY X… ─► taking: the destination's table, by what is on disk
//! start ────────► Moving::open reads the journals before a listener opens; Moving::resume goes on from them
//! ```
//!
//! When a move is decided and how it ends is [`moves`]' to say; here it is done.

mod giving;
mod peer;
mod rounds;
mod taking;
mod told;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mailboxes::reconcile::Busy;
use moves::journal::{JournalError, Journals, Record, Role};
use moves::{MoveId, destination, source};
use protocol::location::{Location, ServerName};
use protocol::name::MailboxName;
use service::Context;
use store::{Held, Master, Store};
use upstream::Upstream;

use crate::transit::Transit;

/// All moves of this backend.
pub struct Moving {
    store: Store,
    transit: Arc<Transit>,
    master: Arc<dyn Master>,
    server: ServerName,
    context: Context,
    journals: Arc<Journals>,
    records: Mutex<BTreeMap<MoveId, Record>>,
    /// Of moves that come here: one thing at a time.
    turns: Mutex<HashMap<MoveId, Arc<tokio::sync::Mutex<()>>>>,
    /// Names that nobody is let in by, until it is decided whose they are.
    held: Mutex<HashMap<MoveId, Held>>,
    /// Moves that somebody watches over.
    watched: Mutex<HashSet<MoveId>>,
    trap: Option<Trap>,
}

/// Told before and after (true) a phase is written; where it says so, the daemon goes no further, and ends. For tests.
pub type Trap = Arc<dyn Fn(bool) -> bool + Send + Sync>;

impl Moving {
    /// Reads what is on disk of moves, and closes the gates of those whose decision is in doubt: before a listener opens. Blocks.
    ///
    /// # Errors
    /// A journal cannot be read: nobody knows then whose its mailboxes are.
    pub fn open(
        context: &Context,
        store: Store,
        transit: Arc<Transit>,
        master: Arc<dyn Master>,
        trap: Option<Trap>,
    ) -> Result<Arc<Moving>, JournalError> {
        let imapd = context.imapd();
        let (journals, records) = Journals::open(&imapd.program_directory("backend"))?;
        let server = ServerName::parse(&imapd.servername);
        let moving = Moving {
            store,
            transit,
            master,
            server: server.map_err(|error| damaged(context, &error.to_string()))?,
            context: context.clone(),
            journals: Arc::new(journals),
            records: Mutex::new(records.into_iter().map(|record| (record.id.clone(), record)).collect()),
            turns: Mutex::default(),
            held: Mutex::default(),
            watched: Mutex::default(),
            trap,
        };
        Ok(Arc::new(moving))
    }

    /// Goes on with what a restart interrupted. When this returns the gates are closed, and the names are held, of every move whose
    /// decision is in doubt.
    pub async fn resume(self: &Arc<Self>) {
        let records: Vec<Record> = lock(&self.records).values().cloned().collect();
        for record in records {
            match &record.role {
                Role::Source { .. } => self.resume_giving(record).await,
                Role::Destination { .. } => self.resume_taking(&record).await,
            }
        }
    }

    /// What moves have to do with a name, for whoever compares the list with the master's.
    pub fn busy(&self, name: &MailboxName) -> Busy {
        let records = lock(&self.records);
        let mut found = Busy::Free;
        for record in records.values() {
            let root = record.root == name.as_str();
            let item = record.items.iter().find(|item| item.name == name.as_str());
            if !root && item.is_none() {
                continue;
            }
            if record.is_busy() {
                return Busy::Moving;
            }
            match (&record.role, item) {
                (Role::Source { phase: source::Phase::Kept, to, .. }, Some(item))
                    if !self.lists(name, item) =>
                {
                    if let Ok(to) = Location::parse(&format!("{to}!{}", item.to_partition)) {
                        found = Busy::Given { to };
                    }
                }
                (Role::Destination { phase: destination::Phase::Done, from, .. }, Some(item))
                    if self.lists(name, item) =>
                {
                    found = Busy::Arrived { from: from.clone() };
                }
                _ => {}
            }
        }
        found
    }

    /// Whether this server has that very mailbox.
    fn lists(&self, name: &MailboxName, item: &moves::journal::Item) -> bool {
        let entry = self.store.list().get(name).ok().flatten();
        entry.and_then(|entry| entry.local).is_some_and(|local| local.uniqueid == item.uniqueid)
    }

    /// A move as it is on disk.
    fn record(&self, id: &MoveId) -> Option<Record> {
        lock(&self.records).get(id).cloned()
    }

    /// The move of a root that is under way.
    fn under_way(&self, root: &MailboxName) -> Option<Record> {
        lock(&self.records).values().find(|record| record.root == root.as_str() && record.is_busy()).cloned()
    }

    /// Puts on disk where a move stands.
    async fn write(&self, record: Record) -> Result<(), String> {
        self.spring(false).await;
        let (journals, written) = (self.journals.clone(), record.clone());
        let written = tokio::task::spawn_blocking(move || journals.write(&written)).await;
        match written {
            Ok(Ok(())) => {
                self.spring(true).await;
                lock(&self.records).insert(record.id.clone(), record);
                Ok(())
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn spring(&self, after: bool) {
        if self.trap.as_ref().is_some_and(|trap| trap(after)) {
            self.context.stop();
            std::future::pending::<()>().await;
        }
    }

    /// The way to other backends, as the settings are now.
    fn upstream(&self) -> Upstream {
        Upstream::new(&self.context.imapd())
    }

    fn here(&self, partition: &str) -> Location {
        Location::new(&self.server, partition)
    }
}

fn damaged(context: &Context, what: &str) -> JournalError {
    JournalError::Damaged { path: context.directory().to_owned(), what: what.to_owned() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Epoch seconds.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
