//! What mail clients, and reports of other servers' users, showed to be wrong: each exchange as it should be.

use crate::node::Node;

const MAIL: &str = "Subject: x\n\ny\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_separator_on_both_sides_joins_a_reference_and_a_pattern_once() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.talk(
        r#"
        C: a CREATE a/b
        S: a OK …
        C: b LIST a/ /%
        S: * LIST (\HasNoChildren) "/" a/b
        S: b OK Completed
        C: c LIST a /%
        S: * LIST (\HasNoChildren) "/" a/b
        S: c OK Completed
        C: d LIST a/ %
        S: * LIST (\HasNoChildren) "/" a/b
        S: d OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_of_another_mailbox_says_nothing_of_the_open_one() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.talk("C: a CREATE b\nS: a OK …\nC: b SELECT INBOX\nS: …\nS: b OK [READ-WRITE] Completed").await;
    node.login("fred").await.append("INBOX", MAIL).await;
    fred.talk(
        r#"
        C: c STATUS b (MESSAGES)
        S: * STATUS b (MESSAGES 0)
        S: c OK Completed
        C: d STATUS inbox (MESSAGES)
        S: * STATUS inbox (MESSAGES 1)
        S: * 1 EXISTS
        S: * … RECENT
        S: d OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_mistake_is_answered_before_the_farewell() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    for _ in 0..9 {
        fred.talk("C: a NONSENSE\nS: a BAD Unrecognized command").await;
    }
    fred.talk("C: b NONSENSE\nS: b BAD Unrecognized command\nS: * BYE This is an IMAP server").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_other_servers_and_mistakes_between_good_ones_end_no_session() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    for _ in 0..6 {
        fred.talk("C: a NOTIFY NONE\nS: a BAD Unrecognized command").await;
        fred.talk("C: a UID SORT (DATE) UTF-8 ALL\nS: a BAD Unrecognized command").await;
    }
    for _ in 0..6 {
        fred.talk("C: a NONSENSE\nS: a BAD Unrecognized command").await;
        fred.talk("C: a NONSENSE\nS: a BAD Unrecognized command\nC: b NOOP\nS: b OK Completed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_literal8_may_hold_nul() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.send(b"a APPEND INBOX ~{12+}\r\nA: 1\r\n\r\nb\0\r\n\r\n").await;
    fred.talk("S: a OK [APPENDUID … 1] Completed\nC: b SELECT INBOX\nS: …\nS: b OK [READ-WRITE] Completed")
        .await;
    fred.talk(
        r#"
        C: c FETCH 1 (RFC822.SIZE BINARY.SIZE[])
        S: * 1 FETCH (RFC822.SIZE 12 BINARY.SIZE[] 12)
        S: c OK Completed
        "#,
    )
    .await;
    fred.send(b"d APPEND INBOX {12+}\r\nA: 1\r\n\r\nb\0\r\n\r\n").await;
    fred.talk("S: d NO [UNKNOWN-CTE] Message contains NUL characters").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn modseqs_come_to_those_who_ask_and_say_where_the_open_mailbox_is() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", MAIL).await;
    fred.append("INBOX", MAIL).await;
    fred.talk(
        r#"
        C: a SELECT INBOX
        S: …
        S: a OK [READ-WRITE] Completed
        C: b FETCH 1 (BODY[TEXT])
        S: * 1 FETCH (BODY[TEXT] {3}
        S: y
        S:  FLAGS (\Recent \Seen))
        S: b OK Completed
        C: c ENABLE CONDSTORE
        S: * OK [HIGHESTMODSEQ 3] Ok
        S: * ENABLED CONDSTORE
        S: c OK Completed
        C: d STATUS INBOX (HIGHESTMODSEQ)
        S: * STATUS INBOX (HIGHESTMODSEQ 3)
        S: d OK Completed
        "#,
    )
    .await;
    let mut other = node.login("fred").await;
    other
        .talk(
            r#"
            C: a SELECT INBOX
            S: …
            S: a OK [READ-WRITE] Completed
            C: b FETCH 1 (MODSEQ)
            S: * OK [HIGHESTMODSEQ 3] Ok
            S: * 1 FETCH (MODSEQ (3))
            S: b OK Completed
            "#,
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_another_session_expunged_are_told_as_expunged() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", MAIL).await;
    fred.append("INBOX", MAIL).await;
    fred.talk("C: a CREATE b\nS: a OK …\nC: b SELECT INBOX\nS: …\nS: b OK [READ-WRITE] Completed").await;
    let expunge_first = "C: a SELECT INBOX\nS: …\nS: a OK [READ-WRITE] Completed\n\
        C: b STORE 1 +FLAGS.SILENT (\\Deleted)\nS: b OK Completed\nC: c EXPUNGE\nS: * 1 EXPUNGE\nS: c OK Completed";
    node.login("fred").await.talk(expunge_first).await;
    fred.talk(
        r#"
        C: c FETCH 1 UID
        S: c NO [EXPUNGEISSUED] Some of the messages have been expunged
        C: d FETCH 1:2 UID
        S: * 2 FETCH (UID 2)
        S: d OK [EXPUNGEISSUED] Some of the messages have been expunged
        C: e UID FETCH 1 UID
        S: * 1 EXPUNGE
        S: e OK Completed
        "#,
    )
    .await;
    for (tag, command) in [("f", "COPY"), ("g", "MOVE")] {
        fred.append("INBOX", MAIL).await;
        fred.talk(&format!("C: {tag}1 NOOP\nS: …\nS: {tag}1 OK Completed")).await;
        node.login("fred").await.talk(expunge_first).await;
        fred.talk(&format!(
            "C: {tag} {command} 1:2 b\nS: * 1 EXPUNGE\nS: {tag} NO [EXPUNGEISSUED] Some of the messages have been expunged\n\
             C: {tag}2 STATUS b (MESSAGES)\nS: * STATUS b (MESSAGES 0)\nS: {tag}2 OK Completed"
        ))
        .await;
    }
}
