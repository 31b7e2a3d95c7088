//! Connections to backends that follow a transcript: handshakes, refusals, the breaker, the pool.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod model;
mod moved;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use config::imapd::Imapd;
use model::{Policy, imap_story, lmtp_story, nntp_cut};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use upstream::{Error, Pool, Proto, Upstream};

/// `S:` lines are said, `C:` lines are expected (a trailing `*` matches any rest). `$` at the start of a line is the tag of
/// the client's last command, whatever it was; `<CRLF>` puts two lines into one write.
async fn play(socket: TcpStream, transcript: &str) {
    let (read, mut write) = socket.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut tag = String::new();
    for line in transcript.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_at(3) {
            ("S: ", text) => {
                let text = text.strip_prefix('$').map_or(text.to_owned(), |rest| format!("{tag}{rest}"));
                let text = text.replace("<CRLF>", "\r\n");
                write.write_all(format!("{text}\r\n").as_bytes()).await.unwrap();
            }
            ("C: ", wanted) => {
                let Ok(Some(mut got)) = lines.next_line().await else { return };
                if wanted.starts_with("$ ") {
                    let (first, rest) = got.split_once(' ').unwrap();
                    (tag, got) = (first.to_owned(), format!("$ {rest}"));
                }
                match wanted.strip_suffix('*') {
                    Some(start) => assert!(got.starts_with(start), "{got:?} is not {wanted:?}"),
                    None => assert_eq!(got, wanted),
                }
            }
            other => panic!("{other:?}"),
        }
    }
    // Nothing more is expected; the connection stays open until the other side closes it.
    let _ = lines.next_line().await;
}

/// A server that plays the same transcript on each connection, and counts them.
async fn server(transcript: &'static str) -> (u16, Arc<Mutex<u32>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(0)));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            *counted.lock().unwrap() += 1;
            tokio::spawn(play(socket, transcript));
        }
    });
    (port, count)
}

fn to(port: u16, service: &str) -> Upstream {
    with(port, service, "allowplaintext: yes\n")
}

/// The way to `be`, with these lines more in imapd.conf.
fn with(port: u16, service: &str, lines: &str) -> Upstream {
    let text = format!(
        "configdirectory: /nowhere\nservername: fe.test\nproxy_authname: proxy\nproxy_password: secret\n\
         client_timeout: 1s\nbe_address: 127.0.0.1\nbe_ports: {service}={port}\nbe_mechs: PLAIN\n{lines}"
    );
    Upstream::new(&Imapd::parse(Path::new("/nowhere/imapd.conf"), &text, "test").unwrap())
}

/// `fred` NUL `proxy` NUL `secret`
const FRED: &str = "ZnJlZABwcm94eQBzZWNyZXQ=";

#[tokio::test]
async fn imap_logs_in_as_the_proxy_for_the_user() {
    let (port, _) = server(
        "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=LOGIN SASL-IR] ready
         C: $ AUTHENTICATE PLAIN ZnJlZABwcm94eQBzZWNyZXQ=
         S: $ OK [CAPABILITY IMAP4rev1 MOVE] Success SESSIONID=<x>",
    )
    .await;
    let connection = to(port, "imap").imap("be.test", Some("fred")).await.unwrap();
    assert!(connection.capabilities.has("MOVE"));
    assert!(connection.text.ends_with("SESSIONID=<x>"));
}

#[tokio::test]
async fn imap_without_initial_responses_answers_the_challenge() {
    let (port, _) = server(
        "S: * OK ready
         C: $ CAPABILITY
         S: * CAPABILITY IMAP4rev1 AUTH=PLAIN
         S: $ OK done
         C: $ AUTHENTICATE PLAIN
         S: +
         C: ZnJlZABwcm94eQBzZWNyZXQ=
         S: $ OK done
         C: $ CAPABILITY
         S: * CAPABILITY IMAP4rev1 IDLE
         S: $ OK done",
    )
    .await;
    let connection = to(port, "imap").imap("be.test", Some("fred")).await.unwrap();
    assert!(connection.capabilities.has("IDLE"));
}

