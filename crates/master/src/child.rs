//! The children of master: who they are, how they are started, and what is said when they end.

use std::collections::HashMap;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::limits::{GRACE, LINGERING};
use crate::os::{self, Launch, User};
use crate::plan::{GroupKey, ServiceKey, config_file};
use crate::program::{Command, Program};
use crate::table::ProcessTable;

/// Which part of master a child belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    Group(GroupKey),
    Pool(PoolKey),
    Daemon(String),
    Event(String),
}

/// The workers of a foreign service on one of its sockets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolKey {
    pub service: ServiceKey,
    /// Number of the socket: CYRUS_ID.
    pub socket: usize,
}

/// Something that wakes the main loop up.
#[derive(Debug)]
pub enum Wake {
    /// A client waits at a group's sockets, of which no process is in charge.
    ClientOfGroup(GroupKey),
    /// A client waits at a pool's socket.
    ClientOfPool(PoolKey),
    /// A worker of a pool reported.
    Status(PoolKey, supervision::status::Status),
    /// Somebody looks at the node.
    Ask(tokio::sync::oneshot::Sender<crate::board::Board>),
}

/// A running child.
#[derive(Debug)]
pub struct Child {
    pub owner: Owner,
    /// SERVICE, DAEMON or EVENT, as log lines call it.
    pub kind: &'static str,
    pub name: String,
    pub path: PathBuf,
    pub started: Instant,
    /// Master told it to end, so its end is no failure.
    pub told_to_end: bool,
    /// When its patience with it ends.
    patience: Patience,
}

/// What is due when a child that was told something has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// Nothing: it is to run, or was complained of already.
    Unbounded,
    /// It was told to end, and is killed then.
    Kill(Instant),
    /// A foreign worker that finishes its client after a reload is only spoken of.
    Tell(Instant),
}

/// What is to be started, beyond the command itself.
#[derive(Debug, Default)]
pub struct Extras<'a> {
    pub env: Vec<(String, String)>,
    pub fds: Vec<BorrowedFd<'a>>,
    pub listen_pid: bool,
    pub max_fds: Option<u64>,
}

/// All children, and what each start of one needs.
#[derive(Debug)]
pub struct Children {
    running: HashMap<Pid, Child>,
    table: ProcessTable,
    surroundings: Surroundings,
    /// How long a child may take to end after SIGTERM.
    bound: Duration,
    /// Children read the other end: its closing is the death of master.
    _lifeline_writer: PipeWriter,
    lifeline: PipeReader,
}

/// What all children have in common.
#[derive(Debug)]
pub struct Surroundings {
    /// The value of NOTIFY_SOCKET.
    pub notify: String,
    /// Passed on with `-C` to programs of ours that have none of their own; set when master itself got `-C`.
    pub conf: Option<PathBuf>,
    /// CYRUS_VERBOSE.
    pub verbose: u8,
    /// Where watches report.
    pub wake: mpsc::Sender<Wake>,
    /// `proc_path`.
    pub processes: PathBuf,
}

impl Children {
    pub fn new(surroundings: Surroundings) -> io::Result<Self> {
        let (lifeline, writer) = io::pipe()?;
        let table = ProcessTable::new(&surroundings.processes);
        let bound = GRACE;
        Ok(Self { running: HashMap::new(), table, surroundings, bound, _lifeline_writer: writer, lifeline })
    }

    /// Takes `drain_timeout` over: children get that and a little more.
    pub fn set_drain(&mut self, drain: Duration) {
        self.bound = drain + GRACE;
    }

