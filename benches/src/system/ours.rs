//! Ours, with the settings of the Cyrus lab, so that one client logs in to both.

use std::{
    error::Error,
    fs,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use murder::clients::Imap;
use murder::cluster::{Cluster, NodeSpec, Options, PortChoice, Topology, UserSpec};

use super::{Node, PEOPLE};

pub struct Ours {
    pub cluster: Cluster,
    dir: tempfile::TempDir,
}

impl Ours {
    pub fn start() -> Result<Ours, Box<dyn Error>> {
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
        let mut mupdate = NodeSpec { name: "mupdate".into(), ..NodeSpec::default() };
        mupdate.imapd.insert("mupdate_connections_max".into(), "1024".into());
        topology.mupdate = Some(mupdate);
        let specs = topology.frontends.iter_mut().chain(&mut topology.backends);
        for spec in specs.chain(&mut topology.mupdate) {
            spec.imapd.insert("allowplaintext".into(), "yes".into());
            spec.imapd.insert("password_iterations".into(), ROUNDS.to_string());
        }
        let dir = tempfile::Builder::new().prefix("mb").tempdir_in("/tmp")?;
        let options = Options {
            dir: dir.path().to_owned(),
            programs: programs(),
            ports: PortChoice::Free { address: Ipv4Addr::new(127, 78, 0, 1) },
            ready_within: Duration::from_secs(60),
        };
        let mut cluster = Cluster::prepare(topology, &options)?;
        cluster.start()?;
        Ok(Ours { cluster, dir })
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn address(&self, node: Node, service: &str) -> SocketAddr {
        let node = self.cluster.node(name(node));
        let port = node.map(|n| n.ports.get(service)).unwrap_or_default();
        SocketAddr::new(node.map_or(Ipv4Addr::LOCALHOST.into(), |n| n.ports.address), port)
    }

    pub fn stop(&mut self, node: Node) -> io::Result<()> {
        let node = self.cluster.node_mut(name(node)).ok_or(io::ErrorKind::NotFound)?;
        node.terminate();
        match node.wait_ended(Duration::from_secs(60)) {
            true => Ok(()),
            false => Err(io::Error::other(format!("{} had to be killed", node.name))),
        }
    }

    pub fn spawn(&mut self, node: Node) -> io::Result<()> {
        self.cluster.node_mut(name(node)).ok_or(io::ErrorKind::NotFound)?.spawn().map_err(io::Error::other)
    }

    pub fn wait_ready(&mut self, node: Node) -> io::Result<()> {
        let node = self.cluster.node_mut(name(node)).ok_or(io::ErrorKind::NotFound)?;
        node.wait_ready().map_err(io::Error::other)
    }

    pub fn forget_slave(&self) -> io::Result<()> {
        self.forget(Node::Frontend)
    }

    /// Removes what a stopped node keeps about its lists.
    pub fn forget(&self, node: Node) -> io::Result<()> {
        let node = self.cluster.node(name(node)).ok_or(io::ErrorKind::NotFound)?;
        fs::remove_dir_all(node.conf_dir().join("murder"))
    }

    /// Has the frontend's slave reach the master at another address.
    pub fn detour(&self, through: SocketAddr) -> io::Result<()> {
        let node = self.cluster.node(name(Node::Frontend)).ok_or(io::ErrorKind::NotFound)?;
        node.set_option("mupdate_address", &through.ip().to_string()).map_err(io::Error::other)?;
        let ports = format!("mupdate={}", through.port());
        node.set_option("mupdate_ports", &ports).map_err(io::Error::other)
    }

    /// Gives somebody a password, which is the name.
    pub fn add_user(&self, name: &str) -> io::Result<()> {
        let mut command = Command::new(programs().join("murder"));
        let conf = self.cluster.node(self::name(Node::Backend)).map(|node| node.imapd_conf());
        command.arg("passwd").arg("-C").arg(conf.unwrap_or_default()).arg(name);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        child.stdin.take().map_or(Ok(()), |mut input| writeln!(input, "{name}"))?;
        match child.wait()?.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("murder passwd {name} failed"))),
        }
    }

    pub fn tool(&self, program: &str) -> Command {
        self.tool_on(name(Node::Backend), program)
    }

    fn tool_on(&self, node: &str, program: &str) -> Command {
        let mut command = Command::new(programs().join(program));
        let conf = self.cluster.node(node).map(|node| node.imapd_conf());
        command.arg("-C").arg(conf.unwrap_or_default());
        command
    }

    /// Has the backends tell a master that forgot everything what they hold, and waits until the frontend knows.
    pub fn tell_master(&self) -> io::Result<()> {
        for backend in self.cluster.topology.backends.iter().map(|spec| &spec.name) {
            if !self.tool_on(backend, "ctl_mboxlist").arg("-m").status()?.success() {
                return Err(io::Error::other(format!("ctl_mboxlist -m on {backend} failed")));
            }
        }
        let (address, until) = (self.address(Node::Frontend, "imap"), Instant::now() + LEARNING);
        for user in PEOPLE {
            let mut imap = Imap::plain(address)?;
            imap.login(user, user)?;
            while !imap.command("SELECT INBOX")?.is_ok() {
                if Instant::now() > until {
                    return Err(io::Error::other(format!("the frontend does not learn of {user}")));
                }
                std::thread::park_timeout(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// The supervisor of a node.
    pub fn supervisor(&self, node: Node) -> Option<u32> {
        self.cluster.node(name(node))?.master_pid()
    }
}

/// The directory of this program, which has the others.
fn programs() -> PathBuf {
    std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned)).unwrap_or_default()
}

fn name(node: Node) -> &'static str {
    match node {
        Node::Mupdate => "mupdate",
        Node::Frontend => "frontend1",
        Node::Backend => "backend1",
    }
}

/// Of PBKDF2, as by default.
pub const ROUNDS: u32 = 60_000;
/// How long the frontend may take to hear of everything.
const LEARNING: Duration = Duration::from_secs(30);
