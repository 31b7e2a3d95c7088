//! Mailboxes that a Cyrus brings by its XFER.
//!
//! ```text
//! LOCAL_MAILBOX ─► arrives   INCOMING on disk, one record a mailbox, before its first directory
//! MUPDATEPUSH ───► land      COMMITTED on disk; into the list; the master; DONE
//! no push ───────► watch     asks the master and the Cyrus, and lands what nobody else has any more
//! ```
//!
//! Cyrus removes its own copy before it says that ours counts. So for a moment the only copy is one that no list has, and where that
//! moment does not end (somebody was killed), it is found here: the Cyrus has the mailbox no more, and the master says nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use moves::MoveId;
use moves::destination::Phase;
use moves::journal::{Item, Record, Role};
use protocol::name::MailboxName;
use protocol::sync::{self, Code, Get, Mailbox};
use store::{MasterSession, StoreError};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::giver::{There, ask};
use super::peer::Peer;
use super::{Moving, lock, now};
use crate::limits::{ARRIVAL, ARRIVAL_GIVEN_UP, ARRIVAL_STEP};
use crate::transit::{Copy, Move, Refused, root};

impl Moving {
    /// A mailbox begins to come from a Cyrus, or goes on. Which move it is part of.
    pub async fn arrives(self: &Arc<Self>, mailbox: &Mailbox) -> Result<Move, Refused> {
        let user_root = root(&mailbox.name, &self.store);
        lock(&self.arrivals).insert(user_root.clone(), Instant::now());
        self.watch_arrivals();
        if let Some(copy) = self.transit.get(mailbox.uniqueid.as_str()) {
            return Ok(copy.of().clone());
        }
        self.transit.may_come(&self.store, mailbox)?;
        let known = self.arriving(mailbox.uniqueid.as_str());
        let record = match known {
            Some(record) if record.root == mailbox.name.as_str() => record,
            Some(record) => renamed(record, &mailbox.name),
            None => {
                // One of ours brings it, or takes it away.
                if [&user_root, &mailbox.name].iter().any(|name| self.moves_else(name)) {
                    return Err(Code::MailboxLocked.into());
                }
                self.arrival(mailbox, &user_root).await?
            }
        };
        let of = Move { id: record.id.to_string(), root: user_root };
        self.note(record).await?;
        Ok(of)
    }

    /// Whether a move of a name is under way that is none of a mailbox from a Cyrus.
    fn moves_else(&self, name: &MailboxName) -> bool {
        let records = lock(&self.records);
        records.values().any(|record| record.root == name.as_str() && record.is_busy() && !is_open(record))
    }

    async fn arrival(&self, mailbox: &Mailbox, user_root: &MailboxName) -> Result<Record, Refused> {
        let from = match self.server_of(user_root) {
            Some(from) => from,
            None => {
                let there = match self.master.connect().await {
                    Ok(mut master) => ask(master.as_mut(), user_root).await,
                    Err(error) => Err(error),
                };
                let server = there.ok().and_then(|there| there.entry).map(|entry| entry.server().to_owned());
                server.filter(|server| server != self.server.as_str()).unwrap_or_default()
            }
        };
        let item = Item {
            name: mailbox.name.to_string(),
            uniqueid: mailbox.uniqueid.as_str().to_owned(),
            partition: mailbox.partition.clone(),
            to_partition: mailbox.partition.clone(),
            acl: String::new(),
            digest: None,
        };
        Ok(Record {
            id: MoveId::with_cyrus().map_err(|_| Refused::Text("No random numbers"))?,
            root: mailbox.name.to_string(),
            items: vec![item],
            round: 0,
            started: now(),
            expected: None,
            why: None,
            wishes: moves::wishes::Wishes::default(),
            ended: None,
            purged: None,
            pause: None,
            role: Role::Destination { phase: Phase::Incoming, from, prepared_at: None },
        })
    }

