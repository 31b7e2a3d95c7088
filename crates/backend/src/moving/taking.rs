//! The destination: what the source asks, and what is found out when the source is silent.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use mailboxes::{Expect, Fence, Place};
use moves::destination::{Event, Phase, Reply, Step, Word, plan};
use moves::journal::{Expected, Item, Record, Role};
use moves::source::Outcome;
use moves::wishes::Wishes;
use moves::{MoveId, destination};
use protocol::location::Location;
use protocol::name::MailboxName;
use protocol::sync::moving::{Begin, Have, Phase as Told, Prepare, Round, State};
use protocol::sync::{self as sync, Apply, Code, Get, UniqueId};
use retry::{Backoff, chance, spread};
use store::{Incoming, MasterError, StoreError};
use tokio::time::sleep;
use tracing::{info, warn};

use super::peer::Peer;
use super::room::{fits, no_room};
use super::{Moving, lock, now, unfenced};
use crate::limits::{ASK_FIRST, ASK_LAST};
use crate::transit::{Move, Refused};

impl Moving {
    /// Does what the source of a move asks. What it is told before the end of its command.
    pub async fn take(self: &Arc<Self>, apply: Apply) -> Result<Option<sync::Told>, Refused> {
        match apply {
            Apply::Begin(begin) => {
                let id = known(&begin.id)?;
                let _turn = self.turn(&id).await;
                Ok(Some(sync::Told::Have(self.begin(id, begin).await?)))
            }
            Apply::Round(round) => self.round(round).await,
            Apply::Prepare(prepare) => self.prepare(prepare).await,
            Apply::Commit(id) => self.asked(&id, Event::Commit).await,
            Apply::Abort(id) => self.asked(&id, Event::Abort).await,
            Apply::State(id) => Ok(Some(sync::Told::State(State { phase: self.word(&id), id }))),
            _ => Err(Code::ProtocolError.into()),
        }
    }

    /// What is here already of what comes.
    async fn begin(self: &Arc<Self>, id: MoveId, begin: Begin) -> Result<Vec<Have>, Refused> {
        let there = self.record(&id);
        let items: Vec<Item> = begin.items.iter().map(|item| arriving(item, &begin.partition)).collect();
        match &there {
            Some(record) if !matches!(&record.role, Role::Destination { from, .. } if from == begin.from.as_str()) =>
            {
                return Err(Refused::Text("Another move has this id"));
            }
            Some(_) => {}
            None => {
                self.give_up_arrivals(&begin.root).await?;
                if self.under_way(&begin.root).is_some() {
                    return Err(Refused::Text("The mailbox is being moved already"));
                }
                if self.context.imapd().partition(&begin.partition).is_none() {
                    return Err(StoreError::BadPartition.into());
                }
                let free = self.store.space_of(&begin.partition)?.0.saturating_mul(1024);
                if !fits(free, begin.bytes) {
                    let here = self.server.as_str();
                    return Err(Refused::Said(no_room(here, &begin.partition, free, begin.bytes)));
                }
            }
        }
        // A copy of an earlier stay is not removed any more from when this is noted.
        let _sweeping = self.sweeping.lock().await;
        let record = there.unwrap_or_else(|| Record {
            id: id.clone(),
            root: begin.root.to_string(),
            items,
            round: 0,
            started: now(),
            expected: None,
            why: None,
            wishes: Wishes::default(),
            ended: None,
            purged: None,
            pause: None,
            role: Role::Destination {
                phase: Phase::Incoming,
                from: begin.from.to_string(),
                prepared_at: None,
            },
        });
        let phase = self.record(&id).map(|record| phase(&record));
        let (steps, reply) = plan(phase, Event::Begin);
        self.perform(record, steps).await?;
        let of = Move { id: id.to_string(), root: begin.root };
        self.transit.expect(&of, begin.items.iter().map(|item| item.uniqueid.as_str().to_owned()));
        answered(reply)?;
        self.left(&of, &begin.partition, &begin.items).await
    }

    async fn round(self: &Arc<Self>, round: Round) -> Result<Option<sync::Told>, Refused> {
        let id = known(&round.id)?;
        let _turn = self.turn(&id).await;
        let mut record = self.record(&id).ok_or(Code::MailboxNonexistent)?;
        let (steps, reply) = plan(Some(phase(&record)), Event::Round);
        if reply == Reply::Yes {
            self.set_items(&mut record, &round).await?;
        }
        self.perform(record, steps).await?;
        answered(reply).map(|()| None)
    }

