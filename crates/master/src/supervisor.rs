//! The main loop: it sleeps until something happened (a signal, a child's end, a client at a socket that nobody serves, a
//! status or readiness message, a timer), notes it, and then lets every part start what is missing.
//!
//! That last step, [`Supervisor::settle`], looks at levels and not at edges: what is to run is compared with what runs, so no
//! lost or doubled event can leave a service down. The parts decide; the loop holds no rule of its own.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use config::imapd::Imapd;
use logs::Verbosity;
use rustix::process::{Signal, WaitStatus};
use supervision::notify::{Notice, Notifier, NotifySocket};
use time::OffsetDateTime;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info};

use crate::board::{Board, Disk, Process};
use crate::child::{Child, Children, Owner, PoolKey, Wake, earlier};
use crate::daemon::Keeper;
use crate::events::Schedule;
use crate::group::Group;
use crate::http::Page;
use crate::limits::{IDLE, READY_BOUND};
use crate::listen::Opening;
use crate::pidfile::PidFile;
use crate::plan::{GroupKey, ServiceKey, Sources};
use crate::pool::Pool;
use crate::ready::ReadyFile;
use crate::services::Services;

/// A running node.
#[derive(Debug)]
pub struct Supervisor {
    pub(crate) sources: Sources,
    pub(crate) opening: Opening,
    pub(crate) children: Children,
    pub(crate) services: Services,
    pub(crate) groups: BTreeMap<GroupKey, Group>,
    pub(crate) pools: BTreeMap<PoolKey, Pool>,
    /// Pools that a reload took away, until their last worker is done.
    pub(crate) retired: Vec<Pool>,
    pub(crate) daemons: Vec<Keeper>,
    pub(crate) events: Schedule,
    pub(crate) above: Notifier,
    pub(crate) pid_file: PidFile,
    pub(crate) ready_file: ReadyFile,
    pub(crate) began: Instant,
    pub(crate) imapd: Imapd,
    pub(crate) log: Verbosity,
    /// The status page, where `status_listen` asks for one.
    pub(crate) page: Option<Page>,
    pub(crate) stopping: bool,
}

/// The streams that wake the loop up.
#[derive(Debug)]
pub struct Inputs {
    pub wakes: mpsc::Receiver<Wake>,
    pub notify: NotifySocket,
    hangup: SignalStream,
    terminate: SignalStream,
    interrupt: SignalStream,
    quit: SignalStream,
    child: SignalStream,
    debug: SignalStream,
}

impl Inputs {
    /// Installs the signal handlers. To be called inside a tokio runtime, before the first child is started.
    pub fn new(wakes: mpsc::Receiver<Wake>, notify: NotifySocket) -> io::Result<Self> {
        Ok(Self {
            wakes,
            notify,
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            child: signal(SignalKind::child())?,
            debug: signal(SignalKind::user_defined1())?,
        })
    }

    /// The next thing that happened, or none when `deadline` passed. Cancel-safe.
    pub(crate) async fn next(&mut self, deadline: Option<Instant>) -> Option<Happening> {
        let until = deadline.unwrap_or_else(|| Instant::now() + IDLE);
        // Signals first; and of what children send, whatever the order, so that one that never stops sending drowns nobody.
        let sent = async {
            tokio::select! {
                Ok((pid, notice)) = self.notify.recv() => Happening::Notice(pid, notice),
                Some(wake) = self.wakes.recv() => Happening::Wake(wake),
            }
        };
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Some(Happening::Stop(Signal::TERM)),
            _ = self.interrupt.recv() => Some(Happening::Stop(Signal::INT)),
            _ = self.quit.recv() => Some(Happening::Stop(Signal::QUIT)),
            _ = self.child.recv() => Some(Happening::ChildEnded),
            _ = self.hangup.recv() => Some(Happening::Reload),
            Some(_) = self.debug.recv() => Some(Happening::Debug),
            happening = sent => Some(happening),
            () = tokio::time::sleep_until(until.into()) => None,
        }
    }
}

/// Something that the loop has to look at.
#[derive(Debug)]
pub(crate) enum Happening {
    Stop(Signal),
    Reload,
    /// SIGUSR1: debug messages on, or off again.
    Debug,
    ChildEnded,
    Notice(rustix::process::Pid, Notice),
    Wake(Wake),
}

impl Supervisor {
    /// Runs until a signal ends it; then everything is stopped.
    pub async fn run(mut self, mut inputs: Inputs) {
        loop {
            let deadline = self.settle();
            match inputs.next(deadline).await {
                Some(Happening::Stop(signal)) => {
                    info!("attempting clean shutdown on signal {}", signal.as_raw());
                    self.linger(&mut inputs).await;
                    return self.stop(inputs).await;
                }
                Some(Happening::Reload) => self.reload(),
                Some(other) => self.note(other),
                None => self.look_after_files(),
            }
        }
    }