    /// A copy has another name by now.
    pub async fn renames(&self, uniqueid: &str, name: &MailboxName) -> Result<(), Refused> {
        match self.arriving(uniqueid) {
            Some(record) => self.note(renamed(record, name)).await,
            None => Ok(()),
        }
    }

    /// A copy is not wanted any more, and is gone.
    pub async fn forgets(&self, uniqueid: &str) -> Result<(), Refused> {
        match self.arriving(uniqueid) {
            Some(record) => self.note(in_phase(record, Phase::Aborted)).await,
            None => Ok(()),
        }
    }

    /// Makes a copy this server's, and tells the master. `expect`: what the master must say still; none: what it says now, unless another
    /// server has the mailbox.
    ///
    /// The Cyrus may have its own copy removed and the master say of it all the same: one of 3.10 or later that writes an annotation of a
    /// mailbox which it has reserved for its move has the master say so. It is asked then.
    ///
    /// It is listed here before the master is told: the Cyrus has removed its own by now, so that nobody else has it.
    pub async fn land(self: &Arc<Self>, copy: &Arc<Copy>) -> Result<(), Refused> {
        let (name, uniqueid) = (copy.name(), copy.uniqueid().to_owned());
        let mut master = self.master.connect().await.map_err(StoreError::from)?;
        let there = ask(master.as_mut(), &name).await.map_err(StoreError::from)?;
        let acl = copy.mailbox(false).await?.acl;
        let record = self.arriving(&uniqueid);
        if let Some(other) = there.other(self.server.as_str()) {
            let is_giver = record.as_ref().and_then(from) == Some(other);
            if !is_giver || self.is_listed_at(other, &name).await? {
                return Err(Refused::Text("The MUPDATE server has the mailbox on another server"));
            }
        }
        if let Some(record) = &record {
            self.note(in_phase(record.clone(), Phase::Committed)).await?;
        }
        let (user_root, partition) = (copy.of().root.clone(), copy.partition().to_owned());
        self.store.adopt(&user_root, vec![self.transit.take(copy)?]).await?;
        self.transit.forget_quota(&name);
        let at = self.here(&partition);
        let told = match &there.expect {
            Some(expect) => master.activate_expecting(&name, &at, &acl, expect).await,
            None => master.activate(&name, &at, &acl).await,
        };
        told.map_err(StoreError::from)?;
        let item = store::Item { name: name.clone(), uniqueid, partition };
        self.store.finish_adoption(&user_root, &[item]).await?;
        info!(mailbox = %name, "has come from another server");
        if let Some(record) = record {
            self.note(in_phase(record, Phase::Done)).await?;
            self.gather(&user_root).await?;
        }
        Ok(())
    }

    /// The Cyrus says once more that a mailbox is this server's: what a restart left of that is done. Whether there was anything.
    pub async fn lands_again(self: &Arc<Self>, name: &MailboxName) -> Result<bool, Refused> {
        let records = self.arrivals_of(&root(name, &self.store));
        let is_it = |record: &Record| record.root == name.as_str() && self.is_landed(record);
        let Some(record) = records.into_iter().find(is_it) else { return Ok(false) };
        let mut master = self.master.connect().await.map_err(StoreError::from)?;
        let there = ask(master.as_mut(), name).await.map_err(StoreError::from)?;
        self.finish(record, name, &there, master.as_mut()).await?;
        Ok(true)
    }