    /// The items are these now. Copies of others are forgotten; of those that are new something will come.
    async fn set_items(&self, record: &mut Record, round: &Round) -> Result<(), Refused> {
        let root = root(record)?;
        let partition = record.items.first().map(|item| item.to_partition.clone()).unwrap_or_default();
        let ids: HashSet<&str> = round.items.iter().map(|item| item.uniqueid.as_str()).collect();
        for copy in self.transit.of(&root) {
            if !ids.contains(copy.uniqueid()) {
                self.store.forget_incoming(self.transit.take(&copy)?).await?;
            }
        }
        record.round = round.round;
        record.items = round.items.iter().map(|item| arriving(item, &partition)).collect();
        let of = Move { id: record.id.to_string(), root };
        self.transit.expect(&of, ids.into_iter().map(str::to_owned));
        self.transit.call(&round.items);
        Ok(())
    }

    async fn prepare(self: &Arc<Self>, prepare: Prepare) -> Result<Option<sync::Told>, Refused> {
        let id = known(&prepare.id)?;
        let _turn = self.turn(&id).await;
        let mut record = self.record(&id).ok_or(Code::MailboxNonexistent)?;
        let (steps, reply) = plan(Some(phase(&record)), Event::Prepare);
        if reply == Reply::Yes {
            let mut digests: BTreeMap<String, String> = BTreeMap::new();
            for (uniqueid, digest) in &prepare.digests {
                digests.insert(uniqueid.as_str().to_owned(), digest.to_string());
            }
            if digests.len() != record.items.len() {
                return Err(Code::SyncChecksum.into());
            }
            for item in &mut record.items {
                item.digest = digests.remove(&item.uniqueid);
            }
            // None: the master is Cyrus's, and numbers nothing. The source's word alone counts then.
            let fence = prepare.fence.as_deref();
            let fence = fence.map(|text| Fence::parse(text).ok_or(Code::BadParameters)).transpose()?;
            record.expected = fence.map(|fence| Expected { list: fence.list.to_string(), n: fence.seq });
            if let Role::Destination { prepared_at, .. } = &mut record.role {
                *prepared_at = Some(now());
            }
        }
        if reply == Reply::Yes
            && let Some(user) = prepare.user
        {
            self.compare_user(&record, user).await?;
        }
        self.perform(record, steps).await?;
        if reply == Reply::Yes {
            self.watch_over(&id);
        }
        answered(reply).map(|()| None)
    }

    async fn asked(self: &Arc<Self>, id: &UniqueId, event: Event) -> Result<Option<sync::Told>, Refused> {
        let id = known(id)?;
        let _turn = self.turn(&id).await;
        let record = self.record(&id);
        let (steps, reply) = plan(record.as_ref().map(phase), event);
        if let Some(record) = record {
            self.perform(record, steps).await?;
        }
        self.watch_over(&id);
        if event == Event::Commit && reply == Reply::Yes {
            self.follow_now(&id);
        }
        answered(reply).map(|()| None)
    }

    /// Has the master follow, without the pause of whoever watches over a move.
    pub(super) fn follow_now(self: &Arc<Self>, id: &MoveId) {
        let Some(record) = self.record(id).filter(|record| phase(record) == Phase::Committed) else { return };
        let (moving, stop) = (self.clone(), self.context.shutdown());
        self.context.tasks().spawn(async move {
            // Whatever is left is done by whoever watches.
            let _ = stop.run_until_cancelled(moving.follow(&record)).await;
        });
    }

    /// Something was heard; see [`destination::plan`].
    async fn heard(self: &Arc<Self>, id: &MoveId, event: Event) -> Result<(), Refused> {
        let _turn = self.turn(id).await;
        let Some(record) = self.record(id) else { return Ok(()) };
        let (steps, _) = plan(Some(phase(&record)), event);
        self.perform(record, steps).await
    }

