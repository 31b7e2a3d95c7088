//! Real Cyrus nodes beside ours, from the script that builds a Cyrus Murder out of Debian's packages.
//!
//! Its four nodes have fixed addresses and names, at which Cyrus looks for its peers: any of them may be ours instead. Since
//! there is one such address of each kind in a network, whoever has a [`Lab`] has it alone, also among processes; and ends what
//! a predecessor left running that was killed.
//!
//! `CYRUS_ROOT` names a directory below which another Debian lies, with a newer Cyrus (the script's verb `chroot` makes one): it is run
//! instead of this host's. Directories of nodes have the same paths inside and outside.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{Read, Seek, Write},
    net::Ipv4Addr,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use murder::cluster::Role;

/// The kind of names that a site has: what the script calls a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// `INBOX.x` and `user.fred`, immediate expunges, no duplicate suppression.
    Classic,
    /// As Cyrus 3 is shipped: `/`, and folders beside the INBOX.
    Defaults,
    /// The same with `user@domain`.
    Virtdomains,
}

impl Profile {
    pub const ALL: [Profile; 3] = [Profile::Classic, Profile::Defaults, Profile::Virtdomains];

    fn name(self) -> &'static str {
        match self {
            Profile::Classic => "classic",
            Profile::Defaults => "defaults",
            Profile::Virtdomains => "virtdomains",
        }
    }

    /// What imapd.conf of a node of ours must say to go with it.
    pub(crate) fn options(self) -> Vec<(&'static str, &'static str)> {
        let mut options = vec![("defaultdomain", "murder.test"), ("delete_mode", "delayed")];
        options.push(("virtdomains", if self == Profile::Virtdomains { "userid" } else { "off" }));
        if self == Profile::Classic {
            options.extend([
                ("unixhierarchysep", "off"),
                ("altnamespace", "off"),
                ("expunge_mode", "immediate"),
                ("duplicatesuppression", "no"),
            ]);
        }
        options
    }

    /// A mailbox as an administrator names it, from `user.fred.Sent`.
    pub fn external(self, internal: &str) -> String {
        match self {
            Profile::Classic => internal.to_owned(),
            Profile::Defaults | Profile::Virtdomains => internal.replace('.', "/"),
        }
    }
}

/// One of the script's nodes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub name: &'static str,
    pub role: Role,
    pub address: Ipv4Addr,
}

/// In the order in which they start.
pub(crate) const PLACES: [Place; 4] = [
    Place { name: "mupdate", role: Role::Mupdate, address: Ipv4Addr::new(127, 0, 1, 1) },
    Place { name: "be1", role: Role::Backend, address: Ipv4Addr::new(127, 0, 1, 11) },
    Place { name: "be2", role: Role::Backend, address: Ipv4Addr::new(127, 0, 1, 12) },
    Place { name: "fe1", role: Role::Frontend, address: Ipv4Addr::new(127, 0, 1, 2) },
];

/// Names with passwords that are the same text.
pub(crate) const ACCOUNTS: [&str; 13] = [
    "mailproxy",
    "backend",
    "frontend",
    "alice",
    "bob",
    "carol",
    "dave",
    "erin",
    "frank",
    "grace",
    "heidi",
    "ivan",
    "jack",
];

/// The Cyrus nodes of a murder.
#[derive(Debug)]
pub struct Lab {
    dir: PathBuf,
    profile: Profile,
    nodes: Vec<String>,
    lock: File,
}

impl Lab {
    /// Whether Cyrus can be run here; says so aloud where it cannot, also in a test that passes.
    pub fn is_here() -> bool {
        let missing = if !script().is_file() {
            "the script ../shared/lab/cyrus-murder is not there"
        } else if !inside(CYRUS_BIN).join("mupdate").is_file() {
            "Debian's Cyrus packages are not installed"
        } else if !rustix::process::geteuid().is_root() {
            "only root can start a Cyrus on the standard ports"
        } else {
            return true;
        };
        test_host::skip(&format!("it needs a real Cyrus: {missing}"));
        false
    }

    /// Whether Cyrus's program is installed, which has a package of its own; says so aloud where it is not.
    pub fn has_program(name: &str) -> bool {
        let is_there = inside(CYRUS_BIN).join(name).is_file();
        if !is_there {
            test_host::skip(&format!("it needs Cyrus's {name}: the package cyrus-{name} is not installed"));
        }
        is_there
    }

