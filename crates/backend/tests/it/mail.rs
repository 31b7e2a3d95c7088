//! Mail comes in by LMTP and goes out by POP3, as transcripts.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use config::imapd::Imapd;
use protocol::name::MailboxName;
use store::Store;

use crate::node::{Client, Node};

/// An LMTP client past LHLO.
async fn lmtp(node: &Node) -> Client {
    let mut client = node.client("lmtp").await;
    client
        .talk(
            "S: 220 be1 Murder LMTP … server ready
             C: LHLO mx.example.org
             S: …
             S: 250 Ok SESSIONID=<…>",
        )
        .await;
    client
}

/// Delivers a message; gives the reply for each recipient that RCPT took.
async fn deliver(client: &mut Client, recipients: &[&str], message: &str) -> Vec<String> {
    client.talk("C: MAIL FROM:<ann@example.org>\nS: 250 2.1.0 ok").await;
    for recipient in recipients {
        client.talk(&format!("C: RCPT TO:<{recipient}>\nS: 250 2.1.5 ok")).await;
    }
    client.talk("C: DATA\nS: 354 go ahead").await;
    client.send(message.replace('\n', "\r\n").as_bytes()).await;
    client.send(b".\r\n").await;
    let mut replies = Vec::new();
    for _ in recipients {
        let reply = client.line().await;
        replies.push(reply.split(" SESSIONID=").next().unwrap_or_default().to_owned());
    }
    replies
}

/// A POP3 client past its login.
async fn pop3(node: &Node, user: &str) -> Client {
    let mut client = node.client("pop3").await;
    client
        .talk(&format!(
            "S: +OK be1 Murder POP3 … server ready
             C: USER {user}
             S: +OK Name is a valid mailbox
             C: PASS secret
             S: +OK Mailbox locked and ready SESSIONID=<…>"
        ))
        .await;
    client
}

fn message(id: &str) -> String {
    format!(
        "Message-ID: <{id}@example.org>\nDate: Mon, 23 Nov 2026 12:00:00 +0100\nSubject: {id}\n\nHello.\n"
    )
}

const DELIVERED: &str = "250 2.1.5 Success";

#[tokio::test(flavor = "multi_thread")]
async fn a_delivered_message_is_read_by_pop3_and_deleted() {
    let node = Node::start().await;
    let mut mx = lmtp(&node).await;
    assert_eq!(deliver(&mut mx, &["fred", "wilma@example.org"], &message("1")).await, [DELIVERED; 2]);
    assert_eq!(deliver(&mut mx, &["Fred"], "\n..dots\n\nend\n").await, [DELIVERED]);
    let mut fred = pop3(&node, "fred").await;
    fred.talk(
        "C: STAT
         S: +OK 2 …
         C: TOP 1 0
         S: +OK Message follows
         S: Return-Path: <ann@example.org>
         S: Received: from mx.example.org ([127.0.0.1])
         S: \t by be1 (Murder …) with LMTP;
         S: …
         S: X-Cyrus-Session-Id: backend-…
         S: Message-ID: <1@example.org>
         S: Date: Mon, 23 Nov 2026 12:00:00 +0100
         S: Subject: 1
         S:
         S: .
         C: RETR 2
         S: …
         S: Message-ID: <murder-…@be1>
         S: Date: …
         S:
         S: ..dots
         S:
         S: end
         S: .
         C: UIDL
         S: +OK list follows
         S: 1 ….1
         S: 2 ….2
         S: .
         C: DELE 1
         S: +OK message deleted
         C: RETR 1
         S: -ERR No such message
         C: RETR 3
         S: -ERR No such message
         C: QUIT
         S: +OK bye
         S: <end>",
    )
    .await;
    pop3(&node, "fred").await.talk("C: LIST\nS: +OK list follows\nS: 1 …\nS: .").await;
}

