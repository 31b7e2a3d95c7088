//! The workers of a foreign service on one of its sockets, by Cyrus's own rules: each serves one client at a time, accepts by
//! itself, and reports on descriptor 3 whether it is free.
//!
//! A worker counts as ready from its fork. As many as `prefork` are kept ready; with none ready, a client at the socket causes
//! a fork, within `maxchild` and `maxforkrate`. The death of a ready worker is a failure; of a busy one it is not. Only a service
//! whose workers die before any of them had a client is given up.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::process::{Pid, Signal, WaitStatus};
use supervision::status::{Code, Status};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tracing::{debug, error, warn};

use crate::backoff::{Failures, ForkRate, Verdict};
use crate::board::{self, Process, Workers};
use crate::child::{self, Children, Extras, Owner, PoolKey, Wake, Watch};
use crate::limits::{PENALTY, RATE_PAUSE, YOUNG};
use crate::listen::Socket;
use crate::plan::Service;
use crate::services::{Listening, Services};

/// The workers of one socket.
#[derive(Debug)]
pub struct Pool {
    key: PoolKey,
    workers: HashMap<Pid, Worker>,
    failures: Failures,
    rate: ForkRate,
    resting: Option<Instant>,
    given_up: bool,
    /// A client waits and no worker is ready.
    called: bool,
    watch: Option<Watch>,
    /// The write end, inherited by every worker as descriptor 3.
    status: OwnedFd,
    reader: tokio::task::JoinHandle<()>,
    starts: u64,
    deaths: u64,
    connections: u64,
}

#[derive(Debug, Clone, Copy)]
struct Worker {
    state: WorkerState,
    since: Instant,
    /// It has had a client.
    served: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WorkerState {
    Ready,
    Busy,
}

impl Pool {
    /// To be called inside a tokio runtime.
    pub fn new(key: PoolKey, wake: &mpsc::Sender<Wake>) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let reader = pipe::Receiver::from_owned_fd(reader.into())?;
        let reader = tokio::spawn(read_status(reader, key.clone(), wake.clone()));
        Ok(Self {
            key,
            workers: HashMap::new(),
            failures: Failures::default(),
            rate: ForkRate::default(),
            resting: None,
            given_up: false,
            called: false,
            watch: None,
            status: writer.into(),
            reader,
            starts: 0,
            deaths: 0,
            connections: 0,
        })
    }

    /// `name/family`, as in Cyrus's log lines.
    fn name(&self, services: &Services) -> String {
        let family = services
            .get(&self.key.service)
            .and_then(|found| found.sockets.get(self.key.socket))
            .map_or("?", |socket| socket.family);
        format!("{}/{family}", self.key.service.name)
    }

    /// A client waits at the socket.
    pub fn call(&mut self) {
        self.watch = None;
        self.called = true;
    }

    /// Forks what is missing, and watches the socket while nobody is ready. Gives the moment at which to look again.
    pub fn settle(&mut self, services: &Services, children: &mut Children, now: Instant) -> Option<Instant> {
        let listening = services.get(&self.key.service)?;
        if self.given_up || listening.sockets.get(self.key.socket).is_none_or(Socket::is_closed) {
            self.watch = None;
            return None;
        }
        if let Some(until) = self.resting.filter(|until| *until > now) {
            self.watch = None;
            return Some(until);
        }
        self.resting = None;
        let service = &listening.service;
        while self.has_room(service)
            && (self.ready() < service.prefork || self.called && self.ready() == 0)
            && !self.rate.exceeds(service.maxforkrate, now)
        {
            if let Err(cause) = self.fork(listening, children, now) {
                error!(
                    "cannot start {} ({}): {cause}; trying again",
                    self.name(services),
                    service.path().display()
                );
                self.resting = Some(now + self.failures.record_for_ever(now, false));
                return self.resting;
            }
        }
        self.called &= self.ready() == 0;
        let limited = self.rate.exceeds(service.maxforkrate, now);
        if self.ready() == 0 && self.has_room(service) && !limited && !self.called {
            self.watch_socket(listening, children);
        } else {
            self.watch = None;
        }
        let lacking = self.has_room(service) && (self.ready() < service.prefork || self.ready() == 0);
        (limited && lacking).then_some(now + RATE_PAUSE)
    }

    /// A worker reported.
    pub fn report(&mut self, status: Status) {
        let Some(worker) = Pid::from_raw(status.pid).and_then(|pid| self.workers.get_mut(&pid)) else {
            debug!("{}: status message from unknown pid {}", self.key.service, status.pid);
            return;
        };
        match status.code {
            Code::Available => worker.state = WorkerState::Ready,
            Code::Unavailable => worker.state = WorkerState::Busy,
            Code::Connection | Code::ConnectionMulti => {
                worker.served = true;
                self.connections += 1;
            }
        }
    }