    /// Does the steps of a plan, in their order.
    pub(super) async fn perform(self: &Arc<Self>, mut record: Record, steps: &[Step]) -> Result<(), Refused> {
        for step in steps {
            match step {
                Step::Write(next) => {
                    if let Role::Destination { phase, .. } = &mut record.role {
                        *phase = *next;
                    }
                    self.write(record.clone()).await.map_err(|error| {
                        warn!(error, id = %record.id, "where a move stands is not on disk");
                        Refused::Text("The move's journal cannot be written")
                    })?;
                    info!(id = %record.id, root = record.root, phase = ?next, "a move to this server");
                }
                Step::Sync => self.sync(&record).await?,
                Step::Compare => self.compare(&record).await?,
                Step::Adopt => self.adopt(&record).await?,
                Step::Hold => {
                    let held = self.store.hold(&names(&record)?);
                    lock(&self.held).insert(record.id.clone(), held);
                }
                Step::Release => self.release(&record).await?,
                // Both are what the watch over a move does.
                Step::AskAround | Step::Follow => self.watch_over(&record.id),
            }
        }
        Ok(())
    }

    async fn sync(&self, record: &Record) -> Result<(), Refused> {
        let incoming = self.copies(record).await?;
        let all: Vec<&Incoming> = incoming.iter().map(AsRef::as_ref).collect();
        Ok(self.store.keep_round(&all).await?)
    }

    /// The copies of a move, those of an earlier life of this server too.
    async fn copies(&self, record: &Record) -> Result<Vec<Arc<Incoming>>, Refused> {
        let mut found = Vec::with_capacity(record.items.len());
        for item in &record.items {
            found.extend(self.transit.get(&item.uniqueid).and_then(|copy| copy.incoming()));
        }
        Ok(found)
    }

    async fn compare(&self, record: &Record) -> Result<(), Refused> {
        for item in &record.items {
            let held = self.transit.get(&item.uniqueid).and_then(|copy| copy.incoming());
            let digest = match held {
                Some(incoming) => incoming.digest().await?,
                None => {
                    let copy = self.resumed(record, item).await?.ok_or(Code::SyncChecksum)?;
                    copy.digest().await?
                }
            };
            if item.digest.as_deref() != Some(digest.to_string().as_str()) {
                warn!(id = %record.id, mailbox = item.name, "the copy is not what the source says");
                return Err(Code::SyncChecksum.into());
            }
        }
        Ok(())
    }

    pub(super) async fn resumed(&self, record: &Record, item: &Item) -> Result<Option<Incoming>, StoreError> {
        match self.store.resume_incoming(record.id.as_str(), &item.to_partition, &item.uniqueid).await {
            // It is in the list already.
            Err(StoreError::Exists) => Ok(None),
            other => other,
        }
    }

    async fn adopt(&self, record: &Record) -> Result<(), Refused> {
        let root = root(record)?;
        let mut copies = Vec::with_capacity(record.items.len());
        for item in &record.items {
            match self.transit.get(&item.uniqueid) {
                Some(copy) => copies.push(self.transit.take(&copy)?),
                None => copies.extend(self.resumed(record, item).await?),
            }
        }
        if !copies.is_empty() {
            self.store.adopt(&root, copies).await?;
        }
        self.take_limits_above(record).await?;
        self.transit.expect_no_more(record.id.as_str());
        names(record)?.iter().for_each(|name| self.transit.forget_quota(name));
        lock(&self.held).remove(&record.id);
        Ok(())
    }

    async fn release(self: &Arc<Self>, record: &Record) -> Result<(), Refused> {
        for item in &record.items {
            let copy = match self.transit.get(&item.uniqueid) {
                Some(copy) => Some(self.transit.take(&copy)?),
                None => self.resumed(record, item).await?,
            };
            match copy {
                Some(copy) if self.stays(record, &copy) => drop(copy),
                Some(copy) => self.store.forget_incoming(copy).await?,
                None => {}
            }
        }
        self.transit.expect_no_more(record.id.as_str());
        self.forget_limits_above(record)?;
        lock(&self.held).remove(&record.id);
        self.sweep_later(record);
        Ok(())
    }

    /// What is said to the other server that asks how far a move is.
    fn word(&self, id: &UniqueId) -> Told {
        let record = known(id).ok().and_then(|id| self.record(&id));
        match record.map(|record| record.role) {
            None => Told::Unknown,
            Some(Role::Destination { phase, .. }) => match phase {
                Phase::Incoming => Told::Incoming,
                Phase::Prepared => Told::Prepared,
                Phase::Committed => Told::Committed,
                Phase::Done => Told::Done,
                Phase::Aborted => Told::Aborted,
            },
            Some(Role::Source { phase, .. }) => match phase {
                moves::source::Phase::Queued | moves::source::Phase::Copying => Told::Incoming,
                moves::source::Phase::Switching => Told::Prepared,
                moves::source::Phase::Switched => Told::Committed,
                moves::source::Phase::Kept => Told::Done,
                moves::source::Phase::Aborted => Told::Aborted,
            },
        }
    }