#[tokio::test]
async fn pop3_keeps_the_text_of_a_refusal() {
    let (port, _) = server(
        "S: +OK ready
         C: CAPA
         S: +OK
         S: SASL PLAIN
         S: .
         C: AUTH PLAIN ZnJlZABwcm94eQBzZWNyZXQ=
         S: -ERR [IN-USE] Mailbox is locked",
    )
    .await;
    let error = to(port, "pop3").pop3("be.test", "fred", None).await.unwrap_err();
    assert_eq!(error.denied(), Some("[IN-USE] Mailbox is locked"));
    assert!(!error.is_unreachable());
    assert!(!error.to_string().contains("secret") && !error.to_string().contains(FRED));
}

#[tokio::test]
async fn lmtp_acts_for_nobody_and_trusted_listeners_are_not_logged_in_to() {
    let (port, _) = server(
        "S: 220 ready
         C: LHLO fe.test
         S: 250-be.test
         S: 250-AUTH PLAIN
         S: 250 SIZE 1000
         C: AUTH PLAIN AHByb3h5AHNlY3JldA==
         S: 235 2.7.0 welcome",
    )
    .await;
    let connection = to(port, "lmtp").lmtp("be.test").await.unwrap();
    assert_eq!(connection.capabilities.line("SIZE"), Some("1000"));
    let (port, _) = server(
        "S: 220 ready
         C: LHLO fe.test
         S: 250 be.test",
    )
    .await;
    to(port, "lmtp").lmtp("be.test").await.unwrap();
}

#[tokio::test]
async fn what_offers_nothing_usable_is_named() {
    let (port, _) = server("S: * OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5] ready").await;
    let error = to(port, "imap").imap("be.test", Some("fred")).await.unwrap_err();
    assert_eq!(error.to_string(), "be.test: no usable SASL mechanism among those offered (CRAM-MD5)");
}

#[tokio::test]
async fn a_silent_server_is_waited_for_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = to(listener.local_addr().unwrap().port(), "imap");
    let first = upstream.imap("be.test", Some("fred")).await.unwrap_err();
    assert!(matches!(first, Error::Timeout { .. }), "{first}");
    let start = tokio::time::Instant::now();
    let second = upstream.imap("be.test", Some("fred")).await.unwrap_err();
    assert!(matches!(second, Error::Down { .. }) && start.elapsed() < Duration::from_millis(200), "{second}");
    // It begins to speak: a probe finds out.
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(play(
                socket,
                "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\nC: $ *\nS: $ OK in\nC: $ *\nS: $ OK",
            ));
        }
    });
    let mut tries = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..200 {
        tries.tick().await;
        if upstream.admit("be.test", Proto::Imap).is_ok() {
            upstream.imap("be.test", Some("fred")).await.unwrap();
            return;
        }
    }
    panic!("the breaker stays open");
}

#[tokio::test]
async fn a_pooled_connection_is_used_again() {
    let (port, count) = server(
        "S: 220 ready
         C: LHLO fe.test
         S: 250 be.test
         C: RSET
         S: 250 2.0.0 ok",
    )
    .await;
    let pool = Pool::new(to(port, "lmtp"));
    let first = pool.take("be.test").await.unwrap();
    assert!(!first.reused);
    first.give_back();
    let second = pool.take("be.test").await.unwrap();
    assert!(second.reused && *count.lock().unwrap() == 1);
    // Dropped, not given back: it is closed.
    drop(second);
    assert!(!pool.take("be.test").await.unwrap().reused);
}

/// What a pooled connection must not be given back with.
async fn is_kept(transcript: &'static str, use_it: impl AsyncFnOnce(&mut upstream::Pooled)) -> bool {
    let (port, count) = server(transcript).await;
    let pool = Pool::new(to(port, "lmtp"));
    let mut first = pool.take("be.test").await.unwrap();
    use_it(&mut first).await;
    first.give_back();
    let _ = pool.take("be.test").await;
    *count.lock().unwrap() == 1
}

