//! Three masters over an etcd of three members, a slave of one of them, and a single master: processes of their own on this host, without a
//! supervisor.

mod bare;
pub mod rows;

use std::{
    error::Error,
    fs,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::load::{Account, Connection};

/// All of it; ends when dropped.
pub struct Masters {
    pub etcd: Vec<SocketAddr>,
    pub masters: Vec<SocketAddr>,
    /// A slave of the last master.
    pub slave: SocketAddr,
    /// One that has its list alone.
    pub single: SocketAddr,
    processes: Vec<Process>,
    _dir: tempfile::TempDir,
}

struct Process {
    child: Child,
    what: &'static str,
}

/// CPU seconds that processes have used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used {
    pub etcd: f64,
    pub masters: f64,
    /// This program, which makes the load.
    pub load: f64,
}

impl Masters {
    pub fn start() -> Result<Masters, Box<dyn Error>> {
        let dir = tempfile::Builder::new().prefix("mm").tempdir_in("/tmp")?;
        let mut processes = Vec::new();
        let etcd = etcd(dir.path(), &mut processes)?;
        let endpoints: Vec<String> = etcd.iter().map(|address| format!("http://{address}")).collect();
        let mut start = |what, name: &str, arguments: &[&str], conf: String| -> io::Result<SocketAddr> {
            let address = free()?;
            let child = mupdate(&dir.path().join(name), address, arguments, &conf)?;
            processes.push(Process { child, what });
            Ok(address)
        };
        let shared = format!("etcd_endpoints: {}\n", endpoints.join(" "));
        let mut masters = Vec::new();
        for name in ["a", "b", "c"] {
            masters.push(start("master", name, &["-m"], format!("servername: {name}.demo.test\n{shared}"))?);
        }
        let single = start("single", "single", &["-m"], "servername: single.demo.test\n".into())?;
        let last = masters.last().copied().ok_or("no master")?;
        let follows = format!(
            "servername: slave.demo.test\nmupdate_server: {last}\nmupdate_authname: cyrus\nmupdate_password: cyrus\n"
        );
        let slave = start("slave", "slave", &[], follows)?;
        let all = Masters { etcd, masters, slave, single, processes, _dir: dir };
        for address in all.masters.iter().chain([&all.single, &all.slave]) {
            wait_for(*address)?;
        }
        Ok(all)
    }

    pub fn account(&self) -> Account {
        account()
    }

    /// What etcd's members, and the three masters, have used so far.
    pub fn used(&self) -> Used {
        let of =
            |what| self.processes.iter().filter(|one| one.what == what).map(|one| cpu(one.child.id())).sum();
        Used { etcd: of("etcd"), masters: of("master"), load: cpu(std::process::id()) }
    }
}

impl Drop for Masters {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

impl Used {
    pub fn since(self, before: Used) -> Used {
        Used {
            etcd: self.etcd - before.etcd,
            masters: self.masters - before.masters,
            load: self.load - before.load,
        }
    }

    pub fn all(self) -> f64 {
        self.etcd + self.masters + self.load
    }
}

fn account() -> Account {
    Account { user: "cyrus".into(), password: "cyrus".into() }
}

fn etcd(dir: &Path, processes: &mut Vec<Process>) -> io::Result<Vec<SocketAddr>> {
    let (mut clients, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..MEMBERS {
        clients.push(free()?);
        peers.push(free()?);
    }
    let all: Vec<String> = peers.iter().enumerate().map(|(n, peer)| format!("m{n}=http://{peer}")).collect();
    for (n, (client, peer)) in clients.iter().zip(&peers).enumerate() {
        let (client, peer) = (format!("http://{client}"), format!("http://{peer}"));
        let mut command = Command::new("etcd");
        command
            .args(["--name", &format!("m{n}"), "--initial-cluster", &all.join(",")])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .arg("--data-dir")
            .arg(dir.join(format!("m{n}")));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        processes.push(Process { child, what: "etcd" });
    }
    Ok(clients)
}

fn mupdate(dir: &Path, address: SocketAddr, arguments: &[&str], conf: &str) -> io::Result<Child> {
    fs::create_dir(dir)?;
    let (path, log) = (dir.join("imapd.conf"), fs::File::create(dir.join("log"))?);
    let common =
        "admins: cyrus\nallowplaintext: yes\npassword_iterations: 10000\nmupdate_connections_max: 1024\n";
    fs::write(&path, format!("configdirectory: {}\n{common}{conf}", dir.display()))?;
    let mut passwd = Command::new(programs().join("murder"));
    passwd.arg("passwd").arg("-C").arg(&path).arg("cyrus").stdin(Stdio::piped()).stdout(Stdio::null());
    let mut passwd = passwd.spawn()?;
    passwd.stdin.take().map_or(Ok(()), |mut input| writeln!(input, "cyrus"))?;
    if !passwd.wait()?.success() {
        return Err(io::Error::other("murder passwd failed"));
    }
    let mut command = Command::new(programs().join("mupdate"));
    command.arg("-C").arg(&path).args(arguments).arg("--listen").arg(format!("mupdate={address}"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()
}

fn wait_for(address: SocketAddr) -> io::Result<()> {
    let until = Instant::now() + STARTING;
    loop {
        match Connection::open(address, &account()) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => std::thread::park_timeout(Duration::from_millis(20)),
        }
    }
}

/// An address that nobody listens on.
fn free() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// User and system time of a process, in seconds.
fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let times = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').skip(11).take(2);
    times.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The directory of this program, which has the others.
fn programs() -> PathBuf {
    std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned)).unwrap_or_default()
}

const MEMBERS: usize = 3;
const STARTING: Duration = Duration::from_secs(30);