    pub(super) async fn resume_taking(self: &Arc<Self>, record: &Record) {
        let of = root(record).map(|root| Move { id: record.id.to_string(), root });
        if let Ok(of) = of
            && record.is_busy()
        {
            self.transit.expect(&of, record.items.iter().map(|item| item.uniqueid.clone()));
        }
        if let Err(error) = self.heard(&record.id, Event::Start).await {
            warn!(%error, id = %record.id, root = record.root, "a move to this server waits");
            self.watch_over(&record.id);
        }
    }

    /// Asks source and master, until it is known whose the mailboxes are; then has the master follow.
    pub(super) fn watch_over(self: &Arc<Self>, id: &MoveId) {
        if !lock(&self.watched).insert(id.clone()) {
            return;
        }
        let (moving, id, stop) = (self.clone(), id.clone(), self.context.shutdown());
        self.context.tasks().spawn(async move { stop.run_until_cancelled(moving.watch(id)).await });
    }

    async fn watch(self: Arc<Self>, id: MoveId) {
        let mut pauses = Backoff::new(ASK_FIRST);
        loop {
            sleep(spread(pauses.pause(ASK_LAST), chance())).await;
            let Some(record) = self.record(&id) else { break };
            let done = match phase(&record) {
                Phase::Incoming | Phase::Prepared => self.ask_around(&record).await,
                Phase::Committed => self.follow(&record).await,
                Phase::Done | Phase::Aborted => break,
            };
            if let Err(error) = done {
                warn!(%error, %id, root = record.root, "a move to this server waits");
            }
        }
        lock(&self.watched).remove(&id);
    }

    async fn ask_around(self: &Arc<Self>, record: &Record) -> Result<(), Refused> {
        if self.is_decided(record).await {
            return self.heard(&record.id, Event::Decided).await;
        }
        let Role::Destination { from, .. } = &record.role else { return Ok(()) };
        match self.word_of(record, from).await {
            Some(word) => self.heard(&record.id, Event::Heard(word)).await,
            None => Ok(()),
        }
    }

    /// Whether the master, with the list of which the source spoke, says this server for the root since.
    async fn is_decided(&self, record: &Record) -> bool {
        let Some(expected) = &record.expected else { return false };
        let Ok(root) = root(record) else { return false };
        let Ok(mut master) = self.master.connect().await else { return false };
        let Ok(now) = master.status(&root).await else { return false };
        let same = now.position.list.to_string() == expected.list;
        same && now.entry.is_some_and(|entry| {
            entry.is_active() && entry.server() == self.server.as_str() && entry.seq > expected.n
        })
    }

    /// The source's word; none: it is silent.
    pub(super) async fn word_of(&self, record: &Record, from: &str) -> Option<Word> {
        let mut peer = Peer::connect(self.upstream(), from).await.ok()?;
        let told = peer.apply(&Apply::State(record.id.wire())).await.ok()?;
        let phase = told.iter().find_map(|told| match told {
            sync::Told::State(state) => Some(state.phase),
            _ => None,
        })?;
        Some(match phase {
            Told::Incoming | Told::Prepared => Word::Underway,
            Told::Committed | Told::Done => Word::Switched,
            Told::Aborted => Word::Aborted,
            Told::Unknown => {
                let root = MailboxName::parse(&record.root).ok()?;
                let told = peer.get(&Get::Mailboxes(vec![root])).await.ok()?;
                let first = record.items.iter().find(|item| item.name == record.root)?;
                let lists = told.iter().any(|told| {
                    matches!(told, sync::Told::Mailbox(mailbox) if mailbox.uniqueid.as_str() == first.uniqueid)
                });
                if lists { Word::ListsItself } else { Word::KnowsNothing }
            }
        })
    }

