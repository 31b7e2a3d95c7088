//! What clients are told of mailboxes that another backend has now.

use config::imapd::Imapd;
use protocol::name::MailboxName;
use store::{Item, Store};

use crate::node::Node;

/// Fred's mailboxes are given away to be2.
async fn give_away(dir: &std::path::Path) {
    let imapd = Imapd::load(&dir.join("imapd.conf"), "backend").unwrap();
    let store = Store::open(&imapd, service::names::namespace(&imapd), None).await.unwrap();
    let inbox = MailboxName::parse("user.fred").unwrap();
    let uniqueid = store.mailbox(&inbox).await.unwrap().uniqueid();
    let frozen = store.freeze(&inbox, std::slice::from_ref(&uniqueid)).await.unwrap();
    let item = Item { name: inbox, uniqueid, partition: "default".into() };
    store.give_away(&frozen, &[item], "be2", "m1").await.unwrap();
    drop(frozen);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_a_mailbox_that_has_moved_is_told_to_try_again_in_every_protocol() {
    let mut node = Node::start().await;
    let lines = "autocreate_quota: 1000\nautocreate_post: yes";
    node.restart_after(lines, give_away).await;
    let moved = "NO [UNAVAILABLE] Mailbox has been moved to another server";
    let mut fred = node.login("fred").await;
    for command in [
        "SELECT INBOX",
        "STATUS INBOX (MESSAGES)",
        "GETACL INBOX",
        "CREATE new",
        "DELETE INBOX",
        "GETMETADATA INBOX /shared/comment",
        "SETMETADATA INBOX (/shared/comment x)",
        "GETQUOTAROOT INBOX",
        "RENAME INBOX old",
    ] {
        fred.talk(&format!("C: a {command}\nS: a {moved}")).await;
    }
    fred.talk(&format!("C: a APPEND INBOX {{4}}\nS: a {moved}")).await;
    // Who may not know of the mailbox hears nothing of it, and an admin does.
    let mut wilma = node.login("wilma").await;
    wilma.talk("C: a SELECT user/fred\nS: a NO [NONEXISTENT] Mailbox does not exist").await;
    wilma.talk("C: a SELECT INBOX\nS: …\nS: a OK …").await;
    node.login("cyrus").await.talk(&format!("C: a GETACL user/fred\nS: a {moved}")).await;
    let mut mx = node.client("lmtp").await;
    mx.talk("S: 220 …\nC: LHLO mx\nS: …\nS: 250 …\nC: MAIL FROM:<a@example.org>\nS: 250 …").await;
    mx.talk("C: RCPT TO:<fred>\nS: 451 4.2.1 …\nC: RCPT TO:<fred+folder>\nS: 451 4.2.1 …").await;
    mx.talk("C: RCPT TO:<wilma>\nS: 250 …").await;
    let mut pop = node.client("pop3").await;
    pop.talk("S: +OK …\nC: USER fred\nS: +OK …\nC: PASS secret").await;
    pop.talk("S: -ERR [SYS/TEMP] Unable to open maildrop: Mailbox has been moved to another server").await;
}
