//! A news server's bad days: broken clients, large articles, full quotas, TLS and compression, mail that goes on.

use protocol::name::MailboxName;
use store::Store;
use test_host::sink::{Behaviour, Sink};

use crate::news::{post, reader, start};
use crate::node::Node;

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_answered_and_the_session_goes_on() {
    let node = start("").await;
    let long = "x".repeat(600);
    let stars = format!("LIST ACTIVE {}", "*a".repeat(200));
    let patterns = format!("LIST ACTIVE {}", vec!["a"; 250].join(","));
    let xpat = format!("XPAT Subject 1- {}", "*a".repeat(100));
    let table: &[(&[u8], &str)] = &[
        (b"", "500 Unrecognized command"),
        (b"\0\0", "501 Bad argument"),
        (b"\xff\xfe", "500 Unrecognized command"),
        (b"GROUP \xff", "501 Bad argument"),
        (b"GROUP user.fred", "411 No such newsgroup (Mailbox does not exist)"),
        (b"GROUP INBOX", "411 No such newsgroup (Mailbox does not exist)"),
        (b"GROUP ..", "411 No such newsgroup (Mailbox does not exist)"),
        (b"LISTGROUP comp.test 4294967295-4294967295", "211 0 1 0 comp.test list follows"),
        (b".", "500 Unrecognized command"),
        (b"OVER 4294967295-", "423 No such article in this newsgroup"),
        (b"OVER 99999999999", "501 Bad argument"),
        (b"ARTICLE 0", "423 No such article in this newsgroup"),
        (b"ARTICLE <>", "501 Bad argument"),
        (b"NEWGROUPS 99999999 000000", "501 Bad argument"),
        (b"NEWNEWS \xc3\xa4* 00000101 000000", "502 NEWNEWS is disabled (allownewnews)"),
        (b"AUTHINFO SASL PLAIN !!!", "502 Already authenticated"),
        (b"XCLIENT SESSION=x", "502 Already authenticated"),
        (b"LIST HEADERS X", "501 Bad argument"),
        (long.as_bytes(), "501 Command line too long"),
        (stars.as_bytes(), "215 List of newsgroups follows:"),
        (patterns.as_bytes(), "501 Command line too long"),
        (xpat.as_bytes(), "423 No such article in this newsgroup"),
        (b"HDR Subject", "420 Current article number is invalid"),
        (b"IHAVE <a b>", "501 Bad argument"),
    ];
    for (line, answer) in table {
        let mut fred = reader(&node).await;
        fred.talk("C: GROUP comp.test\nS: 211 …").await;
        fred.send(line).await;
        fred.send(b"\r\n").await;
        fred.expect(answer).await;
        if answer.starts_with("211") || answer.starts_with("215") {
            fred.talk("S: …\nS: .").await;
        }
        fred.talk("C: SLAVE\nS: 202 Slave status noted").await;
    }
    let mut fred = reader(&node).await;
    for _ in 0..19 {
        fred.talk("C: XYZZY\nS: 500 Unrecognized command").await;
    }
    fred.talk("C: XYZZY\nS: 400 Too many errors\nS: <end>").await;
    let mut endless = reader(&node).await;
    endless.send(format!("{}\r\n", "x".repeat(20_000)).as_bytes()).await;
    endless.talk("S: 501 Command line too long\nS: <end>").await;
    // Whatever is wrong with a TAKETHIS, its article follows, and is no command.
    let mut peer = reader(&node).await;
    for wrong in ["", " <a b@x>", " <", &format!(" <{}@x>", "y".repeat(600))] {
        peer.send(format!("TAKETHIS{wrong}\r\nFrom: x\r\n\r\nQUIT\r\n.\r\n").as_bytes()).await;
    }
    peer.talk(
        "S: 439  Transfer rejected
         S: 439 <a b@x> Transfer rejected
         S: 439 < Transfer rejected
         S: 501 Command line too long
         C: SLAVE
         S: 202 Slave status noted",
    )
    .await;
    let mut guesser = node.client("nntp").await;
    guesser.talk("S: 200 …").await;
    for _ in 0..3 {
        guesser.talk("C: AUTHINFO USER fred\nS: 381 …\nC: AUTHINFO PASS x\nS: 481 Invalid login").await;
    }
    guesser.talk("S: <end>").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn articles_that_are_too_large_or_broken_are_taken_in_to_their_end_and_refused() {
    let node = start("maxmessagesize: 10K").await;
    let mut fred = reader(&node).await;
    let header = "From: f@x\r\nNewsgroups: comp.test\r\nSubject: s\r\n";
    let field = format!("X-Long: {}\r\n", "y".repeat(200_000));
    let tries: [(String, &str); 5] = [
        (format!("{header}\r\n{}", "QUIT and more\r\n".repeat(2000)), "Article is larger than 10240 bytes"),
        (format!("{header}{field}\r\nx\r\n"), "Article is larger than 10240 bytes"),
        (format!("{header}\r\na\0b\r\n"), "Message contains NUL characters"),
        (format!("no field at all\r\n{header}\r\nx\r\n"), "Message contains invalid header"),
        (format!("{header}Message-ID: <a b>\r\n\r\nx\r\n"), "Invalid Message-ID header in article"),
    ];
    for (article, why) in tries {
        fred.talk("C: POST\nS: 340  Send article").await;
        fred.send(format!("{article}.\r\n").as_bytes()).await;
        fred.expect(&format!("441  Failed receiving article ({why})")).await;
    }
    // A dot that ends nothing: a bare line feed before it.
    fred.talk("C: POST\nS: 340  Send article").await;
    fred.send(format!("{header}\r\nx\n.\r\nQUIT\r\n.\r\n").as_bytes()).await;
    fred.talk("S: 240 …\nC: GROUP comp.test\nS: 211 1 1 1 comp.test").await;
    // A client that goes away in the middle leaves nothing behind.
    let mut gone = reader(&node).await;
    gone.talk("C: POST\nS: 340  Send article").await;
    gone.send(format!("{header}\r\nhalf of it\r\n").as_bytes()).await;
    drop(gone);
    fred.talk("C: GROUP comp.test\nS: 211 1 1 1 comp.test").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_article_and_one_without_a_body_come_back_as_they_were() {
    let node = start("").await;
    let mut fred = reader(&node).await;
    fred.talk("C: POST\nS: 340  Send article").await;
    let lines: String = (0..20_000).map(|n| format!("..{n} line\r\n")).collect();
    let header = "From: f@x\r\nNewsgroups: comp.test\r\nSubject: s\r\n";
    fred.send(format!("{header}Message-ID: <large@x>\r\n\r\n{lines}.\r\n").as_bytes()).await;
    fred.talk("S: 240 <large@x> …\nC: BODY <large@x>\nS: 222 0 <large@x>").await;
    assert_eq!(String::from_utf8(fred.bytes(lines.len()).await).unwrap(), lines);
    fred.talk("S: .\nC: POST\nS: 340  Send article").await;
    fred.send(format!("{header}Message-ID: <none@x>\r\n.\r\n").as_bytes()).await;
    fred.talk("S: 240 <none@x> …\nC: BODY <none@x>\nS: 222 0 <none@x>\nS: .").await;
    fred.talk("C: HDR :lines <large@x>\nS: 225 …\nS: 0 20000\nS: .").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_quota_refuses_an_article_for_now_and_the_retry_goes_where_it_lacks() {
    let node = start("").await;
    let mut admin = node.login("cyrus").await;
    admin.talk("C: q SETQUOTA comp/other (MESSAGE 0)\nS: …\nS: q OK …").await;
    let mut peer = reader(&node).await;
    let article =
        "From: f@x\r\nNewsgroups: comp.test,comp.other\r\nSubject: s\r\nMessage-ID: <1@x>\r\n\r\nx\r\n.\r\n";
    peer.talk("C: IHAVE <1@x>\nS: 335 Send article").await;
    peer.send(article.as_bytes()).await;
    peer.talk(
        "S: 436 Transfer failed: try again later (Over quota)\nC: GROUP comp.test\nS: 211 1 1 1 comp.test",
    )
    .await;
    admin.talk("C: q SETQUOTA comp/other (MESSAGE 5)\nS: …\nS: q OK …").await;
    peer.talk("C: IHAVE <1@x>\nS: 335 Send article").await;
    peer.send(article.as_bytes()).await;
    peer.talk(
        "S: 235 Article transferred ok
         C: GROUP comp.test
         S: 211 1 1 1 comp.test
         C: GROUP comp.other
         S: 211 1 1 1 comp.other
         C: IHAVE <1@x>
         S: 435 Article not wanted",
    )
    .await;
    // In a stream there is no word for later but the end.
    admin.talk("C: q SETQUOTA comp/other (MESSAGE 0)\nS: …\nS: q OK …").await;
    peer.send(format!("TAKETHIS <2@x>\r\n{}", article.replace("<1@x>", "<2@x>")).as_bytes()).await;
    peer.talk("S: 400 Over quota\nS: <end>").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_article_goes_on_by_mail_where_its_group_says_so_and_is_kept_where_that_fails() {
    let sink = Sink::start(Behaviour::default());
    let lines = format!("smtp_backend: host\nsmtp_host: {}", sink.host());
    let node = start(&lines).await;
    let mut admin = node.login("cyrus").await;
    let annotation = "/shared/vendor/cmu/cyrus-imapd/news2mail";
    admin.talk(&format!("C: a SETMETADATA comp/test ({annotation} \"list@example.org\")\nS: a OK …")).await;
    let mut fred = reader(&node).await;
    post(&mut fred, "comp.test,comp.other", "1").await;
    let mail = sink.next();
    assert_eq!(mail.commands, ["MAIL FROM:<>", "RCPT TO:<list@example.org>"]);
    assert!(mail.message.contains("\nSubject: about 1\n") && mail.message.starts_with("Path: be1!fred\n"));
    sink.behave(Behaviour::default().answering("MAIL", "550 no"));
    post(&mut fred, "comp.test", "2").await;
    fred.talk("C: GROUP comp.test\nS: 211 2 1 2 comp.test").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_or_kicked_reader_hears_why_and_one_who_is_silent_is_let_go() {
    let node = start("").await;
    let mut fred = reader(&node).await;
    assert_eq!(node.context.sessions().kick("fred"), 1);
    fred.talk("S: 400 Server is shutting down\nS: <end>").await;
    let (context, mut wilma) = (node.context.clone(), reader(&node).await);
    context.stop();
    wilma.talk("S: 400 Server is shutting down\nS: <end>").await;
}

#[tokio::test]
async fn an_overview_of_very_many_articles_comes_in_steps_while_others_are_served() {
    let mut node = start("").await;
    const MANY: u32 = 5_000;
    node.restart_after("", async |dir| {
        let imapd = config::imapd::Imapd::load(&dir.join("imapd.conf"), "backend").unwrap();
        let store = Store::open(&imapd, service::names::namespace(&imapd), None).await.unwrap();
        let group = store.mailbox(&MailboxName::parse("comp.test").unwrap()).await.unwrap();
        let article = |n: u32| {
            let text = format!(
                "From: f@x\r\nNewsgroups: comp.test\r\nMessage-ID: <{n}@x>\r\nSubject: {n}\r\n\r\nx\r\n"
            );
            store::NewMessage {
                staged: std::sync::Arc::new(store::Staged::in_memory(text.into_bytes().into())),
                flags: Vec::new(),
                internaldate: None,
                annotations: Vec::new(),
            }
        };
        for run in (1..=MANY).collect::<Vec<_>>().chunks(500) {
            group.append(run.iter().map(|n| article(*n)).collect()).await.unwrap();
        }
        store.close().await;
    })
    .await;
    let (mut fred, mut other) = (reader(&node).await, reader(&node).await);
    fred.talk(&format!("C: GROUP comp.test\nS: 211 {MANY} 1 {MANY} comp.test")).await;
    fred.send(b"OVER 1-\r\nDATE\r\n").await;
    // Nobody reads the overview yet, and another one is served.
    other.talk("C: STAT <4999@x>\nS: 223 0 <4999@x>").await;
    fred.expect("224 Overview information follows:").await;
    for n in 1..=MANY {
        let line = fred.line().await;
        assert!(line.starts_with(&format!("{n}\t{n}\tf@x\t\t<{n}@x>\t\t")), "{line}");
        assert!(line.ends_with(&format!("\t1\tXref: be1 comp.test:{n}")), "{line}");
    }
    fred.talk("S: .\nS: 111 …").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_begins_after_its_answer() {
    let node: Node = start("").await;
    let mut fred = reader(&node).await;
    fred.talk(
        "C: COMPRESS GZIP\nS: 501 Bad argument\nC: COMPRESS DEFLATE\nS: 206 DEFLATE compression active",
    )
    .await;
    // What is not compressed ends the session, and nothing else.
    fred.send(&[0xff; 16]).await;
    fred.talk("S: <end>").await;
    reader(&node).await.talk("C: DATE\nS: 111 …").await;
}
