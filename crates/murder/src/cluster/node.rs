//! One node of a cluster: its files, and its `master` process.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    ClusterError, PortChoice, Ports, Role, Secrets, Topology,
    notify::NotifySocket,
    secrets::password_db,
    template::{ImapdConf, cyrus_conf},
};

/// A node, running or not.
#[derive(Debug)]
pub struct Node {
    /// Its `servername`.
    pub name: String,
    pub role: Role,
    pub dir: PathBuf,
    pub ports: Ports,
    /// Somebody else runs it.
    pub foreign: bool,
    pub(super) programs: PathBuf,
    pub(super) ready_within: Duration,
    extra: BTreeMap<String, String>,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    notify: NotifySocket,
}

impl Clone for Node {
    /// The same node, as its peers see it: without its process.
    fn clone(&self) -> Self {
        Node::new(self.name.clone(), self.role, self.dir.clone(), self.ports, self.extra.clone())
    }
}

impl Topology {
    /// Nodes in the order in which they take ports: frontends first, since people type those.
    pub(super) fn nodes(&self, dir: &Path, ports: &PortChoice) -> Result<Vec<Node>, ClusterError> {
        let mut held = Vec::new();
        self.specs()
            .enumerate()
            .map(|(index, (role, spec))| {
                let ports = match spec.address {
                    Some(address) => Ports::well_known(role, address),
                    None => ports.take(&spec.name, role, self.base_port, index, &mut held)?,
                };
                let mut node =
                    Node::new(self.host(&spec.name), role, dir.join(&spec.name), ports, spec.imapd);
                node.foreign = spec.foreign;
                Ok(node)
            })
            .collect()
    }
}

impl Node {
    pub(super) fn new(
        name: String,
        role: Role,
        dir: PathBuf,
        ports: Ports,
        extra: BTreeMap<String, String>,
    ) -> Node {
        Node {
            name,
            role,
            dir,
            ports,
            foreign: false,
            programs: PathBuf::new(),
            ready_within: Duration::from_secs(30),
            extra,
            process: None,
        }
    }

    /// The name up to the first dot.
    pub fn short(&self) -> &str {
        self.name.split('.').next().unwrap_or(&self.name)
    }

    pub fn imapd_conf(&self) -> PathBuf {
        self.dir.join("imapd.conf")
    }

    pub fn cyrus_conf(&self) -> PathBuf {
        self.dir.join("cyrus.conf")
    }

    /// `configdirectory`.
    pub fn conf_dir(&self) -> PathBuf {
        self.dir.join("conf")
    }

    /// Where its `master` and daemons write.
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// The LMTP socket for programs on this host.
    pub fn lmtp_socket(&self) -> PathBuf {
        self.conf_dir().join("socket/lmtp")
    }

