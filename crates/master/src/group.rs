//! A process of ours and the services that it serves.
//!
//! All SERVICES lines that resolve to one program with one imapd.conf are one process, which accepts on all their sockets by
//! itself. It gets them by the systemd convention: `LISTEN_FDS`, `LISTEN_PID`, `LISTEN_FDNAMES`, and beside them
//! `MURDER_LISTENERS` with what systemd has no words for.
//!
//! ```text
//! Idle ── prefork, or a client at a socket ──> Running ── READY=1 ──> Running (ready)
//!   ^                                             │ died
//!   └── delay over ── Resting <── failure ────────┤
//!                                                 └── 5th in a row, never ready ──> GivenUp (sockets closed) ── SIGHUP ──> Idle
//! ```

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use rustix::process::{Pid, Signal, WaitStatus};
use supervision::control::{self, Control, Listened};
use supervision::listeners::{self, Entry, Listeners};
use supervision::notify::Notice;
use tracing::{error, info, warn};

use crate::backoff::{Failures, Verdict};
use crate::board::{self, Process};
use crate::child::{self, Children, Extras, Owner, Wake, Watch};
use crate::limits::{PENALTY, READY_BOUND, YOUNG};
use crate::listen::Socket;
use crate::plan::{GroupKey, ServiceKey};
use crate::services::{Listening, Services};

/// One process and its services.
#[derive(Debug)]
pub struct Group {
    key: GroupKey,
    /// In the order of the file: the first line's arguments are the process's.
    members: Vec<ServiceKey>,
    state: State,
    failures: Failures,
    watch: Option<Watch>,
    /// A client waits, or the process is to be replaced at once.
    called: bool,
    starts: u64,
    deaths: u64,
}

#[derive(Debug)]
enum State {
    Idle,
    Running(Running),
    Resting { until: Instant },
    GivenUp,
}

#[derive(Debug)]
struct Running {
    pid: Pid,
    since: Instant,
    ready: bool,
    /// What it was started with; another shape after a reload means another process.
    shape: Shape,
    /// Told to end, to be started anew with other sockets.
    replaced: bool,
    /// To be told to reread its configuration once it is ready: before, a SIGHUP could kill it.
    hangup_due: bool,
    complained: bool,
    clients: Option<u64>,
    /// It takes no clients for now.
    busy: bool,
    status: String,
    control: Control,
    /// It said that it listens to `control`.
    takes_changes: bool,
}

/// What a process was started with, or told since.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shape {
    /// The arguments that are the process's own and no listener's: others need another process.
    args: Vec<String>,
    listeners: Vec<Listened>,
}

impl Shape {
    fn entries(&self) -> Listeners {
        Listeners(self.listeners.iter().map(|listened| listened.entry.clone()).collect())
    }
}

impl Group {
    pub fn new(key: GroupKey, members: Vec<ServiceKey>) -> Self {
        Self {
            key,
            members,
            state: State::Idle,
            failures: Failures::default(),
            watch: None,
            called: false,
            starts: 0,
            deaths: 0,
        }
    }

    /// The entry names, for people.
    pub fn name(&self) -> String {
        let names: Vec<&str> = self.members.iter().map(|member| member.name.as_str()).collect();
        names.join(",")
    }

    pub fn members(&self) -> &[ServiceKey] {
        &self.members
    }

    /// A client waits at one of the sockets.
    pub fn call(&mut self) {
        self.watch = None;
        self.called = true;
    }

    /// Starts the process if it is time, or watches the sockets for it. Gives the moment at which to look again.
    pub fn settle(&mut self, services: &Services, children: &mut Children, now: Instant) -> Option<Instant> {
        match &mut self.state {
            State::Running(running) => return running.settle(&self.members, now),
            State::GivenUp => return None,
            State::Resting { until } if *until > now => return Some(*until),
            State::Resting { .. } | State::Idle => self.state = State::Idle,
        }
        let members: Vec<&Listening> = self.members.iter().filter_map(|key| services.get(key)).collect();
        if members.iter().all(|member| member.open().next().is_none()) {
            return None;
        }
        let at_boot = members.iter().any(|member| member.service.at_boot());
        if self.called || at_boot {
            self.start(&members, children, now);
            return match &self.state {
                State::Resting { until } => Some(*until),
                _ => Some(now + READY_BOUND),
            };
        }
        if self.watch.is_none() {
            self.watch(&members, children);
        }
        None
    }

    /// True while a process that is to run from boot has not come up yet, and may still.
    pub fn is_coming_up(&self, services: &Services) -> bool {
        let at_boot =
            self.members.iter().filter_map(|key| services.get(key)).any(|found| found.service.at_boot());
        match &self.state {
            State::Running(running) => at_boot && !running.ready,
            State::Resting { .. } => at_boot,
            State::Idle | State::GivenUp => false,
        }
    }