/// Epoch seconds of the last POP3 login at a user's INBOX, as a stopped backend has it on disk.
async fn last_pop(dir: &Path, user: &str) -> i64 {
    let imapd = Imapd::load(&dir.join("imapd.conf"), "backend").unwrap();
    let store = Store::open(&imapd, service::names::namespace(&imapd), None).await.unwrap();
    let inbox = store.mailbox(&MailboxName::parse(&format!("user.{user}")).unwrap()).await.unwrap();
    let at = inbox.view().pop3_last_login;
    drop(inbox);
    store.close().await;
    at
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_pop3_login_is_kept_if_the_client_says_goodbye() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let before = now();
    let mut node = Node::start().await;
    // A session that breaks off has changed nothing.
    drop(pop3(&node, "wilma").await);
    pop3(&node, "fred").await.talk("C: QUIT\nS: +OK bye\nS: <end>").await;
    let mut kept = (0, 0);
    let work = async |dir: &Path| kept = (last_pop(dir, "fred").await, last_pop(dir, "wilma").await);
    node.restart_after("", work).await;
    assert!((before..=now()).contains(&kept.0), "{kept:?}");
    assert_eq!(kept.1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_twice_is_kept_once() {
    let mut node = Node::start().await;
    assert_eq!(deliver(&mut lmtp(&node).await, &["fred"], &message("1")).await, [DELIVERED]);
    assert_eq!(deliver(&mut lmtp(&node).await, &["fred", "wilma"], &message("1")).await, [DELIVERED; 2]);
    node.restart("").await;
    assert_eq!(deliver(&mut lmtp(&node).await, &["fred"], &message("1")).await, [DELIVERED]);
    pop3(&node, "fred").await.talk("C: STAT\nS: +OK 1 …").await;
    pop3(&node, "wilma").await.talk("C: STAT\nS: +OK 1 …").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_suppression_a_message_that_comes_twice_is_kept_twice() {
    let node = Node::with("duplicatesuppression: no").await;
    let mut mx = lmtp(&node).await;
    deliver(&mut mx, &["fred"], &message("1")).await;
    deliver(&mut mx, &["fred"], &message("1")).await;
    pop3(&node, "fred").await.talk("C: STAT\nS: +OK 2 …").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detail_is_a_folder_that_the_sender_may_post_to() {
    let node = Node::start().await;
    let mut admin = node.login("cyrus").await;
    admin
        .talk(
            "C: a CREATE user/fred/Lists
             S: a OK …
             C: b CREATE user/fred/Closed
             S: b OK …
             C: c SETACL user/fred/Lists anyone p
             S: c OK …
             C: d CREATE shared
             S: d OK …
             C: e SETACL shared anyone lrp
             S: e OK …
             C: f CREATE staff
             S: f OK …
             C: g SETACL staff anyone l
             S: g OK …",
        )
        .await;
    let mut mx = lmtp(&node).await;
    let recipients =
        ["fred+Lists@example.org", "fred+Closed", "fred+None/such", "fred+#calendars", "+shared@example.org"];
    let unique = |n: usize| message(&format!("{n}"));
    for (n, recipient) in recipients.iter().enumerate() {
        assert_eq!(deliver(&mut mx, &[recipient], &unique(n)).await, [DELIVERED], "{recipient}");
    }
    mx.talk(
        "C: MAIL FROM:<>
         S: 250 2.1.0 ok
         C: RCPT TO:<+staff>
         S: …
         S: 550 5.7.1 Permission denied
         C: RCPT TO:<+none>
         S: …
         S: 550 5.1.1 User unknown
         C: RCPT TO:<+user/fred>
         S: …
         C: RCPT TO:<+DELETED/user/fred>
         S: …
         S: 550 5.1.1 User unknown
         C: RCPT TO:<nobody>
         S: …
         S: 550 5.1.1 User unknown
         C: RCPT TO:<\"fr/ed\">
         S: …
         S: 550 5.1.1 User unknown",
    )
    .await;
    let mut fred = node.login("fred").await;
    for (mailbox, count) in [("INBOX", 3), ("Lists", 1), ("Closed", 0), ("\"Shared Folders/shared\"", 1)] {
        fred.talk(&format!(
            "C: s STATUS {mailbox} (MESSAGES)\nS: * STATUS {mailbox} (MESSAGES {count})\nS: s OK …"
        ))
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_up_refuses_for_now() {
    let node = Node::start().await;
    let mut admin = node.login("cyrus").await;
    admin.talk("C: a SETQUOTA user/fred (STORAGE 1)\nS: …\nS: a OK …").await;
    let big = format!("{}{}", message("big"), "0123456789abcdef\n".repeat(100));
    let mut mx = lmtp(&node).await;
    assert_eq!(deliver(&mut mx, &["fred"], &big).await, [DELIVERED]);
    mx.talk(
        "C: MAIL FROM:<>
         S: 250 2.1.0 ok
         C: RCPT TO:<fred>
         S: 452 4.2.2 Over quota SESSIONID=<…>
         C: RCPT TO:<fred> IGNOREQUOTA
         S: 250 2.1.5 ok
         C: RSET
         S: 250 2.0.0 Ok SESSIONID=<…>",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_larger_than_memory_allows_reaches_every_recipient() {
    let node = Node::start().await;
    let large = format!("{}{}", message("large"), "0123456789abcdef\n".repeat(300_000));
    assert_eq!(deliver(&mut lmtp(&node).await, &["fred", "wilma"], &large).await, [DELIVERED; 2]);
    for user in ["fred", "wilma"] {
        let mut client = pop3(&node, user).await;
        client.talk("C: RETR 1\nS: +OK Message follows").await;
        let mut lines = 0;
        while client.line().await != "." {
            lines += 1;
        }
        assert!(lines > 300_000, "{lines}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_maildrop_is_one_sessions_at_a_time() {
    let node = Node::start().await;
    let first = pop3(&node, "fred").await;
    let mut second = node.client("pop3").await;
    let login = "C: USER fred\nS: +OK Name is a valid mailbox\nC: PASS secret\n";
    second
        .talk(&format!(
            "S: +OK …\n{login}S: -ERR [IN-USE] Unable to lock maildrop: Mailbox is locked by POP server"
        ))
        .await;
    drop(first);
    // The server has seen that it is gone when it lets the next one in.
    for _ in 0..10 {
        second.talk("C: USER fred\nS: +OK Name is a valid mailbox\nC: PASS secret").await;
        if second.line().await.starts_with("+OK") {
            return;
        }
    }
    panic!("the maildrop stayed locked");
}

#[tokio::test(flavor = "multi_thread")]
async fn pop3_refuses_what_it_cannot_allow() {
    let node = Node::with("popminpoll: 5\npopuseacl: yes").await;
    let mut client = node.client("pop3").await;
    client
        .talk(
            "S: +OK be1 Murder POP3 … server ready
             C: CAPA
             S: …
             S: LOGIN-DELAY 300
             S: …
             S: .
             C: STAT
             S: -ERR Not permitted now
             C: APOP fred 0123456789abcdef
             S: -ERR [AUTH] APOP is not available: passwords are not kept in the clear
             C: STLS
             S: -ERR STLS is not available
             C: USER fred
             S: +OK Name is a valid mailbox
             C: PASS wrong
             S: -ERR [AUTH] Invalid login
             C: AUTH NONSENSE
             S: -ERR [AUTH] Unrecognized authentication mechanism
             C: AUTH PLAIN AGZyZWQAc2VjcmV0
             S: +OK Mailbox locked and ready SESSIONID=<…>
             C: CAPA
             S: …
             S: .
             C: QUIT
             S: +OK bye",
        )
        .await;
    let mut again = node.client("pop3").await;
    again
        .talk(
            "S: …
             C: USER fred
             S: +OK Name is a valid mailbox
             C: PASS secret
             S: -ERR [LOGIN-DELAY] Logins must be at least 5 minute(s) apart",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_lines_do_not_end_a_pop3_session() {
    let node = Node::start().await;
    let mut client = pop3(&node, "fred").await;
    client.send(&[&[b'('; 10_000][..], b"\r\n"].concat()).await;
    client.talk("S: -ERR Unrecognized command").await;
    client.send(&[&[b'x'; 20_000][..], b"\r\n"].concat()).await;
    client.talk("S: -ERR Command line too long").await;
    client.send(b"NO\0OP\r\nRETR -1\r\nRETR 99999999999\r\nTOP 1\r\nNOOP\n").await;
    client
        .talk(
            "S: -ERR Bad argument
             S: -ERR Bad argument
             S: -ERR Bad argument
             S: -ERR Missing argument
             S: +OK",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_denied_gets_no_mail_and_comes_in_by_no_service() {
    let node = Node::start().await;
    let denial =
        |services: &str| identity::deny::Denial { services: services.into(), message: "On holiday".into() };
    let list = identity::deny::DenyList::new(node.dir.path().join("user_deny.db"));
    list.deny("fred", denial("lmtp*,pop3")).unwrap();
    let mut client = lmtp(&node).await;
    client
        .talk(
            "C: MAIL FROM:<ann@example.org>
             S: 250 2.1.0 ok
             C: RCPT TO:<fred>
             S: 451 4.2.1 Delivery to mailbox is disabled",
        )
        .await;
    let mut client = node.client("pop3").await;
    client
        .talk(
            "S: +OK be1 Murder POP3 … server ready
             C: USER fred
             S: +OK Name is a valid mailbox
             C: PASS secret
             S: -ERR [SYS/TEMP] On holiday",
        )
        .await;
    list.deny("fred", denial("imap")).unwrap();
    let mut client = node.client("imap").await;
    client
        .talk(
            "S: * OK …
             C: a LOGIN fred secret
             S: a NO [AUTHORIZATIONFAILED] On holiday",
        )
        .await;
    list.allow("fred").unwrap();
    pop3(&node, "fred").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pop3_shows_nothing_that_is_older_than_the_mailboxs_own_date() {
    let node = Node::start().await;
    let mut fred = node.login("fred").await;
    for (date, text) in [("23-Nov-2026 10:00:00 +0000", "old"), ("24-Nov-2026 10:00:00 +0000", "new")] {
        fred.send(
            format!("a APPEND INBOX \"{date}\" {{{}+}}\r\n{text}\r\n\r\n\r\n", text.len() + 4).as_bytes(),
        )
        .await;
        fred.talk("S: a OK …").await;
    }
    pop3(&node, "fred").await.talk("C: STAT\nS: +OK 2 …\nC: QUIT\nS: +OK…").await;
    let entry = "/shared/vendor/cmu/cyrus-imapd/pop3showafter";
    fred.talk(&format!("C: b SETMETADATA INBOX ({entry} \"24-Nov-2026 10:00:00 +0000\")\nS: b OK …")).await;
    let mut mail = pop3(&node, "fred").await;
    mail.talk(
        "C: STAT\nS: +OK 1 7\nC: UIDL\nS: +OK …\nS: 1 ….2\nS: .\nC: DELE 1\nS: +OK …\nC: QUIT\nS: +OK…",
    )
    .await;
    fred.talk("C: c STATUS INBOX (MESSAGES)\nS: * STATUS INBOX (MESSAGES 1)\nS: c OK …").await;
    fred.talk(&format!("C: d SETMETADATA INBOX ({entry} NIL)\nS: d OK …")).await;
    pop3(&node, "fred").await.talk("C: STAT\nS: +OK 1 …").await;
}