    /// Writes the configuration of these nodes below `dir`, and starts none.
    pub(crate) fn prepare(dir: &Path, profile: Profile, nodes: Vec<String>) -> Lab {
        let mut lock = take_the_network();
        let mut left = String::new();
        lock.read_to_string(&mut left).expect("the lock is readable");
        if Path::new(left.trim()).join("tls").is_dir() {
            run(Command::new(script()).arg("down").arg(left.trim()));
        }
        if root().is_some() {
            // starts and stops nothing, but lays the directory below the root
            run(Command::new(script()).arg("down").arg(dir).arg("mupdate"));
        }
        lock.set_len(0).and_then(|()| lock.rewind()).expect("the lock is ours");
        write!(lock, "{}", dir.display()).expect("the lock is ours");
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).expect("the directory is ours");
        let lab = Lab { dir: dir.to_owned(), profile, nodes, lock };
        // the same in every lab, and slow to make
        static ACCOUNTS_MADE: OnceLock<Vec<u8>> = OnceLock::new();
        let sasldb = dir.join("sasldb2");
        if let Some(made) = ACCOUNTS_MADE.get() {
            fs::write(&sasldb, made).expect("sasldb2 is written");
        }
        // the script's own functions, without its start
        let steps = r#"source "$0" conf x >/dev/null; DIR=$1; shift
            names; certificate; passwords; chown -R cyrus "$DIR/tls" "$DIR/sasldb2"; for node; do configure "$node"; done"#;
        let mut command = installed("bash");
        run(command
            .arg("-c")
            .arg(steps)
            .arg(root().map_or_else(script, |_| "/cyrus-murder".into()))
            .arg(dir)
            .env_remove("CYRUS_ROOT")
            .args(&lab.nodes)
            .env("PROFILE", profile.name()));
        ACCOUNTS_MADE.get_or_init(|| fs::read(&sasldb).expect("sasldb2 was made"));
        // Newer ones offer STARTTLS only where they are told to; a MUPDATE master had better not.
        for node in lab.nodes.iter().filter(|node| *node != "mupdate") {
            lab.set_option(node, "allowstarttls", "yes");
        }
        lab
    }

    pub fn has(&self, node: &str) -> bool {
        self.nodes.iter().any(|one| one == node)
    }

    pub fn profile(&self) -> Profile {
        self.profile
    }

    pub fn imapd_conf(&self, node: &str) -> PathBuf {
        self.dir.join(node).join("imapd.conf")
    }

    pub fn cyrus_conf(&self, node: &str) -> PathBuf {
        self.dir.join(node).join("cyrus.conf")
    }

    /// Sets an option; the last of two lines counts for Cyrus, so the first is taken out.
    pub fn set_option(&self, node: &str, key: &str, value: &str) {
        let path = self.imapd_conf(node);
        let text = fs::read_to_string(&path).expect("the node's imapd.conf");
        let mut lines: Vec<&str> =
            text.lines().filter(|line| line.split_once(':').is_none_or(|(k, _)| k != key)).collect();
        let line = format!("{key}: {value}\n");
        lines.push(&line);
        fs::write(&path, lines.join("\n")).expect("imapd.conf is written");
    }

    /// Gives somebody a password at a node, with a domain or without.
    pub fn account(&self, node: &str, name: &str, password: &str) {
        let host = format!("{node}.murder.test");
        let (local, realm) = name.split_once('@').unwrap_or((name, &host));
        let database = self.dir.join("sasldb2");
        let mut command = installed("saslpasswd2");
        command.args(["-p", "-c", "-u", realm, "-f"]).arg(database).arg(local);
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("saslpasswd2 runs");
        let typed = child.stdin.take().map(|mut input| input.write_all(password.as_bytes()));
        assert!(typed.is_some_and(|typed| typed.is_ok()), "a password is written");
        assert!(child.wait().is_ok_and(|status| status.success()), "{name} has a password");
    }

    /// Replaces words of a node's cyrus.conf, which must be there.
    pub fn edit(&self, node: &str, old: &str, new: &str) {
        let path = self.cyrus_conf(node);
        let text = fs::read_to_string(&path).expect("the node's cyrus.conf");
        assert!(text.contains(old), "{old} stands in {text}");
        fs::write(&path, text.replace(old, new)).expect("cyrus.conf is written");
    }

    pub fn start(&self, node: &str) {
        run(Command::new(script()).arg("up").arg(&self.dir).arg(node).env("PROFILE", self.profile.name()));
    }

    pub fn stop(&self, node: &str) {
        run(Command::new(script()).arg("down").arg(&self.dir).arg(node));
    }

    /// Has the node's `cyrmaster` read its files again.
    pub fn reload(&self, node: &str) {
        let pid = rustix::process::Pid::from_raw(self.master_pid(node)).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("it runs");
    }

    /// The pid of the node's `cyrmaster`.
    pub fn master_pid(&self, node: &str) -> i32 {
        let path = self.dir.join(node).join("run/master.pid");
        let text = fs::read_to_string(&path).expect("the node runs");
        text.trim().parse().expect("a pid")
    }

    /// One of Cyrus's own programs for a node, as its user, ready for arguments.
    pub fn program(&self, node: &str, name: &str) -> Command {
        let path = Path::new(CYRUS_BIN).join(name);
        let mut command = match root() {
            None => as_cyrus(path),
            Some(root) => {
                let mut command = Command::new("chroot");
                command.arg("--userspec=cyrus:mail").arg(root).arg(path);
                command
            }
        };
        command.arg("-C").arg(self.imapd_conf(node));
        command
    }

    pub fn tool(&self, node: &str, name: &str, args: &[&str]) -> Output {
        self.program(node, name).args(args).output().expect("Cyrus's program runs")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for node in self.nodes.iter().rev() {
            // a test that fails is told its own reason
            let _ = Command::new(script()).arg("down").arg(&self.dir).arg(node).output();
        }
        if let Some(root) = root() {
            let below = root.join(self.dir.strip_prefix("/").unwrap_or(&self.dir));
            let _ = Command::new("umount").arg(below).status();
        }
        let _ = self.lock.set_len(0);
    }
}