    /// A worker ended. True when the pool is given up.
    pub fn ended(
        &mut self,
        pid: Pid,
        status: WaitStatus,
        services: &Services,
        now: Instant,
        expected: bool,
    ) -> bool {
        let Some(worker) = self.workers.remove(&pid) else { return false };
        let idle = worker.state == WorkerState::Ready;
        let babysit = services.get(&self.key.service).is_some_and(|found| found.service.babysit);
        if babysit && self.workers.is_empty() && !expected {
            warn!("lost all children for service: {}.  Applying babysitter.", self.name(services));
        }
        if expected || !idle || !child::is_failure(status) || self.given_up {
            return false;
        }
        self.deaths += 1;
        // It says nothing when it has come up: who had a client, or lived for a while, had.
        let came_up = worker.served || now.duration_since(worker.since) >= YOUNG;
        match self.failures.record(now, came_up) {
            Verdict::Again(delay) => self.resting = Some(now + delay),
            Verdict::GiveUp if babysit => {
                warn!(
                    "too many failures for service {}, disabling for {} seconds",
                    self.name(services),
                    PENALTY.as_secs()
                );
                self.resting = Some(now + PENALTY);
            }
            Verdict::GiveUp => {
                error!(
                    "too many failures for service {}, disabling until next SIGHUP: no worker came up",
                    self.name(services)
                );
                self.given_up = true;
                self.watch = None;
            }
        }
        self.given_up
    }

    /// After a reload: a fresh chance; idle workers end and busy ones finish their client, as Cyrus's do at SIGHUP.
    pub fn reload(&mut self, children: &mut Children) {
        self.failures.forget();
        self.given_up = false;
        self.resting = None;
        self.watch = None;
        for pid in self.workers.keys() {
            children.signal(*pid, Signal::HUP);
        }
    }

    /// For the status page.
    pub fn describe(&self, services: &Services, now: Instant) -> Process {
        let service = services.get(&self.key.service).map(|found| &found.service);
        let workers = Workers {
            ready: self.ready(),
            active: u32::try_from(self.workers.len()).unwrap_or(u32::MAX),
            limit: service.and_then(|service| service.maxchild),
            connections: self.connections,
        };
        Process {
            kind: "SERVICE",
            name: self.name(services),
            program: service.map(|service| service.path().display().to_string()).unwrap_or_default(),
            state: match () {
                () if self.given_up => board::State::Disabled,
                () if self.resting.is_some_and(|until| until > now) => board::State::Resting,
                () if self.workers.is_empty() => board::State::Waiting,
                () => board::State::Ready,
            },
            workers: Some(workers),
            starts: self.starts,
            failures: self.deaths,
            ..Process::default()
        }
    }

    /// True when no worker is left.
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// A worker of a retired pool ended. True when it was the last.
    pub fn lost(&mut self, pid: Pid) -> bool {
        self.workers.remove(&pid);
        self.workers.is_empty()
    }

    fn ready(&self) -> u32 {
        self.workers.values().filter(|worker| worker.state == WorkerState::Ready).count() as u32
    }

    fn has_room(&self, service: &Service) -> bool {
        let limit = service.maxchild;
        limit.is_none_or(|limit| (self.workers.len() as u64) < u64::from(limit))
    }

    fn fork(&mut self, listening: &Listening, children: &mut Children, now: Instant) -> io::Result<()> {
        let socket = listening.sockets.get(self.key.socket).and_then(Socket::fd);
        let socket = socket.ok_or(io::ErrorKind::NotConnected)?;
        let service = &listening.service;
        let extras = Extras {
            env: vec![
                ("CYRUS_SERVICE".to_owned(), service.key.name.clone()),
                ("CYRUS_ID".to_owned(), self.key.socket.to_string()),
            ],
            fds: vec![self.status.as_fd(), socket],
            listen_pid: false,
            max_fds: service.maxfds,
        };
        let pid = children.start(
            Owner::Pool(self.key.clone()),
            &service.key.name,
            &service.command,
            extras,
            now,
        )?;
        self.rate.count(now);
        self.starts += 1;
        self.workers.insert(pid, Worker { state: WorkerState::Ready, since: now, served: false });
        self.called = false;
        Ok(())
    }

    fn watch_socket(&mut self, listening: &Listening, children: &Children) {
        if self.watch.is_some() {
            return;
        }
        let socket = listening.sockets.get(self.key.socket).into_iter();
        match Watch::over(socket, &children.surroundings().wake, || Wake::ClientOfPool(self.key.clone())) {
            Ok(watch) => self.watch = Some(watch),
            Err(cause) => error!("cannot watch the socket of {}: {cause}", self.key.service),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Passes messages on as fast as the main loop takes them; a worker that writes more waits in its own `write`.
async fn read_status(mut reader: pipe::Receiver, key: PoolKey, wake: mpsc::Sender<Wake>) {
    let mut bytes = [0u8; Status::SIZE];
    while reader.read_exact(&mut bytes).await.is_ok() {
        let Some(status) = Status::parse(bytes) else {
            debug!("{}: unknown status message {bytes:?}", key.service);
            continue;
        };
        if wake.send(Wake::Status(key.clone(), status)).await.is_err() {
            return;
        }
    }
}