    /// Has the master say this server for every item, and the spool too.
    async fn follow(self: &Arc<Self>, record: &Record) -> Result<(), Refused> {
        let Role::Destination { from, .. } = &record.role else { return Ok(()) };
        self.adopt(record).await?;
        let mut master = self.master.connect().await.map_err(StoreError::from)?;
        for item in &record.items {
            let name = MailboxName::parse(&item.name).map_err(StoreError::from)?;
            let listed = self.store.list().get(&name).map_err(|error| StoreError::List(error.to_string()))?;
            // It was renamed or deleted since: the master knows.
            let Some(entry) = listed.filter(|_| self.lists(&name, item)) else { continue };
            let there = Location::parse(&format!("{from}!{}", item.partition));
            follow(master.as_mut(), &name, &entry.location, &entry.acl, there.ok().as_ref()).await?;
        }
        let root = root(record)?;
        let items = record.items.iter().map(|item| {
            Ok(store::Item {
                name: MailboxName::parse(&item.name)?,
                uniqueid: item.uniqueid.clone(),
                partition: item.to_partition.clone(),
            })
        });
        let items = items.collect::<Result<Vec<_>, StoreError>>()?;
        self.store.finish_adoption(&root, &items).await?;
        self.heard(&record.id, Event::Followed).await
    }

    pub(super) async fn turn(&self, id: &MoveId) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = lock(&self.turns).entry(id.clone()).or_default().clone();
        turn.lock_owned().await
    }
}

impl Moving {
    /// Has the master follow for all items of a move that went away.
    pub(super) async fn have_followed(&self, record: &Record, to: &str) -> Outcome {
        let mut master = match self.master.connect().await {
            Ok(master) => master,
            Err(error) => return Outcome::Failed(error.to_string()),
        };
        for item in &record.items {
            let Ok(name) = MailboxName::parse(&item.name) else { continue };
            let Ok(at) = Location::parse(&format!("{to}!{}", item.to_partition)) else { continue };
            let here = self.here(&item.partition);
            if let Err(error) = follow(master.as_mut(), &name, &at, &item.acl, Some(&here)).await {
                return Outcome::Failed(error.to_string());
            }
        }
        Outcome::Done
    }
}

/// Has the master say `at` for a mailbox that it has at `from` still.
pub(super) async fn follow(
    master: &mut dyn store::MasterSession,
    name: &MailboxName,
    at: &Location,
    acl: &str,
    from: Option<&Location>,
) -> Result<(), StoreError> {
    let now = match master.status(name).await {
        Err(MasterError::NoFence) => return unfenced::follow(master, name, at, acl, from).await,
        now => now?,
    };
    let fence = now.fence();
    match now.entry {
        Some(entry) if entry.is_active() && entry.server() == at.server() => Ok(()),
        Some(entry) if entry.is_active() && from.is_some_and(|from| entry.server() == from.server()) => {
            let place = Place::from(&entry.location);
            let place = fence.map_or(place.clone(), |fence| place.fenced(fence));
            Ok(master.activate_expecting(name, at, acl, &Expect::Active(place)).await?)
        }
        None => Ok(master.activate_expecting(name, at, acl, &Expect::None).await?),
        // Somebody else has it: whoever compares the lists shows that.
        Some(_) => Ok(()),
    }
}

pub(super) fn phase(record: &Record) -> destination::Phase {
    match record.role {
        Role::Destination { phase, .. } => phase,
        // A move that goes away is none that comes: everything is refused.
        Role::Source { .. } => Phase::Done,
    }
}

pub(super) fn root(record: &Record) -> Result<MailboxName, StoreError> {
    Ok(MailboxName::parse(&record.root)?)
}

fn names(record: &Record) -> Result<Vec<MailboxName>, StoreError> {
    record.items.iter().map(|item| Ok(MailboxName::parse(&item.name)?)).collect()
}

fn known(id: &UniqueId) -> Result<MoveId, Refused> {
    MoveId::parse(id.as_str()).map_err(|_| Refused::Code(Code::BadParameters))
}

fn answered(reply: Reply) -> Result<(), Refused> {
    match reply {
        Reply::Yes | Reply::Nothing => Ok(()),
        Reply::No => Err(Code::SyncChanged.into()),
    }
}

fn arriving(item: &protocol::sync::moving::Item, partition: &str) -> Item {
    Item {
        name: item.name.to_string(),
        uniqueid: item.uniqueid.as_str().to_owned(),
        partition: partition.to_owned(),
        to_partition: partition.to_owned(),
        acl: String::new(),
        digest: None,
    }
}
