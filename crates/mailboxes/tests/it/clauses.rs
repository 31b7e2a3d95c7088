//! What every authority must do for lists to be true: each clause as a test over any of them.

#![allow(dead_code, reason = "each authority's tests use some of it")]

use std::collections::BTreeMap;

use mailboxes::{
    Entry, History, ListId, Position,
    authority::{Authority, Done, Group, Missed, Named, Outcome, Proposal},
};
use protocol::{location::Location, name::MailboxName};

pub type List = BTreeMap<MailboxName, Entry>;

/// An authority, and how it is made to forget old changes.
pub trait Rig {
    type Authority: Authority;

    fn authority(&mut self) -> &mut Self::Authority;

    /// Forgets changes; more may happen meanwhile.
    async fn forget(&mut self);
}

/// Each clause as a test of one authority; where the rig is none, it is skipped.
macro_rules! contract {
    ($module:ident, $rig:expr) => {
        contract!($module, $rig, a_group_happens_as_a_whole_and_is_numbered_in_its_order
            what_was_judged_by_an_entry_that_has_changed_since_does_not_happen_and_nothing_with_it
            a_name_that_came_or_went_or_both_is_not_as_it_was_seen
            a_group_happens_though_others_changed_other_names_since_it_was_judged
            a_refusal_holds_only_while_its_names_are_as_they_were_seen
            of_two_that_were_judged_alike_one_gets_the_name
            whoever_follows_from_any_position_comes_to_the_snapshot
            nobody_follows_from_what_is_forgotten_or_never_was
            a_barrier_is_no_less_than_what_was_answered
            a_thousand_names_happen_at_once
        );
    };
    ($module:ident, $rig:expr, $($clause:ident)*) => {
        mod $module {
            $(#[tokio::test]
            async fn $clause() {
                if let Some(mut rig) = $rig {
                    crate::clauses::$clause(&mut rig).await;
                }
            })*
        }
    };
}

pub(crate) use contract;

pub fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

pub fn active(place: &str, acl: &str) -> Entry {
    Entry::active(Location::parse(place).unwrap(), acl)
}

/// A group of (name, entry seen, new entry).
pub fn group(by: Position, changes: Vec<(&str, Option<Entry>, Option<Entry>)>) -> Group {
    let mut history = History { position: by, own: true, complete: true, floor: 0, jump: 0 };
    let mut proposals = Vec::new();
    for (text, seen, mut new) in changes {
        history.position.seq += 1;
        let seq = history.position.seq;
        if let Some(entry) = &mut new {
            entry.seq = seq;
        }
        proposals.push(Proposal { name: name(text), seen, new, seq });
    }
    let (witnesses, conflicts, cordons) = (Vec::new(), Vec::new(), Vec::new());
    Group { by, proposals, witnesses, conflicts, cordons, history, time: 1 }
}

pub async fn propose(rig: &mut impl Rig, group: &Group) -> Done {
    match rig.authority().propose(group).await {
        Outcome::Done(done) => done,
        other => panic!("{other:?}"),
    }
}

pub async fn refused(rig: &mut impl Rig, group: &Group) -> Vec<Named> {
    match rig.authority().propose(group).await {
        Outcome::Stale(stale) => stale,
        other => panic!("{other:?}"),
    }
}

pub async fn snapshot(rig: &mut impl Rig) -> (Position, List) {
    let mut list = List::new();
    let read = rig.authority().snapshot(|name, entry| {
        assert!(list.last_key_value().is_none_or(|(last, _)| last < name), "they come in order");
        list.insert(name.clone(), entry.clone());
    });
    (read.await.unwrap(), list)
}

/// Judged by what is there now.
pub async fn change(rig: &mut impl Rig, names: &[&str], new: Option<Entry>) -> Done {
    let (by, list) = snapshot(rig).await;
    let changes = names.iter().map(|n| (*n, list.get(&name(n)).cloned(), new.clone())).collect();
    propose(rig, &group(by, changes)).await
}

pub async fn put(rig: &mut impl Rig, names: &[&str]) -> Done {
    change(rig, names, Some(active("be1!p", "anyone\tl\t"))).await
}

pub async fn remove(rig: &mut impl Rig, names: &[&str]) -> Done {
    change(rig, names, None).await
}

