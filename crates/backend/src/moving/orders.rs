//! What operators have done about moves, beside asking for one.

use std::collections::HashMap;
use std::sync::Arc;

use mailboxes::{Expect, Place};
use moves::MoveId;
use moves::destination::{Event, plan};
use moves::journal::{Record, Role};
use moves::order::Order;
use moves::source::Phase;
use protocol::location::Location;
use protocol::name::MailboxName;
use protocol::sync::{Get, Told};
use store::MasterSession;
use tokio::time::timeout;
use tracing::{info, warn};
use upstream::Proto;

use super::live::Wish;
use super::peer::Peer;
use super::queue::{Wanted, is_queued};
use super::{Moving, lock, now};
use crate::limits::{HELD_BACK, PROOF_NAMES};

impl Moving {
    /// Does what an operator wants. What is answered besides; the error is a text for the operator.
    pub async fn order(self: &Arc<Self>, order: Order, by: &str) -> Result<Option<String>, String> {
        if let Order::Plan { root, to, partition, tree } = order {
            let plan = self.plan(&self.movable(&root)?, &to, partition.as_deref(), tree).await?;
            return serde_json::to_string(&plan).map(Some).map_err(|error| error.to_string());
        }
        info!(?order, by, "an operator's word about moves");
        if let Order::Move { id, root, to, partition, wishes, patient } = order {
            let root = self.movable(&root)?;
            let wanted =
                Wanted { id: Some(id), root, to, partition, asked_by: by.to_owned(), wishes, patient };
            return self.ask(wanted).await.map(|live| Some(live.id().to_string()));
        }
        self.carry_out(order, by).await.map(|()| None)
    }

    async fn carry_out(self: &Arc<Self>, order: Order, by: &str) -> Result<(), String> {
        match order {
            Order::Plan { .. } | Order::Move { .. } => Ok(()),
            Order::Stop { id } => self.hold_back(&id).await,
            Order::Resume { id } => self.wish(&id, false).await,
            Order::Cancel { id } => self.cancel(&id, by).await,
            Order::Confirm { id } => self.remove_copy(&id, false).await,
            Order::Discard { id } => self.remove_copy(&id, true).await,
            Order::Restore { id } => self.restore(&id).await,
            Order::Adopt { id } => self.adopt_by_hand(&id).await,
        }
    }

    /// A name that can be the root of a move.
    fn movable(&self, root: &str) -> Result<MailboxName, String> {
        let name = MailboxName::parse(root).map_err(|error| error.to_string())?;
        let namespace = self.store.namespace();
        let fit = match namespace.owner(&name) {
            Some(_) => name.is_inbox() && self.context.imapd().allowusermoves,
            None => !namespace.is_deleted(&name),
        };
        match fit {
            true => Ok(name),
            false => Err("Operation is not supported on mailbox".to_owned()),
        }
    }

    fn of(&self, id: &MoveId) -> Result<Record, String> {
        self.record(id).ok_or_else(|| format!("{id}: no such move here"))
    }

    async fn remove_copy(&self, id: &MoveId, deleted: bool) -> Result<(), String> {
        let record = self.of(id)?;
        match record.is_kept() {
            true => self.purge(&record, deleted).await,
            false => Err("of this move no copy is kept here".to_owned()),
        }
    }

    /// Notes whether a queued move waits for its operator.
    async fn wish(&self, id: &MoveId, stopped: bool) -> Result<(), String> {
        let _starting = self.starting.lock().await;
        let mut record = self.of(id)?;
        if !is_queued(&record) || lock(&self.running).contains(id) {
            return match stopped {
                true => Err("it goes on, and cannot be stopped any more".to_owned()),
                false => Err("it does not wait for an operator".to_owned()),
            };
        }
        record.wishes.stopped = stopped;
        self.waits_for(id, stopped.then(|| "stopped by an operator".to_owned()));
        self.write(record).await
    }

