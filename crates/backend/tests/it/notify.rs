//! NOTIFY: what clients hear without asking, and what they must not hear.

use crate::node::{Client, Node};

const MAIL: &str = "Subject: hello\nFrom: a@example.org\n\nbody\n";

/// Two clients of fred's: one that watches, and one that does things.
async fn two(node: &Node) -> (Client, Client) {
    (node.login("fred").await, node.login("fred").await)
}

/// Nothing is waiting to be told: what was is said before the second answer at the latest.
async fn silent(client: &mut Client) {
    client.talk("C: q1 NOOP\nS: q1 OK Completed\nC: q2 NOOP\nS: q2 OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_hears_of_what_happens_in_other_mailboxes_until_it_wants_to_hear_nothing() {
    let node = Node::start().await;
    let (mut watches, mut acts) = two(&node).await;
    let mut brings = node.login("fred").await;
    watches
        .talk(
            r#"
            C: a CREATE a
            S: a OK …
            C: b NOTIFY SET STATUS (personal (MessageNew MessageExpunge FlagChange)) (mailboxes nowhere (MailboxName))
            S: * STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY … HIGHESTMODSEQ 1)
            S: * STATUS a (MESSAGES 0 UIDNEXT 1 UIDVALIDITY … HIGHESTMODSEQ 1)
            S: b OK Completed
            "#,
        )
        .await;
    brings.append("a", MAIL).await;
    watches.expect("* STATUS a (MESSAGES 1 UIDNEXT 2 UIDVALIDITY …)").await;
    acts.talk("C: a SELECT a\nS: …\nS: a OK …\nC: b STORE 1 +FLAGS (\\Seen)\nS: …\nS: b OK …").await;
    watches.expect("* STATUS a (UNSEEN 0)").await;
    watches.talk("C: c ENABLE CONDSTORE\nS: * ENABLED CONDSTORE\nS: c OK …\nC: d IDLE\nS: + idling").await;
    acts.talk("C: c STORE 1 +FLAGS (\\Deleted)\nS: …\nS: c OK …").await;
    watches.expect("* STATUS a (UIDVALIDITY … HIGHESTMODSEQ 4)").await;
    acts.talk("C: d EXPUNGE\nS: …\nS: d OK …").await;
    watches.expect("* STATUS a (MESSAGES 0 UIDNEXT 2 UIDVALIDITY … HIGHESTMODSEQ 5)").await;
    watches
        .talk("C: DONE\nS: d OK …\nC: e NOTIFY NONE\nS: e OK Completed\nC: f SELECT INBOX\nS: …\nS: f OK …")
        .await;
    brings.append("a", MAIL).await;
    brings.append("INBOX", MAIL).await;
    watches.talk("C: g IDLE\nS: + idling\nC: DONE\nS: g OK …").await;
    // Who asks is answered.
    watches.talk("C: h NOOP\nS: * 1 EXISTS\nS: * 1 RECENT\nS: h OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_does_not_hear_of_what_it_has_done_itself() {
    let node = Node::start().await;
    let (mut watches, mut acts) = two(&node).await;
    watches
        .talk(
            "C: a NOTIFY SET (personal (MessageNew MessageExpunge MailboxName SubscriptionChange MailboxMetadataChange))
             S: a OK Completed
             C: b CREATE a
             S: b OK …
             C: c SUBSCRIBE a
             S: c OK …
             C: d SETMETADATA a (/shared/comment \"x\")
             S: d OK …",
        )
        .await;
    watches.append("a", MAIL).await;
    watches
        .talk(
            "C: e RENAME a b
             S: e OK …
             C: f DELETE b
             S: f OK …",
        )
        .await;
    silent(&mut watches).await;
    acts.talk("C: a CREATE c\nS: a OK …").await;
    watches.expect("* LIST (\\HasNoChildren) \"/\" c").await;
    acts.append("c", MAIL).await;
    watches.expect("* STATUS c (MESSAGES 1 UIDNEXT 2 UIDVALIDITY …)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frontend_that_watches_on_another_connection_does_not_hear_of_what_its_session_does() {
    let node = Node::start().await;
    let (mut watches, mut acts) = (node.connect().await, node.connect().await);
    let (mut another, mut wilma) = (node.connect().await, node.connect().await);
    // \0-separated: fred or wilma, proxy, secret.
    for (client, session, plain) in [
        (&mut watches, "fe-1", "ZnJlZABwcm94eQBzZWNyZXQ="),
        (&mut acts, "fe-1", "ZnJlZABwcm94eQBzZWNyZXQ="),
        (&mut another, "fe-2", "ZnJlZABwcm94eQBzZWNyZXQ="),
        (&mut wilma, "fe-1", "d2lsbWEAcHJveHkAc2VjcmV0"),
    ] {
        client
            .talk(&format!(
                "C: l AUTHENTICATE PLAIN {plain}
                 S: l OK …
                 C: x XCLIENT ADDR=192.0.2.1 SESSION={session} NODE=fe
                 S: x OK Completed"
            ))
            .await;
    }
    acts.talk("C: a CREATE a\nS: a OK …\nC: b SETACL a wilma lrsi\nS: b OK …").await;
    acts.append("INBOX", MAIL).await;
    watches.talk("C: a NOTIFY SET (personal (MessageNew MessageExpunge))\nS: a OK Completed").await;
    acts.append("a", MAIL).await;
    acts.talk("C: c SELECT INBOX\nS: …\nS: c OK …\nC: d COPY 1 a\nS: d OK …").await;
    acts.talk("C: e REPLACE 1 a {6+}\nC: x: y\nC: \nS: …\nS: e OK …").await;
    // What goes from the mailbox that the session has open its frontend leaves out.
    watches.expect("* STATUS INBOX (MESSAGES 0 …)").await;
    silent(&mut watches).await;
    another.append("a", MAIL).await;
    watches.expect("* STATUS a (MESSAGES 4 UIDNEXT 5 UIDVALIDITY …)").await;
    // A session is one user's, whatever a frontend calls it.
    wilma.append("\"Other Users/fred/a\"", MAIL).await;
    watches.expect("* STATUS a (MESSAGES 5 UIDNEXT 6 UIDVALIDITY …)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_selected_mailbox_is_told_of_at_once_with_what_is_wanted_of_new_messages() {
    let node = Node::start().await;
    let (mut watches, mut acts) = two(&node).await;
    let mut brings = node.login("fred").await;
    watches
        .talk(
            "C: a SELECT INBOX
             S: …
             S: a OK …
             C: b NOTIFY SET (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)]) MessageExpunge FlagChange)) (personal (MessageNew MessageExpunge))
             S: b OK Completed",
        )
        .await;
    brings.append("INBOX", MAIL).await;
    watches
        .talk(
            "S: * 1 EXISTS
             S: * 1 RECENT
             S: * 1 FETCH (UID 1 BODY[HEADER.FIELDS (SUBJECT)] {18}
             S: Subject: hello
             S:
             S: )",
        )
        .await;
    // One's own message is known.
    watches.send(b"c APPEND INBOX {6+}\r\nx: y\r\n\r\n").await;
    watches.talk("S: * 2 EXISTS\nS: * 2 RECENT\nS: c OK [APPENDUID …] Completed").await;
    acts.talk("C: a SELECT INBOX\nS: …\nS: a OK …\nC: b STORE 1 +FLAGS (\\Deleted)\nS: …\nS: b OK …").await;
    watches.expect("* 1 FETCH (FLAGS (\\Recent \\Deleted) UID 1)").await;
    acts.talk("C: c EXPUNGE\nS: …\nS: c OK …").await;
    watches.expect("* 1 EXPUNGE").await;
    // What is asked for survives SELECT.
    watches.talk("C: d CREATE a\nS: d OK …\nC: e SELECT a\nS: …\nS: e OK …").await;
    brings.append("INBOX", MAIL).await;
    watches.expect("* STATUS INBOX (MESSAGES 2 UIDNEXT 4 UIDVALIDITY …)").await;
    brings.append("a", MAIL).await;
    watches.talk("S: * 1 EXISTS\nS: * 1 RECENT\nS: * 1 FETCH (UID 1 …\nS: …\nS: )").await;
    silent(&mut watches).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_client_keeps_its_numbers_until_a_command_that_takes_them() {
    let node = Node::start().await;
    let (mut watches, mut acts) = two(&node).await;
    let mut brings = node.login("fred").await;
    for _ in 0..2 {
        brings.append("INBOX", MAIL).await;
    }
    watches
        .talk(
            "C: a SELECT INBOX
             S: …
             S: a OK …
             C: b NOTIFY SET (selected-delayed (MessageNew MessageExpunge))
             S: b OK Completed",
        )
        .await;
    acts.talk("C: a SELECT INBOX\nS: …\nS: a OK …\nC: b STORE 1 +FLAGS (\\Deleted)\nS: …\nS: b OK …\nC: c EXPUNGE\nS: …\nS: c OK …").await;
    brings.append("INBOX", MAIL).await;
    watches.talk("S: * 3 EXISTS\nS: * … RECENT").await;
    watches
        .talk("C: c FETCH 2 (UID)\nS: * 2 FETCH (UID 2)\nS: c OK …\nC: d NOOP\nS: * 1 EXPUNGE\nS: d OK …")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_told_as_they_come_go_and_change_each_with_what_is_above_it() {
    let node = Node::start().await;
    let (mut watches, mut acts) = two(&node).await;
    watches.talk("C: a NOTIFY SET (personal (MailboxName SubscriptionChange))\nS: a OK Completed").await;
    acts.talk("C: a CREATE x\nS: a OK …").await;
    watches.expect("* LIST (\\HasNoChildren) \"/\" x").await;
    acts.talk("C: b CREATE x/y\nS: b OK …").await;
    watches.talk("S: * LIST (\\HasNoChildren) \"/\" x/y\nS: * LIST (\\HasChildren) \"/\" x").await;
    acts.talk("C: c SUBSCRIBE x\nS: c OK …").await;
    watches.expect("* LIST (\\Subscribed \\HasChildren) \"/\" x").await;
    acts.talk("C: d UNSUBSCRIBE x\nS: d OK …").await;
    watches.expect("* LIST (\\HasChildren) \"/\" x").await;
    // Of a tree that has another name, only its root is told of, and again as soon as something is below it.
    acts.talk("C: e RENAME x z\nS: e OK …\nC: f SUBSCRIBE z\nS: f OK …").await;
    watches.expect("* LIST (…) \"/\" z (\"OLDNAME\" (x))").await;
    let mut between = Vec::new();
    loop {
        let line = watches.line().await;
        if line == "* LIST (\\Subscribed \\HasChildren) \"/\" z" {
            break;
        }
        between.push(line);
    }
    assert!(between.iter().all(|line| line.ends_with("HasChildren) \"/\" z")), "{between:?}");
    acts.talk("C: g DELETE z/y\nS: g OK …").await;
    watches
        .talk("S: * LIST (\\NonExistent \\HasNoChildren) \"/\" z/y\nS: * LIST (\\Subscribed \\HasNoChildren) \"/\" z")
        .await;
    // The messages of an INBOX move; the INBOX stays.
    acts.append("INBOX", MAIL).await;
    acts.talk("C: h RENAME INBOX old\nS: h OK …").await;
    watches.expect("* LIST (\\HasNoChildren) \"/\" old").await;
    silent(&mut watches).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hears_of_mailboxes_without_the_rights_of_that_moment() {
    let node = Node::start().await;
    let (mut fred, mut wilma) = (node.login("fred").await, node.login("wilma").await);
    fred.talk("C: a CREATE s\nS: a OK …\nC: b CREATE secret\nS: b OK …\nC: c SETACL s wilma l\nS: c OK …")
        .await;
    wilma
        .talk(
            r#"
            C: a NOTIFY SET STATUS (subtree "Other Users/fred" (MessageNew MessageExpunge MailboxName MailboxMetadataChange)) (mailboxes "Other Users/fred/s" (MessageNew MessageExpunge)) (mailboxes "Other Users/fred/secret" (MessageNew MessageExpunge MailboxName))
            S: * LIST (\NoAccess) "/" "Other Users/fred/s"
            S: a OK Completed
            "#,
        )
        .await;
    for mailbox in ["s", "secret", "INBOX"] {
        fred.append(mailbox, MAIL).await;
    }
    fred.talk("C: d SETMETADATA s (/shared/comment \"x\")\nS: d OK …\nC: e CREATE hidden\nS: e OK …").await;
    silent(&mut wilma).await;
    fred.talk("C: f SETACL s wilma lr\nS: f OK …").await;
    fred.append("s", MAIL).await;
    wilma.expect("* STATUS \"Other Users/fred/s\" (MESSAGES 2 UIDNEXT 3 UIDVALIDITY …)").await;
    fred.talk("C: g SETMETADATA s (/shared/comment \"y\" /private/comment \"z\")\nS: g OK …").await;
    wilma.expect("* METADATA \"Other Users/fred/s\" /shared/comment").await;
    fred.talk("C: h SETACL secret wilma l\nS: h OK …").await;
    wilma.expect("* LIST (\\HasNoChildren) \"/\" \"Other Users/fred/secret\"").await;
    fred.talk("C: i DELETEACL s wilma\nS: i OK …").await;
    wilma.expect("* LIST (\\NonExistent \\HasNoChildren) \"/\" \"Other Users/fred/s\"").await;
    fred.append("s", MAIL).await;
    fred.append("secret", MAIL).await;
    fred.talk("C: j RENAME s t\nS: j OK …\nC: k DELETE t\nS: k OK …").await;
    silent(&mut wilma).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_are_told_by_name_those_of_the_server_too() {
    let node = Node::start().await;
    let (mut watches, mut acts) = two(&node).await;
    let mut admin = node.login("cyrus").await;
    watches
        .talk("C: a NOTIFY SET (inboxes (MailboxMetadataChange ServerMetadataChange))\nS: a OK Completed")
        .await;
    acts.talk("C: a SETMETADATA INBOX (/shared/comment \"x\" /private/comment \"y\")\nS: a OK …").await;
    watches.expect("* METADATA INBOX /shared/comment /private/comment").await;
    acts.talk("C: b SETMETADATA \"\" (/private/comment \"y\")\nS: b OK …").await;
    watches.expect("* METADATA \"\" /private/comment").await;
    admin.talk("C: a SETMETADATA \"\" (/shared/comment \"y\" /private/comment \"z\")\nS: a OK …").await;
    watches.expect("* METADATA \"\" /shared/comment").await;
    silent(&mut watches).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_subscribed_to_is_watched_as_soon_as_it_is() {
    let node = Node::start().await;
    let (mut watches, mut acts) = two(&node).await;
    acts.talk("C: a CREATE a\nS: a OK …\nC: b CREATE b\nS: b OK …\nC: c SUBSCRIBE a\nS: c OK …").await;
    watches
        .talk(
            "C: a NOTIFY SET STATUS (subscribed (MessageNew MessageExpunge SubscriptionChange))
             S: * STATUS a (MESSAGES 0 …)
             S: a OK Completed",
        )
        .await;
    acts.append("b", MAIL).await;
    acts.talk("C: d SUBSCRIBE b\nS: d OK …").await;
    watches.expect("* LIST (\\Subscribed \\HasNoChildren) \"/\" b").await;
    acts.append("b", MAIL).await;
    watches.expect("* STATUS b (MESSAGES 2 …)").await;
    acts.talk("C: e UNSUBSCRIBE b\nS: e OK …").await;
    watches.expect("* LIST (\\HasNoChildren) \"/\" b").await;
    acts.append("b", MAIL).await;
    acts.append("a", MAIL).await;
    watches.expect("* STATUS a (MESSAGES 1 …)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_told_is_refused_and_nothing_changes() {
    let node = Node::start().await;
    let (mut watches, mut acts) = two(&node).await;
    watches.talk("C: a NOTIFY SET (personal (MessageNew MessageExpunge))\nS: a OK Completed").await;
    let events = "BADEVENT (MessageNew MessageExpunge FlagChange AnnotationChange MailboxName SubscriptionChange \
                  MailboxMetadataChange ServerMetadataChange)";
    for (command, answer) in [
        ("NOTIFY", "BAD Missing required argument to Notify"),
        ("NOTIFY SET", "BAD Missing required argument to Notify"),
        ("NOTIFY SET (personal (Moon))", &format!("NO [{events}] No such event can be told of here")),
        ("NOTIFY SET (selected (MailboxName))", &format!("NO [{events}] No such event can be told of here")),
        ("NOTIFY SET (personal (MessageNew))", "BAD MessageNew and MessageExpunge come together, and first"),
        (
            "NOTIFY SET (selected NONE) (selected-delayed NONE)",
            "BAD The selected mailbox has one event group",
        ),
    ] {
        watches.talk(&format!("C: x {command}\nS: x {answer}")).await;
    }
    acts.append("INBOX", MAIL).await;
    watches.expect("* STATUS INBOX (MESSAGES 1 …)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_misses_too_much_hears_so_and_then_nothing() {
    let node = Node::with("annotation_allow_undefined: yes").await;
    let (mut watches, mut acts) = two(&node).await;
    watches.talk("C: a NOTIFY SET (personal (MailboxMetadataChange))\nS: a OK Completed").await;
    // It is in the middle of a command, and hears of nothing.
    watches.talk("C: b APPEND INBOX {6}\nS: + …").await;
    for (run, kind) in ["shared", "shared", "shared", "private", "private"].iter().enumerate() {
        let entries: Vec<String> = (0..250).map(|n| format!("/{kind}/e{run}-{n} \"x\"")).collect();
        acts.talk(&format!("C: a SETMETADATA INBOX ({})\nS: a OK …", entries.join(" "))).await;
    }
    watches.send(b"x: y\r\n\r\n").await;
    watches.talk("S: b OK …\nS: * OK [NOTIFICATIONOVERFLOW] …").await;
    acts.talk("C: b SETMETADATA INBOX (/shared/comment \"y\")\nS: b OK …").await;
    silent(&mut watches).await;
    watches.talk("C: c NOTIFY SET (personal (MailboxMetadataChange))\nS: c OK Completed").await;
    acts.talk("C: c SETMETADATA INBOX (/shared/comment \"z\")\nS: c OK …").await;
    watches.expect("* METADATA INBOX /shared/comment").await;
}