    /// The pid of its `master`, while it runs.
    pub fn master_pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.child.id())
    }

    /// Sets an option of its imapd.conf; the node has to be restarted, or told to reload, to see it.
    pub fn set_option(&self, key: &str, value: &str) -> Result<(), ClusterError> {
        let path = self.imapd_conf();
        let mut conf = ImapdConf::new(&fs::read_to_string(&path).map_err(ClusterError::at(&path))?);
        conf.set(key, value);
        files::replace(&path, 0o600, conf.text().as_bytes()).map_err(ClusterError::at(&path))
    }

    /// Writes its files.
    pub(super) fn configure(
        &self,
        peers: &[Node],
        topology: &Topology,
        secrets: &Secrets,
    ) -> Result<(), ClusterError> {
        for (dir, mode) in [
            (self.dir.clone(), 0o755),
            (self.conf_dir(), 0o700),
            (self.conf_dir().join("socket"), 0o755),
            (self.dir.join("spool"), 0o700),
        ] {
            files::directory(&dir, mode, None).map_err(ClusterError::at(&dir))?;
        }
        let text = self.imapd_text(peers, topology, secrets);
        let path = self.imapd_conf();
        // it holds the passwords of the node's identities
        files::replace(&path, 0o600, text.as_bytes()).map_err(ClusterError::at(&path))?;
        let listen = |entry: &str| match self.ports.get(entry) {
            0 if entry == "lmtpunix" => Some(self.lmtp_socket().display().to_string()),
            0 => None,
            port => Some(format!("{}:{port}", self.ports.address)),
        };
        let template = match self.role {
            Role::Mupdate => include_str!("../../../../etc/mupdate/cyrus.conf"),
            Role::Backend => include_str!("../../../../etc/backend/cyrus.conf"),
            Role::Frontend => include_str!("../../../../etc/frontend/cyrus.conf"),
        };
        // A cluster on this host is for trying: whoever reaches its frontends may deliver without a login.
        let template =
            template.replace("cmd=\"lmtpproxy\" listen=\"127", "cmd=\"lmtpproxy -a\" listen=\"127");
        let path = self.cyrus_conf();
        let text = cyrus_conf(&template, &self.imapd_conf(), listen);
        files::replace(&path, 0o644, text.as_bytes()).map_err(ClusterError::at(&path))
    }

    fn imapd_text(&self, peers: &[Node], topology: &Topology, secrets: &Secrets) -> String {
        let root = self.dir.parent().unwrap_or(Path::new("/"));
        let mut conf = ImapdConf::new(match self.role {
            Role::Mupdate => include_str!("../../../../etc/mupdate/imapd.conf"),
            Role::Backend => include_str!("../../../../etc/backend/imapd.conf"),
            Role::Frontend => include_str!("../../../../etc/frontend/imapd.conf"),
        });
        let admin = &topology.admin.name;
        conf.set("configdirectory", self.conf_dir().display());
        conf.set("servername", &self.name);
        conf.set("cyrus_user", own_user());
        conf.set("password_db", password_db(root).display());
        // All nodes share one host, and the users are made for the occasion.
        conf.set("password_iterations", 10_000);
        for (key, file) in
            [("tls_server_cert", "cert.pem"), ("tls_server_key", "key.pem"), ("tls_server_ca_file", "ca.pem")]
        {
            conf.set(key, root.join("tls").join(file).display());
        }
        match self.role {
            Role::Mupdate => conf.set("admins", format!("{admin} backend frontend")),
            Role::Backend => {
                conf.set("admins", admin);
                conf.set("lmtp_admins", format!("{admin} proxy"));
                conf.set("partition-default", self.dir.join("spool").display());
                conf.set("mupdate_password", secrets.password("backend"));
                conf.set("proxy_password", secrets.password("proxy"));
            }
            Role::Frontend => {
                conf.set("admins", admin);
                conf.set("mupdate_password", secrets.password("frontend"));
                conf.set("proxy_password", secrets.password("proxy"));
                let backends = peers.iter().filter(|p| p.role == Role::Backend).map(|p| p.name.as_str());
                conf.set("serverlist", backends.collect::<Vec<_>>().join(" "));
            }
        }
        for peer in peers {
            if peer.role == Role::Mupdate && self.role != Role::Mupdate {
                conf.set("mupdate_server", &peer.name);
            }
            let ports: Vec<String> =
                peer.ports.all().map(|(service, port)| format!("{service}={port}")).collect();
            conf.set(&format!("{}_address", peer.short()), peer.ports.address);
            conf.set(&format!("{}_ports", peer.short()), ports.join(" "));
        }
        for (key, value) in &self.extra {
            conf.set(key, value);
        }
        conf.text()
    }

    /// Starts its `master`; [`Node::wait_ready`] says when it serves.
    pub fn spawn(&mut self) -> Result<(), ClusterError> {
        let socket = self.dir.join("notify");
        let notify = NotifySocket::bind(&socket).map_err(ClusterError::at(&socket))?;
        let path = self.log();
        let log = files::append(&path, 0o640).map_err(ClusterError::at(&path))?;
        let errors = log.try_clone().map_err(ClusterError::at(&path))?;
        let program = self.programs.join("master");
        let child = Command::new(&program)
            .arg("-D")
            .arg("-C")
            .arg(self.imapd_conf())
            .arg("-M")
            .arg(self.cyrus_conf())
            .arg("-p")
            .arg(self.dir.join("master.pid"))
            .env("NOTIFY_SOCKET", &socket)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(ClusterError::at(&program))?;
        self.process = Some(Process { child, notify });
        Ok(())
    }

    /// Waits until the node says `READY=1`.
    pub fn wait_ready(&mut self) -> Result<(), ClusterError> {
        let within = self.ready_within;
        let (name, log) = (self.name.clone(), self.log());
        let Some(process) = &mut self.process else {
            return Err(ClusterError::NotReady { node: name, within, log });
        };
        let until = Instant::now() + within;
        loop {
            if let Ok(Some(status)) = process.child.try_wait() {
                self.process = None;
                return Err(ClusterError::Ended {
                    node: name,
                    status: describe(status),
                    tail: tail(&log),
                    log,
                });
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ClusterError::NotReady { node: name, within, log });
            }
            // wakes now and then to see whether the process is still there
            let wait = left.min(Duration::from_millis(200));
            let heard = process.notify.hear(process.child.id(), wait).map_err(ClusterError::at(&log))?;
            if heard.is_some_and(|notice| notice.ready) {
                return Ok(());
            }
        }
    }

    /// Asks its `master` to stop; [`Node::wait_ended`] waits for it.
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Sends a signal to its `master`.
    pub fn signal(&self, signal: Signal) {
        let pid = self.master_pid().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        if let Some(pid) = pid {
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits for its `master` to end, and kills it when it does not: false then.
    pub fn wait_ended(&mut self, within: Duration) -> bool {
        let Some(mut process) = self.process.take() else { return true };
        let until = Instant::now() + within;
        while Instant::now() < until {
            match process.child.try_wait() {
                Ok(Some(_)) | Err(_) => return true,
                Ok(None) => std::thread::park_timeout(Duration::from_millis(10)),
            }
        }
        let _ = process.child.kill();
        let _ = process.child.wait();
        false
    }
}

/// Who runs the cluster: `cyrus_user` must be the user that starts `master`, since it cannot become another.
fn own_user() -> String {
    let uid = rustix::process::getuid().as_raw();
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| uid.to_string())
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown status".into(),
    }
}

/// The last lines of a log, for an error message.
fn tail(path: &Path) -> String {
    let text: io::Result<String> = fs::read_to_string(path);
    let text = text.unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
}
