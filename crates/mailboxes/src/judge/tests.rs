//! The judge beside a model that is a plain map.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use protocol::{location::Location, mupdate::state::Write};

use super::*;
use crate::{Expect, Fence, ListId, Place};

#[derive(Debug, Clone)]
enum Ask {
    Reserve(usize, usize),
    Activate(usize, usize),
    ActivateIfNone(usize, usize),
    ActivateIfAt(usize, usize, usize),
    Deactivate(usize, usize),
    Delete(usize),
    Put(usize, usize),
    Remove(usize),
}

/// Whether active, and where.
type Model = BTreeMap<usize, (bool, usize)>;

const PLACES: [&str; 4] = ["be1!p", "be1!q", "be2!p", "be3!p"];
const SEQ: u64 = 100;

fn name(n: usize) -> MailboxName {
    MailboxName::parse(&format!("user.u{n}")).unwrap()
}

fn at(place: usize) -> Location {
    Location::parse(PLACES[place]).unwrap()
}

fn ask() -> impl Strategy<Value = Ask> {
    let (n, p) = (0..4usize, 0..PLACES.len());
    prop_oneof![
        4 => (n.clone(), p.clone()).prop_map(|(n, p)| Ask::Reserve(n, p)),
        4 => (n.clone(), p.clone()).prop_map(|(n, p)| Ask::Activate(n, p)),
        1 => (n.clone(), p.clone()).prop_map(|(n, p)| Ask::ActivateIfNone(n, p)),
        2 => (n.clone(), p.clone(), p.clone()).prop_map(|(n, p, e)| Ask::ActivateIfAt(n, p, e)),
        2 => (n.clone(), p.clone()).prop_map(|(n, p)| Ask::Deactivate(n, p)),
        2 => n.clone().prop_map(Ask::Delete),
        1 => (n.clone(), p).prop_map(|(n, p)| Ask::Put(n, p)),
        1 => n.prop_map(Ask::Remove),
    ]
}

impl Ask {
    fn change(&self) -> Change {
        match *self {
            Ask::Reserve(n, p) => Change::reserve(name(n), at(p)),
            Ask::Activate(n, p) => Change::activate(name(n), at(p), ""),
            Ask::ActivateIfNone(n, p) => Change::activate(name(n), at(p), "").expecting(Expect::None),
            Ask::ActivateIfAt(n, p, e) => {
                Change::activate(name(n), at(p), "").expecting(Expect::Active(PLACES[e].into()))
            }
            Ask::Deactivate(n, p) => Change::mupdate(name(n), Write::Deactivate(at(p))),
            Ask::Delete(n) => Change::mupdate(name(n), Write::Delete),
            Ask::Put(n, p) => Change::put(name(n), Entry::active(at(p), "")),
            Ask::Remove(n) => Change::delete(name(n)),
        }
    }

    /// Does it to the model. Gives how many numbers it takes; none where it is refused.
    fn model(&self, model: &mut Model) -> Option<u64> {
        let (n, next, may) = match *self {
            Ask::Reserve(n, p) => (n, Some((false, p)), model.get(&n).is_none_or(|(_, at)| *at == p)),
            Ask::Activate(n, p) | Ask::Put(n, p) => (n, Some((true, p)), true),
            Ask::ActivateIfNone(n, p) => (n, Some((true, p)), !model.contains_key(&n)),
            Ask::ActivateIfAt(n, p, e) => (n, Some((true, p)), model.get(&n) == Some(&(true, e))),
            Ask::Deactivate(n, p) => (n, Some((false, p)), model.get(&n).is_some_and(|(active, _)| *active)),
            Ask::Delete(n) => (n, None, model.contains_key(&n)),
            Ask::Remove(n) => (n, None, true),
        };
        if !may {
            return None;
        }
        let before = match next {
            Some(next) => model.insert(n, next),
            None => model.remove(&n),
        };
        Some(u64::from(before.is_some() || next.is_some()))
    }
}

