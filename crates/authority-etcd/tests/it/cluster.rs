//! A cluster of etcd that a test starts, stops, freezes and fills.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::fs::File;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use authority_etcd::{Etcd, Settings, admin::Admin};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub struct Cluster {
    members: Vec<Member>,
    directory: TempDir,
    arguments: Vec<String>,
}

struct Member {
    client: u16,
    peer: u16,
    running: Option<Child>,
}

impl Cluster {
    /// None where there is no etcd on this machine: the test is skipped.
    pub async fn start(members: usize, arguments: &[&str]) -> Option<Cluster> {
        if !test_host::has(&["etcd"]) {
            return None;
        }
        let member = |_| Member { client: test_host::port(), peer: test_host::port(), running: None };
        let mut cluster = Cluster {
            members: (0..members).map(member).collect(),
            directory: tempfile::tempdir().unwrap(),
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
        };
        (0..members).for_each(|n| cluster.run(n));
        cluster.answers().await;
        Some(cluster)
    }

    pub fn settings(&self, servername: &str, prefix: &str, names: usize) -> Settings {
        Settings {
            endpoints: self.members.iter().map(Member::endpoint).collect(),
            ca_file: None,
            cert_file: None,
            key_file: None,
            user: None,
            prefix: prefix.to_owned(),
            names,
            servername: servername.to_owned(),
        }
    }

    /// A master's handle to the list, which is made if it is not there.
    pub async fn open(&self, servername: &str, names: usize) -> Etcd {
        let settings = self.settings(servername, "murder/", names);
        Admin::new(&settings).unwrap().create().await.unwrap();
        Etcd::open(&settings).await.unwrap()
    }

    /// As imapd.conf has it.
    pub fn endpoints(&self) -> String {
        self.members.iter().map(Member::endpoint).collect::<Vec<_>>().join(" ")
    }

    /// Starts a member, or starts it again.
    pub fn run(&mut self, member: usize) {
        let every: Vec<String> = self
            .members
            .iter()
            .enumerate()
            .map(|(n, one)| format!("m{n}=http://127.0.0.1:{}", one.peer))
            .collect();
        let one = &mut self.members[member];
        let log = File::create(self.directory.path().join(format!("m{member}.log"))).unwrap();
        let (client, peer) = (one.endpoint(), format!("http://127.0.0.1:{}", one.peer));
        let mut command = Command::new("etcd");
        command
            .args(["--name", &format!("m{member}"), "--initial-cluster", &every.join(",")])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .arg("--data-dir")
            .arg(self.directory.path().join(format!("m{member}")))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        one.running = Some(command.spawn().unwrap());
    }

    /// kill -9.
    pub fn kill(&mut self, member: usize) {
        if let Some(mut child) = self.members[member].running.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn freeze(&self, member: usize) {
        self.signal(member, Signal::STOP);
    }

    pub fn thaw(&self, member: usize) {
        self.signal(member, Signal::CONT);
    }

    /// The member that leads, of those that answer.
    pub async fn leader(&self) -> usize {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for (endpoint, member) in self.admin().members().await {
                if member.is_ok_and(|member| member.is_leader) {
                    return self.members.iter().position(|one| one.endpoint() == endpoint).unwrap();
                }
            }
            assert!(Instant::now() < deadline, "no leader:\n{}", self.log());
        }
    }

    /// Returns when a majority answers.
    pub async fn answers(&self) {
        let deadline = Instant::now() + PATIENCE;
        let there = |one: &Member| TcpStream::connect(("127.0.0.1", one.client)).is_ok();
        while !self.members.iter().filter(|one| one.running.is_some()).all(there) {
            assert!(Instant::now() < deadline, "etcd does not start:\n{}", self.log());
            tokio::task::yield_now().await;
        }
        self.leader().await;
    }

    /// What an operator asks with.
    pub fn admin(&self) -> Admin {
        Admin::new(&self.settings("admin", "murder/", 120)).unwrap()
    }

    fn signal(&self, member: usize, signal: Signal) {
        if let Some(child) = &self.members[member].running {
            kill_process(Pid::from_child(child), signal).unwrap();
        }
    }

    fn log(&self) -> String {
        let read = |n| std::fs::read_to_string(self.directory.path().join(format!("m{n}.log")));
        (0..self.members.len()).filter_map(|n| read(n).ok()).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        (0..self.members.len()).for_each(|n| self.kill(n));
    }
}

impl Member {
    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.client)
    }
}

const PATIENCE: Duration = Duration::from_secs(30);
