//! Mailboxes that come from another backend by SYNCAPPLY, as a Cyrus sends them.

use protocol::grammar::{Cursor, Limits};
use protocol::name::MailboxName;
use protocol::sync::{Apply, File, Get, Mailbox, Peer, Told, Upload};

use crate::node::{Client, Node};

const GUID: &str = "0123456789abcdef0123456789abcdef01234567";

/// A node with a mailbox `user/mover` that fred may use, in which all kinds of things have happened. Messages by their text.
async fn source() -> (Node, Vec<String>) {
    let node = Node::start().await;
    let mut admin = node.login("cyrus").await;
    admin
        .talk(
            "C: a CREATE user/mover\nS: a OK …
             C: b SETACL user/mover fred lrswipkxten\nS: b OK …
             C: c SETQUOTA user/mover (STORAGE 5000)\nS: …\nS: c OK …",
        )
        .await;
    let mut fred = node.login("fred").await;
    let large = "x".repeat(100_000);
    let text = |n: usize| format!("From: a@b\nMessage-ID: <{n}@sync>\nSubject: {n}\n\nbody {n}\n");
    let mut messages: Vec<String> = (1..=4).map(text).collect();
    messages.push(format!("{}{large}\n", text(5)));
    for message in &messages {
        fred.append("\"Other Users/mover\"", message).await;
    }
    fred.send(b"s SELECT \"Other Users/mover\"\r\n").await;
    fred.until("s OK").await;
    fred.send(
        b"t STORE 1 +FLAGS.SILENT (\\Flagged $Work)\r\nt STORE 2 +FLAGS.SILENT (\\Deleted)\r\nu EXPUNGE\r\n",
    )
    .await;
    fred.until("u OK").await;
    fred.send(b"v STORE 2 ANNOTATION (/comment (value.shared \"hi there\"))\r\n").await;
    assert_eq!(fred.until("v ").await, "v OK Completed");
    fred.send(b"w SETMETADATA \"Other Users/mover\" (/shared/comment \"of all\")\r\n").await;
    fred.until("w ").await;
    (node, messages)
}

fn name(name: &str) -> MailboxName {
    MailboxName::parse(name).unwrap()
}

/// What the server says of a mailbox.
async fn whole(admin: &mut Client, of: &str) -> Mailbox {
    let mut command = Vec::new();
    Get::FullMailbox(name(of)).write("g", &mut command);
    admin.send(&command).await;
    let line = admin.line().await;
    admin.expect("g OK success").await;
    let told = line.strip_prefix("* ").unwrap_or_else(|| panic!("{line}"));
    match Cursor::new(told.as_bytes(), Limits::NONE).read(Told::parse) {
        Ok(Told::Mailbox(mailbox)) => *mailbox,
        other => panic!("{other:?}: {line}"),
    }
}

/// The messages of a mailbox that are there, as one command.
fn messages(mailbox: &Mailbox, texts: &[String]) -> Vec<u8> {
    let mut command = Vec::new();
    Upload::begin("m", &mut command);
    for (at, record) in mailbox.records.iter().flatten().enumerate() {
        let text = texts[record.uid as usize - 1].replace('\n', "\r\n");
        let file = File { partition: "default".into(), guid: record.guid, size: text.len() as u64 };
        Upload::put(&file, at == 0, &mut command);
        command.extend_from_slice(text.as_bytes());
    }
    Upload::end(&mut command);
    command
}

fn apply(apply: Apply) -> Vec<u8> {
    let mut command = Vec::new();
    apply.write("p", Peer::Cyrus, &mut command);
    command
}