    /// A move that goes on comes back into the queue, and waits there.
    async fn hold_back(&self, id: &MoveId) -> Result<(), String> {
        self.of(id)?;
        self.leaves(id, Wish::Wait).await?;
        self.wish(id, true).await
    }

    /// Has a move that goes on do something else, and waits until it does.
    async fn leaves(&self, id: &MoveId, wish: Wish) -> Result<(), String> {
        let mut changed = self.changed.subscribe();
        let live = {
            let _starting = self.starting.lock().await;
            if !lock(&self.running).contains(id) {
                return Ok(());
            }
            lock(&self.lives).get(id).cloned()
        };
        live.inspect(|live| live.wish(wish));
        let left = async {
            while lock(&self.running).contains(id) {
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        timeout(HELD_BACK, left).await.map_err(|_| "it is being decided: ask again".to_owned())
    }

    async fn cancel(&self, id: &MoveId, by: &str) -> Result<(), String> {
        self.of(id)?;
        self.leaves(id, Wish::GiveUp).await?;
        let _starting = self.starting.lock().await;
        let record = self.of(id)?;
        match record.role {
            Role::Source { phase: Phase::Queued, .. } => {
                self.give_up_queued(record, format!("cancelled by {by}")).await;
                Ok(())
            }
            Role::Source { phase: Phase::Aborted, .. } => Ok(()),
            Role::Source { .. } => Err("it is decided: murder moves --undo moves it back".to_owned()),
            Role::Destination { from, .. } => Err(format!("ask {from}, from where it comes")),
        }
    }

    /// The copy is the mailbox again, as it was when it went.
    async fn restore(&self, id: &MoveId) -> Result<(), String> {
        let record = self.of(id)?;
        let Role::Source { to, .. } = &record.role else {
            return Err("the mailbox came here by this move".to_owned());
        };
        if !record.is_kept() {
            return Err("of this move no copy is kept here".to_owned());
        }
        let kept: Vec<moves::journal::Item> = record
            .items
            .iter()
            .filter(|item| {
                self.store.kept_of(&item.uniqueid).is_some_and(|kept| kept.id == record.id.as_str())
            })
            .cloned()
            .collect();
        if !kept.iter().any(|item| item.name == record.root) {
            return Err("the copy is not whole: something of it came back since".to_owned());
        }
        self.has_lost(to, &record).await?;
        let restoring = Restoring::of(self, &record);
        let done = self.take_back(&record, &kept, to).await;
        drop(restoring);
        done?;
        let mut record = record;
        (record.purged, record.why) = (Some(now()), Some("taken back by an operator".to_owned()));
        self.write(record).await
    }

    async fn take_back(
        &self,
        record: &Record,
        kept: &[moves::journal::Item],
        to: &str,
    ) -> Result<(), String> {
        let _sweeping = self.sweeping.lock().await;
        let mut master = self.master.connect().await.map_err(|error| error.to_string())?;
        let mut items = Vec::with_capacity(kept.len());
        // The master first: what is listed here and is another's is not this server's for long.
        for item in kept {
            let name = MailboxName::parse(&item.name).map_err(|error| error.to_string())?;
            let here = self.here(&item.partition);
            tell_back(master.as_mut(), &name, &here, to, &item.acl).await?;
            items.push(store::Item {
                name,
                uniqueid: item.uniqueid.clone(),
                partition: item.partition.clone(),
            });
        }
        let root = MailboxName::parse(&record.root).map_err(|error| error.to_string())?;
        self.store.take_back(&root, &items).await.map_err(|error| error.to_string())?;
        warn!(id = %record.id, root = record.root, "the copy of a mailbox that was moved is taken back by an operator");
        Ok(())
    }

    /// Refuses where the other server may have the mailboxes.
    async fn has_lost(&self, server: &str, record: &Record) -> Result<(), String> {
        match self.upstream().greets(server, Proto::Imap).await {
            Err(error) if error.is_unreachable() => return Ok(()),
            Err(error) => return Err(format!("{server} answers, and cannot be asked: {error}")),
            Ok(()) => {}
        }
        let names: Vec<MailboxName> =
            record.items.iter().filter_map(|item| MailboxName::parse(&item.name).ok()).collect();
        let ids: HashMap<&str, &str> =
            record.items.iter().map(|item| (item.uniqueid.as_str(), item.name.as_str())).collect();
        let mut peer = Peer::connect(self.upstream(), server).await.map_err(|fault| fault.to_string())?;
        for some in names.chunks(PROOF_NAMES) {
            let told = peer.get(&Get::Mailboxes(some.to_vec())).await.map_err(|fault| fault.to_string())?;
            for told in told {
                if let Told::Mailbox(mailbox) = told
                    && let Some(name) = ids.get(mailbox.uniqueid.as_str())
                {
                    return Err(format!("{server} answers, and has {name}"));
                }
            }
        }
        Ok(())
    }

    /// What has come of a move so far is the mailbox: its source is lost.
    async fn adopt_by_hand(self: &Arc<Self>, id: &MoveId) -> Result<(), String> {
        let record = self.of(id)?;
        let Role::Destination { from, .. } = &record.role else {
            return Err("the mailbox goes away from here by this move".to_owned());
        };
        match self.upstream().greets(from, Proto::Imap).await {
            Err(error) if error.is_unreachable() => {}
            Err(error) => return Err(format!("{from} answers, and cannot be asked: {error}")),
            Ok(()) => match self.word_of(&record, from).await {
                Some(moves::destination::Word::KnowsNothing) => {}
                _ => return Err(format!("{from} answers: it goes on with the move, or gives it up")),
            },
        }
        let _turn = self.turn(id).await;
        let record = self.of(id)?;
        let (steps, reply) = plan(Some(super::taking::phase(&record)), Event::ByHand);
        if reply != moves::destination::Reply::Yes {
            return Err("it is over".to_owned());
        }
        self.perform(record, steps).await.map_err(|refused| refused.to_string())?;
        warn!(%id, "what came of a move is adopted by an operator");
        self.watch_over(id);
        self.follow_now(id);
        Ok(())
    }
}

/// Has the master say this server for a mailbox that `to` has lost.
async fn tell_back(
    master: &mut dyn MasterSession,
    name: &MailboxName,
    here: &Location,
    to: &str,
    acl: &str,
) -> Result<(), String> {
    let at = master.status(name).await.map_err(|error| error.to_string())?;
    let fence = at.fence();
    let expect = match at.entry {
        Some(entry) if entry.server() == here.server() => return Ok(()),
        Some(entry) if entry.server() == to => {
            let place = Place::from(&entry.location);
            let place = fence.map_or(place.clone(), |fence| place.fenced(fence));
            if entry.is_active() { Expect::Active(place) } else { Expect::Reserved(place) }
        }
        None => Expect::None,
        Some(entry) => return Err(format!("the MUPDATE master has {name} on {}", entry.server())),
    };
    let told = master.activate_expecting(name, here, acl, &expect).await;
    told.map_err(|error| format!("{name}: {error}"))
}

/// Names that nobody compares with the master's list meanwhile.
struct Restoring<'a> {
    moving: &'a Moving,
    names: Vec<String>,
}

impl<'a> Restoring<'a> {
    fn of(moving: &'a Moving, record: &Record) -> Restoring<'a> {
        let names: Vec<String> = record.items.iter().map(|item| item.name.clone()).collect();
        lock(&moving.restoring).extend(names.iter().cloned());
        Restoring { moving, names }
    }
}

impl Drop for Restoring<'_> {
    fn drop(&mut self) {
        let mut restoring = lock(&self.moving.restoring);
        restoring.retain(|name| !self.names.contains(name));
    }
}
