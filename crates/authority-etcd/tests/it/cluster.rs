//! A cluster of etcd that a test starts, stops, freezes and fills.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::fs::File;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use authority_etcd::{Etcd, Settings, admin::Admin};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub struct Cluster {
    members: Vec<Member>,
    directory: TempDir,
    arguments: Vec<String>,
    /// Where each member listens with TLS as well.
    secured: Option<u16>,
}

struct Member {
    client: u16,
    peer: u16,
    /// Where the others find it: a way to `peer`, or that itself.
    advertised: u16,
    running: Option<Child>,
}

impl Cluster {
    /// None where there is no etcd on this machine: the test is skipped.
    pub async fn start(members: usize, arguments: &[&str]) -> Option<Cluster> {
        let peers = (0..members).map(|_| test_host::port()).map(|port| (port, port));
        Cluster::start_between(peers.collect(), arguments).await
    }

    /// The same with something between the members: for each the port that it listens on for the others, and the one by which they go.
    pub async fn start_between(peers: Vec<(u16, u16)>, arguments: &[&str]) -> Option<Cluster> {
        if !test_host::has(&["etcd"]) {
            return None;
        }
        let member =
            |(peer, advertised)| Member { client: test_host::port(), peer, advertised, running: None };
        let members = peers.len();
        let mut cluster = Cluster {
            members: peers.into_iter().map(member).collect(),
            directory: tempfile::tempdir().unwrap(),
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
            secured: None,
        };
        (0..members).for_each(|n| cluster.run(n));
        cluster.answers().await;
        Some(cluster)
    }

    /// One member that also listens with TLS, at this port: by the arguments given, which say who it is and whom it lets in.
    pub async fn secured(port: u16, arguments: &[&str]) -> Option<Cluster> {
        let mut cluster = Cluster::start(1, arguments).await?;
        cluster.secured = Some(port);
        cluster.kill(0);
        cluster.run(0);
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

    /// Where each member listens for clients.
    pub fn ports(&self) -> Vec<u16> {
        self.members.iter().map(|member| member.client).collect()
    }

    /// Starts a member, or starts it again.
    pub fn run(&mut self, member: usize) {
        let every: Vec<String> = self
            .members
            .iter()
            .enumerate()
            .map(|(n, one)| format!("m{n}=http://127.0.0.1:{}", one.advertised))
            .collect();
        let one = &mut self.members[member];
        let log = File::create(self.directory.path().join(format!("m{member}.log"))).unwrap();
        let (client, peer) = (one.endpoint(), format!("http://127.0.0.1:{}", one.peer));
        let advertised = format!("http://127.0.0.1:{}", one.advertised);
        let client = match self.secured {
            Some(port) => format!("{client},https://127.0.0.1:{port}"),
            None => client,
        };
        let mut command = Command::new("etcd");
        command
            .args(["--name", &format!("m{member}"), "--initial-cluster", &every.join(",")])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &advertised])
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

    /// Forgets all history before now.
    pub async fn compact(&self) {
        // Somebody else's key: what came last is history, too.
        self.compact_to(self.ask("kv/put", json!({"key": "b3RoZXI=", "value": ""})).await).await;
    }

    /// The same before an answer of etcd's.
    pub async fn compact_to(&self, answer: Value) {
        let now = answer["header"]["revision"].as_str().unwrap();
        self.ask("kv/compaction", json!({"revision": now, "physical": true})).await;
    }

    /// What a member that runs answers, in etcd's JSON.
    pub async fn ask(&self, what: &str, question: Value) -> Value {
        let there = self.members.iter().find(|member| member.running.is_some()).unwrap();
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", there.client)).await.unwrap();
        let body = question.to_string();
        let head = format!("POST /v3/{what} HTTP/1.0\r\nHost: etcd\r\n");
        let all = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(all.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|why| panic!("{what}: {why}: {answer}"))
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