fn history() -> History {
    let position = Position { list: ListId(7), term: 1, seq: SEQ };
    History { position, own: true, complete: true, floor: 0, jump: 0 }
}

fn stored(model: &Model) -> BTreeMap<MailboxName, Entry> {
    let entry = |(n, (active, place)): (&usize, &(bool, usize))| {
        let entry = if *active { Entry::active(at(*place), "") } else { Entry::reserved(at(*place)) };
        (name(*n), Entry { seq: *n as u64 + 1, mtime: 1, ..entry })
    };
    model.iter().map(entry).collect()
}

/// Every number that was given, and to which name.
fn numbers(draft: &Draft) -> Vec<(u64, &MailboxName)> {
    draft.log.iter().map(|(seq, place)| (*seq, &draft.group.proposals[*place].name)).collect()
}

fn check(before: &Model, requests: &[Vec<Ask>]) {
    let (mut model, stored) = (before.clone(), stored(before));
    let mut draft = Draft::new(history(), 1000);
    let mut seq = SEQ;
    for request in requests {
        let mut then = model.clone();
        let numbers: Option<u64> = request.iter().map(|ask| ask.model(&mut then)).sum();
        let answer = draft
            .judge(request.iter().map(Ask::change).collect(), |name| Ok(stored.get(name).cloned()))
            .map(|position| position.seq);
        match numbers {
            Some(numbers) => {
                (model, seq) = (then, seq + numbers);
                assert_eq!(answer, Ok(seq), "{request:?}");
            }
            None => assert!(answer.is_err(), "{request:?}"),
        }
    }
    assert_eq!(draft.position().seq, seq);
    let log = numbers(&draft);
    assert_eq!(log.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), (SEQ + 1..=seq).collect::<Vec<_>>());
    let names: HashSet<_> = draft.group.proposals.iter().map(|proposal| &proposal.name).collect();
    assert_eq!(names.len(), draft.group.proposals.len());
    let mut after = stored.clone();
    for Proposal { name, seen, new, seq } in &draft.group.proposals {
        assert_eq!(seen.as_ref(), stored.get(name));
        let last = log.iter().rfind(|(_, changed)| *changed == name);
        assert_eq!(Some(*seq), last.map(|(seq, _)| *seq));
        match new {
            Some(entry) => {
                assert_eq!((entry.seq, entry.mtime), (*seq, 1000));
                after.insert(name.clone(), entry.clone());
            }
            None => drop(after.remove(name)),
        }
    }
    let plain: BTreeMap<_, _> =
        after.into_iter().map(|(name, e)| (name, (e.is_active(), e.location.as_str().to_owned()))).collect();
    let wanted: BTreeMap<_, _> =
        model.iter().map(|(n, (active, place))| (name(*n), (*active, PLACES[*place].to_owned()))).collect();
    assert_eq!(plain, wanted);
}

proptest! {
    #[test]
    fn what_is_taken_is_what_a_plain_map_takes_and_what_is_refused_leaves_nothing(
        before in prop::collection::btree_map(0..4usize, (any::<bool>(), 0..PLACES.len()), 0..4),
        requests in prop::collection::vec(prop::collection::vec(ask(), 0..5), 0..12),
    ) {
        check(&before, &requests);
    }
}

#[test]
fn a_name_that_cannot_be_read_refuses_its_request_alone() {
    let mut draft = Draft::new(history(), 1000);
    let unreadable = || CommitError::Unwritten("unreadable".into());
    let current = |n: &MailboxName| if *n == name(1) { Err(unreadable()) } else { Ok(None) };
    let both = vec![Ask::Put(0, 0).change(), Ask::Put(1, 0).change()];
    assert_eq!(draft.judge(both, current), Err(unreadable()));
    assert!(draft.group.proposals.is_empty());
    assert_eq!(draft.judge(vec![Ask::Reserve(0, 1).change()], current).map(|p| p.seq), Ok(SEQ + 1));
    assert_eq!(draft.group.proposals.len(), 1);
}

