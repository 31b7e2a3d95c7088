//! DAEMON: programs that are kept running, without a socket.
//!
//! Those with `wait=y` are started one by one before the services; each says `ok` on its descriptor 3 before the next one
//! starts. They are ended last, in reverse order. A restart of one later is like that of any other.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal, WaitStatus};
use tracing::{error, info};

use crate::backoff::{Failures, ForkRate};
use crate::board::{self, Process};
use crate::child::{self, Children, Extras, Owner};
use crate::limits::{OK_BOUND, RATE_PAUSE, YOUNG};
use crate::plan::Daemon;

/// One line of DAEMON.
#[derive(Debug)]
pub struct Keeper {
    daemon: Daemon,
    state: State,
    failures: Failures,
    rate: ForkRate,
    starts: u64,
    deaths: u64,
}

#[derive(Debug)]
enum State {
    Idle,
    Running { pid: Pid, since: Instant },
    Resting { until: Instant },
}

/// Why a daemon of `wait=y` did not come up.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    #[error("cannot start: {0}")]
    Start(io::Error),
    #[error("ended, or said something else, where 'ok' was expected on descriptor 3")]
    NotOk,
    #[error("did not say 'ok' on descriptor 3 within {} s", OK_BOUND.as_secs())]
    Silent,
}

impl Keeper {
    pub fn new(daemon: Daemon) -> Self {
        Self {
            daemon,
            state: State::Idle,
            failures: Failures::default(),
            rate: ForkRate::default(),
            starts: 0,
            deaths: 0,
        }
    }

    pub fn name(&self) -> &str {
        &self.daemon.name
    }

    pub fn waits(&self) -> bool {
        self.daemon.wait
    }

    pub fn pid(&self) -> Option<Pid> {
        match self.state {
            State::Running { pid, .. } => Some(pid),
            State::Idle | State::Resting { .. } => None,
        }
    }

    /// For the status page.
    pub fn describe(&self, now: Instant) -> Process {
        let (state, age_seconds) = match self.state {
            State::Idle => (board::State::Waiting, None),
            State::Running { since, .. } => (board::State::Ready, Some(now.duration_since(since).as_secs())),
            State::Resting { .. } => (board::State::Resting, None),
        };
        Process {
            kind: "DAEMON",
            name: self.daemon.name.clone(),
            program: self.daemon.command.path().map(|path| path.display().to_string()).unwrap_or_default(),
            state,
            pid: self.pid().map(|pid| pid.as_raw_nonzero().get()),
            age_seconds,
            starts: self.starts,
            failures: self.deaths,
            ..Process::default()
        }
    }

    /// Starts a daemon of `wait=y` and blocks until it says `ok`.
    pub fn start_and_wait(&mut self, children: &mut Children, now: Instant) -> Result<(), WaitError> {
        let (mut reader, writer) = io::pipe().map_err(WaitError::Start)?;
        let pid = self.launch(children, vec![writer.as_fd()], now).map_err(WaitError::Start)?;
        drop(writer);
        self.state = State::Running { pid, since: now };
        let deadline = now + OK_BOUND;
        let mut said = Vec::new();
        while said.len() < OK.len() {
            if !readable_before(&reader, deadline) {
                return Err(WaitError::Silent);
            }
            let mut bytes = [0u8; 16];
            match reader.read(&mut bytes) {
                Ok(0) | Err(_) => return Err(WaitError::NotOk),
                Ok(length) => said.extend_from_slice(bytes.get(..length).unwrap_or_default()),
            }
        }
        if said == OK { Ok(()) } else { Err(WaitError::NotOk) }
    }

    /// Starts it if it is time. Gives the moment at which to look again.
    pub fn settle(&mut self, children: &mut Children, now: Instant) -> Option<Instant> {
        match self.state {
            State::Running { .. } => return None,
            State::Resting { until } if until > now => return Some(until),
            State::Resting { .. } | State::Idle => self.state = State::Idle,
        }
        if self.rate.exceeds(self.daemon.maxforkrate, now) {
            return Some(now + RATE_PAUSE);
        }
        match self.launch(children, Vec::new(), now) {
            Ok(pid) => {
                self.state = State::Running { pid, since: now };
                None
            }
            Err(cause) => {
                error!("cannot start daemon {}: {cause}; trying again", self.daemon.name);
                let until = now + self.failures.record_for_ever(now, false);
                self.state = State::Resting { until };
                Some(until)
            }
        }
    }

    /// It ended, which a daemon never does by right.
    pub fn ended(&mut self, pid: Pid, status: WaitStatus, now: Instant) {
        let State::Running { pid: running, since } = self.state else { return };
        if running != pid {
            return;
        }
        self.deaths += 1;
        let young = now.duration_since(since) < YOUNG;
        if !child::is_failure(status) && !young {
            self.state = State::Idle;
            return;
        }
        let pause = self.failures.record_for_ever(now, !young);
        if young && self.failures.are_too_many_now() {
            let (name, seconds) = (&self.daemon.name, pause.as_secs_f64().ceil());
            error!("too many failures for daemon {name}, disabling for {seconds} seconds");
        }
        self.state = State::Resting { until: now + pause };
    }

    /// After a reload: the same line is told to reread its configuration, a changed one is replaced.
    pub fn reload(&mut self, daemon: Daemon, children: &mut Children) {
        let changed = daemon.command != self.daemon.command;
        self.daemon = daemon;
        self.failures.forget();
        match self.state {
            State::Running { pid, .. } if changed => {
                info!(
                    "daemon {}: its command changed, replacing pid {}",
                    self.daemon.name,
                    pid.as_raw_nonzero()
                );
                children.signal(pid, Signal::TERM);
            }
            State::Running { pid, .. } => children.signal(pid, Signal::HUP),
            State::Resting { .. } => self.state = State::Idle,
            State::Idle => {}
        }
    }

    fn launch<'a>(
        &mut self,
        children: &mut Children,
        fds: Vec<std::os::fd::BorrowedFd<'a>>,
        now: Instant,
    ) -> io::Result<Pid> {
        let extras = Extras {
            env: vec![
                ("CYRUS_ISDAEMON".to_owned(), "1".to_owned()),
                ("CYRUS_SERVICE".to_owned(), self.daemon.name.clone()),
                ("CYRUS_ID".to_owned(), "0".to_owned()),
            ],
            fds,
            listen_pid: false,
            max_fds: self.daemon.maxfds,
        };
        self.rate.count(now);
        self.starts += 1;
        let owner = Owner::Daemon(self.daemon.name.clone());
        children.start(owner, &self.daemon.name, &self.daemon.command, extras, now)
    }
}

fn readable_before(reader: &io::PipeReader, deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let bound = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        match rustix::event::poll(&mut [PollFd::new(reader, PollFlags::IN)], Some(&bound)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) if !left.is_zero() => {}
            Err(_) => return false,
        }
    }
}

const OK: &[u8] = b"ok\r\n";
