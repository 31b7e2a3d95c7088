//! What moves a list into etcd and back, and what an operator wants to know of it: for `murder ha`.
//!
//! ```text
//! begin ─▶ fill, fill, … ─▶ complete ─▶ masters open it ─▶ leave
//! ```

use etcd_client::{AlarmAction, AlarmType, Client, Compare, CompareOp, GetOptions, Txn, TxnOp};
use mailboxes::{Cordons, Entry, cordon};
use protocol::name::MailboxName;

pub use crate::house::Master;
use crate::{
    barrier,
    identity::{self, Identity, State},
    keys::{self, Keys},
    limits::PAGE,
    link::Link,
    settings::Settings,
    trouble::Trouble,
};

/// etcd, for an operator's command: no list need be there.
pub struct Admin {
    link: Link,
    keys: Keys,
    names: usize,
    servername: String,
}

/// A member of etcd, as it says itself.
#[derive(Debug, Clone)]
pub struct Member {
    pub endpoint: String,
    pub id: u64,
    pub version: String,
    pub is_leader: bool,
    pub is_learner: bool,
    /// Octets of its database on disk, and of what is used of them: more than half of it free is worth a defragmentation.
    pub size: u64,
    pub used: u64,
    /// What is wrong with it, in its words.
    pub errors: Vec<String>,
}

impl Admin {
    /// Nothing is asked yet.
    pub fn new(settings: &Settings) -> Result<Admin, Trouble> {
        let (link, keys) = (Link::new(settings)?, Keys::new(&settings.prefix));
        Ok(Admin { link, keys, names: settings.names, servername: settings.servername.clone() })
    }

