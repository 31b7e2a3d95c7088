//! The queue of moves at their source: what was asked for waits for its turn, its hours, and for a destination that has room.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use moves::MoveId;
use moves::journal::{Record, Role};
use moves::source::{Phase, Source};
use moves::wishes::Wishes;
use protocol::name::MailboxName;
use store::StoreError;
use tokio::time::{Instant, sleep};
use tracing::info;

use super::live::Live;
use super::room::No;
use super::{Moving, lock, now};
use crate::limits::{QUEUE_AGAIN, QUEUE_LOOK, QUEUED, ROOM_KEPT, rows};

/// A move that is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// None: a new one.
    pub id: Option<MoveId>,
    pub root: MailboxName,
    pub to: String,
    /// None: the one of the same name.
    pub partition: Option<String>,
    pub asked_by: String,
    pub wishes: Wishes,
    /// It waits for a server that does not answer now.
    pub patient: bool,
}

/// Has its place among those that go on at once, until it is dropped.
pub(super) struct Slot {
    moving: Arc<Moving>,
    id: MoveId,
}

impl Drop for Slot {
    fn drop(&mut self) {
        lock(&self.moving.running).remove(&self.id);
        self.moving.changed.send_replace(());
    }
}

impl Wanted {
    /// What an administrator asks for by XFER.
    pub fn new(root: &MailboxName, to: &str, partition: Option<&str>, asked_by: &str) -> Wanted {
        Wanted {
            id: None,
            root: root.clone(),
            to: to.to_owned(),
            partition: partition.map(str::to_owned),
            asked_by: asked_by.to_owned(),
            wishes: Wishes::default(),
            patient: false,
        }
    }
}

impl Moving {
    /// Notes that a user's mailboxes, or a shared one, are to move. The move goes on though the caller goes away. Who asks for one that
    /// is under way joins that. The error is a text for whoever asked.
    pub async fn ask(self: &Arc<Self>, wanted: Wanted) -> Result<Arc<Live>, String> {
        if let Some(fault) = wanted.wishes.fault() {
            return Err(fault.to_owned());
        }
        if let Some(live) = self.joined(&wanted)? {
            return Ok(live);
        }
        let asked = wanted.partition.as_deref().unwrap_or_default();
        let items = self.items(&wanted.root, asked, wanted.wishes.tree).await;
        let mut items = items.map_err(|error| error.to_string())?;
        let Some(first) = items.iter().find(|item| item.name == wanted.root.as_str()) else {
            return Err(StoreError::NoMailbox.to_string());
        };
        let partition = match &wanted.partition {
            Some(partition) => partition.clone(),
            None => self.place_at(&wanted.to, &first.partition).await,
        };
        items.iter_mut().for_each(|item| item.to_partition.clone_from(&partition));
        match self.may_begin(&wanted.to, &partition, &items).await {
            Err(No::Now(_)) if wanted.patient => {}
            Err(No::Now(why) | No::Never(why)) => return Err(why),
            Ok(()) => {}
        }
        let id = wanted.id.clone().map_or_else(MoveId::new, Ok);
        // Which of the two a move is with, its id says for good.
        let id = match self.takes(&wanted.to).await {
            Ok(welcome) if welcome.cyrus => id.and_then(MoveId::named_with_cyrus),
            Ok(_) => id,
            Err(No::Now(why) | No::Never(why)) => return Err(why),
        };
        let record = Record {
            id: id.map_err(|error| error.to_string())?,
            root: wanted.root.to_string(),
            items,
            round: 0,
            started: now(),
            expected: None,
            why: None,
            wishes: wanted.wishes.clone(),
            ended: None,
            purged: None,
            pause: None,
            role: Role::Source {
                phase: Phase::Queued,
                to: wanted.to.clone(),
                messages: 0,
                bytes: 0,
                asked_by: wanted.asked_by.clone(),
                frozen_at: None,
                keep_until: None,
                followed: false,
            },
        };
        self.enqueue(&wanted, record).await
    }

    /// Returns when a move is decided, or this server ends.
    pub async fn ended(&self, live: &Live) -> Result<(), String> {
        let stop = self.context.shutdown();
        let ended = stop.run_until_cancelled(live.ended()).await;
        ended.unwrap_or_else(|| Err("Server is shutting down".to_owned()))
    }

