//! A backend and its master: whatever is lost between them or at the master, their lists are one again by themselves.

use std::collections::BTreeMap;

use directory::client::Client;
use protocol::{location::Location, name::MailboxName};

use crate::master::{Break, Cable, Master, eventually, shown};
use crate::node::Node;

/// What the backend has, as the master should have it.
async fn own(node: &Node) -> BTreeMap<String, String> {
    let mut list = Client::local(&node.context.file("socket")).await.unwrap();
    list.list(None).await.unwrap().into_iter().map(shown).collect()
}

async fn agree(node: &Node, master: &Master) {
    eventually(async || (own(node).await == master.entries().await).then_some(())).await;
}

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

fn at(text: &str) -> Location {
    Location::parse(text).unwrap()
}

/// Runs an operation of fred's while the cable breaks at each of its words; then the two have to agree.
async fn whatever_word_is_the_last(lines: &str, operation: &str) {
    let master = Master::start(None).await;
    let cable = Cable::to(master.address()).await;
    let node = Node::with(&format!("{}{lines}", cable.lines())).await;
    let mut fred = node.login("fred").await;
    let (mut words, mut broke) = (0, 0);
    loop {
        let round = broke;
        for at in [Break::Before(words), Break::After(words)] {
            fred.talk("C: a CREATE work\nS: a OK …").await;
            agree(&node, &master).await;
            cable.break_at(at);
            fred.talk(&format!("C: a {operation}\nS: …\nS: a …")).await;
            broke += usize::from(cable.is_broken());
            cable.mend(master.address());
            agree(&node, &master).await;
            for left in own(&node).await.keys().filter(|name| name.as_str() == "user.fred.work") {
                assert!(master.entries().await.contains_key(left), "{at:?}");
            }
            // What is left of it goes before the next round.
            for mailbox in ["work", "play"] {
                fred.talk(&format!("C: a DELETE {mailbox}\nS: a …")).await;
            }
            agree(&node, &master).await;
        }
        words += 1;
        if broke == round {
            break;
        }
    }
    assert!(words > 1, "{operation} tells the master nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_delete_leaves_nothing_at_a_master_that_dies_at_any_word_of_it() {
    whatever_word_is_the_last("", "DELETE work").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_an_immediate_one() {
    whatever_word_is_the_last("delete_mode: immediate\n", "DELETE work").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_do_other_operations() {
    for operation in ["CREATE play", "RENAME work play", "SETACL work wilma lrs"] {
        whatever_word_is_the_last("", operation).await;
    }
}

/// Runs an operation of fred's while the way to one of two masters breaks at each of its words. Nobody hears of it. (Both ways lead to
/// one process, as two masters lead to one list.)
async fn another_master_knows_what_became_of(lines: &str, operation: &str) {
    for words in 0.. {
        let mut broke = false;
        for at in [Break::Before(words), Break::After(words)] {
            let master = Master::start(None).await;
            let cable = Cable::to(master.address()).await;
            let both = format!("mupdate_server: {} {}\n", cable.address, master.address());
            let conf = cable.lines().replace(&format!("mupdate_server: {}\n", cable.address), &both);
            let node = Node::with(&format!("{conf}{lines}")).await;
            let mut fred = node.login("fred").await;
            fred.talk("C: a CREATE work\nS: a OK …").await;
            agree(&node, &master).await;
            cable.break_at(at);
            fred.talk(&format!("C: a {operation}\nS: a OK …")).await;
            broke |= cable.is_broken();
            agree(&node, &master).await;
            assert!(master.entries().await.values().all(|entry| entry.starts_with("active")), "{at:?}");
        }
        if !broke {
            assert!(words > 0, "{operation} tells the master nothing");
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_whose_master_dies_at_any_word_of_it_is_finished_at_another() {
    for operation in ["CREATE play", "RENAME work play", "SETACL work wilma lrs", "DELETE work"] {
        another_master_knows_what_became_of("", operation).await;
    }
    another_master_knows_what_became_of("delete_mode: immediate\n", "DELETE work").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_lost_everything_is_told_of_all_mailboxes() {
    let master = Master::start(None).await;
    let cable = Cable::to(master.address()).await;
    let node = Node::with(&cable.lines()).await;
    let mut fred = node.login("fred").await;
    for n in 0..250 {
        fred.talk(&format!("C: a CREATE m{n}\nS: a OK …")).await;
    }
    fred.talk("C: a DELETE m7\nS: a OK …\nC: a SETACL m8 wilma lrs\nS: a OK …").await;
    agree(&node, &master).await;
    cable.cut();
    master.stop().await;
    let master = Master::start(None).await;
    cable.mend(master.address());
    agree(&node, &master).await;
    assert_eq!(own(&node).await.len(), 252);
    fred.talk("C: a CREATE new\nS: a OK …").await;
    agree(&node, &master).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_whose_list_is_replaced_while_it_runs_is_told_of_all_mailboxes() {
    let master = Master::start(None).await;
    let cable = Cable::to(master.address()).await;
    let node = Node::with(&cable.lines()).await;
    let mut tool = master.client().await;
    // What `ctl_mboxlist -u` does, with a dump of the day before.
    tool.drop_entry(&name("user.fred")).await.unwrap();
    tool.renew().await.unwrap();
    agree(&node, &master).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_only_starts_again_is_told_nothing() {
    let master = Master::start(None).await;
    let cable = Cable::to(master.address()).await;
    let node = Node::with(&cable.lines()).await;
    cable.was_looked_at().await;
    // Nothing but a comparison would bring it back.
    master.client().await.delete(&name("user.wilma")).await.unwrap();
    cable.cut();
    let dir = master.stop().await;
    let master = Master::start(Some(dir)).await;
    cable.mend(master.address());
    cable.was_looked_at().await;
    assert_eq!(master.entries().await.into_keys().collect::<Vec<_>>(), ["user.fred"]);
    assert_eq!(own(&node).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_a_replaced_master_has_elsewhere_is_kept_here_and_told_once_it_is_free() {
    let master = Master::start(None).await;
    let cable = Cable::to(master.address()).await;
    let node = Node::with(&cable.lines()).await;
    cable.cut();
    master.stop().await;
    let master = Master::start(None).await;
    // An old list, from before these were moved here.
    let mut other = master.client().await;
    other.activate(&name("user.fred"), &at("be2!default"), "fred\tlrs\t").await.unwrap();
    other.reserve(&name("user.wilma"), &at("be2!default")).await.unwrap();
    cable.mend(master.address());
    cable.was_looked_at().await;
    assert_eq!(own(&node).await.into_keys().collect::<Vec<_>>(), ["user.fred", "user.wilma"]);
    assert!(master.entries().await["user.fred"].starts_with("active be2!default"));
    // The other backend sees that it has them no more.
    other.delete(&name("user.fred")).await.unwrap();
    other.delete(&name("user.wilma")).await.unwrap();
    agree(&node, &master).await;
    assert_eq!(own(&node).await.into_keys().collect::<Vec<_>>(), ["user.fred", "user.wilma"]);
}