#[tokio::test]
async fn a_connection_with_something_under_way_on_it_is_closed_instead_of_kept() {
    const READY: &str = "S: 220 ready\nC: LHLO fe.test\nS: 250 be.test\nC: RSET\nS: 250 ok";
    assert!(is_kept(READY, async |_| {}).await);
    let command = async |kept: &mut upstream::Pooled| {
        kept.wire.command(b"MAIL FROM:<>", &mut bytes::BytesMut::new()).unwrap();
    };
    assert!(!is_kept(READY, command).await, "a command without its reply");
    let unread = async |kept: &mut upstream::Pooled| kept.input.extend_from_slice(b"2");
    assert!(!is_kept(READY, unread).await, "something unread");
}

#[tokio::test]
async fn what_follows_the_answer_to_starttls_is_believed_by_nobody() {
    let (port, _) = server(
        "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] ready
         C: $ STARTTLS
         S: $ OK go<CRLF>* CAPABILITY IMAP4rev1 AUTH=PLAIN",
    )
    .await;
    let error = to(port, "imap").imap("be.test", Some("fred")).await.unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_under_a_tag_that_was_not_sent_is_no_answer() {
    for tag in ["A01", "PROXY0", "*", "+"] {
        let transcript =
            format!("S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\nC: $ *\nS: {tag} OK in");
        let (port, _) = server(transcript.leak()).await;
        let result = to(port, "imap").imap("be.test", Some("fred")).await;
        assert!(result.is_err(), "{tag}: {result:?}");
    }
}

#[tokio::test]
async fn a_backend_cannot_make_a_login_hold_much() {
    for greeting in ["* X {4000000000}\r\n", "* OK ", "* OK [CAPABILITY "] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let flood = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(greeting.as_bytes()).await.unwrap();
            let (some, mut said) = ([b'x'; 16 * 1024], 0);
            while said < 64 << 20 && socket.write_all(&some).await.is_ok() {
                said += some.len();
            }
            said
        };
        let upstream = to(port, "imap");
        let (said, result) = tokio::join!(flood, upstream.imap("be.test", Some("fred")));
        assert!(matches!(result, Err(Error::Protocol { .. })), "{greeting:?}: {:?}", result.err());
        assert!(said < 32 << 20, "{greeting:?}: took {said} octets");
    }
}

#[tokio::test]
async fn text_in_a_literal_or_a_remark_is_no_answer() {
    let (port, _) = server(
        "S: * OK ready
         C: $ CAPABILITY
         S: * OK see {5}
         S: * X {42}
         S: * CAPABILITY IMAP4rev1 SASL-IR AUTH=EVIL
         S: )
         S: * CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN
         S: $ OK done
         C: $ AUTHENTICATE PLAIN ZnJlZABwcm94eQBzZWNyZXQ=
         S: $ OK [CAPABILITY IMAP4rev1 IDLE] in",
    )
    .await;
    let connection = to(port, "imap").imap("be.test", Some("fred")).await.unwrap();
    assert!(connection.capabilities.has("IDLE"));
}

#[tokio::test]
async fn an_idle_connection_that_its_server_closes_is_closed_here() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pool = Pool::new(to(listener.local_addr().unwrap().port(), "lmtp"));
    let serve = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let (read, mut write) = socket.split();
        let mut lines = BufReader::new(read).lines();
        write.write_all(b"220 ready\r\n").await.unwrap();
        lines.next_line().await.unwrap();
        write.write_all(b"250 be.test\r\n").await.unwrap();
        write.shutdown().await.unwrap();
        // The end of the other direction: the frontend has closed, though nobody wanted to deliver anything.
        lines.next_line().await.unwrap()
    };
    let keep = async { pool.take("be.test").await.unwrap().give_back() };
    let (end, ()) = tokio::join!(serve, keep);
    assert_eq!(end, None);
}

#[tokio::test]
async fn a_server_that_hangs_costs_one_wait_for_all_of_its_idle_connections() {
    let hangs = "S: 220 ready\nC: LHLO fe.test\nS: 250 be.test\nC: RSET\nC: nothing more";
    let (port, count) = server(hangs).await;
    let pool = Pool::new(to(port, "lmtp"));
    let mut kept = Vec::new();
    for _ in 0..8 {
        kept.push(pool.take("be.test").await.unwrap());
    }
    kept.into_iter().for_each(upstream::Pooled::give_back);
    let first = pool.take("be.test").await.err().unwrap();
    assert!(matches!(first, Error::Timeout { .. }), "{first}");
    let second = pool.take("be.test").await.err().unwrap();
    assert!(matches!(second, Error::Down { .. }), "{second}");
    assert_eq!(*count.lock().unwrap(), 8);
}

