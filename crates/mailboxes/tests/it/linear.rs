//! Whether what the clients of several masters saw can be true: a check for linearizability, of histories.
//!
//! A history is what clients did: when each asked, when it had its answer, and which. It can be true if all operations can be put in one
//! order, each at some moment between its call and its return, in which one list alone would have given these answers. Whoever has no
//! answer may have been heard at any later moment, or never; whoever was told that nothing happened was not heard at all, so that it is
//! left out of the history, and shows if it was heard.
//!
//! An operation is about one name, and a history is linearizable if that of each name is (Herlihy and Wing 1990, theorem 1). So each name
//! is looked at alone. The search is Wing and Gong's (1993), with Lowe's memory of what was tried. It knows nothing of revisions: what it
//! says holds for any master.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use protocol::location::Location;
use protocol::mupdate::state::{Next, Refusal, Write, step};

/// A name's entry: where it is, and its ACL where it is active. None: there is no entry.
pub type Entry = Option<(Location, Option<Arc<str>>)>;

#[derive(Debug, Clone)]
pub enum Ask {
    Write(Write),
    Find,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Done,
    Refused(Refusal),
    Found(Entry),
    /// Nobody knows whether it was heard.
    Lost,
}

#[derive(Debug, Clone)]
pub struct Operation {
    /// Whose, and by which master.
    by: String,
    name: String,
    ask: Ask,
    answer: Answer,
    called: u64,
    /// Without an answer it has no end.
    returned: u64,
}

/// What several clients record, on one clock.
#[derive(Clone)]
pub struct History {
    began: Instant,
    /// None: it was never heard.
    operations: Arc<Mutex<Vec<Option<Operation>>>>,
    answered: Arc<AtomicUsize>,
}

/// A question that is on its way.
pub struct Asked(usize);

impl Default for History {
    fn default() -> History {
        History { began: Instant::now(), operations: Arc::default(), answered: Arc::default() }
    }
}

impl History {
    /// Notes that something is asked now. Until it is answered, nobody knows whether it was heard.
    pub fn ask(&self, by: &str, name: &str, ask: Ask) -> Asked {
        let mut operations = self.operations.lock().unwrap();
        let (by, name, called) = (by.to_owned(), name.to_owned(), self.now());
        operations.push(Some(Operation { by, name, ask, answer: Answer::Lost, called, returned: u64::MAX }));
        Asked(operations.len() - 1)
    }

    /// Notes its answer.
    pub fn answer(&self, asked: Asked, answer: Answer) {
        if answer != Answer::Lost {
            let now = self.now();
            let mut operations = self.operations.lock().unwrap();
            let one = operations[asked.0].as_mut().unwrap();
            (one.answer, one.returned) = (answer, now);
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// It was not heard, and never will be.
    pub fn forget(&self, asked: Asked) {
        self.operations.lock().unwrap()[asked.0] = None;
    }

    /// How many have an answer.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// How many have none.
    pub fn lost(&self) -> usize {
        let operations = self.operations.lock().unwrap();
        operations.iter().flatten().filter(|one| one.answer == Answer::Lost).count()
    }

    /// Nanoseconds.
    fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    pub fn names(&self) -> Vec<String> {
        self.by_name().into_keys().collect()
    }

    /// The first name whose operations cannot be true, and all of them.
    pub fn lie(&self) -> Option<String> {
        self.by_name().iter().find_map(|(name, operations)| lie(name, operations))
    }

    fn by_name(&self) -> BTreeMap<String, Vec<Operation>> {
        let mut names: BTreeMap<String, Vec<Operation>> = BTreeMap::new();
        for one in self.operations.lock().unwrap().iter().flatten() {
            names.entry(one.name.clone()).or_default().push(one.clone());
        }
        names
    }
}

/// None: the operations of one name can be true.
fn lie(name: &str, operations: &[Operation]) -> Option<String> {
    let mut operations = operations.to_vec();
    operations.sort_by_key(|one| one.called);
    assert!(operations.len() <= 128, "{name} has {} operations: too many to search", operations.len());
    let mut search = Search { operations: &operations, tried: HashSet::new(), best: 0 };
    if search.goes_on(0, &None) {
        return None;
    }
    let best = search.best;
    let show = |(n, one): (usize, &Operation)| {
        let mark = if best & (1 << n) == 0 { '?' } else { ' ' };
        let returned = if one.returned == u64::MAX { "-".into() } else { (one.returned / 1000).to_string() };
        let Operation { by, ask, answer, called, .. } = one;
        format!("{mark} {:>10}..{returned:<10} {by}: {ask:?} -> {answer:?}", called / 1000)
    };
    let lines: Vec<String> = operations.iter().enumerate().map(show).collect();
    Some(format!("{name}: no order makes this true (?: fits nowhere; microseconds):\n{}", lines.join("\n")))
}

struct Search<'a> {
    /// In the order of their calls.
    operations: &'a [Operation],
    /// What was done already, and the entry then, from which nothing more can come.
    tried: HashSet<(u128, Entry)>,
    /// What the longest order holds.
    best: u128,
}

impl Search<'_> {
    /// Whether all that has an answer can follow what is done.
    fn goes_on(&mut self, done: u128, entry: &Entry) -> bool {
        let open = |n: &usize| done & (1 << n) == 0;
        let left = (0..self.operations.len()).filter(open);
        // Nothing can come before an operation that had returned when it was called.
        let until = left.clone().map(|n| self.operations[n].returned).min().unwrap_or(u64::MAX);
        if until == u64::MAX {
            return true;
        }
        if !self.tried.insert((done, entry.clone())) {
            return false;
        }
        if done.count_ones() > self.best.count_ones() {
            self.best = done;
        }
        let next: Vec<usize> = left.filter(|&n| self.operations[n].called <= until).collect();
        next.into_iter().any(|n| {
            let after = does(&self.operations[n], entry);
            after.is_some_and(|entry| self.goes_on(done | (1 << n), &entry))
        })
    }
}

