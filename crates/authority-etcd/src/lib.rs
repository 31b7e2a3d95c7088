//! The list of mailboxes in etcd: what several MUPDATE masters share.
//!
//! ```text
//! Etcd::open ── settings, identity ──▶ mailboxes::List::share
//!   propose    one transaction: if each name's revision is the one that was judged by, put the new entries
//!   follow     a watch: what happened, revision by revision
//!   barrier    a linearizable read: the number of the last change
//!   pulse      whether etcd answers       house    who is there, and the compaction of history
//! admin ── begin, fill, complete, leave, masters, members: what moves a list into etcd and back
//! ```
//!
//! No lease, clock or lock takes part in safety: the comparison of revisions is the fence. Numbers are etcd's revisions; the list's
//! identity is made of the murder's and the cluster's, so that a snapshot of etcd that was restored is another list.
//!
//! All of it is behind the cargo feature `etcd`, whose build needs `protoc`; without it this crate has its limits alone.

#[cfg(feature = "etcd")]
pub mod admin;
#[cfg(feature = "etcd")]
mod barrier;
#[cfg(feature = "etcd")]
mod follow;
#[cfg(feature = "etcd")]
mod house;
#[cfg(feature = "etcd")]
mod identity;
#[cfg(feature = "etcd")]
mod keys;
pub mod limits;
#[cfg(feature = "etcd")]
mod link;
#[cfg(feature = "etcd")]
mod propose;
#[cfg(feature = "etcd")]
mod pulse;
#[cfg(feature = "etcd")]
mod settings;
#[cfg(feature = "etcd")]
mod snapshot;
#[cfg(feature = "etcd")]
mod trouble;

#[cfg(feature = "etcd")]
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(feature = "etcd")]
use mailboxes::{
    Entry, Error, News, Position,
    authority::{Authority, Beside, Group, Missed, Named, Outcome, Room, Shared},
    signal::Watch,
};
#[cfg(feature = "etcd")]
use protocol::name::MailboxName;
#[cfg(feature = "etcd")]
use tokio::{runtime::Handle, sync::mpsc, task::JoinError};
#[cfg(feature = "etcd")]
use tokio_util::task::AbortOnDropHandle;

#[cfg(feature = "etcd")]
pub use identity::{Identity, State};
#[cfg(feature = "etcd")]
pub use settings::{BadSettings, Settings};
#[cfg(feature = "etcd")]
pub use trouble::Trouble;

#[cfg(feature = "etcd")]
use crate::{
    keys::Keys,
    limits::{GROUP_OCTETS, NEWS},
    link::Link,
    propose::Proposer,
    pulse::Pulse,
};

/// A handle to the list in etcd. Clones share all but the right to propose, which each has to itself; only one of them uses it.
#[cfg(feature = "etcd")]
#[derive(Clone)]
pub struct Etcd {
    shared: Arc<Inner>,
    proposer: Proposer,
}

/// What all handles share.
#[cfg(feature = "etcd")]
pub(crate) struct Inner {
    pub link: Link,
    pub keys: Keys,
    pub names: usize,
    pub servername: String,
    /// Of this process: tells its writes from an earlier one's.
    pub instance: u64,
    pub pulse: Pulse,
    identity: Mutex<Identity>,
    /// Where etcd's client runs.
    runtime: Handle,
}

#[cfg(feature = "etcd")]
impl Etcd {
    /// Comes to the list in etcd. It fails where there is none: [`admin::begin`] makes one. To be called within a runtime, which all
    /// later work is done in, whichever thread asks for it.
    pub async fn open(settings: &Settings) -> Result<Etcd, Trouble> {
        let (link, keys) = (Link::new(settings)?, Keys::new(&settings.prefix));
        let identity = barrier::read(&link, &keys).await?.identity;
        let inner = Inner {
            link,
            keys,
            names: settings.names,
            servername: settings.servername.clone(),
            instance: identity::chance() as u64,
            pulse: Pulse::default(),
            identity: Mutex::new(identity.ready()?),
            runtime: Handle::current(),
        };
        let etcd = Etcd { shared: Arc::new(inner), proposer: Proposer::default() };
        pulse::start(&etcd.shared);
        Ok(etcd)
    }

