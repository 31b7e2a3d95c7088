//! The one write that decides a move, as the source asks for it and as the master judges it.

use directory::client::Error;
use mailboxes::{AtMaster, Decision, Switch};
use protocol::{location::Location, name::MailboxName};

use crate::{
    wire::local,
    world::{Node, at, name},
};

/// A mailbox of the first server, and what the source has noted of it before it froze.
struct Move {
    root: MailboxName,
    from: Location,
    to: Location,
    noted: AtMaster,
}

impl Move {
    async fn begin(master: &Node) -> Move {
        let (root, from, to) = (name("user.fred"), at("be1!default"), at("be2!fast"));
        let mut client = master.client().await;
        client.activate(&root, &from, ACL).await.unwrap();
        let noted = client.status_of(&root).await.unwrap();
        Move { root, from, to, noted }
    }

    fn switch(&self) -> Switch<'_> {
        let fence = self.noted.fence().unwrap();
        Switch { root: &self.root, from: &self.from, to: &self.to, acl: ACL, fence }
    }

    async fn decide(&self, master: &Node) -> Decision {
        master.client().await.decide(&self.switch()).await.unwrap()
    }

    async fn settle(&self, master: &Node) -> Decision {
        master.client().await.settle(&self.switch()).await.unwrap()
    }

    async fn place(&self, master: &Node) -> Option<String> {
        let entry = master.client().await.find(&self.root).await.unwrap();
        entry.map(|entry| entry.location.to_string())
    }
}

const ACL: &str = "fred\tlrswipkxtecda\t";

