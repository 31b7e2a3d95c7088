//! A replica: a [`List`] that follows an upstream's update stream. Slaves and proxies hold one.
//!
//! It is served from whatever is held, however old; what it cannot do alone is say no. [`Replica::find`] asks the
//! upstream whether everything has arrived (a *barrier*: NOOP on the stream, its answer comes after all changes made
//! before) and looks again. All who wait share one barrier; a name found missing a moment ago is not asked for again.

mod failure;
mod follow;
pub mod limits;
mod stream;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use config::imapd::Imapd;
use mailboxes::{Entry, List, ListId, OpenError, Options, Position, guard::Plan, signal::Signal};
use protocol::name::MailboxName;
use service::Context;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::client::masters::Met;
use crate::client::{Address, Measure, masters};
use crate::lookup::{Answer, Found, Lookup, Stale};
use crate::replica::limits::{BARRIER, BARRIERS, MISSING_HOLDS, MISSING_KEPT, RETRY, SETTLE, rows};

/// A list and the task that keeps it like its upstream's. Cheap to clone.
#[derive(Clone)]
pub struct Replica {
    shared: Arc<Shared>,
}

/// How to follow.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Longest wait between two attempts, and the interval of keepalives: `mupdate_retry_delay`.
    pub retry_delay: Duration,
    /// A number that differs from slave to slave and from time to time, so that they do not all come back at once.
    pub chance: fn() -> u16,
    /// How much of a list is taken over.
    pub measure: Measure,
}

impl Settings {
    pub fn new(imapd: &Imapd) -> Self {
        let retry_delay = imapd.mupdate_retry_delay.max(RETRY);
        Settings { retry_delay, chance: retry::chance, measure: Measure::new(imapd) }
    }
}

/// How far a replica can be trusted.
#[derive(Debug, Clone)]
pub struct Freshness {
    /// Holds everything up to its position; false before the first synchronisation ever.
    pub complete: bool,
    /// The stream is attached: changes arrive as they happen.
    pub live: bool,
    pub position: Position,
    /// Since when it is as `live` says.
    pub since: SystemTime,
    /// Since the upstream was last heard; none if never.
    pub heard: Option<Duration>,
    /// Who is followed: where the slave of this host can be, the one of both that was reached last.
    pub upstream: String,
    /// Where there is a choice of masters, each by its name and as it was met last.
    pub masters: Vec<(String, Met)>,
    /// Why it is not live.
    pub trouble: Option<String>,
    /// The upstream is a slave that does not follow its own master: why.
    pub behind: Option<String>,
    /// Deletions held back until somebody accepts them.
    pub held: Option<Plan>,
}

pub(crate) struct Shared {
    list: List,
    address: ArcSwap<Address>,
    settings: ArcSwap<Settings>,
    state: Mutex<State>,
    live: Signal<bool>,
    started: Instant,
    barriers: mpsc::Sender<oneshot::Sender<()>>,
    /// Names whose absence was confirmed, and when.
    missing: Mutex<HashMap<MailboxName, Instant>>,
    /// Ends the pause before the next attempt.
    again: Notify,
}

struct State {
    since: SystemTime,
    heard: Option<Instant>,
    trouble: Option<String>,
    held: Option<Plan>,
    /// Who was reached last.
    upstream: Option<String>,
    /// Why the upstream, which is a copy itself, is behind its own.
    behind: Option<String>,
    /// The next synchronisation may remove so many entries.
    accept: usize,
    /// A list that is not the one before, and lacks something of it; and since when it was seen.
    replaced: Option<(ListId, Instant)>,
}