    /// What `drain_timeout` comes to.
    pub fn bound(&self) -> Duration {
        self.bound
    }

    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// Starts a child and remembers it.
    pub fn start(
        &mut self,
        owner: Owner,
        name: &str,
        command: &Command,
        extras: Extras<'_>,
        now: Instant,
    ) -> io::Result<Pid> {
        let kind = owner.kind();
        let is_ours = matches!(command.program, Program::Ours(_));
        // A tool that runs from EVENTS ends by itself, and has no use for a descriptor that it did not ask for.
        let watches_lifeline = is_ours && !matches!(owner, Owner::Event(_));
        let path = command.path().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let pid = if watches_lifeline {
            let mut extras = extras;
            extras.env.push(("MURDER_LIFELINE".to_owned(), (3 + extras.fds.len()).to_string()));
            extras.env.push(("NOTIFY_SOCKET".to_owned(), self.surroundings.notify.clone()));
            extras.fds.push(self.lifeline.as_fd());
            launch(path, &self.surroundings, command, &extras, None, false)?
        } else {
            launch(path, &self.surroundings, command, &extras, None, true)?
        };
        self.table.add(pid, name, path);
        let child = Child {
            owner,
            kind,
            name: name.to_owned(),
            path: path.to_owned(),
            started: now,
            told_to_end: false,
            patience: Patience::Unbounded,
        };
        self.running.insert(pid, child);
        Ok(pid)
    }

    /// All children that have ended since the last call.
    pub fn reap(&mut self) -> Vec<(Pid, Child, WaitStatus)> {
        let mut ended = Vec::new();
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            // Others are grandchildren of START lines, or helpers reaped late: nobody's business.
            if let Some(child) = self.running.remove(&pid) {
                self.table.remove(pid);
                log_end(&child, pid, status);
                ended.push((pid, child, status));
            }
        }
        ended
    }

    /// Sends a signal to the process that master started. A program of ours then cares for its own.
    pub fn signal(&mut self, pid: Pid, signal: Signal) {
        if let Some(child) = self.running.get_mut(&pid) {
            match signal {
                Signal::TERM if !matches!(child.patience, Patience::Kill(_)) => {
                    child.told_to_end = true;
                    child.patience = Patience::Kill(Instant::now() + self.bound);
                }
                Signal::HUP if child.is_foreign_worker() && child.patience == Patience::Unbounded => {
                    child.told_to_end = true;
                    child.patience = Patience::Tell(Instant::now() + LINGERING);
                }
                _ => {}
            }
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Kills those that did not end in time, and says so. Gives the moment at which to look again.
    pub fn press(&mut self, now: Instant) -> Option<Instant> {
        let (mut next, mut overdue) = (None, Vec::new());
        for (pid, child) in &mut self.running {
            match child.patience {
                Patience::Unbounded => {}
                Patience::Kill(until) if until <= now => overdue.push(*pid),
                Patience::Tell(until) if until <= now => {
                    child.patience = Patience::Unbounded;
                    let seconds = LINGERING.as_secs();
                    warn!("{} still serves its client {seconds} s after SIGHUP", child.with_pid(*pid));
                }
                Patience::Kill(until) | Patience::Tell(until) => next = earlier(next, Some(until)),
            }
        }
        overdue.into_iter().for_each(|pid| self.kill_overdue(pid));
        next
    }

    /// Ends a child that did not end when it was told to.
    pub fn kill_overdue(&mut self, pid: Pid) {
        if let Some(child) = self.running.get_mut(&pid) {
            child.patience = Patience::Unbounded;
            let bound = self.bound.as_secs();
            warn!("{} did not end within {bound} s of SIGTERM: killed", child.with_pid(pid));
        }
        self.kill(pid);
    }

    /// Ends a child that would not end, with everything that it started.
    pub fn kill(&mut self, pid: Pid) {
        if let Some(child) = self.running.get_mut(&pid) {
            child.told_to_end = true;
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }

    /// Those that a rule picks.
    pub fn pids(&self, rule: impl Fn(&Child) -> bool) -> Vec<Pid> {
        self.running.iter().filter(|(_, child)| rule(child)).map(|(pid, _)| *pid).collect()
    }

    pub fn get(&self, pid: Pid) -> Option<&Child> {
        self.running.get(&pid)
    }

    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }
}

impl Owner {
    fn kind(&self) -> &'static str {
        match self {
            Self::Group(_) | Self::Pool(_) => "SERVICE",
            Self::Daemon(_) => "DAEMON",
            Self::Event(_) => "EVENT",
        }
    }
}