/// A server by its first words, and why it is not used; `ok` where it is.
async fn verdict(proto: Proto, lines: &str, transcript: &'static str) -> String {
    let (port, _) = server(transcript).await;
    let upstream = with(port, proto.service(), lines);
    let result = match proto {
        Proto::Imap => upstream.imap("be.test", Some("fred")).await.map(drop),
        Proto::Pop3 => upstream.pop3("be.test", "fred", None).await.map(drop),
        Proto::Lmtp => upstream.lmtp("be.test").await.map(drop),
        Proto::Sieve => upstream.sieve("be.test", "fred", None).await.map(drop),
        Proto::Nntp => upstream.nntp("be.test", "fred", None).await.map(drop),
    };
    match result {
        Ok(()) => "ok".to_owned(),
        Err(error) => {
            assert!(!error.is_unreachable(), "{error}: others still use it");
            error.to_string()
        }
    }
}

/// A news server's first words.
const NNTP: &str = "S: 200 ready\nC: CAPABILITIES\nS: 101 list:\nS: VERSION 2\nS: SASL PLAIN\nS: .";

#[tokio::test]
async fn a_news_backend_is_logged_in_to_for_the_user_and_its_no_is_told() {
    for (answer, told) in [
        ("S: 281 in", "ok"),
        ("S: 283 in", "be.test: refused to log proxy in"),
        ("S: 383 =\nC: =\nS: 281 in", "ok"),
        ("S: 481 Authentication failed", "be.test: wrong password for our own login as proxy"),
        ("S: 481 no such user", "no such user"),
        ("S: 281 in<CRLF>220 1 <forged@x>", "text behind the end of the login"),
        ("S: 400 tired", "400 tired"),
    ] {
        let login = format!("AUTHINFO SASL PLAIN {FRED}");
        let transcript = format!("{NNTP}\nC: {login}\n{answer}");
        let verdict = verdict(Proto::Nntp, "allowplaintext: yes\n", transcript.leak()).await;
        assert!(verdict.contains(told), "{answer}: {verdict}");
    }
}

/// A ManageSieve server's greeting.
const SIEVE: &str = "S: \"IMPLEMENTATION\" \"x\"\nS: \"SASL\" \"PLAIN\"\nS: \"SIEVE\" \"fileinto\"\nS: OK";

#[tokio::test]
async fn a_managesieve_backend_may_answer_with_literals_and_its_no_is_told() {
    let login = format!("AUTHENTICATE \"PLAIN\" \"{FRED}\"");
    for (answer, told) in [
        ("S: OK", "ok"),
        ("S: OK {4}\nS: done", "ok"),
        ("S: NO {4}\nS: busy", "busy"),
        ("S: BYE (TRYLATER) \"Server is shutting down\"", "Server is shutting down"),
    ] {
        let transcript = format!("{SIEVE}\nC: {login}\n{answer}");
        let verdict = verdict(Proto::Sieve, "allowplaintext: yes\n", transcript.leak()).await;
        assert!(verdict.contains(told), "{verdict}");
    }
}

/// An authority is configured: servers can be verified, and must be.
const VERIFYING: &str = "allowplaintext: yes\ntls_server_ca_file: /nowhere/ca.pem\n";

#[tokio::test]
async fn a_backend_without_the_tls_that_is_demanded_hears_no_login() {
    let imap = "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready";
    let pop3 = "S: +OK ready\nC: CAPA\nS: +OK\nS: SASL PLAIN\nS: .";
    let lmtp = "S: 220 ready\nC: LHLO fe.test\nS: 250-be.test\nS: 250 AUTH PLAIN";
    let trusting = "S: 220 ready\nC: LHLO fe.test\nS: 250 be.test";
    for (proto, transcript) in [
        (Proto::Imap, imap),
        (Proto::Pop3, pop3),
        (Proto::Lmtp, lmtp),
        (Proto::Lmtp, trusting),
        (Proto::Sieve, SIEVE),
        (Proto::Nntp, NNTP),
    ] {
        let told = verdict(proto, VERIFYING, transcript).await;
        assert_eq!(
            told, "backend be.test: TLS required, not offered: not used (set be_tls: no to allow it)",
            "{proto:?}"
        );
    }
}