impl Replica {
    /// Follows `address` into `list` until `stop`.
    pub fn start(list: List, address: Address, settings: Settings, stop: CancellationToken) -> Replica {
        let (barriers, waiting) = mpsc::channel(BARRIERS);
        let state = State {
            since: SystemTime::now(),
            heard: None,
            trouble: None,
            held: None,
            upstream: None,
            behind: None,
            accept: 0,
            replaced: None,
        };
        let shared = Arc::new(Shared {
            list,
            address: ArcSwap::from_pointee(address),
            settings: ArcSwap::from_pointee(settings),
            state: Mutex::new(state),
            live: Signal::new(false),
            started: Instant::now(),
            barriers,
            missing: Mutex::default(),
            again: Notify::new(),
        });
        tokio::spawn(follow::run(shared.clone(), waiting, stop));
        Replica { shared }
    }

    /// Takes over the settings of each reload.
    pub fn follow_reloads(&self, context: &Context) {
        let shared = self.shared.clone();
        context.on_reload(move |imapd| {
            shared.settings.store(Arc::new(Settings::new(&imapd)));
            let address = match &**shared.address.load() {
                Address::Server(_) => Address::Server(imapd),
                Address::Socket(path) => Address::Socket(path.clone()),
                Address::Through(connect) => Address::Through(connect.clone()),
                Address::Nearest { socket, .. } => Address::Nearest { socket: socket.clone(), imapd },
            };
            shared.address.store(Arc::new(address));
            // What was refused until now may be allowed.
            shared.again.notify_one();
        });
    }

    pub fn list(&self) -> &List {
        &self.shared.list
    }

    /// The entry of a name, with proof where there is none. A reservation may have been used just now: that is looked at
    /// again too.
    pub async fn find(&self, name: &MailboxName) -> Found {
        let reserved = match self.look(name) {
            Ok(Some(entry)) if entry.is_active() => return Found::Active(entry),
            Ok(None) if self.was_missing(name) => return Found::Missing,
            Ok(found) => found.is_some(),
            Err(stale) => return Found::Unknown(stale),
        };
        if let Err(stale) = self.barrier().await {
            return if reserved { Found::Reserved } else { Found::Unknown(stale) };
        }
        match self.look(name) {
            Ok(Some(entry)) => Found::of(entry),
            Ok(None) => {
                self.note_missing(name);
                Found::Missing
            }
            Err(stale) => Found::Unknown(stale),
        }
    }

