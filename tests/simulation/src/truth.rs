//! What is true of each mailbox, as far as who changes it can know, and whether what others say can be.
//!
//! Each mailbox is changed by one backend, one change after the other, and each change has a number, its *version*, which
//! stands in the partition's name. A change that was acknowledged holds; of one that had no answer both is possible.

use std::collections::{BTreeMap, BTreeSet};

use mailboxes::{Entry, ListId, Position};
use tokio::time::{Duration, Instant};

use crate::network::Ended;

/// What a change makes of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Absent,
    Reserved,
    Active,
}

#[derive(Default)]
pub struct Truth {
    names: BTreeMap<String, History>,
    /// What was found to be wrong.
    pub violations: Vec<String>,
    pub acknowledged: usize,
}

struct History {
    /// By version.
    shapes: Vec<Shape>,
    possible: BTreeSet<usize>,
    /// Changes without an answer that may still be on their way.
    ghosts: Vec<(usize, Ended)>,
    /// A ghost may have come after a later change: versions no longer come in order.
    disordered: bool,
    /// Since when it may have been absent, or not.
    timeline: Vec<(Instant, bool)>,
    /// Its backend has it, and the master has lost it.
    untold: bool,
}

impl Default for History {
    fn default() -> Self {
        History {
            shapes: vec![Shape::Absent],
            possible: BTreeSet::from([0]),
            ghosts: Vec::new(),
            disordered: false,
            timeline: vec![(Instant::now(), true)],
            untold: false,
        }
    }
}

impl History {
    fn is(&self, version: usize, shape: Shape) -> bool {
        self.shapes.get(version) == Some(&shape)
    }

    fn record(&mut self) {
        let absent = self.possible.iter().any(|&version| self.is(version, Shape::Absent));
        self.timeline.push((Instant::now(), absent));
    }
}

impl Truth {
    pub fn wrong(&mut self, what: String) {
        crate::chance::note(|| format!("WRONG: {what}"));
        self.violations.push(what);
    }

    pub fn add(&mut self, name: &str) {
        self.names.insert(name.into(), History::default());
    }

    pub fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    /// What the mailbox is now, as far as is known: of several possibilities the latest.
    pub fn believed(&self, name: &str) -> (usize, Shape) {
        let history = &self.names[name];
        let version = history.possible.last().copied().unwrap_or_default();
        (version, history.shapes[version])
    }

    /// A change is about to be asked for. Gives its version.
    pub fn begin(&mut self, name: &str, shape: Shape) -> usize {
        let Some(history) = self.names.get_mut(name) else { return 0 };
        let version = history.shapes.len();
        history.shapes.push(shape);
        history.ghosts.retain(|(_, ended)| !ended.get());
        history.possible.insert(version);
        history.record();
        version
    }

    /// It was acknowledged.
    pub fn hold(&mut self, name: &str, version: usize) {
        self.acknowledged += 1;
        let Some(history) = self.names.get_mut(name) else { return };
        history.disordered |= !history.ghosts.is_empty();
        history.possible = history.ghosts.iter().map(|(ghost, _)| *ghost).collect();
        history.possible.insert(version);
        history.record();
    }

    /// It was refused, for what the mailbox is: it can only be one of these.
    pub fn refuse(&mut self, name: &str, version: usize, can_be: &[Shape]) {
        let Some(history) = self.names.get_mut(name) else { return };
        history.possible.remove(&version);
        let possible = history.possible.clone();
        history.possible.retain(|&version| can_be.iter().any(|shape| history.shapes[version] == *shape));
        if history.possible.is_empty() {
            history.possible = possible.clone();
            let shapes: Vec<_> = possible.iter().map(|&version| (version, history.shapes[version])).collect();
            self.wrong(format!("{name}: refused as if it were {can_be:?}, but it is {shapes:?}"));
            return;
        }
        history.record();
    }

    /// There was no answer.
    pub fn lose(&mut self, name: &str, version: usize, ended: Ended) {
        let Some(history) = self.names.get_mut(name) else { return };
        if history.possible.contains(&version) && !ended.get() {
            history.ghosts.push((version, ended));
        }
    }

    /// The master's list is now this one: everything else never was.
    pub fn restore(&mut self, entries: &BTreeMap<String, Entry>) {
        for (name, history) in &mut self.names {
            let version = match entries.get(name).and_then(version_of) {
                Some(version) => version,
                None => {
                    history.shapes.push(Shape::Absent);
                    history.shapes.len() - 1
                }
            };
            history.possible = BTreeSet::from([version]);
            history.ghosts.clear();
            history.disordered = true;
            history.untold = false;
            history.record();
        }
    }

