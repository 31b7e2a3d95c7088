//! Moves between this backend and others: both sides of them, and what is on disk of them.
//!
//! ```text
//! Moving::ask ──► queue: its turn comes ─► giving: the source's machine, a step at a time ─► peer ─► the other backend
//! orders          live: how far it is, and what is wanted of it
//!                 rounds: what changed since the last round
//!                 cyrus: the same to a server of Cyrus
//! SYNCAPPLY X… ─► taking: the destination's table, by what is on disk
//! keeping         copies and journals go when it is time; shown: what operators see
//! LOCAL_MAILBOX ► arriving: what a Cyrus brings; giver: what that Cyrus, and the master, say of it
//! start ────────► Moving::open reads the journals before a listener opens; Moving::resume goes on from them
//! ```
//!
//! When a move is decided and how it ends is [`moves`]' to say; here it is done.

mod arriving;
mod cyrus;
pub mod errand;
mod giver;
mod giving;
mod going;
mod keeping;
mod left;
mod live;
mod orders;
mod peer;
mod queue;
mod quotas;
mod room;
mod rounds;
mod shown;
mod sizes;
mod taking;
mod told;
mod unfenced;

pub use live::Live;
pub use queue::Wanted;
pub use room::Comes;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mailboxes::reconcile::Busy;
use moves::MoveId;
use moves::destination::Phase;
use moves::journal::{JournalError, Journals, Record, Role};
use moves::names::Names;
use protocol::location::{Location, ServerName};
use protocol::name::MailboxName;
use service::Context;
use store::{Held, Master, Store};
use tokio::sync::watch;
use tokio::time::Instant;
use upstream::Upstream;

use crate::clearance::Standing;
use crate::transit::Transit;