    /// Which list is there; none: none.
    pub async fn identity(&self) -> Result<Option<Identity>, Trouble> {
        match barrier::read(&self.link, &self.keys).await {
            Ok(head) => Ok(Some(head.identity)),
            Err(Trouble::NoList(_)) if !self.is_there().await? => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// Begins a list, which nobody can use before it is [complete](Admin::complete). It fails where one is, or was, there.
    pub async fn begin(&self) -> Result<(), Trouble> {
        let value = Identity::value(identity::chance(), State::Copying);
        let absent = Compare::create_revision(self.keys.id(), CompareOp::Equal, 0);
        let made = self.txn(vec![absent], vec![TxnOp::put(self.keys.id(), value, None)]).await?;
        match made {
            true => Ok(()),
            false => Err(Trouble::NoList("etcd has a list under this prefix already".into())),
        }
    }

    /// Puts entries, or (none) takes them away, while nobody uses the list. Any number of them.
    pub async fn fill(&self, entries: &[(MailboxName, Option<Entry>)]) -> Result<(), Trouble> {
        let writes = entries.iter().map(|(name, entry)| match entry {
            Some(entry) => TxnOp::put(self.keys.name(name), keys::entry_value(entry), None),
            None => TxnOp::delete(self.keys.name(name), None),
        });
        self.write(writes.collect()).await
    }

    /// The same of servers that take no new mailboxes.
    pub async fn fill_cordons(&self, cordons: &Cordons) -> Result<(), Trouble> {
        let put =
            |(server, since): (_, &u64)| TxnOp::put(self.keys.cordon(server), cordon::encode(*since), None);
        self.write(cordons.iter().map(put).collect()).await
    }

    /// The list is whole: masters may open it.
    pub async fn complete(&self) -> Result<(), Trouble> {
        self.change(State::Copying, State::Ready).await
    }

    /// The list goes back to a single master: no other changes it from here on, and each ends when it sees that.
    pub async fn leave(&self) -> Result<(), Trouble> {
        self.change(State::Ready, State::Left).await
    }

    /// Removes everything under the prefix: a list that was left, or was never complete.
    pub async fn forget(&self) -> Result<(), Trouble> {
        let head = match self.identity().await? {
            None => return Ok(()),
            Some(identity) if identity.state == State::Ready => {
                return Err(Trouble::NoList(
                    "the list in etcd is in use: murder ha leave comes first".into(),
                ));
            }
            Some(identity) => identity,
        };
        let same = Compare::mod_revision(self.keys.id(), CompareOp::Equal, head.written);
        let all = etcd_client::DeleteOptions::new().with_prefix();
        self.txn(vec![same], vec![TxnOp::delete(self.keys.all(), Some(all))]).await.map(drop)
    }

    /// A new list with nothing in it, for a murder that begins with several masters. Where one is there already it stays.
    pub async fn create(&self) -> Result<(), Trouble> {
        let value = Identity::value(identity::chance(), State::Ready);
        let absent = Compare::create_revision(self.keys.id(), CompareOp::Equal, 0);
        let head = TxnOp::put(self.keys.head(), self.servername.as_bytes(), None);
        self.txn(vec![absent], vec![TxnOp::put(self.keys.id(), value, None), head]).await.map(drop)
    }

    /// The masters that are there.
    pub async fn masters(&self) -> Result<Vec<Master>, Trouble> {
        let key = self.keys.masters();
        let options = GetOptions::new().with_prefix().with_limit(PAGE);
        let ask = |client: Client| {
            let (key, options) = (key.clone(), options.clone());
            async move { client.kv_client().get(key, Some(options)).await }
        };
        let found = self.link.read(ask).await?;
        Ok(found.kvs().iter().filter_map(|one| serde_json::from_slice(one.value()).ok()).collect())
    }

    /// What each configured member says; or why it says nothing.
    pub async fn members(&self) -> Vec<(String, Result<Member, Trouble>)> {
        let mut members = Vec::new();
        for endpoint in self.link.endpoints() {
            let ask = |client: Client| async move { client.maintenance_client().status().await };
            let status = self.link.of(endpoint, ask).await;
            let member = status.map(|status| {
                let id = status.header().map_or(0, |header| header.member_id());
                Member {
                    endpoint: endpoint.to_owned(),
                    id,
                    version: status.version().to_owned(),
                    is_leader: id != 0 && status.leader() == id,
                    is_learner: status.is_learner(),
                    size: keys::number(status.db_size()),
                    used: keys::number(status.raft_used_db_size()),
                    errors: status.errors().to_vec(),
                }
            });
            members.push((endpoint.to_owned(), member));
        }
        members
    }

    /// Whether a member has raised the alarm that its database is full: then nothing is written.
    pub async fn is_full(&self) -> Result<bool, Trouble> {
        let ask = |client: Client| async move {
            client.maintenance_client().alarm(AlarmAction::Get, AlarmType::None, None).await
        };
        let alarms = self.link.read(ask).await?;
        Ok(alarms.alarms().iter().any(|alarm| alarm.alarm() == AlarmType::Nospace))
    }

    async fn is_there(&self) -> Result<bool, Trouble> {
        let key = self.keys.id();
        let ask = |client: Client| {
            let key = key.clone();
            async move { client.kv_client().get(key, None).await }
        };
        Ok(!self.link.read(ask).await?.kvs().is_empty())
    }

    /// Groups of writes, each with the list's head.
    async fn write(&self, writes: Vec<TxnOp>) -> Result<(), Trouble> {
        for group in writes.chunks(self.names.max(1)) {
            let mut group = group.to_vec();
            group.push(TxnOp::put(self.keys.head(), self.servername.as_bytes(), None));
            self.txn(Vec::new(), group).await?;
        }
        Ok(())
    }

    async fn change(&self, from: State, to: State) -> Result<(), Trouble> {
        let identity =
            self.identity().await?.filter(|identity| identity.state == from || identity.state == to);
        let Some(identity) = identity else {
            return Err(Trouble::NoList("etcd has no such list under this prefix".into()));
        };
        let same = Compare::mod_revision(self.keys.id(), CompareOp::Equal, identity.written);
        let id = TxnOp::put(self.keys.id(), Identity::value(identity.murder, to), None);
        let head = TxnOp::put(self.keys.head(), self.servername.as_bytes(), None);
        match self.txn(vec![same], vec![id, head]).await? {
            true => Ok(()),
            false => Err(Trouble::NoList("somebody else has changed the list in etcd meanwhile".into())),
        }
    }

    /// What may be done twice: again, until there is an answer.
    async fn txn(&self, compares: Vec<Compare>, writes: Vec<TxnOp>) -> Result<bool, Trouble> {
        let ask = |client: Client| {
            let txn = Txn::new().when(compares.clone()).and_then(writes.clone());
            async move { client.kv_client().txn(txn).await.map(|answer| answer.succeeded()) }
        };
        self.link.read(ask).await
    }
}
