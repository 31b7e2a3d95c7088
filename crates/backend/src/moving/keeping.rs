//! What is left of moves: copies are kept for `move_keep`, then removed with proof that the other server has the mailboxes; journals of
//! moves that are over stay for those who look, and go.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use moves::MoveId;
use moves::journal::{Record, Role};
use protocol::name::MailboxName;
use protocol::sync::{Get, Told};
use store::StoreError;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::peer::Peer;
use super::{Moving, lock, now};
use crate::limits::{
    FINISHED, FINISHED_LEAST, FINISHED_MOST, KEEP_AGAIN, KEEP_LOOK, KEEP_TOGETHER, PROOF_NAMES, rows,
};

impl Moving {
    /// Looks after the queue, after copies and journals until the daemon ends.
    pub fn look_after_all(self: &Arc<Self>) {
        let (moving, stop) = (self.clone(), self.context.shutdown());
        let look = async move { stop.run_until_cancelled(moving.looks()).await };
        self.context.tasks().spawn(look);
        let (moving, stop) = (self.clone(), self.context.shutdown());
        self.context.tasks().spawn(async move { stop.run_until_cancelled(moving.schedule()).await });
    }

    async fn looks(self: Arc<Self>) {
        let (mut changed, mut again) = (self.changed.subscribe(), HashMap::<MoveId, Instant>::new());
        loop {
            changed.borrow_and_update();
            self.count();
            let pause = self.look(&mut again).await;
            tokio::select! {
                // One look at all of them for what changes together.
                _ = changed.changed() => sleep(KEEP_TOGETHER).await,
                () = sleep(pause) => {}
            }
        }
    }

    /// Removes what is due. How long nothing else will be; `again`: when what could not be proven is asked about once more.
    async fn look(self: &Arc<Self>, again: &mut HashMap<MoveId, Instant>) -> Duration {
        self.forget_finished().await;
        let (second, moment) = (now(), Instant::now());
        let mut next = KEEP_LOOK;
        for (id, until) in self.kept_until() {
            if until > second {
                next = next.min(Duration::from_secs(until - second));
                continue;
            }
            if let Some(left) = again.get(&id).map(|at| at.saturating_duration_since(moment))
                && !left.is_zero()
            {
                next = next.min(left);
                continue;
            }
            let Some(record) = self.record(&id) else { continue };
            match self.purge(&record, false).await {
                Ok(()) => drop(again.remove(&id)),
                Err(why) => {
                    info!(%id, root = record.root, why, "the copy of a mailbox that was moved stays for now");
                    self.waits_for(&id, Some(why));
                    again.insert(id, moment + KEEP_AGAIN);
                    next = next.min(KEEP_AGAIN);
                }
            }
        }
        again.retain(|id, _| self.record(id).is_some_and(|record| record.is_kept()));
        next
    }

    /// The moves whose copies are kept, and until when.
    fn kept_until(&self) -> Vec<(MoveId, u64)> {
        let keep = self.context.imapd().move_keep.as_secs();
        let records = lock(&self.records);
        let kept = records.values().filter(|record| record.is_kept());
        kept.map(|record| (record.id.clone(), keep_until(record, keep))).collect()
    }

    /// Until when the copy of this move stays here, from now on.
    pub(super) fn keep_from_now(&self, record: &Record) -> u64 {
        let keep = record.wishes.keep.unwrap_or_else(|| self.context.imapd().move_keep.as_secs());
        now().saturating_add(keep)
    }