/// Takes over what changed since a copy was made.
pub async fn follow(rig: &mut impl Rig, at: &mut Position, copy: &mut List) -> Result<(), Missed> {
    let mut last = *at;
    let read = rig.authority().changes(*at, |position, names| {
        assert!(position.seq > last.seq, "numbers come in order, each once");
        last = position;
        for (name, entry) in names {
            match entry {
                Some(entry) => copy.insert(name, entry),
                None => copy.remove(&name),
            };
        }
    });
    let upto = read.await?;
    assert!(upto.seq >= last.seq);
    *at = upto;
    Ok(())
}

pub async fn a_group_happens_as_a_whole_and_is_numbered_in_its_order(rig: &mut impl Rig) {
    let (before, list) = snapshot(rig).await;
    assert!(list.is_empty());
    let done = put(rig, &["user.b", "user.a", "user.c"]).await;
    assert!(before.seq < done.first && done.first <= done.position.seq);
    assert_eq!((before.list, before.term), (done.position.list, done.position.term));
    let (position, list) = snapshot(rig).await;
    assert_eq!(position, done.position);
    let seq = |n| list[&name(n)].seq;
    assert_eq!(seq("user.b"), done.first);
    assert!(seq("user.b") <= seq("user.a") && seq("user.a") <= seq("user.c"));
    assert!(seq("user.c") <= position.seq);
    assert_eq!(&*list[&name("user.a")].acl, "anyone\tl\t");
    assert_eq!(list.len(), 3);
}

pub async fn what_was_judged_by_an_entry_that_has_changed_since_does_not_happen_and_nothing_with_it(
    rig: &mut impl Rig,
) {
    put(rig, &["user.a", "user.b"]).await;
    let (by, seen) = snapshot(rig).await;
    put(rig, &["user.a"]).await;
    let (position, now) = snapshot(rig).await;
    let see = |n: &str| seen.get(&name(n)).cloned();
    let late = group(
        by,
        vec![
            ("user.b", see("user.b"), None),
            ("user.a", see("user.a"), None),
            ("user.c", None, see("user.b")),
        ],
    );
    let (a, entry) = (name("user.a"), now[&name("user.a")].clone());
    assert_eq!(refused(rig, &late).await, [(a, Some(entry))]);
    assert_eq!(snapshot(rig).await, (position, now));
}

pub async fn a_name_that_came_or_went_or_both_is_not_as_it_was_seen(rig: &mut impl Rig) {
    put(rig, &["user.a", "user.b"]).await;
    let (by, seen) = snapshot(rig).await;
    remove(rig, &["user.a", "user.b"]).await;
    put(rig, &["user.b", "user.c"]).await;
    let (_, now) = snapshot(rig).await;
    for n in ["user.a", "user.b", "user.c"] {
        let before = seen.get(&name(n)).cloned();
        let late = group(by, vec![(n, before, Some(active("be2!p", "")))]);
        assert_eq!(refused(rig, &late).await, [(name(n), now.get(&name(n)).cloned())]);
    }
}

pub async fn a_group_happens_though_others_changed_other_names_since_it_was_judged(rig: &mut impl Rig) {
    put(rig, &["user.a", "user.b"]).await;
    let (by, seen) = snapshot(rig).await;
    let others = put(rig, &["user.b", "user.c"]).await;
    let (mut at, mut copy) = snapshot(rig).await;
    let mine = vec![
        ("user.a", seen.get(&name("user.a")).cloned(), None),
        ("user.d", None, Some(active("be2!p", ""))),
    ];
    let done = propose(rig, &group(by, mine)).await;
    assert!(done.first > others.position.seq);
    let (position, list) = snapshot(rig).await;
    assert_eq!(position, done.position);
    assert_eq!(list.keys().map(|n| n.to_string()).collect::<Vec<_>>(), ["user.b", "user.c", "user.d"]);
    assert!(list[&name("user.d")].seq >= done.first && list[&name("user.d")].seq <= position.seq);
    // The numbers that it was judged with were others'.
    follow(rig, &mut at, &mut copy).await.unwrap();
    assert_eq!((at, copy), (position, list));
}

