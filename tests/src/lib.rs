//! The builder of whole systems for tests: nodes, roles, users; the real `master`s, started from the files in `etc/`.
//!
//! ```no_run
//! let murder = system_tests::Plan::nodes(1, 2).user("alice", "backend1").user("bob", "backend2").start();
//! ```
//!
//! Nodes may be real Cyrus ones ([`Plan::mixed`]): the scenario is the same, whoever plays a part.
//!
//! Each cluster listens on a loopback address of its own and lives in a temporary directory, so tests run side by side.
//! Readiness is awaited, never guessed. Whatever a test leaves running is stopped when the cluster is dropped; its logs
//! are printed when the test fails.

pub mod lab;
pub mod lists;
pub mod machine;
pub mod mupdate;
pub mod relay;

use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use murder::{
    clients::{Imap, Lmtp, Pop3, Trust},
    cluster::{Account, Cluster, Node, NodeSpec, Options, PortChoice, Role, Topology, UserSpec},
};

use lab::{Lab, Profile};
use lists::List;

/// What a test wants.
#[derive(Debug, Clone)]
pub struct Plan {
    topology: Topology,
    inboxes: bool,
    mixed: Option<Mixed>,
    over: Option<PathBuf>,
}

/// Who plays the parts of a murder at the lab's addresses.
#[derive(Debug, Clone)]
struct Mixed {
    profile: Profile,
    cast: Vec<(String, Who)>,
}

/// Whose program a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Ours,
    Cyrus,
}

/// A running murder.
#[derive(Debug)]
pub struct Murder {
    pub cluster: Cluster,
    pub trust: Trust,
    programs: PathBuf,
    /// The nodes that are Cyrus's.
    pub lab: Option<Lab>,
    // removed after the nodes have ended
    _dir: tempfile::TempDir,
}

impl Plan {
    /// One MUPDATE master, with frontends and backends called frontend1, backend1, … and no users yet.
    pub fn nodes(frontends: usize, backends: usize) -> Plan {
        let specs = |kind: &str, count: usize| -> Vec<NodeSpec> {
            (1..=count).map(|n| NodeSpec { name: format!("{kind}{n}"), ..NodeSpec::default() }).collect()
        };
        let mut topology = Topology::default_demo();
        topology.frontends = specs("frontend", frontends);
        topology.backends = specs("backend", backends);
        topology.users.clear();
        topology.mupdate = Some(NodeSpec { name: "mupdate".into(), ..NodeSpec::default() });
        Plan { topology, inboxes: true, mixed: None, over: None }
    }

    /// A murder at the addresses and names of the lab, of these nodes (mupdate, be1, be2, fe1), ours and Cyrus's. Its people
    /// have their names for passwords. None, and told aloud, where Cyrus cannot be run.
    pub fn mixed(profile: Profile, cast: &[(&str, Who)]) -> Option<Plan> {
        if !Lab::is_here() {
            return None;
        }
        let mut plan = Plan::nodes(0, 0);
        let topology = &mut plan.topology;
        topology.domain = "murder.test".into();
        topology.admin = named("cyrus");
        topology.accounts = lab::ACCOUNTS.map(named).into();
        for place in lab::PLACES {
            let foreign = !cast.contains(&(place.name, Who::Ours));
            let mut spec = NodeSpec {
                name: place.name.into(),
                address: Some(place.address),
                foreign,
                ..NodeSpec::default()
            };
            let options = profile.options().into_iter().chain(identities(place.role));
            spec.imapd = options.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            match place.role {
                Role::Mupdate => topology.mupdate = Some(spec),
                Role::Backend => topology.backends.push(spec),
                Role::Frontend => topology.frontends.push(spec),
            }
        }
        let cast = cast.iter().map(|(name, who)| ((*name).to_owned(), *who)).collect();
        plan.mixed = Some(Mixed { profile, cast });
        Some(plan)
    }

    /// A user whose password is `<name>-pw`, with an INBOX on this backend.
    pub fn user(mut self, name: &str, backend: &str) -> Plan {
        let password = Some(format!("{name}-pw"));
        self.topology.users.push(UserSpec { name: name.into(), password, backend: backend.into() });
        self
    }