#[tokio::test]
async fn a_mailbox_is_switched_once_and_no_server_is_said_to_have_claimed_it() {
    let master = Node::master("").await;
    let fred = Move::begin(&master).await;
    assert_eq!(fred.decide(&master).await, Decision::Switched);
    // Asked again, whichever way: it is what it is.
    assert_eq!(fred.decide(&master).await, Decision::Switched);
    assert_eq!(fred.settle(&master).await, Decision::Switched);
    assert_eq!(fred.place(&master).await.as_deref(), Some("be2!fast"));
    let now = master.client().await.status_of(&fred.root).await.unwrap();
    assert_eq!(&*now.entry.unwrap().acl, ACL);
    assert_eq!(master.status().await["conflicts"].as_array().unwrap().len(), 0);
    // Without a word of from whom it is taken, it is a claim.
    master.client().await.activate(&fred.root, &fred.from, ACL).await.unwrap();
    assert_eq!(master.status().await["conflicts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_switch_that_comes_late_does_not_take_what_its_source_has_kept() {
    let master = Node::master("").await;
    let fred = Move::begin(&master).await;
    assert_eq!(fred.settle(&master).await, Decision::Kept);
    // The write that had no answer comes out of some buffer.
    assert_eq!(fred.decide(&master).await, Decision::Kept);
    assert_eq!(fred.place(&master).await.as_deref(), Some("be1!default"));
    assert_eq!(fred.settle(&master).await, Decision::Kept);
}

#[tokio::test]
async fn a_mailbox_that_went_away_and_came_back_is_not_switched_by_an_old_move() {
    let master = Node::master("").await;
    let fred = Move::begin(&master).await;
    let mut client = master.client().await;
    client.activate(&fred.root, &at("be3!p"), ACL).await.unwrap();
    client.activate(&fred.root, &fred.from, ACL).await.unwrap();
    assert_eq!(fred.decide(&master).await, Decision::Kept);
    assert_eq!(fred.place(&master).await.as_deref(), Some("be1!default"));
    // A new one, by what is true now.
    let again = Move { noted: client.status_of(&fred.root).await.unwrap(), ..fred };
    assert_eq!(again.decide(&master).await, Decision::Switched);
}

#[tokio::test]
async fn what_somebody_else_did_to_the_mailbox_is_neither_a_switch_nor_a_keep() {
    let master = Node::master("").await;
    let fred = Move::begin(&master).await;
    let mut client = master.client().await;
    client.activate(&fred.root, &at("be3!p"), ACL).await.unwrap();
    assert_eq!(fred.decide(&master).await, Decision::Elsewhere(Some(at("be3!p"))));
    client.delete(&fred.root).await.unwrap();
    assert_eq!(fred.decide(&master).await, Decision::Elsewhere(None));
    assert_eq!(fred.settle(&master).await, Decision::Elsewhere(None));
    assert_eq!(fred.place(&master).await, None);
}

#[tokio::test]
async fn a_master_with_another_list_decides_nothing() {
    let master = Node::master("").await;
    let fred = Move::begin(&master).await;
    master.client().await.renew().await.unwrap();
    for decision in [fred.decide(&master).await, fred.settle(&master).await] {
        assert_eq!(decision, Decision::Replaced);
    }
    assert_eq!(fred.place(&master).await.as_deref(), Some("be1!default"));
}

#[tokio::test]
async fn only_a_master_fences() {
    let master = Node::master("").await;
    let slave = Node::slave(&master, "").await;
    assert!(master.client().await.greeting().has("FENCE"));
    let fred = Move::begin(&master).await;
    slave.catches_up_with(&master).await;
    let mut client = slave.client().await;
    assert!(!client.greeting().has("FENCE"));
    assert!(matches!(client.status_of(&fred.root).await, Err(Error::NoFence { .. })));
    assert!(matches!(client.decide(&fred.switch()).await, Err(Error::NoFence { .. })));
    assert!(matches!(client.settle(&fred.switch()).await, Err(Error::NoFence { .. })));
    let told = client.status_with(Some(&fred.root)).await.unwrap();
    assert_eq!((&told["mailbox"]["location"], told["mailbox"].get("seq")), (&"be1!default".into(), None));
}

#[tokio::test]
async fn an_expectation_names_a_change_of_a_list() {
    let master = Node::master("").await;
    let fred = Move::begin(&master).await;
    let (list, seq) = (fred.noted.position.list, fred.noted.entry.as_ref().unwrap().seq);
    let other = "0".repeat(32);
    local(&master)
        .await
        .play(&format!(
            r#"
            C: X0 ACTIVATE "user.fred" "be2!p" "" "active@be1!default#{list}:{}"
            S: X0 NO "[CHANGED] mailbox is not in the expected state"
            C: X1 ACTIVATE "user.fred" "be2!p" "" "active@be1!default#{other}:{seq}"
            S: X1 NO "[CHANGED] mailbox is not in the expected state"
            C: X2 ACTIVATE "user.fred" "be2!p" "" "active@be1!default#{seq}"
            S: X2 NO "[CHANGED] mailbox is not in the expected state"
            C: X3 ACTIVATE "user.fred" "be2!p" "" "active@be1!default#{list}:{seq}"
            S: X3 OK "done"
            C: X4 DELETE "user.fred" "active@be2#{list}:{seq}"
            S: X4 NO "[CHANGED] mailbox is not in the expected state"
            C: X5 DELETE "user.fred" "active@be2#{list}:{}"
            S: X5 OK "done"
            "#,
            seq + 1,
            seq + 1,
        ))
        .await;
}

/// Why a server that is about to be given a mailbox must not make one of this name by itself: the master lets it.
#[tokio::test]
async fn a_reservation_by_the_server_that_has_the_mailbox_strips_its_entry() {
    let master = Node::master("").await;
    local(&master)
        .await
        .play(
            r#"
            C: X0 ACTIVATE "user.fred" "be2!p" "fred lrs "
            S: X0 OK "done"
            C: X1 RESERVE "user.fred" "be2!p"
            S: X1 OK "done"
            C: X2 FIND "user.fred"
            S: X2 RESERVE "user.fred" "be2!p"
            S: X2 OK "Search completed"
            "#,
        )
        .await;
}