    async fn enqueue(self: &Arc<Self>, wanted: &Wanted, record: Record) -> Result<Arc<Live>, String> {
        let live = {
            // Nothing is asked for twice, nor begun before it is on disk.
            let _starting = self.starting.lock().await;
            if let Some(live) = self.joined(wanted)? {
                return Ok(live);
            }
            let queued = lock(&self.records).values().filter(|record| is_queued(record)).count();
            if queued >= QUEUED {
                rows::QUEUED.met("so many moves wait that one more is refused");
                return Err("too many moves are queued".to_owned());
            }
            let stop = self.context.shutdown();
            let written = stop.run_until_cancelled(self.write(record.clone())).await;
            written.unwrap_or_else(|| Err(StoreError::Closed.to_string()))?;
            self.live_of(&record)
        };
        info!(id = %record.id, root = record.root, to = wanted.to, asked_by = wanted.asked_by, "a move is asked for");
        // Who waits for it has no wish to wait for those that are queued before.
        if record.wishes.plan.is_none()
            && record.wishes.wait(now()) == 0
            && !self.is_full()
            && self.turn_at(&record, &mut HashMap::new()).await.is_ok()
        {
            self.start(&record.id).await;
        }
        Ok(live)
    }

    /// The same move, where it is under way. An error: another one has to do with the mailbox.
    fn joined(&self, wanted: &Wanted) -> Result<Option<Arc<Live>>, String> {
        let same = wanted.id.as_ref().and_then(|id| self.record(id));
        if let Some(record) = &same {
            if record.root != wanted.root.as_str() {
                return Err("Another move has this id".to_owned());
            }
            return Ok(Some(self.live_of(record)));
        }
        let records = lock(&self.records);
        let other = records.values().find(|other| other.is_busy() && overlaps(other, wanted)).cloned();
        drop(records);
        match other.as_ref().map(|other| (&other.role, other)) {
            Some((
                Role::Source { to, phase: Phase::Queued | Phase::Copying | Phase::Switching, .. },
                other,
            )) if *to == wanted.to
                && other.root == wanted.root.as_str()
                && wanted.partition.as_deref().is_none_or(|partition| {
                    other.items.first().is_some_and(|item| item.to_partition == partition)
                }) =>
            {
                Ok(Some(self.live_of(other)))
            }
            Some((Role::Source { to, .. }, _)) => Err(format!("Mailbox is being moved to {to}")),
            Some((Role::Destination { .. }, _)) => Err("Mailbox is locked".to_owned()),
            None => Ok(None),
        }
    }

    /// A move as others see it; one that is over has ended.
    pub(super) fn live_of(&self, record: &Record) -> Arc<Live> {
        if let Some(live) = lock(&self.lives).get(&record.id) {
            return live.clone();
        }
        let live = Arc::new(Live::new(record.id.clone(), &record.root));
        let ids: Vec<String> = record.items.iter().map(|item| item.uniqueid.clone()).collect();
        let usage = self.store.usage_of_all(&ids);
        live.expect(usage.message, usage.storage);
        match &record.role {
            Role::Source { phase: Phase::Queued | Phase::Copying | Phase::Switching, .. } => {
                lock(&self.lives).insert(record.id.clone(), live.clone());
            }
            Role::Source { phase: Phase::Aborted, .. } => {
                live.end(Err(record.why.clone().unwrap_or_else(|| "the move was given up".to_owned())));
            }
            _ => live.end(Ok(())),
        }
        live
    }

