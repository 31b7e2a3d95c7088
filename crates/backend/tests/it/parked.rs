//! A frontend keeps its connection for its user's next session: what the backend makes sure of.

use crate::node::{Client, Node};

/// A frontend's connection for fred, on behalf of the session `fe-1`.
async fn frontend(node: &Node) -> Client {
    let mut client = node.connect().await;
    // \0-separated: fred, proxy, secret.
    client
        .talk(
            "C: l AUTHENTICATE PLAIN ZnJlZABwcm94eQBzZWNyZXQ=
             S: l OK [CAPABILITY … XCLIENT XCLIENT=PARKED …] …
             C: x XCLIENT ADDR=192.0.2.1 SESSION=fe-1 NODE=fe
             S: x OK Completed",
        )
        .await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_parked_out_of_its_mailbox_and_goes_on_for_the_next_session() {
    let node = Node::start().await;
    let mut client = frontend(&node).await;
    let shown = || node.context.sessions().list().into_iter().find(|shown| shown.origin.is_some()).unwrap();
    client.talk("C: a SELECT INBOX\nS: …\nS: a OK …").await;
    assert_eq!((shown().mailbox.as_deref(), shown().is_parked()), (Some("user.fred"), false));
    client.talk("C: p XCLIENT SESSION=fe-1 NODE=fe PARKED=yes\nS: p OK Completed").await;
    assert_eq!((shown().mailbox, shown().is_parked()), (None, true));
    client
        .talk(
            "C: x XCLIENT ADDR=192.0.2.2 SESSION=fe-2 NODE=fe
             S: x OK Completed
             C: f FETCH 1 FLAGS
             S: f BAD Please select a mailbox first
             C: a SELECT INBOX
             S: …
             S: a OK …",
        )
        .await;
    let origin = shown().origin.unwrap();
    assert_eq!(
        (origin.session.as_str(), origin.client.as_str(), origin.parked),
        ("fe-2", "192.0.2.2", false)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_has_something_on_cannot_be_parked_or_be_anothers() {
    for left in [
        "C: a ENABLE CONDSTORE\nS: …\nS: a OK …",
        "C: a SELECT INBOX (CONDSTORE)\nS: …\nS: a OK …",
        "C: a NOTIFY SET (personal (MailboxName))\nS: a OK …",
        "C: a NOTIFY NONE\nS: a OK …",
    ] {
        let node = Node::start().await;
        let mut client = frontend(&node).await;
        client.talk(left).await;
        client.talk("C: p XCLIENT SESSION=fe-1 PARKED=yes\nS: p NO The session is not at rest").await;
        client.talk("C: x XCLIENT SESSION=fe-2\nS: x NO The session is not at rest").await;
    }
    // Nor with a mailbox open without a word of PARKED between.
    let node = Node::start().await;
    let mut client = frontend(&node).await;
    client.talk("C: a SELECT INBOX\nS: …\nS: a OK …").await;
    client.talk("C: x XCLIENT SESSION=fe-2\nS: x NO The session is not at rest").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_connection_ends_when_its_user_must_go_or_the_settings_change() {
    let node = Node::start().await;
    for way in ["kick", "release", "reload"] {
        let mut client = frontend(&node).await;
        client.talk("C: p XCLIENT SESSION=fe-1 PARKED=yes\nS: p OK Completed").await;
        match way {
            "kick" => assert_eq!(node.context.sessions().kick("fred"), 0, "nobody was on"),
            "release" => node.context.sessions().release("fred"),
            _ => node.reload("").await,
        }
        client.talk("S: * BYE The connection is kept no longer\nS: <end>").await;
    }
    // One that was logged in before a reload is not kept after it.
    let mut client = frontend(&node).await;
    node.reload("").await;
    client.talk("C: p XCLIENT SESSION=fe-1 PARKED=yes\nS: p NO The session is not at rest").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_denied_meanwhile_does_not_come_in_by_a_parked_connection() {
    let node = Node::start().await;
    let mut client = frontend(&node).await;
    client.talk("C: p XCLIENT SESSION=fe-1 PARKED=yes\nS: p OK Completed").await;
    let denial = identity::deny::Denial { services: "*".into(), message: "Away with you".into() };
    node.context.denied().deny("fred", denial).unwrap();
    // Whichever the backend sees first.
    client.send(b"x XCLIENT SESSION=fe-2\r\n").await;
    let said = client.line().await;
    let known = ["x NO [AUTHORIZATIONFAILED] Away with you", "* BYE The connection is kept no longer"];
    assert!(known.contains(&said.trim_end()) || said == "<end>", "{said}");
}