    /// Notes what happened, short of stopping and reloading.
    pub(crate) fn note(&mut self, happening: Happening) {
        let now = Instant::now();
        match happening {
            Happening::ChildEnded => {
                for (pid, child, status) in self.children.reap() {
                    self.child_ended(pid, &child, status, now);
                }
            }
            Happening::Notice(pid, notice) => {
                let owner = self.children.get(pid).map(|child| child.owner.clone());
                if let Some(Owner::Group(key)) = owner
                    && let Some(group) = self.groups.get_mut(&key)
                {
                    group.notice(pid, notice, &mut self.children, now);
                }
            }
            Happening::Wake(Wake::ClientOfGroup(key)) => {
                if let Some(group) = self.groups.get_mut(&key) {
                    group.call();
                }
            }
            Happening::Wake(Wake::ClientOfPool(key)) => {
                if let Some(pool) = self.pools.get_mut(&key) {
                    pool.call();
                }
            }
            Happening::Wake(Wake::Status(key, status)) => {
                if let Some(pool) = self.pools.get_mut(&key) {
                    pool.report(status);
                }
            }
            Happening::Wake(Wake::Ask(sender)) => {
                // Whoever asked may be gone.
                let _ = sender.send(self.board(now));
            }
            Happening::Debug => {
                let on = self.log.toggle_debug();
                info!("debug messages are {}", if on { "on" } else { "off" });
            }
            Happening::Stop(_) | Happening::Reload => {}
        }
    }

    /// `shutdown_delay`: only the readiness endpoint knows yet that the node stops. A second signal cuts it short.
    async fn linger(&mut self, inputs: &mut Inputs) {
        self.stopping = true;
        let until = Instant::now() + self.imapd.shutdown_delay;
        while Instant::now() < until {
            let deadline = earlier(self.settle(), Some(until));
            match inputs.next(deadline).await {
                Some(Happening::Stop(_)) => return,
                Some(other) => self.note(other),
                None => {}
            }
        }
    }

    /// Starts what is to run and does not. Gives the moment at which to look again.
    fn settle(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let mut next = self.children.press(now);
        for daemon in &mut self.daemons {
            next = earlier(next, daemon.settle(&mut self.children, now));
        }
        for group in self.groups.values_mut() {
            next = earlier(next, group.settle(&self.services, &mut self.children, now));
        }
        for pool in self.pools.values_mut() {
            next = earlier(next, pool.settle(&self.services, &mut self.children, now));
        }
        next = earlier(next, self.events.settle(&mut self.children, now, OffsetDateTime::now_utc()));
        self.tell_when_ready();
        next
    }

    /// The node is ready when every process that is to run from boot is, or has failed for good.
    fn tell_when_ready(&mut self) {
        let late = self.began.elapsed() > READY_BOUND;
        if self.ready_file.is_written()
            || !late && self.groups.values().any(|group| group.is_coming_up(&self.services))
        {
            return;
        }
        if let Err(cause) = self.ready_file.write() {
            error!("cannot write the ready file: {cause}");
        }
        let took = self.began.elapsed().as_millis();
        info!("ready for work after {took} ms");
        self.above.tell(&Notice {
            ready: true,
            status: Some(format!("ready after {took} ms")),
            main_pid: Some(std::process::id()),
            ..Notice::default()
        });
    }

    fn board(&self, now: Instant) -> Board {
        let mut processes: Vec<Process> = self.groups.values().map(|group| group.describe(now)).collect();
        processes.extend(self.pools.values().map(|pool| pool.describe(&self.services, now)));
        processes.extend(self.daemons.iter().map(|daemon| daemon.describe(now)));
        processes.extend(self.events.describe());
        Board {
            version: env!("CARGO_PKG_VERSION"),
            server: self.imapd.servername.clone(),
            uptime_seconds: now.duration_since(self.began).as_secs(),
            ready: self.ready_file.is_written(),
            stopping: self.stopping,
            draining: std::path::Path::new(&self.imapd.configdirectory).join("msg/drain").exists(),
            processes,
            listeners: self.services.describe(),
            disks: Disk::of(&self.imapd),
            metrics: self.groups.keys().filter_map(|key| self.metrics_socket(key)).collect(),
        }
    }

    /// None for a process with an imapd.conf of its own: it belongs to another directory.
    fn metrics_socket(&self, key: &GroupKey) -> Option<PathBuf> {
        let program = key.program.file_name()?.to_str()?;
        let own = key.conf == self.sources.imapd_conf;
        own.then(|| self.imapd.program_directory(program).join("metrics.sock"))
    }

    /// Opens, moves or closes the status page.
    pub(crate) fn apply_page(&mut self) {
        let wanted = self.imapd.status_listen.clone();
        if self.page.as_ref().map(Page::address) == wanted.as_deref() {
            return;
        }
        self.page = None;
        if let Some(address) = wanted {
            self.page = Page::open(&address, self.opening, &self.children.surroundings().wake);
        }
    }

    fn child_ended(&mut self, pid: rustix::process::Pid, child: &Child, status: WaitStatus, now: Instant) {
        match &child.owner {
            Owner::Group(key) => {
                let Some(group) = self.groups.get_mut(key) else { return };
                if group.ended(pid, status, &self.services, now) {
                    let members: Vec<ServiceKey> = group.members().to_vec();
                    members.iter().for_each(|member| self.services.close(member));
                }
            }
            Owner::Pool(key) => {
                self.retired.retain_mut(|pool| !pool.lost(pid));
                let Some(pool) = self.pools.get_mut(key) else { return };
                if pool.ended(pid, status, &self.services, now, child.told_to_end) {
                    self.services.close_one(&key.service, key.socket);
                }
            }
            Owner::Daemon(name) => {
                if let Some(daemon) = self.daemons.iter_mut().find(|daemon| daemon.name() == name) {
                    daemon.ended(pid, status, now);
                }
            }
            Owner::Event(_) => self.events.ended(pid, status),
        }
    }

    /// Nothing happened for a while, or somebody looks after the node: a moment for files that people delete.
    pub(crate) fn look_after_files(&mut self) {
        if self.pid_file.restore() {
            info!("the pid file was gone: written again");
        }
    }
}