    /// Goes on with what a restart interrupted.
    pub(super) async fn resume_arriving(self: &Arc<Self>, record: Record) {
        let Some(item) = record.items.first() else { return };
        let (Ok(name), Some(_)) = (MailboxName::parse(&item.name), phase(&record)) else { return };
        let user_root = root(&name, &self.store);
        let of = Move { id: record.id.to_string(), root: user_root.clone() };
        let is_told = phase(&record) == Some(Phase::Committed);
        lock(&self.arrivals).insert(user_root.clone(), Instant::now());
        match self.store.resume_incoming(record.id.as_str(), &item.to_partition, &item.uniqueid).await {
            Ok(Some(incoming)) => self.transit.resume(of, name, incoming),
            // It is in the list already.
            Err(StoreError::Exists) => {}
            // Nothing of it had come.
            Ok(None) => {
                if let Err(error) = self.note(in_phase(record, Phase::Aborted)).await {
                    warn!(%error, mailbox = %name, "where a move stands is not on disk");
                }
            }
            Err(error) => {
                warn!(%error, mailbox = %name, "a copy that came from another server cannot be read");
            }
        }
        self.watch_arrivals();
        // The Cyrus has said its last word of it.
        if is_told {
            let (moving, stop) = (self.clone(), self.context.shutdown());
            self.context.tasks().spawn(async move {
                // What fails now is tried again by whoever watches.
                let _ = stop.run_until_cancelled(moving.look_after(&user_root, Instant::now())).await;
            });
        }
    }

    /// Whoever of ours brings the whole user makes what a Cyrus once began to bring needless.
    pub(super) async fn give_up_arrivals(&self, user_root: &MailboxName) -> Result<(), Refused> {
        for record in self.arrivals_of(user_root) {
            self.give_up(&record).await?;
        }
        Ok(())
    }

    async fn give_up(&self, record: &Record) -> Result<(), Refused> {
        let Some(item) = record.items.first() else { return Ok(()) };
        if let Some(copy) = self.transit.get(&item.uniqueid) {
            self.store.forget_incoming(self.transit.take(&copy)?).await?;
        }
        self.note(in_phase(record.clone(), Phase::Aborted)).await
    }

    /// One watches over all that comes, until nothing does.
    fn watch_arrivals(self: &Arc<Self>) {
        if std::mem::replace(&mut *lock(&self.watches), true) {
            return;
        }
        let (moving, stop) = (self.clone(), self.context.shutdown());
        self.context.tasks().spawn(async move { stop.run_until_cancelled(moving.watch_all()).await });
    }

    async fn watch_all(self: Arc<Self>) {
        loop {
            sleep(ARRIVAL_STEP).await;
            let waiting: Vec<(MailboxName, Instant)> =
                lock(&self.arrivals).iter().map(|(root, heard)| (root.clone(), *heard)).collect();
            if waiting.is_empty() {
                *lock(&self.watches) = false;
                return;
            }
            for (user_root, heard) in waiting.into_iter().filter(|(_, heard)| heard.elapsed() >= ARRIVAL) {
                match self.look_after(&user_root, heard).await {
                    Ok(true) => drop(lock(&self.arrivals).remove(&user_root)),
                    Ok(false) => {}
                    Err(error) => warn!(%error, root = %user_root, "a move to this server waits"),
                }
            }
        }
    }

