//! What a session may not say yet, or not in this way, as transcripts.

use crate::node::Node;

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_an_open_mailbox_is_refused_for_that_whatever_its_arguments_are() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.talk(
        r#"
        C: a CHECK
        S: a BAD Please select a mailbox first
        C: b FETCH x
        S: b BAD Please select a mailbox first
        C: c UID STORE
        S: c BAD Please select a mailbox first
        C: d UID
        S: d BAD Missing required argument to Uid
        C: e SELECT INBOX ()
        S: e BAD Missing required argument to Select
        C: f STARTTLS
        S: f BAD Starttls not allowed after authentication
        "#,
    )
    .await;
    let mut nobody = node.connect().await;
    nobody.talk("C: a FROBNICATE\nS: a BAD Please login first\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_qresync_is_shown_the_uid_of_what_it_stores() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", "Subject: x\n\nx\n").await;
    fred.talk("C: a ENABLE QRESYNC\nS: * ENABLED CONDSTORE QRESYNC\nS: a OK Completed\n").await;
    fred.send(b"b SELECT INBOX\r\n").await;
    fred.until("b ").await;
    fred.talk(
        r#"
        C: c STORE 1 +FLAGS (\Flagged)
        S: * 1 FETCH (UID 1 FLAGS (\Recent \Flagged) MODSEQ (…))
        S: c OK Completed
        "#,
    )
    .await;
}
