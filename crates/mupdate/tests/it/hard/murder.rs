//! Three masters in processes of their own, over an etcd of three members. Each goes to each member by a way that can be cut, and so do
//! the members to one another.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use identity::passwords::PasswordDb;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::{
    clients::{Crowd, Link},
    way::Way,
};
use crate::{
    cluster::Cluster,
    process::Process,
    questions::Chance,
    world::{eventually, imapd},
};

pub struct Hard {
    pub cluster: Cluster,
    pub masters: Vec<Master>,
    pub crowd: Crowd,
    /// Before each member of etcd, for the others.
    peers: Vec<Way>,
    clients: Vec<JoinHandle<()>>,
}

pub struct Master {
    pub port: u16,
    pub process: Process,
    dir: TempDir,
    conf: String,
    /// To each member of etcd.
    ways: Vec<Way>,
}

impl Hard {
    /// None where there is no etcd on this machine: the test is skipped.
    pub async fn start(arguments: &[&str]) -> Option<Hard> {
        let mut ports = Vec::new();
        let mut peers = Vec::new();
        for _ in 0..MEMBERS {
            let port = test_host::port();
            ports.push(port);
            peers.push(Way::to(port).await);
        }
        let between = ports.iter().zip(&peers).map(|(&port, way)| (port, way.port())).collect();
        let cluster = Cluster::start_between(between, arguments).await?;
        let mut masters = Vec::new();
        for number in 0..MASTERS {
            masters.push(Master::start(number, &cluster).await);
        }
        for master in &masters {
            master.serves().await;
        }
        Some(Hard { cluster, masters, crowd: Crowd::default(), peers, clients: Vec::new() })
    }

    pub fn begin(&mut self, clients: u64, seed: u64) {
        let ports: Vec<u16> = self.masters.iter().map(|master| master.port).collect();
        for number in 0..clients {
            let chance = Chance(seed.wrapping_add(number << 32));
            self.clients.push(tokio::spawn(self.crowd.clone().client(number, ports.clone(), chance)));
        }
    }

    /// Waits until so many more questions have an answer, or for as long as that.
    pub async fn go_on(&self, more: usize, no_longer: Duration) -> bool {
        let (history, until) = (&self.crowd.history, Instant::now() + no_longer);
        let enough = history.answered() + more;
        let mut pause = tokio::time::interval(Duration::from_millis(10));
        while history.answered() < enough {
            if Instant::now() > until {
                return false;
            }
            pause.tick().await;
        }
        true
    }

    /// Keeps others from one member of etcd; it goes on hearing those whom it calls.
    pub fn cut_member(&self, member: usize, open: bool) {
        self.peers[member].set(open, open);
    }

    /// Ends all clients, looks everything up once more at all masters, and looks whether what was said can be true.
    pub async fn judge(mut self) -> (usize, usize) {
        self.crowd.ended.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.await.unwrap();
        }
        for (number, master) in self.masters.iter().enumerate() {
            master.serves().await;
            self.crowd.look_up_all(number, master.port).await;
        }
        if let Some(lie) = self.crowd.history.lie() {
            self.keep_logs();
            panic!("{lie}");
        }
        (self.crowd.history.answered(), self.crowd.history.lost())
    }

    /// Shows what the masters logged.
    fn keep_logs(&self) {
        for master in &self.masters {
            eprintln!("---- {}\n{}", master.port, master.log());
        }
    }
}

impl Master {
    async fn start(number: usize, cluster: &Cluster) -> Master {
        let dir = tempfile::tempdir().unwrap();
        let mut ways = Vec::new();
        for port in cluster.ports() {
            ways.push(Way::to(port).await);
        }
        let endpoints: Vec<String> =
            ways.iter().map(|way| format!("http://127.0.0.1:{}", way.port())).collect();
        let conf = format!("servername: m{number}.example.org\netcd_endpoints: {}\n", endpoints.join(" "));
        let passwords = PasswordDb::new(imapd(&dir, &conf).password_db());
        ["cyrus", "frontend"].iter().for_each(|user| passwords.set(user, user).unwrap());
        let port = test_host::port();
        let process = Process::start(&dir, &conf, port, &["-m"]);
        Master { port, process, dir, conf, ways }
    }

    /// kill -9, and a new one at once.
    pub fn kill(&mut self) {
        self.process.kill();
        self.run();
    }

    pub fn run(&mut self) {
        self.process = Process::start(&self.dir, &self.conf, self.port, &["-m"]);
    }

    pub fn freeze(&self) {
        self.process.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.process.signal(Signal::CONT);
    }

    /// What passes to etcd, and back.
    pub fn cut(&self, there: bool, back: bool) {
        self.ways.iter().for_each(|way| way.set(there, back));
    }

    /// Returns when it answers clients.
    pub async fn serves(&self) {
        eventually(async || Link::open(self.port).await.ok().map(drop)).await;
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

pub const MASTERS: usize = 3;
pub const MEMBERS: usize = 3;
