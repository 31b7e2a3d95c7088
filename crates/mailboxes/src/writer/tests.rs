//! A writer whose authority is not a store of its own: numbers it did not expect, answers that are lost, somebody else's
//! changes.

use std::collections::BTreeMap;

use protocol::location::Location;

use super::*;
use crate::{
    authority::{Lost, Memory},
    disk::Disk,
    entry::Entry,
    group::{Group, Proposal},
    load,
    options::Options,
    store,
};

struct Rig {
    authority: Memory,
    published: Arc<Published>,
    queue: mpsc::Sender<Request>,
}

impl Rig {
    async fn new() -> Rig {
        let position = Position { list: ListId(7), term: 1, seq: 0 };
        let history = History { position, own: true, complete: true, floor: 0, jump: 0 };
        let disk = Arc::new(Disk::new(Arc::new(store::Memory::new()), 0));
        let published =
            Arc::new(Published::new(disk, Options::owner(), history, BTreeMap::new(), Cordons::new()));
        let authority = Memory::new(ListId(7));
        let queue = start(published.clone(), Keeper::Owner(authority.clone())).unwrap();
        load::start(&published).unwrap();
        published.loaded.watch().wait_for(|loaded| *loaded).await.unwrap();
        Rig { authority, published, queue }
    }

    async fn activate(&self, names: &[&str]) -> Result<u64, CommitError> {
        let (reply, answer) = oneshot::channel();
        let changes = names.iter().map(|n| Change::activate(name(n), at(), "")).collect();
        self.queue.send(Request::Commit { changes, reply }).await.unwrap_or_else(|_| panic!("it ended"));
        answer.await.unwrap().map(|position| position.seq)
    }

    fn seq(&self, n: &str) -> Option<u64> {
        self.published.get(&name(n)).unwrap().map(|entry| entry.seq)
    }
}

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

fn at() -> Location {
    Location::parse("be1!p").unwrap()
}

#[tokio::test]
async fn what_an_authority_puts_under_one_number_is_answered_and_shown_under_that_number() {
    let rig = Rig::new().await;
    assert_eq!(rig.activate(&["user.a", "user.b", "user.a"]).await, Ok(1));
    assert_eq!(rig.activate(&["user.c"]).await, Ok(2));
    assert_eq!([rig.seq("user.a"), rig.seq("user.b"), rig.seq("user.c")], [Some(1), Some(1), Some(2)]);
    let changes = rig.published.recent_changes(0, 1).unwrap().unwrap();
    assert_eq!((changes.names, changes.upto), (vec![name("user.b"), name("user.a")], 1));
    assert_eq!(rig.published.position.get().seq, 2);
}

#[tokio::test]
async fn a_change_whose_outcome_is_unknown_is_not_shown_and_nothing_is_accepted_after_it() {
    for lost in [Lost::Done, Lost::Undone] {
        let rig = Rig::new().await;
        rig.authority.lose_next_answer(lost);
        assert!(matches!(rig.activate(&["user.a"]).await, Err(CommitError::Poisoned(_))));
        assert_eq!(rig.seq("user.a"), None);
        assert!(matches!(rig.activate(&["user.b"]).await, Err(CommitError::Poisoned(_))));
    }
}

#[tokio::test]
async fn an_owner_whose_list_somebody_else_changes_writes_over_nothing() {
    let mut rig = Rig::new().await;
    let by = rig.published.position.get();
    let history = History { position: by, own: true, complete: true, floor: 0, jump: 0 };
    let theirs = Proposal { name: name("user.a"), seen: None, new: Some(Entry::reserved(at())), seq: 1 };
    let group = Group {
        by,
        proposals: vec![theirs],
        witnesses: vec![],
        conflicts: vec![],
        cordons: vec![],
        history,
        time: 1,
    };
    assert!(matches!(rig.authority.propose(&group).await, Outcome::Done(_)));
    assert!(matches!(rig.activate(&["user.a"]).await, Err(CommitError::Poisoned(_))));
    let mut found = Vec::new();
    rig.authority.snapshot(|name, entry| found.push((name.clone(), entry.is_active()))).await.unwrap();
    assert_eq!(found, [(name("user.a"), false)]);
}