/// All moves of this backend.
pub struct Moving {
    store: Store,
    transit: Arc<Transit>,
    master: Arc<dyn Master>,
    server: ServerName,
    context: Context,
    upstream: Upstream,
    standing: Arc<Standing>,
    journals: Arc<Journals>,
    records: Mutex<BTreeMap<MoveId, Record>>,
    /// Of these records; none since one of them changed.
    names: Mutex<Option<Arc<Names>>>,
    /// Of moves that come here: one thing at a time.
    turns: Mutex<HashMap<MoveId, Arc<tokio::sync::Mutex<()>>>>,
    /// Names that nobody is let in by, until it is decided whose they are.
    held: Mutex<HashMap<MoveId, Held>>,
    /// Moves that somebody watches over.
    watched: Mutex<HashSet<MoveId>>,
    /// A copy is removed; or a move that brings mailboxes here is noted.
    sweeping: tokio::sync::Mutex<()>,
    /// Why moves wait, as far as that is in no journal.
    waiting: Mutex<HashMap<MoveId, String>>,
    /// Moves that go on from here: their places among those that go on at once.
    running: Mutex<HashSet<MoveId>>,
    /// One is started or taken out of the queue.
    starting: tokio::sync::Mutex<()>,
    /// Moves from here that are not decided.
    lives: Mutex<HashMap<MoveId, Arc<Live>>>,
    /// Moves to here, by how many connections bring them.
    coming: Mutex<HashMap<MoveId, usize>>,
    /// What other backends said lately of moves to them.
    welcomes: Mutex<HashMap<String, (Instant, Arc<room::Welcome>)>>,
    /// Names that an operator takes back.
    restoring: Mutex<HashSet<String>>,
    /// A record changed.
    changed: watch::Sender<()>,
    /// Roots of mailboxes that come from a Cyrus, and when something came last.
    arrivals: Mutex<BTreeMap<MailboxName, Instant>>,
    /// Somebody watches over them.
    watches: Mutex<bool>,
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
        (master, standing): (Arc<dyn Master>, Arc<Standing>),
        trap: Option<Trap>,
    ) -> Result<Arc<Moving>, JournalError> {
        let imapd = context.imapd();
        let upstream = Upstream::new(&imapd.for_moves());
        let reloaded = upstream.clone();
        context.on_reload(move |imapd| reloaded.reload(&imapd.for_moves()));
        let (journals, records) = Journals::open(&imapd.program_directory("backend"))?;
        let server = ServerName::parse(&imapd.servername);
        let moving = Moving {
            store,
            transit,
            master,
            server: server.map_err(|error| damaged(context, &error.to_string()))?,
            context: context.clone(),
            upstream,
            standing,
            journals: Arc::new(journals),
            records: Mutex::new(records.into_iter().map(|record| (record.id.clone(), record)).collect()),
            names: Mutex::default(),
            turns: Mutex::default(),
            held: Mutex::default(),
            watched: Mutex::default(),
            sweeping: tokio::sync::Mutex::default(),
            waiting: Mutex::default(),
            running: Mutex::default(),
            starting: tokio::sync::Mutex::default(),
            lives: Mutex::default(),
            coming: Mutex::default(),
            welcomes: Mutex::default(),
            restoring: Mutex::default(),
            changed: watch::Sender::new(()),
            arrivals: Mutex::default(),
            watches: Mutex::default(),
            trap,
        };
        Ok(Arc::new(moving))
    }

    /// Goes on with what a restart interrupted. When this returns the gates are closed, and the names are held, of every move whose
    /// decision is in doubt.
    pub async fn resume(self: &Arc<Self>) {
        for record in self.records() {
            match &record.role {
                Role::Source { .. } => self.resume_giving(record).await,
                Role::Destination { phase: Phase::Incoming | Phase::Committed, .. }
                    if record.id.is_with_cyrus() =>
                {
                    self.resume_arriving(record).await;
                }
                Role::Destination { .. } => self.resume_taking(&record).await,
            }
        }
    }

    /// What moves have to do with a name, for whoever compares the list with the master's.
    pub fn busy(&self, name: &MailboxName) -> Busy {
        if lock(&self.restoring).contains(name.as_str()) {
            return Busy::Moving;
        }
        let here = self.listed(name);
        self.names().busy(name, here.as_deref())
    }

    /// The names of all moves: looked for anew where a move has changed since.
    fn names(&self) -> Arc<Names> {
        let mut names = lock(&self.names);
        names.get_or_insert_with(|| Arc::new(Names::of(lock(&self.records).values()))).clone()
    }

    /// The unique id of the mailbox of a name that this server has.
    fn listed(&self, name: &MailboxName) -> Option<String> {
        let entry = self.store.list().get(name).ok().flatten();
        entry.and_then(|entry| entry.local).map(|local| local.uniqueid.clone())
    }

    /// Whether this server has that very mailbox.
    fn lists(&self, name: &MailboxName, item: &moves::journal::Item) -> bool {
        self.listed(name).as_ref() == Some(&item.uniqueid)
    }

    /// All moves as they are on disk.
    pub fn records(&self) -> Vec<Record> {
        lock(&self.records).values().cloned().collect()
    }

    /// A move as it is on disk.
    fn record(&self, id: &MoveId) -> Option<Record> {
        lock(&self.records).get(id).cloned()
    }

    /// Changes what is known of moves.
    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<MoveId, Record>) -> T) -> T {
        let done = change(&mut lock(&self.records));
        *lock(&self.names) = None;
        self.changed.send_replace(());
        done
    }

    /// The move of a root that is under way.
    fn under_way(&self, root: &MailboxName) -> Option<Record> {
        lock(&self.records).values().find(|record| record.root == root.as_str() && record.is_busy()).cloned()
    }

    /// Puts on disk where a move stands.
    async fn write(&self, mut record: Record) -> Result<(), String> {
        if record.is_over() {
            record.ended.get_or_insert_with(now);
        }
        self.spring(false).await;
        let (journals, written) = (self.journals.clone(), record.clone());
        let written = tokio::task::spawn_blocking(move || journals.write(&written)).await;
        match written {
            Ok(Ok(())) => {
                self.spring(true).await;
                self.change(|records| drop(records.insert(record.id.clone(), record)));
                Ok(())
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Why a move waits; none: it does not.
    fn waits_for(&self, id: &MoveId, why: Option<String>) {
        let mut waiting = lock(&self.waiting);
        match why {
            Some(why) => drop(waiting.insert(id.clone(), why)),
            None => drop(waiting.remove(id)),
        }
    }

    async fn spring(&self, after: bool) {
        if self.trap.as_ref().is_some_and(|trap| trap(after)) {
            self.context.stop();
            std::future::pending::<()>().await;
        }
    }

    /// The way to other backends, as the settings are now.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
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
