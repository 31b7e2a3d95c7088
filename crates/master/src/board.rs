//! What the node looks like at a moment: every process and every listener, for the status page, its metrics and its probes.

use std::path::PathBuf;

use serde::Serialize;

/// A snapshot of the node.
#[derive(Debug, Clone, Serialize)]
pub struct Board {
    pub version: &'static str,
    pub server: String,
    pub uptime_seconds: u64,
    /// Every process of the boot has been ready, and master is not stopping.
    pub ready: bool,
    pub stopping: bool,
    /// An operator wants new clients to go elsewhere (`murder drain`).
    pub draining: bool,
    pub processes: Vec<Process>,
    pub listeners: Vec<Listener>,
    /// Where our processes answer for their own metrics.
    #[serde(skip)]
    pub metrics: Vec<PathBuf>,
}

/// A process, or the workers of one service.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Process {
    /// SERVICE, DAEMON or EVENT.
    pub kind: &'static str,
    pub name: String,
    pub program: String,
    pub state: State,
    pub pid: Option<i32>,
    pub age_seconds: Option<u64>,
    pub clients: Option<u64>,
    /// Workers by Cyrus's protocol.
    pub workers: Option<Workers>,
    pub starts: u64,
    pub failures: u64,
    /// What the process says of itself.
    pub status: String,
}

/// The workers of a foreign service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Workers {
    pub ready: u32,
    pub active: u32,
    pub limit: Option<u32>,
    /// Connections that workers reported.
    pub connections: u64,
}

/// How a process is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Starts when somebody connects, or when its time comes.
    #[default]
    Waiting,
    Starting,
    Ready,
    /// Died, and is started again after a pause.
    Resting,
    /// Given up until the next SIGHUP.
    Disabled,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Resting => "resting",
            Self::Disabled => "disabled",
        }
    }
}

/// A socket.
#[derive(Debug, Clone, Serialize)]
pub struct Listener {
    pub service: String,
    pub address: String,
    pub family: &'static str,
    pub maxchild: Option<u32>,
    pub program: String,
}

impl Board {
    /// What keeps the node from being healthy: one line each.
    pub fn complaints(&self) -> Vec<String> {
        let broken = |process: &&Process| matches!(process.state, State::Resting | State::Disabled);
        let line =
            |process: &Process| format!("{} {} is {}", process.kind, process.name, process.state.word());
        self.processes.iter().filter(broken).map(line).collect()
    }

    /// The node's state in a word or two.
    pub fn word(&self) -> &'static str {
        match (self.stopping, self.draining, self.takes_clients()) {
            (true, ..) => "stopping",
            (false, true, _) => "draining",
            (false, false, true) => "ready",
            (false, false, false) => "not ready",
        }
    }

    /// True when clients should be sent here.
    pub fn takes_clients(&self) -> bool {
        let starting = |process: &Process| process.kind == "SERVICE" && process.state == State::Starting;
        self.ready
            && !self.stopping
            && !self.draining
            && !self.processes.iter().any(starting)
            && self.complaints().is_empty()
    }
}