#[tokio::test]
async fn a_backend_that_refuses_the_tls_that_is_demanded_hears_no_login() {
    let imap = "S: * OK [CAPABILITY STARTTLS AUTH=PLAIN] ready\nC: $ STARTTLS\nS: $ NO not now";
    let pop3 = "S: +OK ready\nC: CAPA\nS: +OK\nS: STLS\nS: .\nC: STLS\nS: -ERR not now";
    let lmtp = "S: 220 ready\nC: LHLO fe.test\nS: 250-be.test\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 not now";
    let nntp = "S: 200 ready\nC: CAPABILITIES\nS: 101\nS: STARTTLS\nS: .\nC: STARTTLS\nS: 580 not now";
    let refusing = [(Proto::Imap, imap), (Proto::Pop3, pop3), (Proto::Lmtp, lmtp), (Proto::Nntp, nntp)];
    for (proto, transcript) in refusing {
        let told = verdict(proto, VERIFYING, transcript).await;
        assert!(told.starts_with("backend be.test: TLS required, refused ("), "{proto:?}: {told}");
        assert!(told.ends_with("not now): not used (set be_tls: no to allow it)"), "{proto:?}: {told}");
    }
}

#[tokio::test]
async fn a_backend_that_greets_with_preauth_is_not_used_where_tls_is_demanded() {
    let transcript = "S: * PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] you are in already";
    let told = verdict(Proto::Imap, VERIFYING, transcript).await;
    assert!(told.contains("PREAUTH") && told.contains("be_tls: no"), "{told}");
    assert_eq!(verdict(Proto::Imap, "", transcript).await, "ok");
}

#[tokio::test]
async fn a_backend_is_used_in_the_clear_where_the_configuration_names_it() {
    let lines = format!("{VERIFYING}be_tls: no\n");
    let transcript =
        "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\nC: $ *\nS: $ OK [CAPABILITY IMAP4rev1] in";
    assert_eq!(verdict(Proto::Imap, &lines, transcript).await, "ok");
}

#[tokio::test]
async fn a_password_is_not_sent_in_the_clear_without_allowplaintext() {
    let told = verdict(Proto::Imap, "", "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready").await;
    assert!(
        told.contains("(PLAIN): the password is not sent without TLS (set allowplaintext: yes"),
        "{told}"
    );
    let told = verdict(Proto::Pop3, "", "S: +OK ready\nC: CAPA\nS: +OK\nS: SASL PLAIN\nS: .").await;
    assert!(told.contains("the password is not sent without TLS"), "{told}");
    // A trusting listener needs no login; MAIL tells where it is not one.
    let lmtp = "S: 220 ready\nC: LHLO fe.test\nS: 250-be.test\nS: 250 AUTH PLAIN";
    assert_eq!(verdict(Proto::Lmtp, "", lmtp).await, "ok");
}

#[tokio::test]
async fn a_name_with_a_port_a_path_or_a_flag_is_used_only_where_the_configuration_has_it() {
    let (port, count) = server("S: 220 ready\nC: LHLO fe.test\nS: 250 be.test").await;
    let strange =
        [format!("127.0.0.1:{port}"), format!("127.0.0.1:{port}/noauth"), "/nowhere/lmtp".to_owned()];
    let upstream = with(port, "lmtp", "");
    for name in &strange {
        let error = upstream.lmtp(name).await.unwrap_err();
        assert!(matches!(error, Error::Strange { .. }), "{error}");
        let pool = Pool::new(upstream.clone());
        assert!(matches!(pool.take(name).await, Err(Error::Strange { .. })));
    }
    assert_eq!(*count.lock().unwrap(), 0);
    let listed = with(port, "lmtp", &format!("serverlist: {}\n", strange[1]));
    listed.lmtp(&strange[1]).await.unwrap();
    assert!(listed.lmtp(&strange[0]).await.is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn nothing_that_one_user_causes_reaches_the_next_over_imap(story in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(imap_story(&story, Policy::AtRest), Ok(()));
    }

    #[test]
    fn nothing_that_one_user_causes_reaches_the_next_over_lmtp(story in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(lmtp_story(&story, Policy::AtRest), Ok(()));
    }
}

proptest! {
    #[test]
    fn an_answer_of_a_news_server_is_the_same_however_it_is_cut(
        decisions in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), any::<u8>()], 0..60)
    ) {
        prop_assert_eq!(nntp_cut(&decisions), Ok(()));
    }
}

