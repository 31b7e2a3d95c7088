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
        fred.talk("C: a LANGUAGE\nS: a BAD Unrecognized command").await;
        fred.talk("C: a UID CONVERT 1 NIL\nS: a BAD Unrecognized command").await;
    }
    for _ in 0..6 {
        fred.talk("C: a NONSENSE\nS: a BAD Unrecognized command").await;
        fred.talk("C: a NONSENSE\nS: a BAD Unrecognized command\nC: b NOOP\nS: b OK Completed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_within_the_folder_called_inbox_is_not_made() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    for name in ["INBOX/INBOX", "inbox/Inbox/x"] {
        fred.talk(&format!("C: a CREATE {name}\nS: a NO Invalid mailbox name")).await;
    }
    fred.talk("C: b CREATE INBOX/x\nS: b OK …\nC: c CREATE x/INBOX/INBOX\nS: c OK …").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_literal_minus_a_large_literal_is_not_sent_unasked() {
    let node = Node::with("literalminus: yes").await;
    let mut fred = node.login("fred").await;
    fred.talk("C: a CAPABILITY\nS: * CAPABILITY …LITERAL-…\nS: a OK Completed").await;
    let message = format!("A: 1\r\n\r\n{}", "x".repeat(4089));
    for command in ["APPEND INBOX", "REPLACE 1 INBOX", "SELECT"] {
        fred.send(format!("b {command} {{{}+}}\r\n{message}\r\n", message.len()).as_bytes()).await;
        fred.expect("b BAD [TOOBIG] Non-synchronizing literal too large").await;
    }
    // Nor as a later message of the same APPEND, or behind it; and nothing of that is stored.
    let small = "{8+}\r\nA: 1\r\n\r\n";
    for later in [" {N+}", " (\\Seen) {N+}", " ANNOTATION (/comment (value.priv {N+}"] {
        let later = later.replace('N', &message.len().to_string());
        fred.send(format!("b APPEND INBOX {small}{later}\r\n{message} {small}\r\n").as_bytes()).await;
        fred.expect("b BAD [TOOBIG] Non-synchronizing literal too large").await;
        fred.talk("C: b STATUS INBOX (MESSAGES)\nS: * STATUS INBOX (MESSAGES 0)\nS: b OK Completed").await;
    }
    fred.send(format!("c APPEND INBOX {small} {{{}}}\r\n", message.len()).as_bytes()).await;
    fred.expect("+ go ahead").await;
    fred.send(format!("{message}\r\n").as_bytes()).await;
    fred.expect("c OK [APPENDUID … 1:2] Completed").await;
    fred.send(format!("c APPEND INBOX {{{}}}\r\n", message.len()).as_bytes()).await;
    fred.expect("+ go ahead").await;
    fred.send(format!("{message}\r\n").as_bytes()).await;
    fred.expect("c OK [APPENDUID … 3] Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_nobody_here_serves_are_heard_to_their_end() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    for word in include_str!("../../../../tests/foreign-commands").lines() {
        fred.send(format!("a {word} {{9+}}\r\nb LOGOUT\n (x {{3+}}\r\n\0\r\n)\r\n").as_bytes()).await;
        fred.talk("S: a BAD Unrecognized command\nC: b NOOP\nS: b OK Completed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_literal8_may_hold_nul() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    let message = b"Content-Transfer-Encoding: binary\r\n\r\nb\0\r\n";
    for (tag, form) in [("a", "~"), ("d", "")] {
        fred.send(format!("{tag} APPEND INBOX {form}{{{}+}}\r\n", message.len()).as_bytes()).await;
        fred.send(message).await;
        fred.send(b"\r\n").await;
        if form.is_empty() {
            fred.talk("S: d NO [UNKNOWN-CTE] Message contains NUL characters").await;
            break;
        }
        fred.talk(
            "S: a OK [APPENDUID … 1] Completed\nC: b SELECT INBOX\nS: …\nS: b OK [READ-WRITE] Completed",
        )
        .await;
        fred.talk(
            r#"
            C: c FETCH 1 (RFC822.SIZE BINARY.SIZE[] BINARY.SIZE[1])
            S: * 1 FETCH (RFC822.SIZE 47 BINARY.SIZE[] 47 BINARY.SIZE[1] 4)
            S: c OK Completed
            "#,
        )
        .await;
    }
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
        S: * OK [HIGHESTMODSEQ 4] Ok
        S: * ENABLED CONDSTORE
        S: c OK Completed
        C: e FETCH 2 (FLAGS)
        S: * 2 FETCH (FLAGS (\Recent))
        S: e OK Completed
        C: f FETCH 2 (FLAGS RFC822.TEXT)
        S: * 2 FETCH (FLAGS (\Recent \Seen) RFC822.TEXT {3}
        S: y
        S:  MODSEQ (5))
        S: f OK Completed
        C: d STATUS INBOX (HIGHESTMODSEQ)
        S: * STATUS INBOX (HIGHESTMODSEQ 5)
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
            S: * OK [HIGHESTMODSEQ 5] Ok
            S: * 1 FETCH (MODSEQ (4))
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
        S: d OK Completed
        C: e UID FETCH 1 UID
        S: * 1 EXPUNGE
        S: e OK Completed
        "#,
    )
    .await;
    for (tag, command) in [("f", "COPY"), ("g", "MOVE")] {
        node.login("fred").await.append("INBOX", MAIL).await;
        fred.talk(&format!("C: {tag}1 NOOP\nS: …\nS: {tag}1 OK Completed")).await;
        node.login("fred").await.talk(expunge_first).await;
        fred.talk(&format!(
            "C: {tag} {command} 1:2 b\nS: * 1 EXPUNGE\nS: {tag} NO [EXPUNGEISSUED] Some of the messages have been expunged\n\
             C: {tag}2 STATUS b (MESSAGES)\nS: * STATUS b (MESSAGES 0)\nS: {tag}2 OK Completed"
        ))
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pop3_gives_stray_carriage_returns_back() {
    let node = Node::start().await;
    let message = b"A: 1\r\n\r\na\rb\r\r\n";
    let mut fred = node.login("fred").await;
    fred.send(format!("a APPEND INBOX {{{}+}}\r\n", message.len()).as_bytes()).await;
    fred.send(message).await;
    fred.send(b"\r\n").await;
    fred.expect("a OK [APPENDUID … 1] Completed").await;
    let mut pop3 = node.client("pop3").await;
    pop3.talk("S: +OK …\nC: USER fred\nS: +OK …\nC: PASS secret\nS: +OK …").await;
    pop3.talk(&format!("C: LIST 1\nS: +OK 1 {}\nC: RETR 1\nS: +OK …", message.len())).await;
    let wire = pop3.bytes(message.len() + 3).await;
    assert_eq!(
        wire.strip_suffix(b".\r\n").map(<[u8]>::escape_ascii).map(|it| it.to_string()),
        Some(message.escape_ascii().to_string())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_beyond_ascii_and_headers_without_body_are_delivered() {
    let node = Node::start().await;
    let mut lmtp = node.client("lmtp").await;
    lmtp.talk(
        "S: 220 …
         C: LHLO mx
         S: …
         S: 250-SMTPUTF8
         S: …
         S: 250 Ok …
         C: MAIL FROM:<jürgen@bücher.example> SMTPUTF8
         S: 250 2.1.0 ok
         C: RCPT TO:<müller>
         S: 550-…
         S: 550 5.1.1 User unknown
         C: RCPT TO:<fred+Entwürfe>
         S: 250 2.1.5 ok
         C: DATA
         S: 354 go ahead
         C: Subject: Grüße
         C: .
         S: 250 2.1.5 …",
    )
    .await;
    let mut fred = node.login("fred").await;
    fred.talk(
        r#"
        C: a SELECT INBOX
        S: …
        S: a OK [READ-WRITE] Completed
        C: b FETCH 1 BODY.PEEK[HEADER.FIELDS (Subject Return-Path)]
        S: * 1 FETCH (BODY[HEADER.FIELDS (Subject Return-Path)] …
        S: Return-Path: <jürgen@bücher.example>
        S: Subject: Grüße
        S:
        S: )
        S: b OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_mailbox_has_a_modification_sequence() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.talk(
        r#"
        C: a CREATE b
        S: a OK …
        C: b STATUS b (HIGHESTMODSEQ)
        S: * STATUS b (HIGHESTMODSEQ 1)
        S: b OK Completed
        C: c SELECT b
        S: …
        S: * OK [HIGHESTMODSEQ 1] Ok
        S: …
        S: c OK [READ-WRITE] Completed
        "#,
    )
    .await;
    node.login("fred").await.append("b", MAIL).await;
    fred.talk("C: d NOOP\nS: …\nS: d OK Completed\nC: e FETCH 1 (UID) (CHANGEDSINCE 1)\nS: * 1 FETCH (UID 1 MODSEQ (2))").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_sessions_move_at_once_arrives_once() {
    let node = Node::start().await;
    let (mut one, mut two) = (node.login("fred").await, node.login("fred").await);
    one.talk("C: a CREATE b\nS: a OK …").await;
    for _ in 0..20 {
        one.append("INBOX", MAIL).await;
    }
    for client in [&mut one, &mut two] {
        client.talk("C: b SELECT INBOX\nS: …\nS: b OK [READ-WRITE] Completed").await;
    }
    for uid in 1..=20 {
        for client in [&mut one, &mut two] {
            client.send(format!("m UID MOVE {uid} b\r\n").as_bytes()).await;
        }
        for client in [&mut one, &mut two] {
            assert_eq!(client.until("m ").await, "m OK Completed");
        }
    }
    one.talk("C: c STATUS b (MESSAGES)\nS: * STATUS b (MESSAGES 20)\nS: c OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_account_can_move_its_mail_to_the_trash() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", &"0123456789\n".repeat(200).replacen('\n', ": x\n\n", 1)).await;
    node.login("cyrus").await.talk("C: a SETQUOTA user/fred (STORAGE 1)\nS: * QUOTA …\nS: a OK …").await;
    fred.talk("C: a CREATE Trash\nS: a OK …\nC: b SELECT INBOX\nS: …\nS: b OK [READ-WRITE] Completed").await;
    fred.talk("C: c UID COPY 1 Trash\nS: …\nS: c NO [OVERQUOTA] …").await;
    fred.talk("C: d UID MOVE 1 Trash\nS: * OK [COPYUID … 1 1] Completed\nS: * 1 EXPUNGE\nS: d OK Completed")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_name_with_a_subscribed_child_has_childinfo() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    for name in ["a", "a/b", "c", "c/d"] {
        fred.talk(&format!("C: a CREATE {name}\nS: a OK …")).await;
    }
    for name in ["a", "c", "c/d"] {
        fred.talk(&format!("C: a SUBSCRIBE {name}\nS: a OK …\nC: a UNSUBSCRIBE a/b\nS: a …")).await;
    }
    fred.talk(
        r#"
        C: b LIST (SUBSCRIBED RECURSIVEMATCH) "" *
        S: …
        S: * LIST (\Subscribed \HasChildren) "/" a
        S: * LIST (\Subscribed \HasChildren) "/" c ("CHILDINFO" ("SUBSCRIBED"))
        S: * LIST (\Subscribed \HasNoChildren) "/" c/d
        S: b OK Completed
        "#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_hears_that_its_mailbox_was_deleted_however_it_is_kept() {
    for mode in ["delayed", "immediate"] {
        let node = Node::with(&format!("delete_mode: {mode}")).await;
        let mut fred = node.login("fred").await;
        fred.talk("C: a CREATE b\nS: a OK …\nC: b SELECT b\nS: …\nS: b OK [READ-WRITE] Completed").await;
        node.login("fred").await.talk("C: a DELETE b\nS: a OK …").await;
        fred.talk("C: c NOOP\nS: * BYE Mailbox has been deleted or renamed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_modification_sequences_turns_them_on_as_status_does() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    fred.append("INBOX", MAIL).await;
    fred.talk(
        r#"
        C: a SELECT INBOX
        S: …
        S: a OK [READ-WRITE] Completed
        C: b LIST "" INBOX RETURN (STATUS (HIGHESTMODSEQ))
        S: * OK [HIGHESTMODSEQ 2] Ok
        S: * LIST (\HasNoChildren) "/" INBOX
        S: * STATUS INBOX (HIGHESTMODSEQ 2)
        S: b OK Completed
        C: c STORE 1 +FLAGS.SILENT (\Flagged)
        S: * 1 FETCH (MODSEQ (3))
        S: c OK Completed
        "#,
    )
    .await;
}