/// Below which the Cyrus lies that is run, if not below `/`.
fn root() -> Option<PathBuf> {
    std::env::var_os("CYRUS_ROOT").filter(|root| !root.is_empty()).map(PathBuf::from)
}

/// A path of the system in which Cyrus is installed, as this one sees it.
fn inside(path: &str) -> PathBuf {
    root().map_or_else(|| PathBuf::from(path), |root| root.join(path.trim_start_matches('/')))
}

/// A program of the system in which Cyrus is installed.
fn installed(program: impl AsRef<OsStr>) -> Command {
    let Some(root) = root() else { return Command::new(program) };
    let mut command = Command::new("chroot");
    command.arg(root).arg(program);
    command
}

/// A program of this host with the rights of Cyrus's user.
pub fn as_cyrus(program: impl AsRef<OsStr>) -> Command {
    let (uid, gid) = cyrus_user();
    let mut command = Command::new(program);
    command.uid(uid).gid(gid).current_dir("/");
    command
}

/// The numbers of Cyrus's user and its group.
pub fn cyrus_user() -> (u32, u32) {
    let passwd = fs::read_to_string(inside("/etc/passwd")).expect("/etc/passwd");
    let fields =
        passwd.lines().find_map(|line| line.strip_prefix("cyrus:")).expect("the packages make a user cyrus");
    let mut fields = fields.split(':').skip(1).map(|field| field.parse().expect("a number"));
    (fields.next().expect("a uid"), fields.next().expect("a gid"))
}

/// Cyrus's own `mupdatetest`, which lies outside of a node.
pub fn mupdatetest() -> Command {
    installed(Path::new(CYRUS_BIN).join("mupdatetest"))
}

/// Which Cyrus it is that can be run here: the first two numbers of its version.
pub fn version() -> Option<(u32, u32)> {
    let mut command = installed("dpkg-query");
    let output = command.args(["-W", "-f", "${Version}", "cyrus-imapd"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.split(['.', '-', '~']).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// The lab of this network is whose this file is; it holds the directory of the nodes.
fn take_the_network() -> File {
    let network = fs::read_link("/proc/self/ns/net").expect("/proc");
    let number: String = network.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    let path = format!("/tmp/cyrus-murder-tests-{number}.lock");
    let options = File::options().create(true).truncate(false).read(true).write(true).open(&path);
    let lock = options.unwrap_or_else(|e| panic!("{path}: {e}"));
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("flock");
    lock
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/lab/cyrus-murder")
}

fn run(command: &mut Command) {
    // files, not pipes: what it starts lives on with its output
    let log = tempfile::tempfile().expect("a temporary file");
    let (out, errors) = (log.try_clone().expect("dup"), log.try_clone().expect("dup"));
    let status =
        command.stdin(std::process::Stdio::null()).stdout(out).stderr(errors).status().expect("bash runs");
    let (mut text, mut log) = (String::new(), log);
    let _ = log.rewind().and_then(|()| log.read_to_string(&mut text));
    assert!(status.success(), "{command:?}: {text}");
}

const CYRUS_BIN: &str = "/usr/lib/cyrus/bin";
