//! A node: a disk, and at most one process that runs on it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use config::imapd::Imapd;
use directory::client::{Address, Measure};
use directory::replica::{Replica, Settings};
use directory::serve::Server;
use mailboxes::{Bounds, Change, Entry, List, Options, Role};
use protocol::name::MailboxName;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    chance,
    disk::Disk,
    network::{Dialer, Incoming, Network},
};

/// What a node is.
#[derive(Debug, Clone)]
pub enum Kind {
    Master,
    /// Follows the first of these that listens, and serves what it has.
    Follower {
        of: Vec<String>,
        /// Whether its upstream hides our extensions.
        plain: bool,
        /// Whether it loads its tables, as who lists names does.
        tables: bool,
    },
}

pub struct Node {
    pub name: String,
    pub kind: Kind,
    pub disk: Disk,
    pub running: Option<Running>,
    /// Its last process is still ending.
    pub stopping: bool,
    /// Counts its processes.
    pub life: u64,
}

/// A process.
pub struct Running {
    pub list: List,
    pub replica: Option<Replica>,
    stop: CancellationToken,
    accepting: AbortHandle,
}

impl Running {
    /// How a frontend looks names up.
    pub fn directory(&self) -> Option<Replica> {
        self.replica.clone()
    }
}

impl Node {
    pub fn new(name: &str, kind: Kind) -> Node {
        Node { name: name.into(), kind, disk: Disk::default(), running: None, stopping: false, life: 0 }
    }

    pub fn options(&self) -> Options {
        let bounds =
            Bounds { tombstones: 12, tombstone_age: 30, prune_every: 6, window: 10, chunk: 5, page: 4 };
        let (role, tables) = match self.kind {
            Kind::Master => (Role::Owner, true),
            Kind::Follower { tables, .. } => (Role::Replica, tables),
        };
        Options { role, tables, bounds, clock: chance::clock, chance: chance::identity, spawn: chance::spawn }
    }

    /// Starts its process; false if the disk does not let it.
    pub fn start(&mut self, network: &Network) -> bool {
        let list = match List::with_store(Arc::new(self.disk.open()), self.options()) {
            Ok(list) => list,
            Err(error) => {
                chance::note(|| format!("{}: does not start: {error}", self.name));
                return false;
            }
        };
        chance::note(|| format!("{}: starts at {}", self.name, list.position()));
        let stop = CancellationToken::new();
        let imapd = imapd(&self.name);
        let (server, replica) = match &self.kind {
            Kind::Master => (Server::master(list.clone(), &imapd), None),
            Kind::Follower { of, plain, .. } => {
                let dialer = Dialer::new(network, &self.name, of, *plain);
                let measure = Measure { entries: usize::MAX, octets: usize::MAX };
                let settings =
                    Settings { retry_delay: Duration::from_secs(5), chance: chance::jitter, measure };
                let address = Address::Through(Arc::new(dialer));
                let replica = Replica::start(list.clone(), address, settings, stop.clone());
                (Server::replica(list.clone(), replica.clone(), &imapd), Some(replica))
            }
        };
        let mut clients = network.listen(&self.name);
        let ending = stop.clone();
        let accept = async move {
            while let Some(Incoming { stream, ended }) = clients.recv().await {
                let (server, stop) = (server.clone(), ending.clone());
                tokio::spawn(async move {
                    server.serve_trusted(stream, stop).await;
                    ended.set();
                });
            }
        };
        let accepting = tokio::spawn(accept).abort_handle();
        self.life += 1;
        self.running = Some(Running { list, replica, stop, accepting });
        true
    }

    /// Ends it without warning.
    pub fn crash(&mut self, network: &Network) {
        let Some(running) = self.running.take() else { return };
        chance::note(|| format!("{}: crashes at {}", self.name, running.list.position()));
        network.remove(&self.name);
        self.disk.crash();
        running.accepting.abort();
        running.stop.cancel();
    }

    /// Everything in its list.
    pub fn entries(&self) -> Option<BTreeMap<String, Entry>> {
        let page = self.running.as_ref()?.list.scan(None, 10_000).ok()?;
        Some(page.entries.into_iter().map(|(name, entry)| (name.to_string(), entry)).collect())
    }
}

impl Running {
    /// Ends it as SIGTERM does. Its node has let go of it already.
    pub async fn stop(self) {
        self.stop.cancel();
        self.accepting.abort();
        // A disk that fails at the end is what a crash is.
        let _ = self.list.close().await;
    }
}

/// Puts these entries on a new disk, as `ctl_mboxlist -u` does on a stopped master.
pub async fn undump(disk: &Disk, options: Options, entries: BTreeMap<String, Entry>) {
    disk.replace();
    let Ok(list) = List::with_store(Arc::new(disk.open()), options) else { return };
    let changes = entries
        .into_iter()
        .filter_map(|(name, entry)| Some(Change::put(MailboxName::parse(&name).ok()?, entry)));
    let done = async {
        list.commit(changes.collect()).await?;
        list.renew().await?;
        list.close().await
    };
    let done = done.await;
    chance::note(|| format!("master: restored from a dump: {done:?}"));
}

fn imapd(name: &str) -> Imapd {
    let text = format!("configdirectory: /nonexistent\nservername: {name}\n");
    Imapd::parse("imapd.conf".as_ref(), &text, "mupdate").expect("two lines that are right")
}
