//! What a daemon's parts share while it runs: settings, listeners, shutdown, news to the supervisor.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use config::Problems;
use config::imapd::Imapd;
use identity::auth::{InboxAcl, Pace};
use identity::deny::DenyList;
use identity::passwords::PasswordDb;
use protocol::namespace::Namespace;
use supervision::control::{Change, Changes};
use supervision::listeners::Entry;
use supervision::notify::{Notice, Notifier};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::copies::Host;
use crate::limits::{HURRY, REPORT};
use crate::listen::{ListenError, Listener, Shared, Socket};
use crate::notices::Notices;
use crate::process::{DirectoryLock, LockError};
use crate::sessions::Sessions;
use crate::{inherit, names};

/// A handle on the running daemon; cheap to clone.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

struct Inner {
    program: &'static str,
    directory: DirectoryLock,
    imapd: ArcSwap<Imapd>,
    listeners: ArcSwap<Vec<Arc<Listener>>>,
    /// Held by whoever changes settings or listeners, so that no new listener misses new settings.
    changing: Mutex<()>,
    control: Mutex<Option<Changes>>,
    copies: Mutex<Option<Host>>,
    shared: Mutex<Shared>,
    notifier: Notifier,
    notices: Notices,
    open: Sessions,
    reloads: watch::Sender<u64>,
    /// No clients are taken for now.
    shut: watch::Sender<bool>,
    shutdown: CancellationToken,
    hurry: CancellationToken,
    tasks: TaskTracker,
    sessions: AtomicU64,
    clients: AtomicUsize,
    clients_changed: Notify,
    started: SystemTime,
}