    /// A user with a password, for whom the test creates an INBOX itself.
    pub fn password(mut self, name: &str) -> Plan {
        self = self.user(name, "backend1");
        self.inboxes = false;
        self
    }

    /// A name with the password `<name>-pw`, for whom nothing is made.
    pub fn account(mut self, name: &str) -> Plan {
        self.topology.accounts.push(Account { name: name.into(), password: Some(format!("{name}-pw")) });
        self
    }

    /// An option of one node's imapd.conf.
    pub fn option(mut self, node: &str, key: &str, value: &str) -> Plan {
        let topology = &mut self.topology;
        let specs = topology.frontends.iter_mut().chain(&mut topology.backends).chain(&mut topology.mupdate);
        for spec in specs.filter(|spec| spec.name == node || node == "*") {
            spec.imapd.insert(key.into(), value.into());
        }
        self
    }

    /// The nodes find what is in this directory: their lists, mail, passwords. The users have their INBOXes there.
    pub fn over(mut self, dir: &Path) -> Plan {
        self.over = Some(dir.to_owned());
        self.inboxes = false;
        self
    }

    /// Starts every node, and creates the users' INBOXes through the first frontend.
    pub fn start(self) -> Murder {
        let inboxes = self.inboxes;
        let cast = self.mixed.clone();
        let mut murder = self.prepare();
        match cast {
            Some(mixed) => mixed.in_order().for_each(|node| murder.start(node)),
            None => murder.cluster.start().unwrap_or_else(|e| panic!("the cluster starts: {e}")),
        }
        if inboxes {
            murder.create_inboxes();
        }
        murder
    }

    /// Writes everything, and starts nothing.
    pub fn prepare(self) -> Murder {
        let programs = programs();
        // short, since UNIX socket paths are
        let dir = tempfile::Builder::new().prefix("mt").tempdir_in("/tmp").expect("a temporary directory");
        if let Some(over) = &self.over {
            copy_tree(over, dir.path()).unwrap_or_else(|e| panic!("{}: {e}", over.display()));
        }
        let options = Options {
            dir: dir.path().to_owned(),
            programs: programs.to_owned(),
            ports: PortChoice::Free { address: test_host::address() },
            ready_within: Duration::from_secs(60),
        };
        let mixed = self.mixed;
        let cluster = Cluster::prepare(self.topology, &options).unwrap_or_else(|e| panic!("prepare: {e}"));
        let lab = mixed.map(|mixed| Lab::prepare(&cluster.dir, mixed.profile, mixed.of_cyrus()));
        let trust = Trust::in_authority(&cluster.ca).expect("the CA is readable");
        Murder { cluster, trust, programs: programs.to_owned(), lab, _dir: dir }
    }
}

impl Mixed {
    fn in_order(&self) -> impl Iterator<Item = &'static str> {
        let plays = |name: &str| self.cast.iter().any(|(one, _)| one == name);
        lab::PLACES.into_iter().map(|place| place.name).filter(move |name| plays(name))
    }

    fn of_cyrus(&self) -> Vec<String> {
        let cyrus = self.cast.iter().filter(|(_, who)| *who == Who::Cyrus);
        cyrus.map(|(name, _)| name.clone()).collect()
    }
}

fn named(name: &str) -> Account {
    Account { name: name.into(), password: Some(name.into()) }
}

/// What a node of ours says to let the lab's identities in, and to be let in as one of them.
fn identities(role: Role) -> Vec<(&'static str, &'static str)> {
    let proxy = [("proxy_authname", "mailproxy"), ("proxy_password", "mailproxy")];
    let admins = ("admins", "cyrus mailproxy backend frontend");
    match role {
        Role::Mupdate => vec![admins],
        Role::Frontend => [admins].into_iter().chain(proxy).collect(),
        Role::Backend => {
            let trusted = [("proxyservers", "mailproxy"), ("lmtp_admins", "cyrus mailproxy")];
            [admins].into_iter().chain(trusted).chain(proxy).collect()
        }
    }
}

