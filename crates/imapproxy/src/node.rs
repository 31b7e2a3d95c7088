//! What all sessions of the process share: the list of mailboxes, the way to the backends, what is known of them.

use std::sync::Arc;
use std::time::Duration;

use config::imapd::Imapd;
use mailboxes::{Entry, List};
use mupdate::replica::{self, Replica};
use protocol::name::MailboxName;
use protocol::namespace::Namespace;
use upstream::Upstream;

use crate::capability::Learnt;
use crate::placement::Placement;
use crate::session::{Stop, UNSURE};

pub use service::listen::Listener;

/// The frontend.
pub struct Node {
    pub directory: Directory,
    pub namespace: Namespace,
    /// The way to the backends.
    pub upstream: Upstream,
    pub capabilities: Learnt,
    pub placement: Placement,
}

impl Node {
    pub fn new(imapd: &Imapd, directory: Directory) -> Arc<Node> {
        Arc::new(Node {
            directory,
            namespace: service::names::namespace(imapd),
            upstream: Upstream::new(imapd),
            capabilities: Learnt::default(),
            placement: Placement::default(),
        })
    }

    /// The bound on what a backend should do at once.
    pub fn client_timeout(&self) -> Duration {
        self.upstream.imapd().client_timeout
    }
}

/// Where mailboxes are, as far as this node knows.
#[derive(Clone)]
pub enum Directory {
    /// Follows the MUPDATE master, through the slave on this host where there is one.
    Replica(Replica),
    /// A list that is what it is: tests.
    Fixed(List),
}

/// The answer to a look-up.
#[derive(Debug)]
pub enum Found {
    Active(Entry),
    /// It is being made, or moved.
    Reserved,
    /// There is no such mailbox, and the master says so.
    Missing,
    /// The list is incomplete or old: it may exist.
    Unknown,
}

impl Directory {
    pub fn list(&self) -> &List {
        match self {
            Directory::Replica(replica) => replica.list(),
            Directory::Fixed(list) => list,
        }
    }

    /// Looks a name up. What is not there, or only reserved, is looked up again when all that the master has
    /// acknowledged until now has arrived.
    pub async fn find(&self, name: &MailboxName) -> Found {
        let found = match self {
            Directory::Replica(replica) => replica.find(name).await,
            Directory::Fixed(list) => match list.get(name) {
                Ok(Some(entry)) => replica::Found::Entry(entry),
                Ok(None) => replica::Found::Missing,
                Err(error) => replica::Found::Unknown(replica::Stale(error.to_string())),
            },
        };
        match found {
            replica::Found::Entry(entry) if entry.is_active() => Found::Active(entry),
            replica::Found::Entry(_) => self.reserved(name).await,
            replica::Found::Missing => Found::Missing,
            replica::Found::Unknown(_) => Found::Unknown,
        }
    }

    /// A reservation may have become a mailbox meanwhile.
    async fn reserved(&self, name: &MailboxName) -> Found {
        if self.barrier().await.is_err() {
            return Found::Reserved;
        }
        match self.list().get(name) {
            Ok(Some(entry)) if entry.is_active() => Found::Active(entry),
            Ok(Some(_)) => Found::Reserved,
            Ok(None) => Found::Missing,
            Err(_) => Found::Unknown,
        }
    }

    /// Waits until everything that the master has acknowledged has arrived; at most two seconds.
    pub async fn barrier(&self) -> Result<(), replica::Stale> {
        match self {
            Directory::Replica(replica) => replica.barrier().await,
            Directory::Fixed(_) => Ok(()),
        }
    }

    /// Whether an empty LIST would be true.
    pub fn is_complete(&self) -> bool {
        match self {
            Directory::Replica(replica) => replica.is_complete(),
            Directory::Fixed(_) => true,
        }
    }
}

/// This node's own list cannot be read.
pub fn unreadable(error: mailboxes::Error) -> Stop {
    tracing::error!("the list of mailboxes: {error}");
    Stop::no(UNSURE)
}