/// Why a daemon cannot start; the exit code follows from it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Config(#[from] Problems),
    #[error("{0}")]
    Listen(#[from] ListenError),
    #[error("{0}")]
    Directory(#[from] LockError),
    #[error("{0}")]
    Other(String),
}

impl StartError {
    /// sysexits(3): 78 for the configuration, 75 for what may be different the next time.
    pub fn exit_code(&self) -> u8 {
        match self {
            StartError::Config(_) | StartError::Listen(_) => 78,
            StartError::Directory(_) | StartError::Other(_) => 75,
        }
    }
}

impl Context {
    /// A daemon with these sockets, in this process: how [`crate::run()`] begins, and how a test does.
    pub fn new(
        program: &'static str,
        imapd: Imapd,
        sockets: Vec<(Entry, Socket)>,
    ) -> Result<Context, StartError> {
        let directory = DirectoryLock::take(&imapd.program_directory(program))?;
        Context::assemble(program, imapd, sockets, directory, Notifier::default())
    }

    pub(crate) fn assemble(
        program: &'static str,
        imapd: Imapd,
        sockets: Vec<(Entry, Socket)>,
        directory: DirectoryLock,
        notifier: Notifier,
    ) -> Result<Context, StartError> {
        let passwords = PasswordDb::new(imapd.password_db());
        passwords.set_iterations(imapd.password_iterations);
        let denied = DenyList::new(&imapd.userdeny_db_path);
        let shared = Shared { passwords, denied, pace: Pace::default(), inbox_acl: None };
        let mut listeners = Vec::with_capacity(sockets.len());
        for (entry, socket) in sockets {
            let view = imapd.for_service(&entry.name);
            listeners.push(Arc::new(Listener::new(entry, socket, view, &shared)?));
        }
        let inner = Inner {
            program,
            directory,
            notices: Notices::new(&imapd.configdirectory),
            open: Sessions::default(),
            imapd: ArcSwap::from_pointee(imapd),
            listeners: ArcSwap::from_pointee(listeners),
            changing: Mutex::new(()),
            control: Mutex::new(None),
            copies: Mutex::new(None),
            shared: Mutex::new(shared),
            notifier,
            reloads: watch::Sender::new(0),
            shut: watch::Sender::new(false),
            shutdown: CancellationToken::new(),
            hurry: CancellationToken::new(),
            tasks: TaskTracker::new(),
            sessions: AtomicU64::new(0),
            clients: AtomicUsize::new(0),
            clients_changed: Notify::new(),
            started: SystemTime::now(),
        };
        Ok(Context { inner: Arc::new(inner) })
    }

    pub fn program(&self) -> &'static str {
        self.inner.program
    }

    /// The settings in force, as the program itself sees them. A listener's own are [`Listener::imapd`].
    pub fn imapd(&self) -> Imapd {
        Imapd::clone(&self.inner.imapd.load())
    }

    /// Gives the settings of each reload to whoever takes them over, until the daemon ends.
    pub fn on_reload(&self, mut take: impl FnMut(Imapd) + Send + 'static) {
        let (mut reloads, stop, context) = (self.reloads(), self.shutdown(), self.clone());
        tokio::spawn(async move {
            while let Some(Ok(())) = stop.run_until_cancelled(reloads.changed()).await {
                take(context.imapd());
            }
        });
    }

    /// Moves on after each reload.
    pub fn reloads(&self) -> watch::Receiver<u64> {
        self.inner.reloads.subscribe()
    }

    /// How often the settings were read anew.
    pub fn reload_count(&self) -> u64 {
        *self.inner.reloads.borrow()
    }

    pub fn namespace(&self) -> Namespace {
        names::namespace(&self.inner.imapd.load())
    }

    /// `<configdirectory>/murder/<program>`, which this process alone holds.
    pub fn directory(&self) -> &Path {
        self.inner.directory.path()
    }

    /// A file in there.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    /// The listeners at the moment; a reload of our `master` may change them.
    pub fn listeners(&self) -> Arc<Vec<Arc<Listener>>> {
        self.inner.listeners.load_full()
    }

    /// Where `master` will say that listeners changed.
    pub(crate) fn set_control(&self, control: Changes) {
        *self.inner.control.lock().unwrap_or_else(PoisonError::into_inner) = Some(control);
    }

    pub(crate) fn take_control(&self) -> Option<Changes> {
        self.inner.control.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Where copies of this daemon pass their sockets.
    pub(crate) fn set_copies(&self, host: Host) {
        *self.inner.copies.lock().unwrap_or_else(PoisonError::into_inner) = Some(host);
    }

    pub(crate) fn take_copies(&self) -> Option<Host> {
        self.inner.copies.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// One listener more, to be accepted on from now on.
    pub(crate) fn add_listener(&self, entry: Entry, fd: OwnedFd) -> Result<Arc<Listener>, ListenError> {
        let _changing = self.inner.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = self.inner.shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let listener = Arc::new(self.listener(entry, fd, &shared)?);
        let mut all = Vec::clone(&self.listeners());
        all.push(listener.clone());
        self.inner.listeners.store(Arc::new(all));
        Ok(listener)
    }

    /// A listener that is no more: whoever it accepted stays.
    pub(crate) fn remove_listener(&self, gone: &Arc<Listener>) {
        let _changing = self.inner.changing.lock().unwrap_or_else(PoisonError::into_inner);
        gone.retired().cancel();
        let mut all = Vec::clone(&self.listeners());
        all.retain(|listener| !Arc::ptr_eq(listener, gone));
        self.inner.listeners.store(Arc::new(all));
    }

    fn listener(&self, entry: Entry, fd: OwnedFd, shared: &Shared) -> Result<Listener, ListenError> {
        let name = entry.name.clone();
        let view = self.imapd().for_service(&name);
        let socket = inherit::socket(fd).map_err(|why| ListenError::Socket { name, why })?;
        Listener::new(entry, socket, view, shared)
    }

    /// Takes a new list of listeners in force; gives those that are to be accepted on from now on. What cannot be set up is
    /// told and left out; clients of those that are gone stay.
    pub(crate) fn change_listeners(&self, wanted: Vec<Change>) -> Vec<Arc<Listener>> {
        let _changing = self.inner.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = self.inner.shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut before = Vec::clone(&self.listeners());
        let (mut after, mut fresh) = (Vec::new(), Vec::new());
        for (entry, fd) in wanted {
            let place = before.iter().position(|listener| listener.is(&entry));
            let known = place.map(|place| before.swap_remove(place));
            let Some(fd) = fd else {
                after.extend(known);
                continue;
            };
            let name = entry.name.clone();
            match self.listener(entry, fd, &shared) {
                Ok(mut listener) => {
                    if let Some(known) = known {
                        listener.succeed(&known);
                        known.retired().cancel();
                    }
                    let listener = Arc::new(listener);
                    info!(listener = name, address = listener.address, "listening");
                    after.push(listener.clone());
                    fresh.push(listener);
                }
                Err(error) => {
                    error!("{error}");
                    after.extend(known);
                }
            }
        }
        for gone in before {
            info!(listener = gone.name, address = gone.address, "no longer listening");
            gone.retired().cancel();
        }
        self.inner.listeners.store(Arc::new(after));
        fresh
    }

    pub fn passwords(&self) -> PasswordDb {
        self.inner.shared.lock().unwrap_or_else(PoisonError::into_inner).passwords.clone()
    }

    /// Who may not log in, and not get mail.
    pub fn denied(&self) -> DenyList {
        self.inner.shared.lock().unwrap_or_else(PoisonError::into_inner).denied.clone()
    }

    /// What the operator tells everyone.
    pub fn notices(&self) -> &Notices {
        &self.inner.notices
    }

    /// Who is on.
    pub fn sessions(&self) -> &Sessions {
        &self.inner.open
    }

    /// Tells `loginuseacl` where to look. To be called before [`Context::serve`].
    pub fn set_inbox_acl(&self, acl: Arc<dyn InboxAcl>) {
        let shared = {
            let mut shared = self.inner.shared.lock().unwrap_or_else(PoisonError::into_inner);
            shared.inbox_acl = Some(acl);
            shared.clone()
        };
        for listener in self.listeners().iter() {
            if let Err(error) = listener.reload(listener.imapd(), &shared) {
                warn!("{error}");
            }
        }
    }

    /// Cancelled when the daemon is to end: accept nothing more, finish what runs, say goodbye.
    pub fn shutdown(&self) -> CancellationToken {
        self.inner.shutdown.clone()
    }

    /// Takes no more clients of the network, or takes them again: who connects is refused, so that it goes elsewhere, and the
    /// supervisor hears of it. Who is connected stays. `why` is for humans.
    pub fn shut(&self, shut: bool, why: &str) {
        let changed = self.inner.shut.send_if_modified(|now| std::mem::replace(now, shut) != shut);
        if changed {
            if shut {
                // Also before anybody accepts there.
                self.listeners().iter().for_each(|listener| listener.shut());
            }
            let status = Some(why.to_owned());
            self.notifier().tell(&Notice { busy: Some(shut), status, ..Notice::default() });
        }
    }

    /// Whether clients are refused for now, and what becomes of that.
    pub(crate) fn is_shut(&self) -> watch::Receiver<bool> {
        self.inner.shut.subscribe()
    }

    /// Background tasks that shutdown waits for.
    pub fn tasks(&self) -> &TaskTracker {
        &self.inner.tasks
    }

    pub fn notifier(&self) -> &Notifier {
        &self.inner.notifier
    }

    pub fn uptime(&self) -> Duration {
        self.inner.started.elapsed().unwrap_or_default()
    }

    /// Clients served at the moment, on all listeners.
    pub fn clients(&self) -> usize {
        self.inner.clients.load(Ordering::Relaxed)
    }

    /// Ends the daemon, as SIGTERM does.
    pub fn stop(&self) {
        self.inner.shutdown.cancel();
    }

    /// Ends it with hardly any patience: our supervisor is gone.
    pub(crate) fn stop_at_once(&self) {
        self.inner.hurry.cancel();
        self.inner.shutdown.cancel();
    }

    /// Waits for the tasks to end, for `drain_timeout` at most. True when all did.
    pub async fn drain(&self) -> bool {
        self.inner.tasks.close();
        let patience = self.imapd().drain_timeout;
        let hurry = self.inner.hurry.clone();
        let enough = async {
            tokio::select! {
                () = tokio::time::sleep(patience) => {}
                () = async { hurry.cancelled().await; tokio::time::sleep(HURRY).await } => {}
            }
        };
        tokio::select! {
            () = self.inner.tasks.wait() => true,
            () = enough => false,
        }
    }

    /// Reads imapd.conf and all certificates again. What has a mistake stays as it was.
    pub fn reload(&self) -> Result<(), Problems> {
        self.inner.notifier.reloading();
        let _changing = self.inner.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.imapd();
        let result = Imapd::load(old.path(), old.identity());
        if let Ok(imapd) = &result {
            let shared = {
                let mut shared = self.inner.shared.lock().unwrap_or_else(PoisonError::into_inner);
                if shared.denied.path() != Path::new(&imapd.userdeny_db_path) {
                    shared.denied = DenyList::new(&imapd.userdeny_db_path);
                }
                if shared.passwords.path() != imapd.password_db() {
                    shared.passwords = PasswordDb::new(imapd.password_db());
                }
                shared.passwords.set_iterations(imapd.password_iterations);
                shared.clone()
            };
            for listener in self.listeners().iter() {
                if let Err(error) = listener.reload(imapd.for_service(&listener.name), &shared) {
                    warn!("reload: {error}; the old settings of this listener stay");
                }
            }
            self.inner.imapd.store(Arc::new(imapd.clone()));
            self.inner.reloads.send_modify(|count| *count += 1);
            self.inner.open.release_parked();
            info!("settings reloaded from {}", old.path().display());
        }
        self.inner.notifier.ready();
        result.map(|_| ())
    }

    /// A name for a session that is unique on this host: `backend-4711-66f3a1b2-12`.
    pub(crate) fn session_id(&self) -> String {
        let started = self.inner.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let number = self.inner.sessions.fetch_add(1, Ordering::Relaxed) + 1;
        format!("{}-{}-{started:x}-{number}", self.program(), std::process::id())
    }

    /// Counts a client until the result is dropped.
    pub(crate) fn count_client(&self) -> Counted {
        self.inner.clients.fetch_add(1, Ordering::Relaxed);
        self.inner.clients_changed.notify_one();
        self.inner.notifier.connection();
        Counted { context: self.clone() }
    }

    /// Tells the supervisor the number of clients, at most once a second.
    pub(crate) async fn report_clients(self) {
        loop {
            self.inner.clients_changed.notified().await;
            let clients = u64::try_from(self.clients()).unwrap_or(u64::MAX);
            self.inner.notifier.tell(&Notice { clients: Some(clients), ..Notice::default() });
            tokio::time::sleep(REPORT).await;
        }
    }
}

/// One client that is being served.
pub(crate) struct Counted {
    context: Context,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.context.inner.clients.fetch_sub(1, Ordering::Relaxed);
        self.context.inner.clients_changed.notify_one();
    }
}
