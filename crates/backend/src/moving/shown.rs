//! Moves as operators see them.

use std::collections::BTreeMap;

use moves::MoveId;
use moves::journal::{Record, Role};
use moves::order::{PAGE, Progress, Shown};
use moves::source::Phase;

use super::live::Live;
use super::queue::is_queued;
use super::{Moving, lock};
use crate::limits::WHY_WAIT;

impl Moving {
    /// Some moves in the order of their ids, those behind `after`; `over`: those that are over, too.
    pub fn shown(&self, over: bool, after: Option<&str>) -> Vec<Shown> {
        let records: Vec<(Record, usize)> = {
            let records = lock(&self.records);
            let behind =
                records.values().filter(|record| after.is_none_or(|after| record.id.as_str() > after));
            behind.filter(|record| over || !record.is_over()).take(PAGE).map(short).collect()
        };
        records.into_iter().map(|(record, mailboxes)| self.with_live(record, mailboxes)).collect()
    }

    /// One move.
    pub fn one(&self, id: &str) -> Option<Shown> {
        let (record, mailboxes) = short(&self.record(&MoveId::parse(id).ok()?)?);
        Some(self.with_live(record, mailboxes))
    }

    fn with_live(&self, record: Record, mailboxes: usize) -> Shown {
        let (waiting, lives) = (lock(&self.waiting), lock(&self.lives));
        let waits = waiting.get(&record.id).cloned();
        let live = lives.get(&record.id).filter(|_| !is_queued(&record)).map(|live| live.shown());
        Shown { record, mailboxes, waits, live }
    }

    /// Why a move that somebody waits for does not go on.
    pub fn why(&self, live: &Live) -> Option<String> {
        lock(&self.waiting).get(live.id()).cloned()
    }

    /// What became of the moves of each plan.
    pub fn plans(&self) -> BTreeMap<String, Progress> {
        let mut plans = BTreeMap::<String, Progress>::new();
        let (records, running) = (lock(&self.records), lock(&self.running));
        let (waiting, lives) = (lock(&self.waiting), lock(&self.lives));
        for record in records.values() {
            let (Some(plan), Role::Source { phase, bytes, .. }) = (&record.wishes.plan, &record.role) else {
                continue;
            };
            let progress = plans.entry(plan.clone()).or_default();
            progress.bytes += lives.get(&record.id).map_or(0, |live| live.shown().bytes).max(*bytes);
            match phase {
                Phase::Queued if record.wishes.stopped => progress.stopped += 1,
                Phase::Queued if !running.contains(&record.id) => progress.queued += 1,
                Phase::Queued | Phase::Copying | Phase::Switching => progress.running += 1,
                Phase::Switched | Phase::Kept => progress.moved += 1,
                Phase::Aborted => progress.failed += 1,
            }
            let why = waiting.get(&record.id).or(record.why.as_ref().filter(|_| *phase == Phase::Aborted));
            if let Some(why) = why
                && progress.why.len() < WHY_WAIT
            {
                progress.why.insert(record.root.clone(), why.clone());
            }
        }
        plans
    }

    /// Sets what the node's metrics say of moves.
    pub(super) fn count(&self) {
        let mut states = BTreeMap::from(STATES.map(|state| (state, 0u32)));
        for record in lock(&self.records).values().filter(|record| !record.is_over()) {
            let state = match &record.role {
                Role::Source { phase: Phase::Queued, .. } => "queued",
                Role::Source { phase: Phase::Copying, .. } => "copying",
                Role::Source { phase: Phase::Switching, .. } => "switching",
                Role::Source { phase: Phase::Switched | Phase::Aborted, .. } => "finishing",
                Role::Source { phase: Phase::Kept, .. } => "kept",
                Role::Destination { .. } => "incoming",
            };
            *states.entry(state).or_default() += 1;
        }
        for (state, count) in states {
            metrics::gauge!("murder_moves", "state" => state).set(f64::from(count));
        }
    }
}

/// Its first mailbox stands for all.
fn short(record: &Record) -> (Record, usize) {
    let first = record.items.iter().find(|item| item.name == record.root).or(record.items.first());
    let short = Record {
        id: MoveId::clone(&record.id),
        root: record.root.clone(),
        items: first.cloned().into_iter().collect(),
        why: record.why.clone(),
        expected: record.expected.clone(),
        wishes: record.wishes.clone(),
        role: record.role.clone(),
        ..*record
    };
    (short, record.items.len())
}

const STATES: [&str; 6] = ["queued", "copying", "switching", "finishing", "kept", "incoming"];
