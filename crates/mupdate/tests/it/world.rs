//! Nodes for tests: a `mupdate` in this process, on a free port, in a directory of its own.

use std::{future::Future, net::SocketAddr, path::PathBuf, time::Duration};

use config::imapd::Imapd;
use directory::client::Client;
use mailboxes::Entry;
use mupdate::daemon::{Mode, serve};
use protocol::{location::Location, name::MailboxName};
use service::Context;
use service::listen::Socket;
use supervision::listeners::Entry as ListenEntry;
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};

/// Everything awaited in a test comes within this, or the test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Node {
    pub context: Context,
    pub address: SocketAddr,
    dir: TempDir,
    task: JoinHandle<()>,
}

impl Node {
    /// A master, with these lines more in its imapd.conf.
    pub async fn master(conf: &str) -> Node {
        Node::start(Mode::Master, "127.0.0.1:0", tempfile::tempdir().unwrap(), conf).await
    }

    /// A slave of that master.
    pub async fn slave(master: &Node, conf: &str) -> Node {
        Node::slave_of(master.address, conf).await
    }

    pub async fn slave_of(master: SocketAddr, conf: &str) -> Node {
        let conf = format!("{}{conf}", follows(master));
        Node::start(Mode::Slave, "127.0.0.1:0", tempfile::tempdir().unwrap(), &conf).await
    }

    pub async fn start(mode: Mode, address: &str, dir: TempDir, conf: &str) -> Node {
        let imapd = imapd(&dir, conf);
        let entry = ListenEntry { name: "mupdate".into(), maxchild: -1, ..ListenEntry::default() };
        // The address of a node that has just ended may take a moment to be free.
        let socket = eventually(|| std::future::ready(Socket::bind(address).ok())).await;
        let Socket::Tcp(listener) = &socket else { unreachable!() };
        let address = listener.local_addr().unwrap();
        let context = Context::new("mupdate", imapd, vec![(entry, socket)]).unwrap();
        for user in ["cyrus", "frontend", "reader", "nobody"] {
            context.passwords().set(user, user).unwrap();
        }
        let running = context.clone();
        let task = tokio::spawn(async move {
            if let Err(exit) = serve(running, mode).await {
                panic!("{}", exit.message);
            }
        });
        let node = Node { context, address, dir, task };
        // The socket beside the list appears when the node serves.
        let socket = node.socket();
        eventually(|| std::future::ready(socket.exists().then_some(()))).await;
        node
    }

    pub fn socket(&self) -> PathBuf {
        self.context.file("socket")
    }

    pub async fn client(&self) -> Client {
        timeout(PATIENCE, Client::local(&self.socket())).await.unwrap().unwrap()
    }

    /// Ends it as SIGTERM does; gives its directory and address, to start it again.
    pub async fn stop(self) -> (TempDir, SocketAddr) {
        self.context.stop();
        timeout(PATIENCE, self.task).await.unwrap().unwrap();
        drop(self.context);
        (self.dir, self.address)
    }

    pub async fn status(&self) -> serde_json::Value {
        self.client().await.status().await.unwrap()
    }

    /// Everything in its list, in its order.
    pub async fn entries(&self) -> Vec<(String, Entry)> {
        let all = self.client().await.list(None).await.unwrap();
        all.into_iter().map(|(name, entry)| (name.to_string(), entry)).collect()
    }

    pub async fn names(&self) -> Vec<String> {
        self.entries().await.into_iter().map(|(name, _)| name).collect()
    }

    /// Waits until this node's list is that one's.
    pub async fn catches_up_with(&self, other: &Node) {
        let wanted = other.entries().await;
        eventually(async || (self.entries().await == wanted).then_some(())).await;
    }
}

pub fn imapd(dir: &TempDir, conf: &str) -> Imapd {
    let path = dir.path().join("imapd.conf");
    let admins = if conf.contains("admins") { "" } else { "admins: cyrus frontend\n" };
    let servername = if conf.contains("servername") { "" } else { "servername: node.example.org\n" };
    let common =
        format!("{servername}{admins}failedloginpause: 0\npassword_iterations: 10000\ndrain_timeout: 1\n");
    let plaintext = if conf.contains("allowplaintext") { "" } else { "allowplaintext: yes\n" };
    std::fs::write(&path, format!("configdirectory: {}\n{common}{plaintext}{conf}", dir.path().display()))
        .unwrap();
    Imapd::load(&path, "mupdate").unwrap()
}

/// The lines of imapd.conf that make a slave.
pub fn follows(master: SocketAddr) -> String {
    format!(
        "mupdate_server: {master}\nmupdate_authname: frontend\nmupdate_password: frontend\nmupdate_retry_delay: 2\n"
    )
}

/// Asks again and again, without waiting longer than for others to act.
pub async fn eventually<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    let mut pause = tokio::time::interval(Duration::from_millis(5));
    timeout(PATIENCE, async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            pause.tick().await;
        }
    })
    .await
    .expect("it comes about in time")
}

pub fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

pub fn at(text: &str) -> Location {
    Location::parse(text).unwrap()
}