impl Murder {
    /// Creates the INBOX of each user on the backend that the plan names.
    pub fn create_inboxes(&self) {
        if self.cluster.topology.users.is_empty() {
            return;
        }
        let mut admin = self.admin("frontend1");
        for user in &self.cluster.topology.users {
            let host = self.cluster.topology.host(&user.backend);
            admin.must(&format!("CREATE user/{} {host}!", user.name)).expect("an INBOX is created");
        }
    }

    /// The same, where the frontend has yet to learn of its master.
    pub fn create_inboxes_when_possible(&self) {
        let mut admin = self.admin("frontend1");
        for user in &self.cluster.topology.users {
            let host = self.cluster.topology.host(&user.backend);
            let create = format!("CREATE user/{} {host}!", user.name);
            eventually("an INBOX is created", || admin.command(&create).ok()?.is_ok().then_some(()));
        }
    }

    /// An IMAP session over TLS, if the node takes one now.
    pub fn try_imap(&self, node: &str) -> Option<Imap> {
        Imap::tls(self.address(node, "imaps"), &self.trust).ok()
    }

    /// An LMTP session, if the node takes one now.
    pub fn try_lmtp(&self, node: &str) -> Option<Lmtp> {
        Lmtp::connect(self.address(node, "lmtp")).ok()
    }

    pub fn node(&self, name: &str) -> &Node {
        self.cluster.node(name).unwrap_or_else(|| panic!("there is a node called {name}"))
    }

    pub fn password(&self, user: &str) -> String {
        self.cluster.secrets.password(user).to_owned()
    }

    /// Where a node's service listens.
    pub fn address(&self, node: &str, service: &str) -> SocketAddr {
        let node = self.node(node);
        SocketAddr::new(node.ports.address, node.ports.get(service))
    }

    /// An IMAP session over TLS, not logged in.
    pub fn imap(&self, node: &str) -> Imap {
        Imap::tls(self.address(node, "imaps"), &self.trust).unwrap_or_else(|e| panic!("IMAP to {node}: {e}"))
    }

    /// An IMAP session over TLS, logged in.
    pub fn login(&self, node: &str, user: &str) -> Imap {
        let mut imap = self.imap(node);
        imap.login(user, &self.password(user)).unwrap_or_else(|e| panic!("{user} logs in at {node}: {e}"));
        imap
    }

    /// An IMAP session of the administrator.
    pub fn admin(&self, node: &str) -> Imap {
        let name = self.cluster.topology.admin.name.clone();
        self.login(node, &name)
    }

    /// An LMTP session in which LHLO was said.
    pub fn lmtp(&self, node: &str) -> Lmtp {
        Lmtp::connect(self.address(node, "lmtp")).unwrap_or_else(|e| panic!("LMTP to {node}: {e}"))
    }

    /// A POP3 session over TLS, logged in.
    pub fn pop3(&self, node: &str, user: &str) -> Pop3 {
        let mut pop3 = Pop3::tls(self.address(node, "pop3s"), &self.trust).expect("POP3");
        pop3.must(&format!("USER {user}")).expect("USER");
        pop3.must(&format!("PASS {}", self.password(user))).expect("PASS");
        pop3
    }

    /// Delivers a small message through a node; the final reply for each recipient.
    pub fn deliver(&self, node: &str, to: &[&str], id: &str) -> Vec<String> {
        self.lmtp(node).deliver("sender@example.org", to, &message(id)).expect("an LMTP transaction")
    }

    /// One of the project's programs, ready for arguments.
    pub fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    /// One of our programs at a place that Cyrus's user can reach, to be named in a Cyrus node's cyrus.conf.
    pub fn installed(&self, name: &str) -> PathBuf {
        let (source, dir) = (self.programs.join(name), self.cluster.dir.join("bin"));
        let program = dir.join(name);
        std::fs::create_dir_all(&dir).expect("a directory");
        if !program.exists() && std::fs::hard_link(&source, &program).is_err() {
            std::fs::copy(&source, &program).expect("the program is copied");
        }
        program
    }