impl Child {
    /// For messages.
    fn with_pid(&self, pid: Pid) -> String {
        format!("{} {} (pid {})", self.kind, self.name, pid.as_raw_nonzero())
    }

    fn is_foreign_worker(&self) -> bool {
        matches!(self.owner, Owner::Pool(_))
    }
}

/// Runs a command to its end, as START does. `user` is who to become.
pub fn run_to_completion(
    surroundings: &Surroundings,
    command: &Command,
    user: Option<&User>,
) -> io::Result<WaitStatus> {
    let path = command.path().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let pid = launch(path, surroundings, command, &Extras::default(), user, true)?;
    loop {
        match rustix::process::waitpid(Some(pid), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(status),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn launch(
    path: &Path,
    surroundings: &Surroundings,
    command: &Command,
    extras: &Extras<'_>,
    user: Option<&User>,
    die_with_master: bool,
) -> io::Result<Pid> {
    let is_ours = matches!(command.program, Program::Ours(_));
    let first = if is_ours { path.display().to_string() } else { command.written.clone() };
    let mut argv: Vec<String> = [first].into_iter().chain(command.args.iter().cloned()).collect();
    if is_ours
        && config_file(&command.args).is_none()
        && let Some(conf) = &surroundings.conf
    {
        argv.extend(["-C".to_owned(), conf.display().to_string()]);
    }
    let mut env = extras.env.clone();
    if surroundings.verbose > 0 {
        env.push(("CYRUS_VERBOSE".to_owned(), surroundings.verbose.to_string()));
    }
    os::spawn(&Launch {
        path,
        argv: &argv,
        env: &env,
        fds: &extras.fds,
        listen_pid: extras.listen_pid,
        user,
        max_fds: extras.max_fds,
        nice: command.nice,
        die_with_master,
    })
}

/// How a process ended, in the words of Cyrus's log lines.
pub fn end_in_words(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exited, status {code}"),
        (None, Some(signal)) => format!("signaled to death by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// Anything but 0, and 75 (EX_TEMPFAIL), which a service says when it ends cleanly on request.
pub fn is_failure(status: WaitStatus) -> bool {
    !matches!(status.exit_status(), Some(0 | EX_TEMPFAIL))
}

fn log_end(child: &Child, pid: Pid, status: WaitStatus) {
    let line = format!(
        "process type:{} name:{} path:{} age:{:.3}s pid:{} {}",
        child.kind,
        child.name,
        child.path.display(),
        child.started.elapsed().as_secs_f64(),
        pid.as_raw_nonzero(),
        end_in_words(status)
    );
    if is_failure(status) && !child.told_to_end { warn!("{line}") } else { info!("{line}") }
}

/// Wakes the main loop once, when any of the sockets has a client waiting. Dropped: no longer.
#[derive(Debug)]
pub struct Watch {
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Watch {
    /// `wake` is sent once for each socket at most. To be called inside a tokio runtime.
    pub fn over<'a>(
        sockets: impl Iterator<Item = &'a crate::listen::Socket>,
        sender: &mpsc::Sender<Wake>,
        wake: impl Fn() -> Wake,
    ) -> io::Result<Self> {
        let mut tasks = Vec::new();
        for socket in sockets {
            let Some(fd) = socket.fd() else { continue };
            let fd = os::watched(fd.try_clone_to_owned()?)?;
            let (sender, wake) = (sender.clone(), wake());
            tasks.push(tokio::spawn(async move {
                if fd.readable().await.is_ok() {
                    let _ = sender.send(wake).await;
                }
            }));
        }
        Ok(Self { tasks })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// The earlier of two moments, where there are any.
pub fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

const EX_TEMPFAIL: i32 = 75;
