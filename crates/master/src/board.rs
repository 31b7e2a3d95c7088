//! What the node looks like at a moment: every process and every listener, for the status page, its metrics and its probes.

use std::path::PathBuf;

use config::imapd::Imapd;
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
    pub disks: Vec<Disk>,
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
    /// Takes no clients for now, of its own accord.
    Busy,
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
            Self::Busy => "busy",
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

/// Where this node keeps something, and the room there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// The option of imapd.conf: configdirectory, or partition-default and the like.
    pub name: String,
    pub path: PathBuf,
    /// For others than root.
    pub free_bytes: u64,
    pub total_bytes: u64,
}

impl Disk {
    /// None where the directory is not there, or the file system does not say.
    fn look(name: String, path: PathBuf) -> Option<Disk> {
        let found = rustix::fs::statvfs(&path).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        let (free_bytes, total_bytes) = (bytes(found.f_bavail), bytes(found.f_blocks));
        (total_bytes > 0).then_some(Disk { name, path, free_bytes, total_bytes })
    }

    /// All of a node.
    pub fn of(imapd: &Imapd) -> Vec<Disk> {
        let partitions = imapd.partitions().iter();
        let partitions = partitions.map(|it| (format!("partition-{}", it.name), it.path.clone()));
        let own = ("configdirectory".to_owned(), PathBuf::from(&imapd.configdirectory));
        std::iter::once(own).chain(partitions).filter_map(|(name, path)| Disk::look(name, path)).collect()
    }

    /// Hundredths of the whole, rounded down.
    pub fn free_percent(&self) -> u64 {
        self.free_bytes.saturating_mul(100) / self.total_bytes.max(1)
    }
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
        let starting = |process: &Process| {
            process.kind == "SERVICE" && matches!(process.state, State::Starting | State::Busy)
        };
        self.ready
            && !self.stopping
            && !self.draining
            && !self.processes.iter().any(starting)
            && self.complaints().is_empty()
    }
}
