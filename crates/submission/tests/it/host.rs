//! `smtp_backend: host`.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use submission::{By, ByMode, Mail, Ret, SendError, Submission};
use test_host::sink::{Behaviour, Sink};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use transport::stream::Stream;
use transport::tls::ServerTls;

use crate::{imapd, mail};

async fn send(sink: &Sink, mail: &Mail) -> Result<(), SendError> {
    let imapd = imapd(&format!("smtp_backend: host\nsmtp_host: {}", sink.host()));
    Submission::default().send(&imapd, mail).await
}

/// A mail with everything that can be said of one.
fn particular() -> Mail {
    let mut mail = mail();
    mail.message = "Subject: x\r\n\r\nü\r\n".to_owned().into();
    mail.to[0].notify = Some("SUCCESS,FAILURE".into());
    mail.ret = Some(Ret::Headers);
    mail.by = Some(By { seconds: 120, mode: ByMode::Return, trace: true });
    mail.user = Some("fr+ed".into());
    mail
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_told_what_it_can_understand() {
    let sink = Sink::start(Behaviour::offering(&["SIZE 1000", "8BITMIME", "DSN", "DELIVERBY", "AUTH PLAIN"]));
    send(&sink, &particular()).await.unwrap();
    let came = sink.next();
    assert_eq!(
        came.commands,
        [
            "MAIL FROM:<ann@example.org> SIZE=18 BODY=8BITMIME RET=HDRS BY=120;RT AUTH=fr+2Bed",
            "RCPT TO:<fred@far.org> NOTIFY=SUCCESS,FAILURE"
        ]
    );
    assert_eq!(came.message, "Subject: x\n\nü\n");
    sink.behave(Behaviour::offering(&[]));
    send(&sink, &particular()).await.unwrap();
    assert_eq!(sink.next().commands, ["MAIL FROM:<ann@example.org>", "RCPT TO:<fred@far.org>"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_esmtp_gets_mail_too() {
    let sink = Sink::start(Behaviour::default().answering("EHLO", "502 5.5.1 no such command"));
    send(&sink, &mail()).await.unwrap();
    assert_eq!(sink.next().commands, ["MAIL FROM:<ann@example.org>", "RCPT TO:<fred@far.org>"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_at_any_step_is_told_and_no_mail_is_sent() {
    for (step, answer) in [
        ("GREETING", "554 no"),
        ("EHLO", "421 no"),
        ("MAIL", "451 no"),
        ("RCPT", "550 no"),
        ("DATA", "554 no"),
        (".", "452 no"),
    ] {
        let sink = Sink::start(Behaviour::default().answering(step, answer));
        let told = send(&sink, &mail()).await.unwrap_err();
        assert!(
            matches!(&told, SendError::Refused { code, text, .. } if format!("{code} {text}") == answer),
            "{told}"
        );
        assert_eq!(sink.rest(), []);
    }
    let sink = Sink::start(Behaviour::default().answering("MAIL", "no reply"));
    assert!(matches!(send(&sink, &mail()).await, Err(SendError::NoReply { doing: "MAIL", .. })));
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let nowhere = imapd(&format!("smtp_backend: host\nsmtp_host: {closed}"));
    let told = Submission::default().send(&nowhere, &mail()).await.unwrap_err();
    assert!(told.to_string().contains("see the option smtp_host"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_cannot_take_is_not_begun() {
    let sink = Sink::start(Behaviour::offering(&["SIZE 10"]));
    assert!(matches!(send(&sink, &mail()).await, Err(SendError::TooLarge { max: 10, .. })));
    let mut wide = mail();
    wide.to[0].address = "jürgen@far.org".into();
    assert!(matches!(send(&Sink::start(Behaviour::default()), &wide).await, Err(SendError::NoUtf8 { .. })));
    let able = Sink::start(Behaviour::offering(&["SMTPUTF8"]));
    send(&able, &wide).await.unwrap();
    assert_eq!(able.next().commands, ["MAIL FROM:<ann@example.org> SMTPUTF8", "RCPT TO:<jürgen@far.org>"]);
    let mut hostile = mail();
    hostile.to[0].address = "a@b>\r\nRCPT TO:<c@d".into();
    assert!(matches!(send(&able, &hostile).await, Err(SendError::Address(_))));
    assert_eq!(able.rest(), []);
}

/// Plays a server: `S:` lines are said, `C:` lines are waited for, `S: <tls>` is a handshake, `<and>` a line end within one write.
async fn play(mut stream: Stream, tls: &ServerTls, transcript: &str) {
    for line in transcript.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_once(": ").unwrap() {
            ("S", "<tls>") => stream.start_tls(tls).await.unwrap(),
            ("S", text) => {
                stream.write_all(format!("{}\r\n", text.replace("<and>", "\r\n")).as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
            ("C", expected) => {
                let mut heard = Vec::new();
                while !heard.ends_with(b"\r\n") {
                    heard.push(stream.read_u8().await.unwrap());
                }
                assert_eq!(String::from_utf8(heard).unwrap().trim_end(), expected);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// What becomes of a mail that goes to a server with this transcript.
async fn played(options: &str, flags: &str, transcript: &'static str) -> Result<(), SendError> {
    let dir = tempfile::tempdir().unwrap();
    let tls = certificate(dir.path());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let stream = Stream::tcp(listener.accept().await.unwrap().0).unwrap();
        play(stream, &tls, transcript).await;
    });
    let ca = dir.path().join("cert.pem");
    let imapd = imapd(&format!(
        "smtp_backend: host\nsmtp_host: localhost:{port}{flags}\ntls_server_ca_file: {}\n{options}",
        ca.display()
    ));
    let sent = Submission::default().send(&imapd, &mail()).await;
    server.await.unwrap();
    sent
}

fn certificate(dir: &Path) -> ServerTls {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
    fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let text = format!("tls_server_cert: {0}/cert.pem\ntls_server_key: {0}/key.pem", dir.display());
    ServerTls::new(&transport::settings::server_tls(&imapd(&text)).unwrap()).unwrap()
}

const LOGIN: &str = "smtp_auth_authname: murder\nsmtp_auth_password: secret";

#[tokio::test(flavor = "multi_thread")]
async fn tls_goes_before_the_login_where_it_is_offered() {
    let transcript = "
        S: 220 mx ESMTP
        C: EHLO be1.example.org
        S: 250-mx
        S: 250 STARTTLS
        C: STARTTLS
        S: 220 go
        S: <tls>
        C: EHLO be1.example.org
        S: 250-mx
        S: 250 AUTH PLAIN
        C: AUTH PLAIN AG11cmRlcgBzZWNyZXQ=
        S: 235 2.7.0 welcome
        C: MAIL FROM:<ann@example.org>
        S: 550 5.7.1 enough";
    let told = played(LOGIN, "", transcript).await.unwrap_err().to_string();
    assert!(told.ends_with("MAIL: 550 5.7.1 enough"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_in_its_name_a_server_is_greeted_under_tls() {
    let transcript = "
        S: <tls>
        S: 220 mx ESMTP
        C: EHLO be1.example.org
        S: 250-mx
        S: 250 AUTH LOGIN
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: bXVyZGVy
        S: 334 UGFzc3dvcmQ6
        C: c2VjcmV0
        S: 535 5.7.8 no";
    let told = played(LOGIN, "/tls", transcript).await.unwrap_err().to_string();
    assert!(told.contains("login: 535 5.7.8 no") && told.contains("smtp_auth_authname"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_to_be_logged_in_to_is_not() {
    let transcript = "
        S: 220 mx ESMTP
        C: EHLO be1.example.org
        S: 250-mx
        S: 250 AUTH PLAIN
        C: MAIL FROM:<ann@example.org>
        S: 421 later";
    let told = played(LOGIN, "/noauth", transcript).await.unwrap_err().to_string();
    assert!(told.ends_with("MAIL: 421 later"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_before_the_handshake_is_not_believed() {
    let transcript = "
        S: 220 mx ESMTP
        C: EHLO be1.example.org
        S: 250-mx
        S: 250 STARTTLS
        C: STARTTLS
        S: 220 go<and>250 AUTH PLAIN";
    assert!(matches!(played(LOGIN, "", transcript).await, Err(SendError::Tls { .. })));
}