    /// The master's list is gone. What backends have, they have all the same.
    pub fn lose_all(&mut self) {
        let names = self.names();
        let had: Vec<_> = names.into_iter().filter(|name| self.believed(name).1 == Shape::Active).collect();
        self.restore(&BTreeMap::new());
        for name in had {
            self.names.entry(name).and_modify(|history| history.untold = true);
        }
    }

    /// Which of these the master is yet to be told of again.
    pub fn untold(&self, names: &[String]) -> Vec<String> {
        names
            .iter()
            .filter(|name| self.names.get(*name).is_some_and(|history| history.untold))
            .cloned()
            .collect()
    }

    /// Its backend has told the master of it.
    pub fn told(&mut self, name: &str) {
        self.names.entry(name.into()).and_modify(|history| history.untold = false);
    }

    /// Whether the entries of a list are what they can be.
    pub fn check_all(&mut self, who: &str, entries: &BTreeMap<String, Entry>) {
        let mut wrong = Vec::new();
        for (name, history) in &self.names {
            let entry = entries.get(name);
            let holds = history.possible.iter().any(|&version| match entry {
                None => history.is(version, Shape::Absent),
                Some(entry) => version_of(entry) == Some(version) && history.is(version, shape_of(entry)),
            });
            if !holds {
                let possible: Vec<_> = history.possible.iter().map(|&v| (v, history.shapes[v])).collect();
                let found = entry.map(|entry| (version_of(entry), shape_of(entry)));
                wrong.push(format!("{who}: {name} is {found:?}, not one of {possible:?}"));
            }
        }
        wrong.into_iter().for_each(|what| self.wrong(what));
    }

    /// Whether a mailbox can be said not to exist, by who looked from then until now.
    pub fn check_missing(&mut self, who: &str, name: &str, since: Instant) {
        let Some(history) = self.names.get(name) else { return };
        let since = since.checked_sub(CONFIRMED).unwrap_or(since);
        let before = history.timeline.iter().rev().find(|(at, _)| *at <= since);
        let during = history.timeline.iter().filter(|(at, _)| *at >= since);
        if !before.into_iter().chain(during).any(|(_, absent)| *absent) {
            self.wrong(format!("{who} says for good that {name} does not exist, which it does"));
        }
    }
}

/// What one replica was seen to hold, in order.
#[derive(Default)]
pub struct Seen {
    position: Option<Position>,
    versions: BTreeMap<String, usize>,
}

impl Seen {
    /// Checks that nothing went back. `ordered`: the list changes from one state to the next at once.
    pub fn look(
        &mut self,
        who: &str,
        truth: &mut Truth,
        position: Position,
        get: impl Fn(&str) -> Option<Entry>,
    ) {
        if let Some(before) = self.position {
            if (before.list, before.term) != (position.list, position.term) {
                self.versions.clear();
            } else if position.seq < before.seq {
                truth.wrong(format!("{who} went back from {before} to {position}"));
            }
        }
        self.position = Some(position);
        let mut wrong = Vec::new();
        for (name, history) in truth.names.iter().filter(|(_, history)| !history.disordered) {
            let last = self.versions.get(name).copied().unwrap_or_default();
            let entry = get(name);
            let now = match &entry {
                Some(entry) => version_of(entry),
                // Any deletion since will do.
                None => (last..history.shapes.len()).find(|&v| history.is(v, Shape::Absent)),
            };
            match now {
                Some(now) if now >= last => self.versions.insert(name.clone(), now),
                _ => {
                    wrong.push(format!("{who}: {name} was at version {last}, and is {entry:?}"));
                    None
                }
            };
        }
        wrong.into_iter().for_each(|what| truth.wrong(what));
    }

    pub fn list(&self) -> Option<ListId> {
        self.position.map(|position| position.list)
    }
}

/// The version of an entry: the number in its partition's name.
pub fn version_of(entry: &Entry) -> Option<usize> {
    entry.location.partition()?.strip_prefix('p')?.parse().ok()
}

fn shape_of(entry: &Entry) -> Shape {
    if entry.is_active() { Shape::Active } else { Shape::Reserved }
}

/// How long an absence that the master confirmed counts.
const CONFIRMED: Duration = Duration::from_secs(1);