#[test]
fn whoever_says_from_whom_it_takes_a_mailbox_claims_nothing() {
    let stored = stored(&BTreeMap::from([(1, (true, 0))]));
    for (expect, claims) in
        [(Some(Expect::Active("be1!p".into())), 0), (Some(Expect::Active("be1".into())), 0), (None, 1)]
    {
        let mut draft = Draft::new(history(), 1000);
        let change = Change { expect, ..Change::activate(name(1), at(2), "") };
        draft.judge(vec![change], |name| Ok(stored.get(name).cloned())).unwrap();
        assert_eq!(draft.claims.len(), claims);
    }
}

#[test]
fn a_change_that_relies_on_a_number_loses_to_every_change_since() {
    let stored = stored(&BTreeMap::from([(1, (true, 0))]));
    let fence = Fence { list: ListId(7), seq: stored[&name(1)].seq };
    let switch = || {
        let expect = Expect::Active(Place::from("be1!p").fenced(fence));
        vec![Change::activate(name(1), at(2), "").expecting(expect)]
    };
    let current = |name: &MailboxName| Ok(stored.get(name).cloned());
    let changed = CommitError::Changed { name: name(1) };
    // Even to one that says only what is true already.
    let mut draft = Draft::new(history(), 1000);
    draft.judge(vec![Ask::Activate(1, 0).change()], current).unwrap();
    assert_eq!(draft.judge(switch(), current), Err(changed.clone()));
    let mut draft = Draft::new(history(), 1000);
    draft.judge(switch(), current).unwrap();
    assert_eq!(draft.judge(switch(), current), Err(changed.clone()));
    // And to a list that is another one, from that moment on.
    let mut draft = Draft::new(history(), 1000);
    draft.renew(ListId(8));
    assert_eq!(draft.judge(switch(), current), Err(changed));
}

#[test]
fn numbers_that_an_authority_gives_otherwise_are_taken_over() {
    let position = Position { seq: 250, ..history().position };
    // One number for all of them, and then three of their own after others'.
    for (first, numbers) in [(250, [250, 250, 250]), (248, [248, 249, 250])] {
        let mut draft = Draft::new(history(), 1000);
        for n in 0..3 {
            draft.judge(vec![Ask::Put(n, 0).change()], |_| Ok(None)).unwrap();
        }
        draft.adopt(&Done { position, first, floor: 9 });
        assert_eq!((draft.position(), draft.group.history.floor), (position, 9));
        assert_eq!(draft.log.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), numbers);
        let entries = draft.group.proposals.iter().map(|proposal| proposal.new.as_ref().unwrap().seq);
        assert_eq!(entries.collect::<Vec<_>>(), numbers);
    }
}

#[test]
fn a_listing_that_names_a_mailbox_twice_has_it_once() {
    let names = ["user.a", "user.b", "user.c", "user.b", "user.a", "user.d"];
    let mut draft = Draft::new(history(), 7);
    for part in names.chunks(3) {
        let changes = part.iter().enumerate().map(|(n, text)| {
            let at = Location::parse(&format!("be{n}!default")).unwrap();
            (MailboxName::parse(text).unwrap(), Some(Entry::active(at, "")))
        });
        draft.follow(
            Follow { changes: changes.collect(), position: None, complete: false, whole: false },
            || ListId(1),
        );
    }
    let found = draft.group.proposals.iter().map(|proposal| (proposal.name.as_str(), proposal.new.clone()));
    let found: Vec<_> = found.map(|(name, new)| (name, new.unwrap().location.to_string())).collect();
    let wanted = [
        ("user.a", "be1!default"),
        ("user.b", "be0!default"),
        ("user.c", "be2!default"),
        ("user.d", "be2!default"),
    ];
    assert_eq!(found, wanted.map(|(name, at)| (name, at.to_owned())));
}