    /// Starts what is queued, as its turn comes, until the daemon ends.
    pub(super) async fn schedule(self: Arc<Self>) {
        let (mut changed, mut again) = (self.changed.subscribe(), HashMap::<MoveId, Instant>::new());
        loop {
            changed.borrow_and_update();
            let pause = self.start_due(&mut again).await;
            again.retain(|id, _| self.record(id).is_some_and(|record| is_queued(&record)));
            tokio::select! {
                _ = changed.changed() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// As many go on as may.
    fn is_full(&self) -> bool {
        let parallel = usize::try_from(self.context.imapd().move_parallel).unwrap_or(usize::MAX).max(1);
        lock(&self.running).len() >= parallel
    }

    /// Starts as many as may go on at once. How long nothing else will be; `again`: when what could not begin is looked at once more.
    async fn start_due(self: &Arc<Self>, again: &mut HashMap<MoveId, Instant>) -> Duration {
        if self.is_full() {
            // A place that is free again wakes whoever waits.
            return QUEUE_LOOK;
        }
        let (mut next, mut busy) = (QUEUE_LOOK, HashMap::<String, usize>::new());
        for (id, wishes) in self.queued() {
            if self.is_full() {
                break;
            }
            let wait = Duration::from_secs(wishes.wait(now()));
            if !wait.is_zero() {
                self.waits_for(&id, Some("waits for its hours".to_owned()));
                next = next.min(wait);
                continue;
            }
            let left = again.get(&id).map(|at| at.saturating_duration_since(Instant::now()));
            if let Some(left) = left.filter(|left| !left.is_zero()) {
                next = next.min(left);
                continue;
            }
            let Some(record) = self.record(&id) else { continue };
            match self.turn_at(&record, &mut busy).await {
                Ok(()) => self.start(&id).await,
                Err(No::Now(why)) => {
                    self.waits_for(&id, Some(why));
                    again.insert(id, Instant::now() + QUEUE_AGAIN);
                    next = next.min(QUEUE_AGAIN);
                }
                Err(No::Never(why)) => {
                    let _starting = self.starting.lock().await;
                    if let Some(record) = self.record(&id).filter(is_queued) {
                        self.give_up_queued(record, why).await;
                    }
                }
            }
        }
        next
    }

    /// What waits, in its order.
    fn queued(&self) -> Vec<(MoveId, Wishes)> {
        let (records, running) = (lock(&self.records), lock(&self.running));
        let waits = records
            .values()
            .filter(|record| is_queued(record) && !record.wishes.stopped && !running.contains(&record.id));
        // What somebody waits for goes before what is a plan's.
        let mut all: Vec<_> =
            waits.map(|record| (record.wishes.plan.is_some(), record.started, record)).collect();
        all.sort_by_key(|(plan, started, record)| (*plan, *started, record.id.clone()));
        all.into_iter().map(|(_, _, record)| (record.id.clone(), record.wishes.clone())).collect()
    }

    /// Whether the destination has room and time for one more; `busy`: those that were found to have none.
    async fn turn_at(&self, record: &Record, busy: &mut HashMap<String, usize>) -> Result<(), No> {
        let Role::Source { to, .. } = &record.role else { return Err(No::Never("no move".to_owned())) };
        let many = |parallel: usize| No::Now(format!("{to} takes {parallel} moves at once"));
        if let Some(parallel) = busy.get(to) {
            return Err(many(*parallel));
        }
        let partition = record.items.first().map(|item| item.to_partition.clone()).unwrap_or_default();
        // Who has just asked was told already.
        if now().saturating_sub(record.started) > ROOM_KEPT.as_secs() {
            self.may_begin(to, &partition, &record.items).await?;
        }
        let welcome = self.takes(to).await?;
        if welcome.parallel > 0 && welcome.incoming >= welcome.parallel {
            busy.insert(to.clone(), welcome.parallel);
            return Err(many(welcome.parallel));
        }
        Ok(())
    }

    /// Starts a move that is queued, if it still may.
    async fn start(self: &Arc<Self>, id: &MoveId) {
        let _starting = self.starting.lock().await;
        let Some(record) = self.record(id).filter(is_queued) else { return };
        if record.wishes.stopped || self.is_full() || lock(&self.running).contains(id) {
            return;
        }
        self.waits_for(id, None);
        info!(id = %record.id, root = record.root, "a move begins");
        let slot = self.slot(&record.id);
        self.run(record, Source::new(), slot);
    }

    /// A place among those that go on.
    pub(super) fn slot(self: &Arc<Self>, id: &MoveId) -> Slot {
        lock(&self.running).insert(id.clone());
        Slot { moving: self.clone(), id: id.clone() }
    }

    /// What was queued does not happen.
    pub(super) async fn give_up_queued(&self, mut record: Record, why: String) {
        if let Role::Source { phase, .. } = &mut record.role {
            *phase = Phase::Aborted;
        }
        record.why = Some(why.clone());
        self.waits_for(&record.id, None);
        let id = record.id.clone();
        // A disk that fails leaves it in the queue.
        if let Err(error) = self.write(record).await {
            self.waits_for(&id, Some(error));
            return;
        }
        if let Some(live) = lock(&self.lives).remove(&id) {
            live.end(Err(why));
        }
    }
}

pub(super) fn is_queued(record: &Record) -> bool {
    matches!(record.role, Role::Source { phase: Phase::Queued, .. })
}

/// Whether two moves have to do with one mailbox.
fn overlaps(other: &Record, wanted: &Wanted) -> bool {
    let root = wanted.root.as_str();
    // Of a user everything goes, and nothing alone.
    if wanted.root.is_inbox() {
        return other.root == root;
    }
    let below = |name: &str| name.strip_prefix(root).is_some_and(|rest| rest.starts_with('.'));
    other.root == root
        || other.items.iter().any(|item| item.name == root)
        || wanted.wishes.tree && other.items.iter().any(|item| below(&item.name))
}
