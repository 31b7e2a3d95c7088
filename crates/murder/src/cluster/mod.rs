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
mod notify;
mod ports;
mod role;
mod secrets;
mod template;
mod topology;

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

pub use node::Node;
pub use ports::{PortChoice, Ports};
pub use role::Role;
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
    #[error("{0}: another user owns it, or may write there; choose a directory of your own for --dir")]
    NotOurs(PathBuf),
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
        files::directory(dir, 0o700, None).map_err(ClusterError::at(dir))?;
        is_ours_alone(dir)?;
        let dir = dir.canonicalize().map_err(ClusterError::at(dir))?;
        if dir.as_os_str().len() > PATH_MAX {
            return Err(ClusterError::PathTooLong(dir));
        }
        for program in [
            "master",
            "mupdate",
            "backend",
            "imapproxy",
            "pop3proxy",
            "lmtpproxy",
            "sieveproxy",
            "ctl_mboxlist",
        ] {
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

/// Passwords and keys will be there, and what is started from there runs as we do.
fn is_ours_alone(dir: &Path) -> Result<(), ClusterError> {
    let meta = std::fs::metadata(dir).map_err(ClusterError::at(dir))?;
    let own = meta.uid() == rustix::process::geteuid().as_raw();
    if own && meta.mode() & 0o022 == 0 { Ok(()) } else { Err(ClusterError::NotOurs(dir.to_owned())) }
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_in_which_others_may_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let options = Options {
            dir: dir.path().to_owned(),
            programs: PathBuf::new(),
            ports: PortChoice::Blocks { base: None },
            ready_within: Duration::ZERO,
        };
        let prepare = || Cluster::prepare(Topology::default_demo(), &options).unwrap_err();
        let told = prepare().to_string();
        assert!(told.contains("anybody may replace") || told.contains("may write there"), "{told}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        assert!(matches!(prepare(), ClusterError::NoProgram { .. }));
    }
}
