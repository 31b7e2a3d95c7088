//! What the benchmarks share: a cluster of ours and a real Cyrus murder, each on this host, under the same load.
//!
//! A figure is a ratio of two runs in one go on one machine. Absolute numbers are printed beside it, and mean little elsewhere.

pub mod load;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use murder::{
    clients::{Imap, Trust},
    cluster::{Cluster, NodeSpec, Options, PortChoice, Topology, UserSpec},
};

/// The people of both systems: those of the Cyrus lab.
pub const PEOPLE: [&str; 10] =
    ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "jack"];

/// A system under load.
pub enum System {
    Ours { cluster: Box<Cluster>, _dir: tempfile::TempDir },
    Cyrus { script: PathBuf, dir: tempfile::TempDir },
}

impl System {
    /// One frontend, two backends, ten people, half of them on each.
    pub fn ours() -> Result<System, Box<dyn std::error::Error>> {
        let mut topology = Topology::default_demo();
        topology.users = PEOPLE
            .iter()
            .enumerate()
            .map(|(n, name)| UserSpec {
                name: (*name).into(),
                password: Some((*name).into()),
                backend: format!("backend{}", n % 2 + 1),
            })
            .collect();
        topology.admin.password = Some("cyrus".into());
        topology.frontends = vec![NodeSpec { name: "frontend1".into(), ..NodeSpec::default() }];
        for spec in topology.frontends.iter_mut().chain(&mut topology.backends) {
            // as in the Cyrus lab, so that one client logs in to both
            spec.imapd.insert("allowplaintext".into(), "yes".into());
        }
        let dir = tempfile::Builder::new().prefix("mb").tempdir_in("/tmp")?;
        let programs = std::env::current_exe()?.parent().map(Path::to_owned).unwrap_or_default();
        let options = Options {
            dir: dir.path().to_owned(),
            programs,
            ports: PortChoice::Free { address: Ipv4Addr::new(127, 78, 0, 1) },
            ready_within: Duration::from_secs(60),
        };
        let mut cluster = Cluster::prepare(topology, &options)?;
        cluster.start()?;
        let system = System::Ours { cluster: Box::new(cluster), _dir: dir };
        system.create_inboxes(|n| format!("backend{}.demo.test!", n % 2 + 1))?;
        Ok(system)
    }

    /// The same from Debian's packages; `None` where the lab or the packages are not there.
    pub fn cyrus(lab: &Path) -> Result<Option<System>, Box<dyn std::error::Error>> {
        if !lab.is_file() || !Path::new("/usr/lib/cyrus/bin/mupdate").is_file() {
            return Ok(None);
        }
        let dir = tempfile::Builder::new().prefix("mc").tempdir_in("/tmp")?;
        let status = Command::new(lab).arg("up").arg(dir.path()).env("PROFILE", "defaults").status()?;
        if !status.success() {
            return Ok(None);
        }
        let system = System::Cyrus { script: lab.to_owned(), dir };
        system.create_inboxes(|n| format!("be{}.murder.test!default", n % 2 + 1))?;
        Ok(Some(system))
    }

    /// Where the frontend's service listens.
    pub fn frontend(&self, service: &str) -> SocketAddr {
        match self {
            System::Ours { cluster, .. } => {
                let node = cluster.node("frontend1");
                let port = node.map(|n| n.ports.get(service)).unwrap_or_default();
                SocketAddr::new(node.map_or(Ipv4Addr::LOCALHOST.into(), |n| n.ports.address), port)
            }
            System::Cyrus { .. } => {
                let port = match service {
                    "imap" => 143,
                    "pop3" => 110,
                    _ => 24,
                };
                SocketAddr::from(([127, 0, 1, 2], port))
            }
        }
    }

    /// What the nodes' processes have resident, in kB.
    pub fn resident(&self) -> u64 {
        let marks: Vec<String> = match self {
            System::Ours { cluster, .. } => {
                cluster.nodes.iter().map(|n| n.imapd_conf().display().to_string()).collect()
            }
            System::Cyrus { dir, .. } => vec![dir.path().display().to_string()],
        };
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        processes
            .filter_map(|process| {
                let path = process.path();
                let line = String::from_utf8_lossy(&std::fs::read(path.join("cmdline")).ok()?).into_owned();
                marks.iter().any(|mark| line.contains(mark)).then_some(())?;
                let smaps = std::fs::read_to_string(path.join("smaps_rollup")).ok()?;
                smaps
                    .lines()
                    .find_map(|l| l.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok())
            })
            .sum()
    }

    fn create_inboxes(&self, place: impl Fn(usize) -> String) -> io::Result<()> {
        let mut admin = Imap::plain(self.frontend("imap"))?;
        admin.login("cyrus", "cyrus")?;
        for (n, user) in PEOPLE.iter().enumerate() {
            admin.must(&format!("CREATE user/{user} {}", place(n)))?;
        }
        Ok(())
    }

    /// For sessions under TLS; ours alone.
    pub fn trust(&self) -> io::Result<Option<Trust>> {
        match self {
            System::Ours { cluster, .. } => Trust::in_authority(&cluster.ca).map(Some),
            System::Cyrus { .. } => Ok(None),
        }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if let System::Cyrus { script, dir } = self {
            let _ = Command::new(script).arg("down").arg(dir.path()).status();
        }
    }
}

/// Where the lab's script is, beside the project.
pub fn lab() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/lab/cyrus-murder")
}