    /// Nothing came for some time. Whether nothing is left to be done.
    async fn look_after(self: &Arc<Self>, user_root: &MailboxName, heard: Instant) -> Result<bool, Refused> {
        let records = self.arrivals_of(user_root);
        if records.is_empty() {
            return Ok(true);
        }
        let mut master = self.master.connect().await.map_err(StoreError::from)?;
        let own = self.server.as_str();
        let of_root = ask(master.as_mut(), user_root).await.map_err(StoreError::from)?;
        if let Some(other) = of_root.other(own)
            && self.is_listed_at(other, user_root).await?
        {
            // It stayed there. The copies are a base for another attempt, for a day.
            if heard.elapsed() >= ARRIVAL_GIVEN_UP {
                self.give_up_arrivals(user_root).await?;
            }
            return Ok(heard.elapsed() >= ARRIVAL_GIVEN_UP);
        }
        let (mut lost, mut servers) = (Vec::new(), BTreeSet::new());
        for record in records {
            let name = MailboxName::parse(&record.root).map_err(StoreError::from)?;
            let there = ask(master.as_mut(), &name).await.map_err(StoreError::from)?;
            if self.is_landed(&record) {
                self.finish(record, &name, &there, master.as_mut()).await?;
            } else if phase(&record) == Some(Phase::Committed) {
                if let Some(copy) = self.transit.named(&name) {
                    self.land(&copy).await?;
                }
            } else if there.other(own).is_none_or(|other| from(&record) == Some(other)) {
                servers.extend(there.entry.iter().map(|entry| entry.server().to_owned()));
                servers.extend(from(&record).map(str::to_owned));
                lost.push(name);
            }
        }
        servers.remove(own);
        servers.remove("");
        for name in self.nowhere(lost, &servers).await? {
            let Some(copy) = self.transit.named(&name) else { continue };
            if !copy.is_proven() {
                warn!(mailbox = %name, "its server has it no more, and the copy here is not what that said: it is left alone");
                continue;
            }
            self.land(&copy).await?;
            warn!(mailbox = %name, "its server removed it, and never said that it is this server's: the copy here was the only one, and is served now");
        }
        Ok(self.arrivals_of(user_root).is_empty())
    }

    /// Those of these mailboxes that none of the servers has. Each must answer: one that is silent may have them.
    async fn nowhere(
        &self,
        names: Vec<MailboxName>,
        servers: &BTreeSet<String>,
    ) -> Result<Vec<MailboxName>, Refused> {
        if names.is_empty() {
            return Ok(names);
        }
        if servers.is_empty() {
            return Err(Refused::Text("nobody knows which server it came from"));
        }
        let mut there = BTreeSet::new();
        for server in servers {
            let silent = |error: super::peer::Fault| {
                warn!(%error, server, "a move to this server waits for the server that it came from");
                Refused::Text("the server that it came from does not say whether it has it")
            };
            let mut peer = Peer::connect_to_cyrus(self.upstream(), server).await.map_err(silent)?;
            let told = peer.get(&Get::Mailboxes(names.clone())).await.map_err(silent)?;
            there.extend(told.into_iter().filter_map(|told| match told {
                sync::Told::Mailbox(mailbox) => Some(mailbox.name),
                _ => None,
            }));
        }
        Ok(names.into_iter().filter(|name| !there.contains(name)).collect())
    }

    fn is_landed(&self, record: &Record) -> bool {
        record
            .items
            .first()
            .is_some_and(|item| MailboxName::parse(&item.name).is_ok_and(|name| self.lists(&name, item)))
    }

    /// It is in the list: the master is to say so.
    async fn finish(
        self: &Arc<Self>,
        record: Record,
        name: &MailboxName,
        there: &There,
        master: &mut dyn MasterSession,
    ) -> Result<(), Refused> {
        let list = self.store.list().get(name).map_err(|error| StoreError::List(error.to_string()))?;
        let (Some(entry), Some(item)) = (list, record.items.first()) else { return Ok(()) };
        let is_told = there
            .entry
            .as_ref()
            .is_some_and(|there| there.is_active() && there.server() == self.server.as_str());
        if !is_told {
            let told = match &there.expect {
                Some(expect) => master.activate_expecting(name, &entry.location, &entry.acl, expect).await,
                None => master.activate(name, &entry.location, &entry.acl).await,
            };
            told.map_err(StoreError::from)?;
        }
        let user_root = root(name, &self.store);
        let item = store::Item {
            name: name.clone(),
            uniqueid: item.uniqueid.clone(),
            partition: item.to_partition.clone(),
        };
        self.store.finish_adoption(&user_root, &[item]).await?;
        self.note(in_phase(record, Phase::Done)).await?;
        self.gather(&user_root).await
    }