    /// The process said something.
    pub fn notice(&mut self, pid: Pid, notice: Notice, children: &mut Children, now: Instant) {
        let name = self.name();
        let State::Running(running) = &mut self.state else { return };
        if running.pid != pid {
            return;
        }
        running.takes_changes |= notice.control;
        running.clients = notice.clients.or(running.clients);
        running.busy = notice.busy.unwrap_or(running.busy);
        if let Some(status) = notice.status {
            running.status = status;
        }
        if notice.ready && !running.ready {
            running.ready = true;
            let took = now.duration_since(running.since).as_millis();
            info!("{name} ready after {took} ms, pid {}", pid.as_raw_nonzero());
            if std::mem::take(&mut running.hangup_due) {
                children.signal(pid, Signal::HUP);
            }
        }
    }

    /// For the status page.
    pub fn describe(&self, now: Instant) -> Process {
        let running = match &self.state {
            State::Running(running) => Some(running),
            _ => None,
        };
        Process {
            kind: "SERVICE",
            name: self.name(),
            program: self.key.program.display().to_string(),
            state: match &self.state {
                State::Idle => board::State::Waiting,
                State::Running(running) if running.ready && running.busy => board::State::Busy,
                State::Running(running) if running.ready => board::State::Ready,
                State::Running(_) => board::State::Starting,
                State::Resting { .. } => board::State::Resting,
                State::GivenUp => board::State::Disabled,
            },
            pid: running.map(|running| running.pid.as_raw_nonzero().get()),
            age_seconds: running.map(|running| now.duration_since(running.since).as_secs()),
            clients: running.and_then(|running| running.clients),
            workers: None,
            starts: self.starts,
            failures: self.deaths,
            status: running.map(|running| running.status.clone()).unwrap_or_default(),
        }
    }

    /// The process ended. True when the service is given up: its sockets are to be closed.
    pub fn ended(&mut self, pid: Pid, status: WaitStatus, services: &Services, now: Instant) -> bool {
        let (replaced, young, was_ready) = match &self.state {
            State::Running(running) if running.pid == pid => {
                (running.replaced, now.duration_since(running.since) < YOUNG, running.ready)
            }
            _ => return false,
        };
        self.called = replaced;
        self.state = State::Idle;
        if replaced {
            return false;
        }
        self.deaths += 1;
        if status.exit_status() == Some(EX_TEMPFAIL) {
            // Another instance owns the directory: it may be ending, as after a kill of its master. That is worth any patience.
            self.state = State::Resting { until: now + self.failures.record_for_ever(now, was_ready) };
            return false;
        }
        if child::is_failure(status) || young {
            return self.failed(services, was_ready, now);
        }
        false
    }

    /// After a reload: other members, a fresh chance, and another process where that is needed.
    pub fn reload(&mut self, members: Vec<ServiceKey>, services: &Services, children: &mut Children) {
        self.members = members;
        self.failures.forget();
        self.watch = None;
        let name = self.name();
        let members: Vec<&Listening> = self.members.iter().filter_map(|key| services.get(key)).collect();
        let shape = shape(&members);
        match &mut self.state {
            State::Running(running) if running.shape == shape && running.ready => {
                children.signal(running.pid, Signal::HUP);
            }
            State::Running(running) if running.shape == shape => running.hangup_due = true,
            State::Running(running) => match running.take_over(shape, &members) {
                Ok(()) => {
                    info!("{name}: told pid {} its new listeners", running.pid.as_raw_nonzero());
                    children.signal(running.pid, Signal::HUP);
                }
                Err(why) => {
                    running.replaced = true;
                    info!("{name}: replacing pid {}: {why}", running.pid.as_raw_nonzero());
                    children.signal(running.pid, Signal::TERM);
                }
            },
            State::GivenUp | State::Resting { .. } => self.state = State::Idle,
            State::Idle => {}
        }
    }

    /// The process, when it runs.
    pub fn pid(&self) -> Option<Pid> {
        match &self.state {
            State::Running(running) => Some(running.pid),
            _ => None,
        }
    }

    fn start(&mut self, members: &[&Listening], children: &mut Children, now: Instant) {
        self.watch = None;
        self.called = false;
        let Some(first) = members.first() else { return };
        let shape = shape(members);
        let names: Vec<&str> = members
            .iter()
            .flat_map(|member| member.open().map(|_| member.service.key.name.as_str()))
            .collect();
        let (control, other) = match Control::pair() {
            Ok(pair) => pair,
            Err(cause) => return self.cannot_start(&cause, now),
        };
        let mut fds = sockets(members);
        let extras = Extras {
            env: vec![
                ("LISTEN_FDS".to_owned(), names.len().to_string()),
                ("LISTEN_FDNAMES".to_owned(), names.join(":")),
                (listeners::VARIABLE.to_owned(), shape.entries().to_string()),
                (control::VARIABLE.to_owned(), (3 + fds.len()).to_string()),
            ],
            fds: {
                fds.push(other.as_fd());
                fds
            },
            listen_pid: true,
            max_fds: members.iter().filter_map(|member| member.service.maxfds).max(),
        };
        let name = self.name();
        match children.start(Owner::Group(self.key.clone()), &name, &first.service.command, extras, now) {
            Ok(pid) => {
                self.starts += 1;
                self.state = State::Running(Running {
                    pid,
                    since: now,
                    ready: false,
                    shape,
                    replaced: false,
                    hangup_due: false,
                    complained: false,
                    clients: None,
                    busy: false,
                    status: String::new(),
                    control,
                    takes_changes: false,
                });
            }
            Err(cause) => self.cannot_start(&cause, now),
        }
    }