    /// A tool run for a node to its end: `ctl_mboxlist -C … -d`. Of a Cyrus node it is Cyrus's.
    pub fn tool(&self, node: &str, name: &str, args: &[&str]) -> Output {
        if let Some(lab) = self.cyrus(node) {
            return lab.tool(node, name, args);
        }
        let mut command = self.program(name);
        command.arg("-C").arg(self.node(node).imapd_conf()).args(args);
        command.output().unwrap_or_else(|e| panic!("{name} runs: {e}"))
    }

    /// A tool of ours, with something on its standard input.
    pub fn tool_with(&self, node: &str, name: &str, args: &[&str], input: &[u8]) -> Output {
        self.fed(self.program(name), node, args, input)
    }

    /// A command of the operator's, likewise.
    pub fn murder_with(&self, node: &str, verb: &str, args: &[&str], input: &[u8]) -> Output {
        let mut command = self.program("murder");
        command.arg(verb);
        self.fed(command, node, args, input)
    }

    fn fed(&self, mut command: Command, node: &str, args: &[&str], input: &[u8]) -> Output {
        command.arg("-C").arg(self.node(node).imapd_conf()).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a tool starts");
        // What is not read shows in the outcome.
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input));
        child.wait_with_output().expect("a tool ends")
    }

    /// The list that a node has. A daemon that is just starting has its list and does not answer yet: it is asked again.
    pub fn list(&self, node: &str) -> List {
        let mut said = String::new();
        let host = self.cluster.topology.host(node);
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until {
            let dump = self.tool(node, "ctl_mboxlist", &["-d"]);
            let text = String::from_utf8_lossy(&dump.stdout);
            if dump.status.success() {
                return lists::read(&text, &host);
            }
            said = format!("{text}{}", String::from_utf8_lossy(&dump.stderr));
            std::thread::park_timeout(Duration::from_millis(50));
        }
        panic!("{node}: {said}");
    }

    /// Waits until these nodes have one and the same list: every name, place and ACL. Of a backend its own entries count.
    pub fn agree(&self, nodes: &[&str]) -> List {
        let (first, others) = nodes.split_first().expect("nodes");
        let mut complaint = String::new();
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let master = self.list(first);
            complaint.clear();
            for node in others {
                let host = self.cluster.topology.host(node);
                let of_backend = self.node(node).role == Role::Backend;
                let wanted = master.clone().into_iter().filter(|(_, row)| !of_backend || row.server == host);
                let (wanted, held) = (wanted.collect(), self.list(node));
                complaint += &lists::difference(&wanted, &held);
            }
            if complaint.is_empty() {
                return master;
            }
            assert!(Instant::now() < until, "the lists of {nodes:?} stay different:\n{complaint}");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// A MUPDATE session that may do everything: an administrator's with Cyrus, over the local socket with ours.
    pub fn mupdate(&self, node: &str) -> mupdate::Mupdate {
        match self.cyrus(node) {
            Some(_) => mupdate::Mupdate::plain(self.address(node, "mupdate"), "cyrus", "cyrus"),
            None => mupdate::Mupdate::local(&self.node(node).conf_dir().join("murder/mupdate/socket")),
        }
    }

    /// A mailbox as an administrator names it.
    pub fn external(&self, internal: &str) -> String {
        let profile = self.lab.as_ref().map_or(Profile::Defaults, Lab::profile);
        profile.external(internal)
    }

    fn cyrus(&self, node: &str) -> Option<&Lab> {
        self.lab.as_ref().filter(|lab| lab.has(node))
    }

    /// A node's imapd.conf.
    pub fn imapd_conf(&self, node: &str) -> PathBuf {
        self.cyrus(node).map_or_else(|| self.node(node).imapd_conf(), |lab| lab.imapd_conf(node))
    }

    /// Sets an option of a node's imapd.conf; the node has to be restarted to see it.
    pub fn set_option(&self, node: &str, key: &str, value: &str) {
        match self.cyrus(node) {
            Some(lab) => lab.set_option(node, key, value),
            None => self.node(node).set_option(key, value).expect("imapd.conf is written"),
        }
    }

    /// Stops a node's `master`, and waits for it and all its children.
    pub fn stop(&mut self, name: &str) {
        if let Some(lab) = self.cyrus(name) {
            return lab.stop(name);
        }
        let node = self.cluster.node_mut(name).expect("a node");
        node.terminate();
        assert!(node.wait_ended(Duration::from_secs(20)), "{name} had to be killed");
    }

    /// Starts a node, and waits until it is ready.
    pub fn start(&mut self, name: &str) {
        if let Some(lab) = self.cyrus(name) {
            return lab.start(name);
        }
        let node = self.cluster.node_mut(name).expect("a node");
        node.spawn().and_then(|()| node.wait_ready()).unwrap_or_else(|e| panic!("{name} starts: {e}"));
    }

    /// The pids of a node's processes that run this program.
    pub fn pids(&self, node: &str, program: &str) -> Vec<u32> {
        let conf = self.node(node).imapd_conf();
        let conf = conf.to_string_lossy();
        let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
        processes
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid: &u32| {
                let cmdline = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let mut args = cmdline.split(|&b| b == 0).map(String::from_utf8_lossy);
                let name = args.next().unwrap_or_default();
                Path::new(&*name).file_name().is_some_and(|f| f == program) && args.any(|arg| arg == conf)
            })
            .collect()
    }

    /// Kills a node's processes that run this program, as a crash would.
    pub fn kill(&self, node: &str, program: &str) {
        let pids = self.pids(node, program);
        assert!(!pids.is_empty(), "{program} runs on {node}");
        for pid in &pids {
            let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a pid");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        // Who is seen from here on came after.
        eventually("the killed are gone", || {
            self.pids(node, program).iter().all(|pid| !pids.contains(pid)).then_some(())
        });
    }
}

