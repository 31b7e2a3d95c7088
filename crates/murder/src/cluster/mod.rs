//! A whole murder on one host: configuration made from the files in `etc/`, one `master` per node, readiness awaited.
//!
//! `murder demo` and the system tests build their clusters here, so that both run what an admin runs: real programs,
//! started by the real supervisor from a cyrus.conf and an imapd.conf.
//!
//! Flow: [`Topology`] (TOML) → [`Cluster::prepare`] (directories, certificates, passwords, files) →
//! [`Cluster::start`] → … → [`Cluster::stop`]. Preparing a directory that holds a cluster already keeps its mail,
//! passwords and certificates.

mod certificates;
mod node;
mod ports;
mod secrets;
mod template;
mod topology;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

pub use node::{Node, Role};
pub use ports::{PortChoice, Ports};
pub use secrets::Secrets;
pub use topology::{Account, NodeSpec, Topology, UserSpec};

/// Nodes on this host, with what is needed to reach them.
#[derive(Debug)]
pub struct Cluster {
    pub dir: PathBuf,
    pub nodes: Vec<Node>,
    pub secrets: Secrets,
    pub topology: Topology,
    /// The certificate of the authority that signed every node's.
    pub ca: PathBuf,
}

/// What a cluster is built with.
#[derive(Debug, Clone)]
pub struct Options {
    pub dir: PathBuf,
    /// Where `master` and the daemons are.
    pub programs: PathBuf,
    pub ports: PortChoice,
    /// How long a node may take until it says that it is ready.
    pub ready_within: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error("{path}: {cause}")]
    File { path: PathBuf, cause: io::Error },
    #[error("topology: {0}")]
    Topology(String),
    #[error(
        "port {port} on {address} is in use (for {node}'s {service}); choose other ports with --base-port"
    )]
    PortInUse { node: String, service: &'static str, address: std::net::IpAddr, port: u16 },
    #[error("certificates: {0}")]
    Certificates(#[from] rcgen::Error),
    #[error("passwords: {0}")]
    Passwords(String),
    #[error("{0}: a UNIX socket below this directory would have too long a path; choose a shorter --dir")]
    PathTooLong(PathBuf),
    #[error("{program} is not there; build the whole workspace first (cargo build --release)")]
    NoProgram { program: PathBuf },
    #[error("{node} did not become ready within {within:?}; its log is {log}")]
    NotReady { node: String, within: Duration, log: PathBuf },
    #[error("{node} ended before it was ready ({status}); its log is {log}:\n{tail}")]
    Ended { node: String, status: String, log: PathBuf, tail: String },
}

impl ClusterError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> ClusterError {
        let path = path.to_owned();
        move |cause| ClusterError::File { path, cause }
    }
}

impl Cluster {
    /// Writes everything that the nodes need below `options.dir`.
    pub fn prepare(topology: Topology, options: &Options) -> Result<Cluster, ClusterError> {
        topology.check()?;
        let dir = &options.dir;
        std::fs::create_dir_all(dir).map_err(ClusterError::at(dir))?;
        let dir = dir.canonicalize().map_err(ClusterError::at(dir))?;
        if dir.as_os_str().len() > PATH_MAX {
            return Err(ClusterError::PathTooLong(dir));
        }
        for program in ["master", "mupdate", "backend", "imapproxy", "pop3proxy", "lmtpproxy", "ctl_mboxlist"]
        {
            let program = options.programs.join(program);
            if !program.is_file() {
                return Err(ClusterError::NoProgram { program });
            }
        }
        let secrets = Secrets::load_or_make(&dir, &topology)?;
        let mut nodes = topology.nodes(&dir, &options.ports)?;
        let ca = certificates::make(&dir, &nodes)?;
        secrets.write_passwords(&dir)?;
        let peers = nodes.clone();
        for node in nodes.iter_mut().filter(|node| !node.foreign) {
            node.programs = options.programs.clone();
            node.ready_within = options.ready_within;
            node.configure(&peers, &topology, &secrets)?;
        }
        Ok(Cluster { dir, nodes, secrets, topology, ca })
    }

    /// Starts every node of ours and waits until each is ready: the MUPDATE master first, since the others ask it.
    pub fn start(&mut self) -> Result<(), ClusterError> {
        for role in [Role::Mupdate, Role::Backend, Role::Frontend] {
            for node in self.nodes.iter_mut().filter(|node| node.role == role && !node.foreign) {
                node.spawn()?;
            }
            for node in self.nodes.iter_mut().filter(|node| node.role == role && !node.foreign) {
                node.wait_ready()?;
            }
        }
        Ok(())
    }

    /// Stops every node, frontends first. Gives the names of those that had to be killed.
    pub fn stop(&mut self) -> Vec<String> {
        let mut killed = Vec::new();
        for role in [Role::Frontend, Role::Backend, Role::Mupdate] {
            self.nodes.iter_mut().filter(|node| node.role == role).for_each(Node::terminate);
            for node in self.nodes.iter_mut().filter(|node| node.role == role) {
                if !node.wait_ended(STOP_WITHIN) {
                    killed.push(node.name.clone());
                }
            }
        }
        killed
    }

    /// The node of this name, short or whole.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name || node.short() == name)
    }

    /// The same, to stop or start it.
    pub fn node_mut(&mut self, name: &str) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.name == name || node.short() == name)
    }

    /// The first node of a role.
    pub fn first(&self, role: Role) -> Option<&Node> {
        self.nodes.iter().find(|node| node.role == role)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A `sun_path` holds 108 bytes; the longest socket below a cluster's directory takes about 50.
const PATH_MAX: usize = 55;
/// Longer than a supervisor's own bound for its children.
const STOP_WITHIN: Duration = Duration::from_secs(20);