    fn cannot_start(&mut self, cause: &io::Error, now: Instant) {
        let delay = self.failures.record_for_ever(now, false);
        error!("cannot start {} ({}): {cause}; trying again", self.name(), self.key.program.display());
        self.state = State::Resting { until: now + delay };
    }

    fn failed(&mut self, services: &Services, was_ready: bool, now: Instant) -> bool {
        let name = self.name();
        let babysit =
            self.members.iter().filter_map(|key| services.get(key)).any(|found| found.service.babysit);
        match self.failures.record(now, was_ready) {
            Verdict::Again(delay) => {
                self.state = State::Resting { until: now + delay };
                false
            }
            Verdict::GiveUp if babysit => {
                warn!("too many failures for service {name}, disabling for {} seconds", PENALTY.as_secs());
                self.state = State::Resting { until: now + PENALTY };
                false
            }
            Verdict::GiveUp => {
                error!(
                    "too many failures for service {name}, disabling until next SIGHUP: it never became ready"
                );
                self.state = State::GivenUp;
                true
            }
        }
    }

    fn watch(&mut self, members: &[&Listening], children: &Children) {
        let sockets = members.iter().flat_map(|member| member.open());
        match Watch::over(sockets, &children.surroundings().wake, || Wake::ClientOfGroup(self.key.clone())) {
            Ok(watch) => self.watch = Some(watch),
            Err(cause) => error!("cannot watch the sockets of {}: {cause}", self.name()),
        }
    }
}

impl Running {
    /// Makes the running process serve what it is to serve now; an error says why it cannot.
    fn take_over(&mut self, shape: Shape, members: &[&Listening]) -> Result<(), String> {
        if self.replaced || !self.ready {
            return Err("it is starting or ending".to_owned());
        }
        if self.shape.args != shape.args {
            return Err("its arguments changed".to_owned());
        }
        if !self.takes_changes {
            return Err("its listeners changed".to_owned());
        }
        let told = self.control.tell(&self.shape.listeners, &shape.listeners, &sockets(members));
        told.map_err(|cause| format!("it does not hear of its new listeners: {cause}"))?;
        self.shape = shape;
        Ok(())
    }

    fn settle(&mut self, members: &[ServiceKey], now: Instant) -> Option<Instant> {
        let bound = self.since + READY_BOUND;
        if self.ready || self.complained {
            return None;
        }
        if now < bound {
            return Some(bound);
        }
        self.complained = true;
        let name = members.first().map_or("", |member| member.name.as_str());
        warn!("{name} (pid {}) is not ready after {} s", self.pid.as_raw_nonzero(), READY_BOUND.as_secs());
        None
    }
}

fn shape(members: &[&Listening]) -> Shape {
    let listened = |member: &Listening, socket: &Socket| Listened {
        entry: Entry {
            name: member.service.key.name.clone(),
            program: member.service.command.written.clone(),
            args: member.service.command.args.clone(),
            maxchild: member.service.maxchild.map_or(-1, i64::from),
            address: socket.address.clone(),
        },
        serial: socket.serial,
    };
    Shape {
        args: members.first().map(|member| process_args(&member.service.command.args)).unwrap_or_default(),
        listeners: members
            .iter()
            .flat_map(|member| member.open().map(|socket| listened(member, socket)))
            .collect(),
    }
}

/// Arguments without those that mean one listener: `-s`, `-a`, `-k` and other letters of Cyrus's services, alone or merged.
fn process_args(args: &[String]) -> Vec<String> {
    let mut own = Vec::new();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            Some("p" | "U" | "T") => {
                words.next();
            }
            Some(letters) if letters.chars().all(|letter| LISTENER_FLAGS.contains(letter)) => {}
            _ => own.push(word.clone()),
        }
    }
    own
}

/// In the order of [`Shape::listeners`].
fn sockets<'a>(members: &[&'a Listening]) -> Vec<BorrowedFd<'a>> {
    members.iter().flat_map(|member| member.open().filter_map(Socket::fd)).collect()
}

const EX_TEMPFAIL: i32 = 75;
const LISTENER_FLAGS: &str = "sakHNDXq";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_listeners_are_no_arguments_of_the_process() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let table =
            [("-s -C x", "-C x"), ("-m", "-m"), ("-sa -U 30 -T 60 -p 2", ""), ("-s -m -q", "-m"), ("", "")];
        for (given, own) in table {
            assert_eq!(process_args(&words(given)), words(own), "{given}");
        }
    }
}