fn local(mailbox: &Mailbox) -> Vec<u8> {
    apply(Apply::LocalMailbox(Box::new(mailbox.clone())))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_comes_in_whole_and_is_served_from_when_it_is_pushed() {
    let (source, texts) = source().await;
    let sent = whole(&mut source.login("cyrus").await, "user.mover").await;
    assert!(sent.records.iter().flatten().any(|record| record.expunged), "{sent:?}");
    let node = Node::start().await;
    let mut admin = node.login("cyrus").await;
    admin.talk("C: a SYNCGET USER mover\nS: a OK success").await;
    admin.send(&messages(&sent, &texts)).await;
    admin.expect("m OK success").await;
    admin.send(&local(&sent)).await;
    admin.expect("p OK success").await;
    admin.send(b"q SYNCAPPLY QUOTA %(ROOT user.mover LIMIT 5000 STORAGE 5000 MODSEQ 11)\r\n").await;
    admin.expect("q OK success").await;
    // It is here, and nobody's yet.
    let here = whole(&mut admin, "user.mover").await;
    assert_eq!(here, Mailbox { deletedmodseq: None, ..sent.clone() });
    admin.talk("C: b STATUS user/mover (MESSAGES)\nS: b NO [NONEXISTENT] Mailbox does not exist").await;
    admin.send(b"c SYNCGET USER mover\r\n").await;
    admin.expect("* MAILBOX %(UNIQUEID … MBOXNAME user.mover SYNC_CRC … OPTIONS …)").await;
    admin.talk("S: * QUOTA %(ROOT user.mover LIMIT 5000 STORAGE 5000 MODSEQ 11)\nS: c OK success").await;
    admin.talk("C: d MUPDATEPUSH user/mover\nS: d OK Completed").await;
    admin.talk("C: e SYNCRESTART\nS: e OK Restarting").await;
    let ask = "C: s EXAMINE \"Other Users/mover\"\nS: …\nS: s OK …";
    let fetch = "f FETCH 1:* (UID FLAGS INTERNALDATE MODSEQ EMAILID SAVEDATE BODY.PEEK[] ANNOTATION (/comment value))\r\n\
                 g STATUS \"Other Users/mover\" (UIDNEXT UIDVALIDITY HIGHESTMODSEQ MAILBOXID)\r\n\
                 h GETMETADATA \"Other Users/mover\" (/shared/comment)\r\ni GETACL \"Other Users/mover\"\r\n\
                 j GETQUOTA user/mover\r\nk NOOP\r\n";
    let mut seen = Vec::new();
    for node in [&source, &node] {
        let mut fred = node.login("fred").await;
        fred.talk(ask).await;
        fred.send(fetch.as_bytes()).await;
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line: &String| !line.starts_with("k ")) {
            // Whose \Recent a message is depends on who looked, and where.
            lines.push(fred.line().await.replace("\\Recent ", "").replace("\\Recent", ""));
        }
        seen.push(lines);
    }
    assert_eq!(seen[0], seen[1]);
    let mut admin = node.login("cyrus").await;
    admin.talk("C: a GETQUOTA user/mover\nS: * QUOTA user/mover (STORAGE 97 5000)\nS: a OK Completed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_at_the_source_meanwhile_comes_after_and_a_wrong_sum_is_told() {
    let (source, texts) = source().await;
    let mut sent = whole(&mut source.login("cyrus").await, "user.mover").await;
    let node = Node::start().await;
    let mut admin = node.login("cyrus").await;
    admin.send(&[messages(&sent, &texts), local(&sent)].concat()).await;
    admin.talk("S: m OK success\nS: p OK success").await;
    let mut fred = source.login("fred").await;
    fred.append("\"Other Users/mover\"", "Subject: new\n\nnew\n").await;
    fred.send(b"s SELECT \"Other Users/mover\"\r\nt STORE 3 +FLAGS (\\Answered)\r\nu UID EXPUNGE 1\r\n")
        .await;
    fred.until("u OK").await;
    let before = sent.highestmodseq;
    sent = whole(&mut source.login("cyrus").await, "user.mover").await;
    let mut change = sent.clone();
    change.records =
        change.records.map(|all| all.into_iter().filter(|record| record.modseq > before).collect());
    let new = Mailbox {
        records: change.records.clone().map(|all| all.into_iter().filter(|r| r.uid == 6).collect()),
        ..sent.clone()
    };
    let mut texts = texts;
    texts.push("Subject: new\n\nnew\n".into());
    // Without its message; with another one's sum; as it is; and from a past.
    admin.send(&local(&change)).await;
    admin.expect("p NO IMAP_SYNC_CHECKSUM Checksum Failure").await;
    admin.send(&messages(&new, &texts)).await;
    admin.expect("m OK success").await;
    let mut wrong = change.clone();
    wrong.crc.as_mut().unwrap().messages ^= 1;
    admin.send(&local(&wrong)).await;
    admin.expect("p NO IMAP_SYNC_CHECKSUM Checksum Failure").await;
    admin.send(&local(&change)).await;
    admin.expect("p OK success").await;
    let here = whole(&mut admin, "user.mover").await;
    assert_eq!((here.records, here.crc), (sent.records.clone(), sent.crc));
    admin.send(&local(&Mailbox { highestmodseq: before, ..change.clone() })).await;
    admin.expect("p NO IMAP_SYNC_CHECKSUM Checksum Failure").await;
    let since = protocol::sync::Since { highestmodseq: before, crc: sent.crc.unwrap() };
    admin.send(&local(&Mailbox { since: Some(since), ..change.clone() })).await;
    admin.expect("p NO IMAP_SYNC_CHANGED Changed since last sync").await;
    let since = protocol::sync::Since { highestmodseq: sent.highestmodseq, crc: sent.crc.unwrap() };
    admin.send(&local(&Mailbox { since: Some(since), ..change })).await;
    admin.expect("p OK success").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_with_a_user_comes_too_and_what_is_not_taken_is_refused_by_its_code() {
    let (source, texts) = source().await;
    let sent = whole(&mut source.login("cyrus").await, "user.mover").await;
    let node = Node::start().await;
    let mut admin = node.login("cyrus").await;
    admin.send(&[messages(&sent, &texts), local(&sent)].concat()).await;
    admin.talk("S: m OK success\nS: p OK success").await;
    let guid = sent.records.as_ref().unwrap()[0].guid;
    admin
        .talk(&format!(
            r#"
            C: a SYNCAPPLY SUB %(USERID mover MBOXNAME user.mover.x)
            S: a OK success
            C: b SYNCAPPLY SEEN %(USERID mover UNIQUEID abc-1 LASTREAD 5 LASTUID 3 LASTCHANGE 6 SEENUIDS 1:3,7)
            S: b OK success
            C: c SYNCGET META mover
            S: * LSUB (user.mover.x)
            S: * SEEN %(UNIQUEID abc-1 LASTREAD 6 LASTUID 3 LASTCHANGE 6 SEENUIDS 1:3,7)
            S: c OK success
            C: d SYNCAPPLY RESERVE %(PARTITION default MBOXNAME (user.mover) GUID ({guid} {GUID}))
            S: * MISSING ({GUID})
            S: d OK success
            C: e SYNCAPPLY ANNOTATION %(MBOXNAME user.mover ENTRY /comment USERID mover VALUE mine)
            S: e OK success
            C: f SYNCGET ANNOTATION user.mover
            S: f OK success
            C: g SYNCAPPLY CAPABILITIES (SIEVE-MAILBOX)
            S: * ENABLED ()
            S: g OK success
            C: h SYNCAPPLY SUB %(USERID ../x MBOXNAME user.mover.x)
            S: h NO IMAP_INVALID_USER Invalid user
            C: i SYNCAPPLY SIEVE %(USERID ../x FILENAME a.script LAST_UPDATE 1 CONTENT keep)
            S: i NO IMAP_INVALID_USER Invalid user
            C: j SYNCAPPLY MAILBOX %(UNIQUEID a)
            S: j NO IMAP_MAILBOX_NOTSUPPORTED Operation is not supported on mailbox
            C: k SYNCAPPLY LOCAL_MAILBOX %(UNIQUEID a)
            S: k NO IMAP_PROTOCOL_BAD_PARAMETERS Bad parameters
            C: l SYNCGET FULLMAILBOX user.nobody
            S: l NO IMAP_MAILBOX_NONEXISTENT No Such Mailbox
            C: m SYNCGET MAILBOXES (user.nobody)
            S: m OK success
            C: n SYNCAPPLY FROG x
            S: n NO IMAP_PROTOCOL_ERROR Protocol error
            C: o SYNCAPPLY LOCAL_UNMAILBOX user.mover
            S: o OK success
            C: q SYNCGET USER mover
            S: * LSUB (user.mover.x)
            S: * SEEN …
            S: q OK success
            "#
        ))
        .await;
    // The names and ids of others.
    let taken = Mailbox { name: name("user.fred"), ..sent.clone() };
    let odd = Mailbox { partition: "nowhere".into(), ..sent.clone() };
    let calendar = Mailbox { kind: Some("c".into()), ..sent.clone() };
    for (mailbox, answer) in [
        (&taken, "p NO IMAP_MAILBOX_MOVED Mailbox exists with another name or uniqueid"),
        (&odd, "p NO Unknown/invalid partition"),
        (&calendar, "p NO IMAP_MAILBOX_NOTSUPPORTED Operation is not supported on mailbox"),
    ] {
        admin.send(&local(mailbox)).await;
        admin.expect(answer).await;
    }
    admin.send(&[messages(&sent, &texts), local(&sent)].concat()).await;
    admin.talk("S: m OK success\nS: p OK success").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_an_administrator_replicates_and_what_is_sent_for_it_is_passed_over() {
    let node = Node::start().await;
    let upload = format!(
        "a SYNCAPPLY MESSAGE (%{{default {GUID} 14}}\r\nz SYNCRESTART\n %{{default {GUID} 3}}\r\nabc)\r\nb NOOP\r\n"
    );
    let mut nobody = node.connect().await;
    nobody.send(upload.as_bytes()).await;
    nobody.talk("S: a BAD Please login first\nS: b OK Completed").await;
    let mut fred = node.login("fred").await;
    fred.send(upload.as_bytes()).await;
    fred.talk("S: a BAD Unrecognized command\nS: b OK Completed").await;
    fred.talk("C: c SYNCGET USER fred\nS: c BAD Unrecognized command").await;
    fred.talk("C: d SYNCRESTART\nS: d BAD Unrecognized command").await;
    // A frontend that acts for an administrator is no other backend.
    let mut proxy = node.connect().await;
    proxy.talk("C: l AUTHENTICATE PLAIN ZnJlZABwcm94eQBzZWNyZXQ=\nS: l OK …").await;
    proxy.talk("C: a SYNCGET USER fred\nS: a BAD Unrecognized command").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_messages_is_refused_and_the_session_goes_on() {
    let node = Node::with("maxmessagesize: 1000").await;
    let mut admin = node.login("cyrus").await;
    let file = |size: usize| format!("%{{default {GUID} {size}}}\r\n");
    let bytes = |size: usize| "b NOOP\n".repeat(size).get(..size).unwrap().to_owned();
    let deep = format!("a SYNCAPPLY SUB {}", "(".repeat(100_000));
    let long = format!("a SYNCGET MAILBOXES ({})", "user.x ".repeat(5 * 1024 * 1024));
    let guids = format!(
        "a SYNCAPPLY RESERVE %(PARTITION default MBOXNAME (user.x) GUID ({}))",
        format!("{GUID} ").repeat(100_000)
    );
    let table = [
        (format!("a SYNCAPPLY MESSAGE ({}{})", file(5), bytes(5)), "a NO …another SHA-1 than the source says"),
        (format!("a SYNCAPPLY MESSAGE ({}{} {}{})", file(2000), bytes(2000), file(3), bytes(3)), "a NO Message is larger than 1000 bytes"),
        (format!("a SYNCAPPLY MESSAGE ({}{} x)", file(5), bytes(5)), "a NO …"),
        (format!("a SYNCAPPLY MESSAGE (x {}{})", file(5), bytes(5)), "a NO IMAP_PROTOCOL_BAD_PARAMETERS Bad parameters"),
        (format!("a SYNCGET USER {}{}", file(5), bytes(5)), "a NO IMAP_PROTOCOL_ERROR Protocol error"),
        (format!("a SYNCAPPLY MESSAGE (%{{nowhere {GUID} 3}}\r\nabc)"), "a NO Unknown/invalid partition"),
        ("a SYNCAPPLY MESSAGE ()".into(), "a OK success"),
        ("a SYNCAPPLY MESSAGE (x)".into(), "a NO IMAP_PROTOCOL_BAD_PARAMETERS Bad parameters"),
        ("a SYNCAPPLY LOCAL_MAILBOX %(UNIQUEID ../x MBOXNAME user.x LAST_UID 1 HIGHESTMODSEQ 2 RECENTUID 3 RECENTTIME 4 LAST_APPENDDATE \
          5 POP3_LAST_LOGIN 6 UIDVALIDITY 7 PARTITION default ACL \"\" OPTIONS \"\" RECORD ())".into(), "a NO IMAP_PROTOCOL_BAD_PARAMETERS Bad parameters"),
        (deep, "a NO IMAP_PROTOCOL_BAD_PARAMETERS Bad parameters"),
        (guids, "* MISSING …"),
        ("a SYNCAPPLY SUB {99999999999}".into(), "a BAD Command too long"),
        ("a".into(), "a BAD Null command"),
    ];
    for (command, answer) in table {
        admin.send(format!("{command}\r\n").as_bytes()).await;
        admin.expect(answer).await;
        if answer.starts_with('*') {
            admin.expect("a OK success").await;
        }
        admin.talk("C: y NOOP\nS: y OK Completed").await;
    }
    // A line beyond all bounds is nobody's who replicates.
    let mut endless = node.login("cyrus").await;
    endless.send(long.as_bytes()).await;
    endless.expect("* BYE This is an IMAP server").await;
    // Whoever goes in the middle of a message leaves nothing.
    admin.send(format!("a SYNCAPPLY MESSAGE ({}abc", file(900)).as_bytes()).await;
    drop(admin);
    node.login("cyrus").await.talk("C: a NOOP\nS: a OK Completed").await;
}
