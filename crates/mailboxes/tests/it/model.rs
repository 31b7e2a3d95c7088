//! A list under any vector of operations, beside a model that is a plain map: they agree after each, also when it is opened
//! again in between, and whoever follows it from any point comes to the same.

use std::{collections::BTreeMap, sync::Arc};

use mailboxes::{Bounds, Change, Changes, Expect, List, Options, Pruned, store::Memory};
use proptest::prelude::*;
use protocol::{mupdate::state::Write, name::MailboxName};

use crate::{at, name};

#[derive(Debug, Clone)]
enum Operation {
    Reserve(usize, usize),
    Activate(usize, usize),
    ActivateIfNone(usize, usize),
    ActivateIfAt(usize, usize, usize),
    Deactivate(usize, usize),
    Delete(usize),
    /// A follower comes up to date.
    Follow,
    /// The daemon is started again.
    Reopen,
}

use Operation::{Activate, ActivateIfAt, ActivateIfNone, Deactivate, Delete, Follow, Reopen, Reserve};

/// Whether active, and where.
type Model = BTreeMap<MailboxName, (bool, &'static str)>;

const PLACES: [&str; 4] = ["be1!p", "be1!q", "be2!p", "be3!p"];

fn mailbox(n: usize) -> MailboxName {
    name(["user.a", "user.a.b", "user.a-b", "shared.c", "user.d"][n])
}

fn operation() -> impl Strategy<Value = Operation> {
    let (n, place) = (0..5usize, 0..4usize);
    prop_oneof![
        4 => (n.clone(), place.clone()).prop_map(|(n, p)| Reserve(n, p)),
        4 => (n.clone(), place.clone()).prop_map(|(n, p)| Activate(n, p)),
        1 => (n.clone(), place.clone()).prop_map(|(n, p)| ActivateIfNone(n, p)),
        2 => (n.clone(), place.clone(), place.clone()).prop_map(|(n, p, e)| ActivateIfAt(n, p, e)),
        2 => (n.clone(), place).prop_map(|(n, p)| Deactivate(n, p)),
        3 => n.prop_map(Delete),
        2 => Just(Follow),
        1 => Just(Reopen),
    ]
}

/// Does it to the model; gives the change that asks the list for the same, and whether it is to be done.
fn modelled(operation: &Operation, model: &mut Model) -> Option<(Change, bool)> {
    let (n, next, change, done) = match *operation {
        Reserve(n, p) => {
            let done = model.get(&mailbox(n)).is_none_or(|(_, at)| *at == PLACES[p]);
            (n, Some((false, PLACES[p])), Change::reserve(mailbox(n), at(PLACES[p])), done)
        }
        Activate(n, p) => {
            (n, Some((true, PLACES[p])), Change::activate(mailbox(n), at(PLACES[p]), "u\tl\t"), true)
        }
        ActivateIfNone(n, p) => {
            let change = Change::activate(mailbox(n), at(PLACES[p]), "u\tl\t").expecting(Expect::None);
            (n, Some((true, PLACES[p])), change, !model.contains_key(&mailbox(n)))
        }
        ActivateIfAt(n, p, e) => {
            let expect = Expect::Active(PLACES[e].into());
            let change = Change::activate(mailbox(n), at(PLACES[p]), "u\tl\t").expecting(expect);
            (n, Some((true, PLACES[p])), change, model.get(&mailbox(n)) == Some(&(true, PLACES[e])))
        }
        Deactivate(n, p) => {
            let done = model.get(&mailbox(n)).is_some_and(|(active, _)| *active);
            let change = Change::mupdate(mailbox(n), Write::Deactivate(at(PLACES[p])));
            (n, Some((false, PLACES[p])), change, done)
        }
        Delete(n) => {
            let change = Change::mupdate(mailbox(n), Write::Delete);
            (n, None, change, model.contains_key(&mailbox(n)))
        }
        Follow | Reopen => return None,
    };
    if done {
        match next {
            Some(next) => model.insert(mailbox(n), next),
            None => model.remove(&mailbox(n)),
        };
    }
    Some((change, done))
}

fn place(text: &str) -> &'static str {
    PLACES.into_iter().find(|place| *place == text).unwrap()
}

fn state(list: &List) -> Model {
    let entries = list.scan(None, 1000).unwrap().entries.into_iter();
    entries.map(|(name, e)| (name, (e.is_active(), place(e.location.as_str())))).collect()
}

/// Somebody who holds a copy and comes back from time to time.
#[derive(Default)]
struct Follower {
    copy: Model,
    cursor: u64,
}

impl Follower {
    fn follow(&mut self, list: &List) {
        while self.cursor < list.position().seq {
            // Too long away: everything anew.
            let Ok(changes) = changes_after(list, self.cursor, 2) else {
                (self.copy, self.cursor) = (state(list), list.position().seq);
                return;
            };
            for name in changes.names {
                match list.get(&name).unwrap() {
                    Some(e) => self.copy.insert(name, (e.is_active(), place(e.location.as_str()))),
                    None => self.copy.remove(&name),
                };
            }
            assert!(changes.upto > self.cursor);
            self.cursor = changes.upto;
        }
    }
}

fn check(operations: &[Operation], bounds: Bounds) {
    let (rows, options) = (Arc::new(Memory::new()), Options { bounds, ..Options::owner() });
    let mut list = List::with_store(rows.clone(), options).unwrap();
    let (mut model, mut follower) = (Model::new(), Follower::default());
    for operation in operations {
        match modelled(operation, &mut model) {
            Some((change, done)) => {
                assert_eq!(list.commit_blocking(vec![change]).is_ok(), done, "{operation:?}");
            }
            None if matches!(operation, Follow) => follower.follow(&list),
            None => list = List::with_store(rows.clone(), options).unwrap(),
        }
        assert_eq!(state(&list), model, "after {operation:?}");
    }
    follower.follow(&list);
    assert_eq!(follower.copy, model);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_list_and_its_followers_agree_with_a_plain_map(
        operations in prop::collection::vec(operation(), 1..60),
    ) {
        check(&operations, Bounds::default());
        // Little is remembered, so that the disk is asked, and at times has forgotten.
        check(&operations, Bounds { tombstones: 3, prune_every: 2, window: 2, page: 2, ..Bounds::default() });
    }
}

fn changes_after(list: &List, seq: u64, limit: usize) -> Result<Changes, Pruned> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(list.changes_after(seq, limit))
}