impl Drop for Murder {
    fn drop(&mut self) {
        self.cluster.stop();
        if std::thread::panicking() {
            for node in &self.cluster.nodes {
                let log = std::fs::read_to_string(node.log()).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let tail = lines.get(lines.len().saturating_sub(60)..).unwrap_or_default().join("\n");
                eprintln!("---- {} ----\n{tail}", node.name);
            }
        }
    }
}

/// A small message with this Message-ID.
pub fn message(id: &str) -> String {
    format!(
        "From: sender@example.org\r\nTo: someone@example.org\r\nSubject: about {id}\r\n\
         Date: Mon, 05 Jan 2026 10:00:00 +0000\r\nMessage-ID: <{id}@example.org>\r\n\r\nThe text of {id}.\r\n"
    )
}

/// Copies files and directories; sockets and FIFOs stay behind.
pub fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    let kind = std::fs::symlink_metadata(from)?.file_type();
    if kind.is_dir() {
        std::fs::create_dir_all(to)?;
        for entry in std::fs::read_dir(from)? {
            let name = entry?.file_name();
            copy_tree(&from.join(&name), &to.join(&name))?;
        }
    } else if kind.is_file() {
        std::fs::copy(from, to)?;
    }
    Ok(())
}

/// Asks again and again, at once, until it is so; panics after half a minute.
pub fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(30, what, ask)
}

/// The same for what a daemon does on purpose only after some time: seconds at most.
pub fn within<T>(seconds: u64, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A script in Python, a client that this project did not write; panics with its output where it fails.
pub fn python(script: &str, args: &[&str]) -> String {
    let output =
        Command::new("python3").arg("-c").arg(script).args(args).output().expect("python3 is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Where the daemons are: beside the test's own binary. Built once, since testing one package does not build the rest.
pub fn programs() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let exe = std::env::current_exe().expect("the test's own path");
        let profile = exe.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>").to_owned();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--workspace", "--bins"]);
        if profile.ends_with("release") {
            build.arg("--release");
        }
        let status =
            build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).status().expect("cargo runs");
        assert!(status.success(), "the daemons build");
        profile
    })
}
