//! Clients that come back: ENABLE, QRESYNC, and what is told of messages that are gone (RFC 7162, RFC 9586).

use crate::node::{Client, Node};

const MAIL: &str = "Subject: x\n\nx\n";

/// A client with a mailbox of `count` messages open, whose modification sequences are 2 and on.
async fn opened(node: &Node, count: usize, enable: &str) -> Client {
    let mut fred = node.login("fred").await;
    for _ in 0..count {
        fred.append("INBOX", MAIL).await;
    }
    selected(fred, enable).await
}

async fn selected(mut fred: Client, enable: &str) -> Client {
    if !enable.is_empty() {
        fred.talk(&format!("C: e ENABLE {enable}\nS: * ENABLED …\nS: e OK Completed")).await;
    }
    fred.talk("C: s SELECT INBOX\nS: …\nS: s OK [READ-WRITE] Completed").await;
    fred
}

#[tokio::test(flavor = "multi_thread")]
async fn enable_lists_what_it_turned_on_and_nothing_twice() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.talk(
        r#"
        C: a ENABLE X-OTHER
        S: * ENABLED
        S: a OK Completed
        C: b ENABLE X-OTHER qresync
        S: * ENABLED CONDSTORE QRESYNC
        S: b OK Completed
        C: c ENABLE CONDSTORE QRESYNC UIDONLY
        S: * ENABLED UIDONLY
        S: c OK Completed
        C: d ENABLE UIDONLY
        S: * ENABLED
        S: d OK Completed
        C: e ENABLE
        S: e BAD Missing required argument to Enable
        "#,
    )
    .await;
    let mut fred = node.login("fred").await;
    fred.talk(
        r#"
        C: a STATUS INBOX (HIGHESTMODSEQ)
        S: * STATUS INBOX (HIGHESTMODSEQ 1)
        S: a OK Completed
        C: b ENABLE QRESYNC
        S: * ENABLED QRESYNC
        S: b OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_comes_back_hears_what_went_and_what_changed() {
    for mode in ["immediate", "delayed"] {
        let node = Node::with(&format!("expunge_mode: {mode}")).await;
        let mut fred = opened(&node, 9, "").await;
        fred.talk(
            r#"
            C: a UID STORE 2,3,7 +FLAGS.SILENT (\Deleted)
            S: a OK Completed
            C: b EXPUNGE
            S: …
            S: b OK Completed
            C: c UID STORE 5,9 +FLAGS.SILENT (\Flagged)
            S: c OK Completed
            "#,
        )
        .await;
        let mut back = node.login("fred").await;
        back.talk(
            r#"
            C: a SELECT INBOX (QRESYNC (1 10))
            S: a BAD Invalid Select modifier: ENABLE QRESYNC comes first
            C: b ENABLE QRESYNC
            S: * ENABLED CONDSTORE QRESYNC
            S: b OK Completed
            C: c SELECT INBOX (QRESYNC (1 10))
            S: …
            S: * OK [UIDVALIDITY …] Ok
            S: …
            S: * OK [HIGHESTMODSEQ 13] Ok
            S: * OK [MAILBOXID (…)] Ok
            S: * OK [ANNOTATIONS 65536] Ok
            S: c OK [READ-WRITE] Completed
            "#,
        )
        .await;
        let validity = uidvalidity(&mut back).await;
        let ask = |known: &str| format!("C: d SELECT INBOX (QRESYNC ({validity} {known}))\n");
        let opened =
            "S: * OK [CLOSED] Ok\nS: …\nS: * OK [MAILBOXID (…)] Ok\nS: * OK [ANNOTATIONS 65536] Ok\n";
        for (known, told) in [
            ("13", ""),
            (
                "12",
                "S: * 3 FETCH (UID 5 FLAGS (\\Flagged) MODSEQ (13))\nS: * 6 FETCH (UID 9 FLAGS (\\Flagged) MODSEQ (13))\n",
            ),
            ("10 1:8", "S: * VANISHED (EARLIER) 2:3,7\nS: * 3 FETCH (UID 5 FLAGS (\\Flagged) MODSEQ (13))\n"),
            ("10 3,9,99", "S: * VANISHED (EARLIER) 3\nS: * 6 FETCH (UID 9 FLAGS (\\Flagged) MODSEQ (13))\n"),
            ("10 1,4", ""),
            (
                "9",
                "S: * VANISHED (EARLIER) 2:3,7\nS: * 3 FETCH (UID 5 FLAGS (\\Flagged) MODSEQ (13))\n\
                   S: * 6 FETCH (UID 9 FLAGS (\\Flagged) MODSEQ (13))\n",
            ),
        ] {
            back.talk(&format!("{}{opened}{told}S: d OK [READ-WRITE] Completed", ask(known))).await;
        }
        back.talk(&format!(
            "C: e SELECT INBOX (QRESYNC ({} 2 1:9))\n{opened}S: e OK [READ-WRITE] Completed",
            validity + 1
        ))
        .await;
        back.talk(
            r#"
            C: f UID FETCH 1:6 (FLAGS) (CHANGEDSINCE 10 VANISHED)
            S: * VANISHED (EARLIER) 2:3
            S: * 3 FETCH (UID 5 FLAGS (\Flagged) MODSEQ (13))
            S: f OK Completed
            C: g UID FETCH 1:* UID (VANISHED)
            S: g BAD VANISHED is for UID FETCH with CHANGEDSINCE
            C: h UID FETCH 1:* UID (CHANGEDSINCE 13 VANISHED)
            S: h OK Completed
            "#,
        )
        .await;
        let mut plain = node.login("fred").await;
        plain.talk("C: a EXAMINE INBOX\nS: …\nS: a OK [READ-ONLY] Completed").await;
        plain
            .talk("C: b UID FETCH 1:* UID (CHANGEDSINCE 1 VANISHED)\nS: b BAD Invalid Fetch modifier: ENABLE QRESYNC comes first")
            .await;
    }
}

async fn uidvalidity(client: &mut Client) -> u64 {
    client.send(b"v STATUS INBOX (UIDVALIDITY)\r\n").await;
    let line = client.until("* STATUS").await;
    client.until("v OK").await;
    line.trim_end_matches(')').rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_away_for_too_long_hears_of_all_that_is_not_there_and_the_settled_part_is_left_out() {
    // Nothing is remembered beyond the second in which it happened.
    let node = Node::with("expunge_history: 0\nexpunge_mode: immediate").await;
    let mut fred = opened(&node, 9, "QRESYNC").await;
    fred.talk("C: a UID STORE 2,8 +FLAGS.SILENT (\\Deleted)\nS: …\nS: a OK Completed").await;
    fred.talk("C: b EXPUNGE\nS: * VANISHED 2,8\nS: b OK [HIGHESTMODSEQ 12] Completed").await;
    drop(fred);
    // A clock that goes on is what a second expunge sees; which one it is does not matter here.
    let mut fred = selected(node.login("fred").await, "QRESYNC").await;
    let validity = uidvalidity(&mut fred).await;
    let opened = "S: * OK [CLOSED] Ok\nS: …\nS: * OK [MAILBOXID (…)] Ok\nS: * OK [ANNOTATIONS 65536] Ok\n";
    for (known, gone) in
        [("11 1:20", "2,8"), ("11 3:20 (1,2,4 1,3,5)", "8"), ("11 3:20", "8"), ("1 1:20 (1,6 1,7)", "2,8")]
    {
        fred.talk(&format!(
            "C: c SELECT INBOX (QRESYNC ({validity} {known}))\n{opened}S: * VANISHED (EARLIER) {gone}\nS: …\nS: c OK [READ-WRITE] Completed"
        ))
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_by_uid_and_flags_come_with_modseq_once_qresync_is_on() {
    let node = Node::start().await;
    let mut fred = opened(&node, 4, "QRESYNC").await;
    let mut other = selected(node.login("fred").await, "").await;
    other.talk("C: a UID STORE 2:3 +FLAGS.SILENT (\\Deleted)\nS: a OK Completed").await;
    fred.talk(
        r#"
        C: a NOOP
        S: * 2 FETCH (FLAGS (\Recent \Deleted) MODSEQ (6) UID 2)
        S: * 3 FETCH (FLAGS (\Recent \Deleted) MODSEQ (6) UID 3)
        S: a OK Completed
        C: b UID STORE 1 +FLAGS.SILENT (\Flagged)
        S: * 1 FETCH (UID 1 MODSEQ (7))
        S: b OK Completed
        C: c UID STORE 1 +FLAGS (\Flagged)
        S: c OK Completed
        "#,
    )
    .await;
    other.talk("C: b EXPUNGE\nS: …\nS: * 2 EXPUNGE\nS: * 2 EXPUNGE\nS: …\nS: b OK Completed").await;
    // While numbers are in use nothing goes, and HIGHESTMODSEQ does not run ahead of what was told.
    fred.talk(
        r#"
        C: d FETCH 4 (FLAGS)
        S: * 4 FETCH (FLAGS (\Recent))
        S: d OK Completed
        C: e FETCH 2 (FLAGS)
        S: e NO [EXPUNGEISSUED] Some of the messages have been expunged
        C: f STATUS INBOX (MESSAGES HIGHESTMODSEQ)
        S: * STATUS INBOX (MESSAGES 2 HIGHESTMODSEQ 7)
        S: * VANISHED 2:3
        S: f OK Completed
        C: g STATUS INBOX (HIGHESTMODSEQ)
        S: * STATUS INBOX (HIGHESTMODSEQ 8)
        S: g OK Completed
        C: h UID STORE 4 +FLAGS (\Deleted)
        S: * 2 FETCH (UID 4 FLAGS (\Recent \Deleted) MODSEQ (9))
        S: h OK Completed
        C: i UID EXPUNGE 1:4
        S: * VANISHED 4
        S: i OK [HIGHESTMODSEQ 10] Completed
        C: j EXPUNGE
        S: j OK Completed
        C: k UID STORE 1 +FLAGS.SILENT (\Deleted)
        S: * 1 FETCH (UID 1 MODSEQ (11))
        S: k OK Completed
        C: l CLOSE
        S: l OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_and_goes_between_two_looks_is_never_named() {
    let node = Node::start().await;
    let mut fred = opened(&node, 1, "QRESYNC").await;
    let (mut other, mut sender) = (node.login("fred").await, node.login("fred").await);
    sender.append("INBOX", MAIL).await;
    other
        .talk(
            r#"
            C: s SELECT INBOX
            S: …
            S: s OK …
            C: a UID STORE 1:2 +FLAGS.SILENT (\Deleted)
            S: a OK Completed
            C: b EXPUNGE
            S: …
            S: b OK Completed
            "#,
        )
        .await;
    sender.append("INBOX", MAIL).await;
    fred.talk("C: a NOOP\nS: * VANISHED 1\nS: * 1 EXISTS\nS: * 1 RECENT\nS: a OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_tells_where_to_then_what_went_then_how_far_the_mailbox_is() {
    let node = Node::start().await;
    let mut fred = opened(&node, 3, "QRESYNC").await;
    fred.talk(
        r#"
        C: a CREATE b
        S: a OK …
        C: b UID MOVE 2:3 b
        S: * OK [COPYUID … 2:3 1:2] Completed
        S: * VANISHED 2:3
        S: b OK [HIGHESTMODSEQ 5] Completed
        C: c UID MOVE 2:3 b
        S: c OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_changes_nothing_or_fails_its_condition_leaves_the_modification_sequence() {
    let node = Node::start().await;
    let mut fred = opened(&node, 5, "CONDSTORE").await;
    let mut other = selected(node.login("fred").await, "").await;
    fred.talk(
        r#"
        C: a STORE 1 +FLAGS (\Flagged)
        S: * 1 FETCH (FLAGS (\Recent \Flagged) MODSEQ (7))
        S: a OK Completed
        C: b STORE 1 +FLAGS (\Flagged)
        S: b OK Completed
        C: c STORE 1,2,5 (UNCHANGEDSINCE 6) +FLAGS.SILENT (\Seen)
        S: * 2 FETCH (MODSEQ (8))
        S: * 5 FETCH (MODSEQ (8))
        S: c OK [MODIFIED 1] Conditional STORE failed
        C: d UID STORE 1:* (UNCHANGEDSINCE 0) -FLAGS (\Draft)
        S: d OK [MODIFIED 1:5] Conditional STORE failed
        "#,
    )
    .await;
    other.talk("C: a STORE 4 +FLAGS.SILENT (\\Deleted)\nS: …\nS: a OK Completed\nC: b EXPUNGE\nS: …\nS: b OK Completed").await;
    fred.talk(
        r#"
        C: e STORE 1,3,4 (UNCHANGEDSINCE 6) +FLAGS.SILENT (\Seen)
        S: * 3 FETCH (MODSEQ (11))
        S: e NO [MODIFIED 1] Some of the messages no longer exist
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_uidonly_no_message_has_a_number() {
    let node = Node::start().await;
    let mut fred = opened(&node, 3, "UIDONLY CONDSTORE").await;
    let mut other = selected(node.login("fred").await, "").await;
    // Ten and more of them end no session.
    for command in [
        "FETCH 1 FLAGS",
        "STORE 1 +FLAGS (\\Seen)",
        "SEARCH ALL",
        "UID SEARCH 1:2",
        "UID SEARCH OR SEEN NOT 1",
        "COPY 1 INBOX",
        "MOVE 1 INBOX",
        "FETCH 1 FLAGS",
        "FETCH 1 FLAGS",
        "FETCH 1 FLAGS",
        "FETCH 1 FLAGS",
    ] {
        fred.talk(&format!(
            "C: x {command}\nS: x BAD [UIDREQUIRED] Message numbers are not allowed under UIDONLY"
        ))
        .await;
    }
    fred.talk(
        r#"
        C: a UID FETCH 2 (FLAGS)
        S: * 2 UIDFETCH (FLAGS (\Recent))
        S: a OK Completed
        C: b UID FETCH 2 (UID MODSEQ)
        S: * 2 UIDFETCH (UID 2 MODSEQ (3))
        S: b OK Completed
        C: c UID FETCH 2 BODY[TEXT]
        S: * 2 UIDFETCH (BODY[TEXT] {3}
        S: x
        S:  FLAGS (\Recent \Seen) MODSEQ (5))
        S: c OK Completed
        C: d UID STORE 1,3 +FLAGS (\Deleted)
        S: * 1 UIDFETCH (FLAGS (\Recent \Deleted) MODSEQ (6))
        S: * 3 UIDFETCH (FLAGS (\Recent \Deleted) MODSEQ (6))
        S: d OK Completed
        C: e UID SEARCH UID 1:3 DELETED
        S: * SEARCH 1 3
        S: e OK Completed
        "#,
    )
    .await;
    other
        .talk(
            "C: a EXPUNGE\nS: …\nS: a OK Completed\nC: b STORE 1 +FLAGS (\\Flagged)\nS: …\nS: b OK Completed",
        )
        .await;
    fred.talk(
        r#"
        C: f NOOP
        S: * VANISHED 1,3
        S: * 2 UIDFETCH (FLAGS (\Recent \Flagged \Seen) MODSEQ (8))
        S: f OK Completed
        C: g SELECT INBOX
        S: * OK [CLOSED] Ok
        S: * FLAGS …
        S: * OK [PERMANENTFLAGS …
        S: * 1 EXISTS
        S: * 0 RECENT
        S: * OK [UIDVALIDITY …] Ok
        S: * OK [UIDNEXT 4] Ok
        S: * OK [HIGHESTMODSEQ 8] Ok
        S: * OK [MAILBOXID (…)] Ok
        S: * OK [ANNOTATIONS 65536] Ok
        S: g OK [READ-WRITE] Completed
        C: h SELECT INBOX (QRESYNC (1 1 (1 1)))
        S: h BAD [UIDREQUIRED] …
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_is_deleted_or_renamed_ends_the_sessions_that_have_it_open_and_idle_too() {
    let node = Node::start().await;
    for change in ["DELETE b", "RENAME b c"] {
        let mut fred = node.login("fred").await;
        fred.talk("C: a CREATE b\nS: a OK …").await;
        fred.append("b", MAIL).await;
        let (mut idles, mut asks) = (node.login("fred").await, node.login("fred").await);
        idles.talk("C: a SELECT b\nS: …\nS: a OK …\nC: b IDLE\nS: + idling").await;
        asks.talk("C: a SELECT b\nS: …\nS: a OK …").await;
        // At once there is another one of that name.
        fred.talk(&format!("C: d {change}\nS: d OK Completed\nC: e CREATE b\nS: e OK …")).await;
        fred.append("b", MAIL).await;
        idles.talk("S: * BYE Mailbox has been deleted or renamed\nS: <end>").await;
        asks.talk("C: b UID FETCH 1 FLAGS\nS: * BYE Mailbox has been deleted or renamed\nS: <end>").await;
        fred.talk("C: f DELETE b\nS: f OK Completed").await;
    }
    let mut fred = node.login("fred").await;
    fred.talk(
        r#"
        C: a SELECT c
        S: …
        S: a OK …
        C: b RENAME c d
        S: b OK Completed
        C: c UID FETCH 1 UID
        S: * 1 FETCH (UID 1)
        S: c OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_frontend_takes_for_a_move_is_told_and_nobody_else_takes_anything() {
    let node = Node::start().await;
    let mut fred = opened(&node, 4, "").await;
    fred.talk("C: a XTAKE 1\nS: a BAD Unrecognized command").await;
    let mut proxy = node.connect().await;
    // authzid fred, authcid proxy
    proxy
        .talk(
            r#"
            C: l AUTHENTICATE PLAIN ZnJlZABwcm94eQBzZWNyZXQ=
            S: l OK [CAPABILITY …XTAKE…] User logged in…
            C: a XTAKE 1
            S: a BAD Please select a mailbox first
            C: b EXAMINE INBOX
            S: …
            S: b OK [READ-ONLY] Completed
            C: c XTAKE 1
            S: c NO [READ-ONLY] Mailbox is read-only
            C: d SELECT INBOX
            S: …
            S: d OK [READ-WRITE] Completed
            C: e XTAKE
            S: e BAD Missing required argument to Xtake
            "#,
        )
        .await;
    fred.talk("C: b UID STORE 2 +FLAGS.SILENT (\\Deleted)\nS: b OK Completed\nC: c EXPUNGE\nS: * 2 EXPUNGE\nS: c OK Completed").await;
    proxy
        .talk(
            r#"
            C: f XTAKE 1:3
            S: * 1 EXPUNGE
            S: * 1 EXPUNGE
            S: * 1 EXPUNGE
            S: f OK [XTAKEN 1,3 8] Completed
            C: g XTAKE 1:3
            S: g OK [XTAKEN  8] Completed
            "#,
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frontend_goes_on_with_a_mailbox_that_has_come_from_another_backend_and_nobody_else_does() {
    let node = Node::start().await;
    let mut fred = opened(&node, 4, "").await;
    fred.send(b"a STATUS INBOX (MAILBOXID UIDVALIDITY)\r\n").await;
    let status = fred.until("* STATUS").await;
    let between = |from: &str, to: &str| {
        let rest = status.split_once(from).unwrap().1;
        rest.split_once(to).unwrap().0.to_owned()
    };
    let (id, uidvalidity) = (between("MAILBOXID (", ")"), between("UIDVALIDITY ", ")"));
    fred.talk("S: a OK Completed").await;
    // user.fred: the client has heard of three messages, of the second not that it is gone, and of no change after the third.
    let state = |uids: &str| format!("757365722e66726564 {id} {uidvalidity} 5 5 0 - {uids} 1:4 9 1,3");
    fred.talk(&format!("C: b XADOPT {}\nS: b BAD Unrecognized command", state("1,3 2"))).await;
    fred.talk("C: c STORE 2 +FLAGS.SILENT (\\Deleted)\nS: c OK …\nC: d EXPUNGE\nS: * 2 EXPUNGE\nS: d OK …")
        .await;
    let mut proxy = node.connect().await;
    proxy
        .talk(
            "C: l AUTHENTICATE PLAIN ZnJlZABwcm94eQBzZWNyZXQ=\nS: l OK [CAPABILITY …XADOPT…] User logged in…",
        )
        .await;
    for wrong in ["nonsense".to_owned(), state("1:* -"), format!("{} more", state("1 -"))] {
        proxy.talk(&format!("C: w XADOPT {wrong}\nS: w BAD Invalid state in Xadopt")).await;
    }
    let other = state("1,3 2").replace(&id, "another");
    proxy.talk(&format!("C: x XADOPT {other}\nS: x NO [NONEXISTENT] Mailbox does not exist")).await;
    proxy
        .talk(&format!(
            r#"
            C: a XADOPT {}
            S: a OK Completed
            C: b FETCH 3 UID
            S: * 4 EXISTS
            S: * 3 RECENT
            S: * 3 FETCH (UID 3)
            S: b OK Completed
            C: c UID SEARCH $
            S: * SEARCH 1 3
            S: c OK Completed
            C: d NOOP
            S: * 2 EXPUNGE
            S: d OK Completed
            C: e FETCH 1:* UID
            S: * 1 FETCH (UID 1)
            S: * 2 FETCH (UID 3)
            S: * 3 FETCH (UID 4)
            S: e OK Completed
            C: f XADOPT {}
            S: f NO The session is not at rest
            "#,
            state("1,3 2"),
            state("1,3 2"),
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_imap4rev2_says_and_hears_names_in_utf8_and_others_as_before() {
    let node = Node::start().await;
    let mut new = node.login("fred").await;
    new.talk(
        r#"
        C: a ENABLE IMAP4rev2
        S: * ENABLED IMAP4rev2
        S: a OK Completed
        C: b CREATE "Entwürfe & Co"
        S: b OK [MAILBOXID (…)] Completed
        C: c LIST "" E*
        S: * LIST (\HasNoChildren) "/" "Entwürfe & Co"
        S: c OK Completed
        C: d SELECT inbox
        S: * FLAGS …
        S: …
        S: * LIST () "/" INBOX
        S: d OK [READ-WRITE] Completed
        C: e UID SEARCH ALL
        S: * ESEARCH (TAG "e") UID
        S: e OK Completed
        C: f RENAME "Entwürfe & Co" Thé
        S: * LIST () "/" "Thé" ("OLDNAME" ("Entwürfe & Co"))
        S: f OK Completed
        C: g STATUS "Thé" (MESSAGES)
        S: * STATUS "Thé" (MESSAGES 0)
        S: g OK Completed
        "#,
    )
    .await;
    // The same letters in another form are the same name.
    new.send("h SELECT \"The\u{301}\"\r\n".as_bytes()).await;
    new.until("* LIST () \"/\" \"Th\u{e9}\" (\"OLDNAME\" (\"The\u{301}\"))").await;
    new.talk("S: h OK [READ-WRITE] Completed").await;
    new.send("i CREATE \"The\u{301}/x\"\r\n".as_bytes()).await;
    new.expect("* LIST () \"/\" \"Th\u{e9}/x\" (\"OLDNAME\" (\"The\u{301}/x\"))").await;
    new.expect("i OK …").await;
    new.send(b"j CREATE \"a\xffb\"\r\n").await;
    new.expect("j NO [CANNOT] Invalid mailbox name").await;
    let mut old = node.login("fred").await;
    old.talk(
        r#"
        C: a LIST "" T%
        S: * LIST (\HasChildren) "/" Th&AOk-
        S: a OK Completed
        C: b SELECT Th&AOk-
        S: …
        S: b OK [READ-WRITE] Completed
        C: c UID SEARCH ALL
        S: * SEARCH
        S: c OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_with_utf8_in_their_headers_are_taken_where_headers_are_kept_as_they_are() {
    let node = Node::with("munge8bit: no\nreject8bit: no").await;
    let mut fred = node.login("fred").await;
    let message = "Subject: Gr\u{fc}\u{df}e\r\n\r\nx\r\n";
    let size = message.len();
    fred.talk("C: a CAPABILITY\nS: * CAPABILITY …UTF8=ACCEPT…\nS: a OK Completed").await;
    fred.send(format!("b APPEND INBOX {{{size}+}}\r\n{message}\r\n").as_bytes()).await;
    fred.expect("b NO [CANNOT] 8-bit characters in a header need ENABLE UTF8=ACCEPT and APPEND UTF8").await;
    fred.send(format!("c APPEND INBOX UTF8 (~{{{size}+}}\r\n{message})\r\n").as_bytes()).await;
    fred.expect("c BAD UTF8 in Append needs ENABLE UTF8=ACCEPT").await;
    fred.talk("C: d ENABLE UTF8=ACCEPT\nS: * ENABLED UTF8=ACCEPT\nS: d OK Completed").await;
    fred.send(
        format!(
            "e APPEND INBOX UTF8 (~{{{size}+}}\r\n{message}) (\\Seen) UTF8 (~{{{size}+}}\r\n{message})\r\n"
        )
        .as_bytes(),
    )
    .await;
    fred.expect("e OK [APPENDUID … 1:2] Completed").await;
    fred.send(format!("f APPEND INBOX UTF8 (~{{{size}+}}\r\n{message}\r\ng NOOP\r\n").as_bytes()).await;
    fred.talk("S: f BAD …\nS: g OK Completed").await;
    // 8-bit characters below the header are nobody's business.
    fred.append("INBOX", "Subject: x\n\nGr\u{fc}\u{df}e\n").await;
    fred.talk(
        r#"
        C: h SELECT INBOX
        S: …
        S: h OK [READ-WRITE] Completed
        C: i SEARCH CHARSET UTF-8 SUBJECT x
        S: i BAD After ENABLE UTF8=ACCEPT texts are UTF-8
        C: j SEARCH SUBJECT "Grüße"
        S: * SEARCH 1 2
        S: j OK Completed
        "#,
    )
    .await;
    let plain = Node::start().await;
    let mut fred = plain.login("fred").await;
    fred.talk("C: d ENABLE UTF8=ACCEPT\nS: * ENABLED\nS: d OK Completed").await;
    fred.send(format!("b APPEND INBOX {{{size}+}}\r\n{message}\r\n").as_bytes()).await;
    fred.expect("b OK [APPENDUID … 1] Completed").await;
}