    /// All of a user has come: one record remembers it instead of one for each mailbox.
    async fn gather(&self, user_root: &MailboxName) -> Result<(), Refused> {
        if !self.transit.of(user_root).is_empty() || !self.arrivals_of(user_root).is_empty() {
            return Ok(());
        }
        let mut done = self.records();
        done.retain(|record| {
            record.id.is_with_cyrus()
                && phase(record) == Some(Phase::Done)
                && MailboxName::parse(&record.root).is_ok_and(|name| root(&name, &self.store) == *user_root)
        });
        let Some(first) = done.first().filter(|_| done.len() > 1) else { return Ok(()) };
        let items: BTreeMap<&String, &Item> =
            done.iter().flat_map(|record| &record.items).map(|item| (&item.uniqueid, item)).collect();
        let all = Record {
            root: user_root.to_string(),
            items: items.into_values().cloned().collect(),
            started: now(),
            ..first.clone()
        };
        self.note(all.clone()).await?;
        for record in done.iter().filter(|record| record.id != all.id) {
            self.drop_record(&record.id).await?;
        }
        Ok(())
    }

    /// The record of a mailbox that comes from a Cyrus, and has not come to its end.
    fn arriving(&self, uniqueid: &str) -> Option<Record> {
        let records = lock(&self.records);
        let is_it = |record: &&Record| {
            is_open(record) && record.items.first().is_some_and(|item| item.uniqueid == uniqueid)
        };
        records.values().find(is_it).cloned()
    }

    fn arrivals_of(&self, user_root: &MailboxName) -> Vec<Record> {
        let records = lock(&self.records);
        let is_of = |record: &&Record| {
            is_open(record)
                && MailboxName::parse(&record.root).is_ok_and(|name| root(&name, &self.store) == *user_root)
        };
        records.values().filter(is_of).cloned().collect()
    }

    /// The server that others of the same user come from.
    fn server_of(&self, user_root: &MailboxName) -> Option<String> {
        let records = self.arrivals_of(user_root);
        records.iter().find_map(|record| from(record).filter(|from| !from.is_empty()).map(str::to_owned))
    }

    /// Puts on disk where a mailbox stands that comes from a Cyrus; of one that came to nothing, nothing is left.
    async fn note(&self, record: Record) -> Result<(), Refused> {
        if phase(&record) == Some(Phase::Aborted) {
            return self.drop_record(&record.id).await;
        }
        if self.record(&record.id).as_ref() == Some(&record) {
            return Ok(());
        }
        self.write(record).await.map_err(unwritten)
    }

    async fn drop_record(&self, id: &MoveId) -> Result<(), Refused> {
        let (journals, gone) = (self.journals.clone(), id.clone());
        let removed = tokio::task::spawn_blocking(move || journals.remove(&gone)).await;
        match removed {
            Ok(Ok(())) => {
                self.change(|records| drop(records.remove(id)));
                Ok(())
            }
            Ok(Err(error)) => Err(unwritten(error.to_string())),
            Err(error) => Err(unwritten(error.to_string())),
        }
    }
}

fn unwritten(error: String) -> Refused {
    warn!(error, "where a move stands is not on disk");
    Refused::Text("The move's journal cannot be written")
}

fn phase(record: &Record) -> Option<Phase> {
    match record.role {
        Role::Destination { phase, .. } => Some(phase),
        Role::Source { .. } => None,
    }
}

fn from(record: &Record) -> Option<&str> {
    match &record.role {
        Role::Destination { from, .. } => Some(from),
        Role::Source { .. } => None,
    }
}

fn is_open(record: &Record) -> bool {
    record.id.is_with_cyrus() && matches!(phase(record), Some(Phase::Incoming | Phase::Committed))
}

fn in_phase(mut record: Record, next: Phase) -> Record {
    if let Role::Destination { phase, .. } = &mut record.role {
        *phase = next;
    }
    record
}

fn renamed(mut record: Record, name: &MailboxName) -> Record {
    record.root = name.to_string();
    record.items.iter_mut().for_each(|item| item.name = name.to_string());
    record
}