/// A rule that looks at the bytes that are there instead of what is owed, as pools often do, must be found out.
#[test]
fn a_pool_that_only_looks_whether_a_connection_is_quiet_is_caught() {
    let found = |story: fn(&[u8], Policy) -> Result<(), String>| {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let strategy = proptest::collection::vec(any::<u8>(), 0..300);
        (0..4000).any(|_| {
            let bytes = strategy.new_tree(&mut runner).unwrap().current();
            story(&bytes, Policy::Quiet).is_err()
        })
    };
    assert!(found(imap_story), "IMAP");
    assert!(found(lmtp_story), "LMTP");
}

/// A server that offers three mechanisms and takes no login, counting connections and attempts.
async fn takes_no_login(answer: &'static str) -> (u16, Arc<Mutex<(u32, u32)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new((0, 0))));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            counted.lock().unwrap().0 += 1;
            let (read, mut write) = socket.into_split();
            let mut lines = BufReader::new(read).lines();
            let offered = "AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 AUTH=PLAIN SASL-IR";
            write
                .write_all(format!("* OK [CAPABILITY IMAP4rev1 {offered}] ready\r\n").as_bytes())
                .await
                .unwrap();
            while let Ok(Some(line)) = lines.next_line().await {
                assert!(line.contains(" AUTHENTICATE "), "{line}");
                counted.lock().unwrap().1 += 1;
                let tag = line.split(' ').next().unwrap();
                write.write_all(format!("{tag} {answer}\r\n").as_bytes()).await.unwrap();
            }
        }
    });
    (port, count)
}

fn way(port: u16, password: &str) -> Imapd {
    let text = format!(
        "configdirectory: /nowhere\nservername: fe.test\nproxy_authname: proxy\nproxy_password: {password}\n\
         allowplaintext: yes\nclient_timeout: 1s\nbe_address: 127.0.0.1\nbe_ports: imap={port}\n"
    );
    Imapd::parse(Path::new("/nowhere/imapd.conf"), &text, "test").unwrap()
}

#[tokio::test]
async fn a_wrong_password_of_the_frontend_is_tried_once_however_many_users_log_in() {
    for answer in ["NO [AUTHENTICATIONFAILED] authentication failure", "NO authentication failure"] {
        let (port, count) = takes_no_login(answer).await;
        let upstream = Upstream::new(&way(port, "wrong"));
        for user in ["fred", "jane", "fred"] {
            let error = upstream.imap("be.test", Some(user)).await.unwrap_err();
            assert!(matches!(error, Error::WrongPassword { .. }), "{error:?}");
            assert!(!error.is_unreachable(), "the network is not to blame");
            let said = error.to_string();
            assert!(said.starts_with("be.test: wrong password for our own login as proxy: "), "{said}");
        }
        assert_eq!(*count.lock().unwrap(), (1, 1), "connections, and attempts by any mechanism");
        upstream.reload(&way(port, "another"));
        upstream.imap("be.test", Some("fred")).await.unwrap_err();
        assert_eq!(*count.lock().unwrap(), (2, 2), "another password is tried at once");
    }
}

#[tokio::test]
async fn what_is_refused_to_one_user_is_not_refused_to_the_next() {
    let (port, count) = takes_no_login("NO [AUTHORIZATIONFAILED] fred is denied").await;
    let upstream = Upstream::new(&way(port, "right"));
    for user in ["fred", "jane"] {
        let error = upstream.imap("be.test", Some(user)).await.unwrap_err();
        assert_eq!(error.denied(), Some("[AUTHORIZATIONFAILED] fred is denied"));
    }
    assert_eq!(*count.lock().unwrap(), (2, 2));
}