    /// Removes the copy of a move for good, once it is proven that another server has the mailboxes, or (`deleted`: an operator says that
    /// they may go) that nobody has.
    pub(super) async fn purge(&self, record: &Record, deleted: bool) -> Result<(), String> {
        self.proof(record, deleted).await?;
        for item in &record.items {
            // Whoever comes back is told of first, or waits until this is done.
            let _sweeping = self.sweeping.lock().await;
            if self.is_coming(record, &item.uniqueid) {
                return Err("the mailbox comes back: the copy is what that begins with".to_owned());
            }
            if self.store.kept_of(&item.uniqueid).is_none_or(|kept| kept.id != record.id.as_str()) {
                // It came back since, or went once more.
                continue;
            }
            match self.store.purge(&item.uniqueid).await {
                Ok(()) | Err(StoreError::NoMailbox | StoreError::Exists) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        let mut record = record.clone();
        (record.purged, record.why) = (Some(now()), None);
        info!(id = %record.id, root = record.root, "what was kept of a move is removed");
        self.waits_for(&record.id, None);
        self.write(record).await
    }

    /// The master says that another server has the root, and that server says so of all that went with it. What was removed there since
    /// is the master's no more.
    async fn proof(&self, record: &Record, deleted: bool) -> Result<(), String> {
        let names: Vec<MailboxName> = record
            .items
            .iter()
            .map(|item| MailboxName::parse(&item.name).map_err(|error| error.to_string()))
            .collect::<Result<_, _>>()?;
        let root = MailboxName::parse(&record.root).map_err(|error| error.to_string())?;
        if self.came_back(record) {
            return Ok(());
        }
        let mut master = self.master.connect().await.map_err(|error| error.to_string())?;
        let at = master.status(&root).await.map_err(|error| error.to_string())?;
        if deleted && at.entry.is_none() {
            return Ok(());
        }
        let Some(entry) = at.entry.filter(|entry| entry.is_active()) else {
            return Err(format!("the MUPDATE master does not list {root}: it was deleted, or waits"));
        };
        let server = entry.server().to_owned();
        if server == self.server.as_str() {
            return Err(format!("the MUPDATE master has {root} here"));
        }
        let mut has = HashMap::new();
        let mut peer = Peer::connect(self.upstream(), &server).await.map_err(|fault| fault.to_string())?;
        for some in names.chunks(PROOF_NAMES) {
            let told = peer.get(&Get::Mailboxes(some.to_vec())).await.map_err(|fault| fault.to_string())?;
            has.extend(told.into_iter().filter_map(|told| match told {
                Told::Mailbox(mailbox) => Some((mailbox.name, mailbox.uniqueid.as_str().to_owned())),
                _ => None,
            }));
        }
        for (item, name) in record.items.iter().zip(&names) {
            match has.get(name) {
                Some(id) if *id == item.uniqueid => continue,
                // It was deleted there, and another one made.
                Some(_) if *name != root => continue,
                Some(_) => return Err(format!("{server} has another mailbox called {name}")),
                None if *name == root => return Err(format!("{server} does not say that it has {name}")),
                None => {}
            }
            let at = master.status(name).await.map_err(|error| error.to_string())?;
            if at.entry.is_some() {
                return Err(format!(
                    "{server} does not say that it has {name}, which the MUPDATE master lists"
                ));
            }
        }
        Ok(())
    }

    /// Nothing that went by this move is kept any more: it came back, or went once more.
    fn came_back(&self, record: &Record) -> bool {
        let is_kept = |item: &moves::journal::Item| {
            self.store.kept_of(&item.uniqueid).is_some_and(|kept| kept.id == record.id.as_str())
        };
        !record.items.iter().any(is_kept)
    }

    /// Whether a move brings a mailbox of this id here, or others of the same user.
    fn is_coming(&self, kept: &Record, uniqueid: &str) -> bool {
        let inbox = |record: &Record| MailboxName::parse(&record.root).ok().and_then(|root| root.inbox());
        let (records, user) = (lock(&self.records), inbox(kept));
        let comes = |record: &Record| {
            matches!(record.role, Role::Destination { .. })
                && record.is_busy()
                && (record.items.iter().any(|item| item.uniqueid == uniqueid)
                    || user.is_some() && inbox(record) == user)
        };
        records.values().any(comes) || self.transit.get(uniqueid).is_some()
    }

    /// Journals of moves that are over go after [`FINISHED`], and the oldest of very many before.
    async fn forget_finished(&self) {
        let mut over: Vec<(u64, MoveId)> = {
            let records = lock(&self.records);
            let over = records.values().filter(|record| record.is_over());
            over.map(|record| (record.ended.unwrap_or(record.started), record.id.clone())).collect()
        };
        over.sort();
        let age = |ended: u64| Duration::from_secs(now().saturating_sub(ended));
        let many = over.len().saturating_sub(FINISHED_MOST);
        if many > 0 {
            rows::FINISHED_MOST.met("so many moves are over that the oldest ones are not shown any more");
        }
        let gone: HashSet<MoveId> = over
            .into_iter()
            .enumerate()
            .filter(|(n, (ended, _))| age(*ended) >= FINISHED || *n < many && age(*ended) >= FINISHED_LEAST)
            .map(|(_, (_, id))| id)
            .collect();
        for id in gone {
            let (journals, removed) = (self.journals.clone(), id.clone());
            match tokio::task::spawn_blocking(move || journals.remove(&removed)).await {
                Ok(Ok(())) => {
                    self.change(|records| drop(records.remove(&id)));
                    lock(&self.turns).remove(&id);
                    self.waits_for(&id, None);
                }
                Ok(Err(error)) => warn!(%error, "the journal of a move that is over stays"),
                Err(error) => warn!(%error, "the journal of a move that is over stays"),
            }
        }
    }
}

/// Until when a copy stays: as was said when it was given away, or as earlier builds did not say.
fn keep_until(record: &Record, keep: u64) -> u64 {
    match record.role {
        Role::Source { keep_until: Some(until), .. } => until,
        _ => record.started.saturating_add(record.wishes.keep.unwrap_or(keep)),
    }
}