    /// Returns when every change that the master acknowledged before this call is in the list; fails after 2 seconds,
    /// and at once while the stream is down. A stream that this process has only just begun to dial is waited for.
    pub async fn barrier(&self) -> Result<(), Stale> {
        let (reply, answer) = oneshot::channel();
        if !self.shared.live.get() {
            let first = BARRIER.saturating_sub(self.shared.started.elapsed());
            if first.is_zero() || timeout(first, self.live()).await.is_err() {
                return Err(self.stale());
            }
        }
        self.shared.barriers.try_send(reply).map_err(|_| {
            rows::BARRIERS.met("too many look-ups wait for the master: one more is not answered");
            Stale("too many are waiting".into())
        })?;
        match timeout(BARRIER, answer).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.stale()),
            Err(_) => {
                rows::BARRIER.met(format_args!("the master did not answer a look-up within {BARRIER:?}"));
                Err(Stale("the master did not answer in time".into()))
            }
        }
    }

    /// Whether a no from this list, after a barrier, would be a proof.
    pub fn is_complete(&self) -> bool {
        self.shared.list.is_complete()
    }

    /// Returns when the list is complete: at once on a node that was synchronised before.
    pub async fn complete(&self) {
        let mut live = self.shared.live.watch();
        while !self.is_complete() {
            if live.changed().await.is_err() {
                return;
            }
        }
    }

    /// Waits for the list before a proxy answers its first client, [`SETTLE`] at most: until then clients wait in the
    /// sockets' queues, instead of hearing that nothing can be said yet.
    pub async fn settle(&self, stop: &CancellationToken) {
        let _ = stop.run_until_cancelled(timeout(SETTLE, self.complete())).await;
    }

    /// Returns when the stream is attached.
    pub async fn live(&self) {
        let mut live = self.shared.live.watch();
        let _ = live.wait_for(|live| *live).await;
    }

    /// Puts the list on disk when the daemon has served its last client, so that the next start knows what this one did.
    pub async fn close(&self) {
        if let Err(error) = self.shared.list.close().await {
            tracing::warn!(%error, "the mailbox list is closed");
        }
    }

    pub fn freshness(&self) -> Freshness {
        let address = self.shared.address.load();
        let masters = address.choice().map(masters::all).filter(|all| all.len() > 1).unwrap_or_default();
        let state = self.shared.state();
        Freshness {
            complete: self.shared.list.is_complete(),
            live: self.shared.live.get(),
            position: self.shared.list.position(),
            since: state.since,
            heard: state.heard.map(|at| at.elapsed()),
            upstream: state.upstream.clone().unwrap_or_else(|| address.name()),
            masters,
            trouble: state.trouble.clone(),
            behind: state.behind.clone(),
            held: state.held.clone(),
        }
    }

    /// Lets the held deletions happen. False if none are held.
    pub fn accept(&self) -> bool {
        let mut state = self.shared.state();
        let Some(plan) = state.held.take() else { return false };
        state.accept = plan.removals.len();
        drop(state);
        self.shared.again.notify_one();
        true
    }

    fn look(&self, name: &MailboxName) -> Result<Option<Entry>, Stale> {
        match self.shared.list.get(name) {
            Ok(None) if !self.shared.list.is_complete() => Err(self.stale()),
            Ok(found) => Ok(found),
            Err(error) => Err(Stale(error.to_string())),
        }
    }

    fn stale(&self) -> Stale {
        let state = self.shared.state();
        Stale(state.trouble.clone().unwrap_or_else(|| "not synchronised yet".into()))
    }

    fn was_missing(&self, name: &MailboxName) -> bool {
        let missing = self.shared.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.get(name).is_some_and(|at| at.elapsed() < MISSING_HOLDS)
    }

    fn note_missing(&self, name: &MailboxName) {
        let mut missing = self.shared.missing.lock().unwrap_or_else(PoisonError::into_inner);
        if missing.len() >= MISSING_KEPT {
            missing.clear();
        }
        missing.insert(name.clone(), Instant::now());
    }
}

impl Lookup for Replica {
    fn find<'a>(&'a self, name: &'a MailboxName) -> Answer<'a, Found> {
        Box::pin(Replica::find(self, name))
    }

    fn barrier(&self) -> Answer<'_, Result<(), Stale>> {
        Box::pin(Replica::barrier(self))
    }

    fn list(&self) -> &List {
        Replica::list(self)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the replica's list of a daemon. A damaged one is set aside: the stream brings everything again. Should the
/// damage show only when the list is read, the daemon ends: its supervisor starts it again, and it begins anew.
pub fn open(context: &Context, options: Options) -> Result<List, OpenError> {
    let list = match List::open_when_free(context.directory(), options) {
        Err(error) if error.is_corrupt() => {
            set_aside(context, &error);
            List::open_when_free(context.directory(), options)?
        }
        other => other?,
    };
    let (watched, context) = (list.clone(), context.clone());
    tokio::spawn(async move {
        let stop = context.shutdown();
        let failure = stop.run_until_cancelled(watched.failed()).await;
        if let Some(failure) = failure.filter(|failure| failure.damaged) {
            let place = context.clone();
            let _ = tokio::task::spawn_blocking(move || set_aside(&place, &failure.why)).await;
            context.stop();
        }
    });
    Ok(list)
}

/// Only the latest damaged list is kept.
fn set_aside(context: &Context, why: &dyn std::fmt::Display) {
    let (path, aside) = (context.file("list.sled"), context.file("list.sled.damaged"));
    tracing::error!("{why}: the list is set aside as {} and fetched anew", aside.display());
    let _ = std::fs::remove_dir_all(&aside);
    if let Err(error) = std::fs::rename(&path, &aside) {
        tracing::error!(%error, "{}: cannot be set aside", path.display());
    }
}

#[cfg(test)]
mod tests;