    /// Says who is there in `murder/masters/`, and keeps history short, as long as a handle lives. `address`: where this master's
    /// clients find it; `position`: where its list stands.
    pub fn keep_house(&self, address: String, position: impl Fn() -> Position + Send + 'static) {
        house::start(&self.shared, address, position);
    }

    /// Returns when the list was taken out of etcd ([`admin::leave`]), or is not the one that was opened.
    pub async fn left(&self) {
        let mut left = self.shared.pulse.left();
        if left.wait_for(|left| *left).await.is_err() {
            std::future::pending().await
        }
    }

    /// Does what needs etcd's client in its runtime, whoever waits for it.
    async fn within<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Trouble> {
        let task = AbortOnDropHandle::new(self.shared.runtime.spawn(work));
        task.await.map_err(|gone| Trouble::Unreachable(gone.to_string()))
    }
}

#[cfg(feature = "etcd")]
impl Inner {
    fn identity(&self) -> MutexGuard<'_, Identity> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "etcd")]
impl Authority for Etcd {
    async fn propose(&mut self, group: &Group) -> Outcome {
        let prepared = propose::Prepared::new(&self.shared, group);
        let (shared, mut proposer) = (self.shared.clone(), std::mem::take(&mut self.proposer));
        let done = self.within(async move {
            let outcome = propose::run(&shared, &mut proposer, prepared).await;
            (proposer, outcome)
        });
        match done.await {
            Ok((proposer, outcome)) => {
                self.proposer = proposer;
                outcome
            }
            Err(trouble) => Outcome::Unknown(trouble.into()),
        }
    }

    async fn snapshot(&self, mut each: impl FnMut(&MailboxName, &Entry) + Send) -> Result<Position, Error> {
        let mut at = snapshot::Reading::default();
        loop {
            let shared = self.shared.clone();
            let (next, entries) = self.within(async move { snapshot::page(&shared, at).await }).await??;
            entries.iter().for_each(|(name, entry)| each(name, entry));
            match next {
                snapshot::Next::More(reading) => at = reading,
                snapshot::Next::Done(position) => return Ok(position),
            }
        }
    }

    async fn changes(
        &self,
        after: Position,
        mut each: impl FnMut(Position, Vec<Named>) + Send,
    ) -> Result<Position, Missed> {
        let upto = self.barrier().await?;
        follow::check(after, upto)?;
        let mut at = after;
        let (news, mut comes) = mpsc::channel(NEWS);
        let shared = self.shared.clone();
        let watching = async move { follow::run(&shared, after, news).await };
        let watching = AbortOnDropHandle::new(self.shared.runtime.spawn(watching));
        while at.seq < upto.seq {
            let Some(News { position, changes, .. }) = comes.recv().await else {
                let gone = |gone: JoinError| Trouble::Unreachable(gone.to_string()).into();
                return Err(watching.await.unwrap_or_else(|why| Missed::Unreadable(gone(why))));
            };
            at = position;
            each(position, changes);
        }
        Ok(Position { seq: at.seq.max(upto.seq), ..upto })
    }

    async fn barrier(&self) -> Result<Position, Error> {
        let shared = self.shared.clone();
        Ok(self.within(async move { barrier::run(&shared).await }).await??)
    }
}

#[cfg(feature = "etcd")]
impl Shared for Etcd {
    fn room(&self) -> Room {
        Room { names: self.shared.names, octets: GROUP_OCTETS }
    }

    async fn follow(&self, after: Position, news: mpsc::Sender<News>) -> Missed {
        let shared = self.shared.clone();
        match self.within(async move { follow::run(&shared, after, news).await }).await {
            Ok(missed) => missed,
            Err(trouble) => Missed::Unreadable(trouble.into()),
        }
    }

    async fn beside(&self) -> Result<Beside, Error> {
        let shared = self.shared.clone();
        Ok(self.within(async move { snapshot::beside(&shared).await }).await??)
    }

    fn live(&self) -> Watch<bool> {
        self.shared.pulse.live()
    }
}
