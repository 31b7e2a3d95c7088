//! A murder under load: one MUPDATE master, one frontend, two backends, ten people. Ours, or Cyrus's from Debian's packages.

mod cyrus;
mod ours;

use std::{
    error::Error,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use murder::clients::Imap;

use crate::load::{Account, Connection};
pub use cyrus::Cyrus;
pub use ours::{Ours, ROUNDS};

/// The people of both systems: those of the Cyrus lab.
pub const PEOPLE: [&str; 10] =
    ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "jack"];

/// A system under load.
pub enum System {
    Ours(Box<Ours>),
    Cyrus(Cyrus),
}

/// One of a system's nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    Mupdate,
    Frontend,
    Backend,
}

impl System {
    pub fn ours() -> Result<System, Box<dyn Error>> {
        let system = System::Ours(Box::new(Ours::start()?));
        system.create_inboxes(|n| format!("backend{}.demo.test!", n % 2 + 1))?;
        Ok(system)
    }

    /// `None` where the lab or the packages are not there.
    pub fn cyrus(lab: &Path) -> Result<Option<System>, Box<dyn Error>> {
        let Some(cyrus) = Cyrus::start(lab)? else { return Ok(None) };
        let system = System::Cyrus(cyrus);
        system.create_inboxes(|n| format!("be{}.murder.test!default", n % 2 + 1))?;
        Ok(Some(system))
    }

    /// Who may do everything, in IMAP and in MUPDATE.
    pub fn account(&self) -> Account {
        Account { user: "cyrus".into(), password: "cyrus".into() }
    }

    /// Where a node's service listens.
    pub fn address(&self, node: Node, service: &str) -> SocketAddr {
        match self {
            System::Ours(ours) => ours.address(node, service),
            System::Cyrus(cyrus) => cyrus.address(node, service),
        }
    }

    pub fn master(&self) -> SocketAddr {
        self.address(Node::Mupdate, "mupdate")
    }

    pub fn slave(&self) -> SocketAddr {
        self.address(Node::Frontend, "mupdate")
    }

    /// The name by which the first backend is known.
    pub fn backend_name(&self) -> &'static str {
        match self {
            System::Ours(_) => "backend1.demo.test",
            System::Cyrus(_) => "be1.murder.test",
        }
    }

    pub fn stop(&mut self, node: Node) -> io::Result<()> {
        match self {
            System::Ours(ours) => ours.stop(node),
            System::Cyrus(cyrus) => cyrus.stop(node),
        }
    }

    /// Starts a stopped node, and gives the moment before.
    pub fn spawn(&mut self, node: Node) -> io::Result<Instant> {
        let began = Instant::now();
        match self {
            System::Ours(ours) => ours.spawn(node)?,
            System::Cyrus(cyrus) => cyrus.spawn(node)?,
        }
        Ok(began)
    }

    /// Removes the lists of the stopped frontend.
    pub fn forget_slave(&self) -> io::Result<()> {
        match self {
            System::Ours(ours) => ours.forget_slave(),
            System::Cyrus(cyrus) => cyrus.forget_slave(),
        }
    }

    /// Logs in to a MUPDATE server that is starting, as soon as it lets in.
    pub fn connect(&self, server: SocketAddr, patience: Duration) -> io::Result<Connection> {
        let until = Instant::now() + patience;
        loop {
            match Connection::open(server, &self.account()) {
                Ok(connection) => return Ok(connection),
                Err(error) if Instant::now() > until => return Err(error),
                Err(_) => std::thread::park_timeout(Duration::from_millis(2)),
            }
        }
    }

    /// Runs `ctl_mboxlist` on the first backend; gives what it said and how long it took.
    pub fn ctl_mboxlist(&self, flag: &str, input: Option<&Path>) -> io::Result<(Output, Duration)> {
        let mut command = match self {
            System::Ours(ours) => ours.tool("ctl_mboxlist"),
            System::Cyrus(cyrus) => cyrus.tool("ctl_mboxlist"),
        };
        let input = input.map_or(Ok(Stdio::null()), |path| fs::File::open(path).map(Stdio::from))?;
        let began = Instant::now();
        let output = command.arg(flag).stdin(input).output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Ok((output, began.elapsed()))
    }

    /// What all processes of the nodes have resident, in kB, shared pages divided among those who share them.
    pub fn resident(&self) -> u64 {
        self.processes("").iter().filter_map(|pid| smaps(*pid, "Pss:")).sum()
    }

    /// Processes of the nodes whose command line has this word.
    pub fn processes(&self, word: &str) -> Vec<u32> {
        let mark = match self {
            System::Ours(ours) => ours.dir().display().to_string(),
            System::Cyrus(cyrus) => cyrus.dir().display().to_string(),
        };
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        all.filter_map(|process| {
            let line = String::from_utf8_lossy(&fs::read(process.path().join("cmdline")).ok()?).into_owned();
            let pid = process.file_name().to_str()?.parse().ok()?;
            (line.contains(&mark) && line.contains(word)).then_some(pid)
        })
        .collect()
    }

    /// The process of the MUPDATE master.
    pub fn master_process(&self) -> Option<u32> {
        self.processes("-m").into_iter().find(|pid| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "mupdate")
        })
    }

    fn create_inboxes(&self, place: impl Fn(usize) -> String) -> io::Result<()> {
        let mut admin = self.admin()?;
        for (n, user) in PEOPLE.iter().enumerate() {
            admin.must(&format!("CREATE user/{user} {}", place(n)))?;
        }
        Ok(())
    }

    /// An administrator at the frontend.
    pub fn admin(&self) -> io::Result<Imap> {
        let mut admin = Imap::plain(self.address(Node::Frontend, "imap"))?;
        admin.login("cyrus", "cyrus")?;
        Ok(admin)
    }
}

/// A line of a process's memory figures, in kB.
pub fn smaps(pid: u32, line: &str) -> Option<u64> {
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    smaps.lines().find_map(|l| l.strip_prefix(line)?.trim().strip_suffix(" kB")?.parse().ok())
}

/// Where the lab's script is, beside the project.
pub fn lab() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/lab/cyrus-murder")
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null())
}