pub async fn a_refusal_holds_only_while_its_names_are_as_they_were_seen(rig: &mut impl Rig) {
    put(rig, &["user.a"]).await;
    let (by, seen) = snapshot(rig).await;
    // One is refused because the other's name is there, or is not.
    let refusal = |names: [&str; 2], also: Vec<(&str, Option<Entry>, Option<Entry>)>| {
        let witnesses = names.map(|n| (name(n), seen.get(&name(n)).cloned())).to_vec();
        Group { witnesses, ..group(by, also) }
    };
    let alone = refusal(["user.a", "user.b"], Vec::new());
    let mine = vec![("user.c", None, Some(active("be1!p", "")))];
    assert_eq!(propose(rig, &alone).await.position, by, "nothing happens, and it is true");
    put(rig, &["user.b"]).await;
    let (position, now) = snapshot(rig).await;
    let late = [alone, refusal(["user.a", "user.b"], mine.clone())];
    for late in late {
        assert_eq!(refused(rig, &late).await, [(name("user.b"), now.get(&name("user.b")).cloned())]);
    }
    assert_eq!(snapshot(rig).await, (position, now));
    let gone = refusal(["user.a", "user.a"], mine);
    assert!(propose(rig, &gone).await.position.seq > position.seq);
}

pub async fn of_two_that_were_judged_alike_one_gets_the_name(rig: &mut impl Rig) {
    let (by, _) = snapshot(rig).await;
    let claim = |place| group(by, vec![("user.a", None, Some(active(place, "")))]);
    propose(rig, &claim("be1!p")).await;
    let stale = refused(rig, &claim("be2!p")).await;
    assert_eq!(stale[0].1.as_ref().unwrap().location.as_str(), "be1!p");
}

pub async fn whoever_follows_from_any_position_comes_to_the_snapshot(rig: &mut impl Rig) {
    let mut copies = vec![snapshot(rig).await];
    for n in 0..30 {
        let names: Vec<String> = (0..1 + n % 3).map(|more| format!("user.u{}", (n * 7 + more) % 5)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        match n % 4 == 3 {
            true => drop(remove(rig, &names).await),
            false => drop(put(rig, &names).await),
        }
        copies.push(snapshot(rig).await);
    }
    let wanted = copies.last().cloned().unwrap();
    for (mut at, mut copy) in copies {
        match follow(rig, &mut at, &mut copy).await {
            Ok(()) => assert_eq!((at, copy), wanted),
            // What it would have to delete is forgotten.
            Err(missed) => assert!(matches!(missed, Missed::Pruned(_)) && at != wanted.0, "{missed}"),
        }
    }
}

pub async fn nobody_follows_from_what_is_forgotten_or_never_was(rig: &mut impl Rig) {
    put(rig, &["user.a"]).await;
    let (mut old, mut copy) = snapshot(rig).await;
    let other = Position { list: ListId(old.list.0 ^ 1), ..old };
    remove(rig, &["user.a"]).await;
    let (now, _) = snapshot(rig).await;
    let ahead = Position { seq: now.seq + 1, ..now };
    for mut at in [other, ahead] {
        assert!(matches!(follow(rig, &mut at, &mut copy).await, Err(Missed::Pruned(_))), "{at}");
    }
    rig.forget().await;
    assert!(matches!(follow(rig, &mut old, &mut copy).await, Err(Missed::Pruned(_))));
    // From here one can go on.
    let (mut at, mut copy) = snapshot(rig).await;
    put(rig, &["user.b"]).await;
    follow(rig, &mut at, &mut copy).await.unwrap();
    assert_eq!((at, copy), snapshot(rig).await);
}

pub async fn a_barrier_is_no_less_than_what_was_answered(rig: &mut impl Rig) {
    for n in ["user.a", "user.b"] {
        let done = put(rig, &[n]).await;
        let barrier = rig.authority().barrier().await.unwrap();
        assert!(barrier.list == done.position.list && barrier.seq >= done.position.seq);
    }
}

pub async fn a_thousand_names_happen_at_once(rig: &mut impl Rig) {
    let names: Vec<String> = (0..1000).map(|n| format!("user.u{n:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let done = put(rig, &names).await;
    let (position, list) = snapshot(rig).await;
    assert_eq!((position, list.len()), (done.position, 1000));
}