/// The entry after an operation, where its answer is the one that a list with this entry gives.
fn does(one: &Operation, entry: &Entry) -> Option<Entry> {
    let write = match &one.ask {
        Ask::Find => return (one.answer == Answer::Found(entry.clone())).then(|| entry.clone()),
        Ask::Write(write) => write.clone(),
    };
    let met = write.meets(entry.as_ref().map(|(location, acl)| (acl.is_some(), location)));
    let (answer, after) = match step(write, met) {
        Ok(Next::Reserved(at)) => (Answer::Done, Some((at, None))),
        Ok(Next::Active(at, acl)) => (Answer::Done, Some((at, Some(acl)))),
        Ok(Next::Gone) => (Answer::Done, None),
        Err(refusal) => (Answer::Refused(refusal), entry.clone()),
    };
    (one.answer == answer || one.answer == Answer::Lost).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Location {
        Location::parse(text).unwrap()
    }

    fn reserve(text: &str) -> Ask {
        Ask::Write(Write::Reserve(place(text)))
    }

    fn found(text: &str) -> Answer {
        Answer::Found((!text.is_empty()).then(|| (place(text), None)))
    }

    fn is_true(operations: &[(u64, u64, Ask, Answer)]) -> bool {
        let one = |(called, returned, ask, answer): &(u64, u64, Ask, Answer)| Operation {
            by: "a".into(),
            name: "user.a".into(),
            ask: ask.clone(),
            answer: answer.clone(),
            called: *called,
            returned: if *answer == Answer::Lost { u64::MAX } else { *returned },
        };
        lie("user.a", &operations.iter().map(one).collect::<Vec<_>>()).is_none()
    }

    #[test]
    fn a_find_sees_what_was_acknowledged_before_it_was_asked() {
        let write = (0, 10, reserve("be1!p"), Answer::Done);
        assert!(is_true(&[write.clone(), (11, 12, Ask::Find, found("be1!p"))]));
        assert!(!is_true(&[write.clone(), (11, 12, Ask::Find, found(""))]));
        // While the write is on its way, both.
        for seen in ["", "be1!p"] {
            assert!(is_true(&[write.clone(), (5, 12, Ask::Find, found(seen))]));
        }
        // Not the old after the new.
        assert!(!is_true(&[write, (1, 2, Ask::Find, found("be1!p")), (3, 4, Ask::Find, found(""))]));
    }

    #[test]
    fn of_two_who_claim_a_name_one_has_it() {
        let (one, two) = (reserve("be1!p"), reserve("be2!p"));
        let no = Answer::Refused(Refusal::Exists);
        assert!(is_true(&[(0, 9, one.clone(), Answer::Done), (1, 8, two.clone(), no.clone())]));
        assert!(!is_true(&[(0, 9, one.clone(), Answer::Done), (1, 8, two.clone(), Answer::Done)]));
        assert!(!is_true(&[(0, 9, one, no.clone()), (1, 8, two, no)]));
    }

    #[test]
    fn what_had_no_answer_may_have_been_heard_late_or_never() {
        let lost = (0, 0, reserve("be1!p"), Answer::Lost);
        for seen in ["", "be1!p"] {
            assert!(is_true(&[lost.clone(), (10, 11, Ask::Find, found(seen))]));
        }
        let late = [(10, 11, Ask::Find, found("")), (12, 13, Ask::Find, found("be1!p"))];
        assert!(is_true(&[lost.clone(), late[0].clone(), late[1].clone()]));
        // But once.
        let gone = (14, 15, Ask::Write(Write::Delete), Answer::Done);
        let again = (16, 17, Ask::Find, found("be1!p"));
        assert!(!is_true(&[lost, late[0].clone(), late[1].clone(), gone, again.clone()]));
        // What was said not to have happened is left out: nobody may see it.
        assert!(!is_true(&[again]));
    }
}
