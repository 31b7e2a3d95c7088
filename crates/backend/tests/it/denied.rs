//! Who is denied a service loses what is open there, whoever has written it down.

use identity::deny::Denial;

use crate::node::{Client, Node};

/// As Cyrus's own `cyr_deny` writes: another file comes into the place of the old one.
fn cyr_deny(node: &Node, line: &[u8]) {
    let path = node.dir.path().join("user_deny.db");
    let new = node.dir.path().join("user_deny.db.NEW");
    std::fs::write(&new, line).unwrap();
    std::fs::rename(new, path).unwrap();
}

async fn pop3(node: &Node) -> Client {
    let mut client = node.client("pop3").await;
    client.talk("S: +OK …\nC: USER fred\nS: +OK …\nC: PASS secret\nS: +OK …").await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_denied_loses_what_is_open_at_once() {
    let node = Node::start().await;
    let (mut idles, mut rests, mut wilma) =
        (node.login("fred").await, node.login("fred").await, node.login("wilma").await);
    idles.talk("C: a SELECT INBOX\nS: …\nS: a OK …\nC: b IDLE\nS: + …").await;
    let mut mail = pop3(&node).await;
    cyr_deny(&node, b"fred\t2\xff\x89imap\xff\x89Go away\n");
    for client in [&mut idles, &mut rests] {
        client.talk("S: * BYE [ALERT] Go away\nS: <end>").await;
    }
    // Other services, and others, go on.
    mail.talk("C: NOOP\nS: +OK…").await;
    wilma.talk("C: a NOOP\nS: a OK Completed").await;
    let denial = Denial { services: "*".into(), message: "By us".into() };
    node.context.denied().deny("fred", denial).unwrap();
    mail.talk("S: -ERR [SYS/TEMP] By us\nS: <end>").await;
    node.context.denied().allow("fred").unwrap();
    node.login("fred").await.talk("C: a NOOP\nS: a OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frontend_is_told_why_its_part_of_a_denied_users_session_ends_and_an_admin_stays() {
    let node = Node::start().await;
    let mut part = node.connect().await;
    // authzid fred, authcid proxy
    part.talk("C: l AUTHENTICATE PLAIN ZnJlZABwcm94eQBzZWNyZXQ=\nS: l OK …\nC: x XCLIENT SESSION=fe-1\nS: x OK Completed")
        .await;
    let mut admin = node.login("cyrus").await;
    cyr_deny(&node, b"cyrus\t2\xff\x89*\xff\x89no\nfred\t2\xff\x89*\xff\x89Go away\n");
    part.talk("S: * BYE [XKICKED] [ALERT] Go away\nS: <end>").await;
    admin.talk("C: a NOOP\nS: a OK Completed").await;
}
