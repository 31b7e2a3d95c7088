//! A daemon's context in this process, with real listeners.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use config::imapd::Imapd;
use service::Connection;
use service::Context;
use service::drive::{Farewell, Next, Outcome, Session, drive};
use service::listen::Socket;
use supervision::listeners::Entry;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use transport::wire::{Bounds, Wire};

use crate::certificates::Authority;

/// Says back each line; `PANIC` is a defect, `QUIT` ends.
struct Echo {
    patience: Duration,
}

impl Session for Echo {
    async fn greet(&mut self, out: &mut BytesMut) -> Next {
        out.extend_from_slice(b"hello\r\n");
        Next::Read
    }

    async fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Next {
        let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return Next::Read };
        let line = input.split_to(end + 1);
        match line.chunk() {
            b"PANIC\r\n" => panic!("as asked"),
            b"QUIT\r\n" => Next::Close,
            line => {
                out.extend_from_slice(line);
                Next::Again
            }
        }
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    fn is_known(&self) -> bool {
        true
    }

    fn farewell(&mut self, why: Farewell, out: &mut BytesMut) {
        out.extend_from_slice(format!("bye {why:?}\r\n").as_bytes());
    }
}

fn context(dir: &Path, conf: &str, entries: Vec<Entry>) -> Context {
    let file = dir.join("imapd.conf");
    fs::write(&file, format!("configdirectory: {}\n{conf}", dir.display())).unwrap();
    let imapd = Imapd::load(&file, "test").unwrap();
    let sockets = entries.into_iter().map(|entry| (entry, Socket::bind("127.0.0.1:0").unwrap())).collect();
    Context::new("echo", imapd, sockets).unwrap()
}

fn entry(name: &str, args: &[&str], maxchild: i64) -> Entry {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Entry { name: name.into(), args, maxchild, ..Entry::default() }
}

fn start(context: &Context, patience: Duration) -> tokio::task::JoinHandle<()> {
    let context = context.clone();
    tokio::spawn(async move {
        let session = move |connection: Connection| async move {
            let stop = connection.context.shutdown();
            let wire = Wire::new(connection.stream, Bounds { input: 4096, ..Bounds::default() });
            let outcome = drive(wire, &mut Echo { patience }, &stop).await;
            assert!(!matches!(outcome, Ok(Outcome::Detached(_))));
        };
        context.serve(session).await;
    })
}

async fn connect(context: &Context, listener: usize) -> BufReader<TcpStream> {
    let address = context.listeners()[listener].local_addr().unwrap();
    BufReader::new(TcpStream::connect(address).await.unwrap())
}

async fn line(client: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    let read = tokio::time::timeout(Duration::from_secs(10), client.read_line(&mut line)).await;
    read.expect("the server keeps silent").unwrap();
    line.trim_end().to_owned()
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn clients_beyond_maxchild_are_refused_in_their_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path(), "", vec![entry("imap", &[], 1), entry("lmtp", &[], 0)]);
    start(&context, LONG);
    let mut first = connect(&context, 0).await;
    assert_eq!(line(&mut first).await, "hello");
    let mut second = connect(&context, 0).await;
    assert_eq!(line(&mut second).await, "* BYE Too many connections, try again later");
    assert_eq!(
        line(&mut connect(&context, 1).await).await,
        "421 4.3.2 Too many connections, try again later"
    );
    first.write_all(b"QUIT\r\n").await.unwrap();
    let mut rest = Vec::new();
    first.read_to_end(&mut rest).await.unwrap();
    // The place is given back when the session's task has ended, right after the connection.
    while context.clients() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(line(&mut connect(&context, 0).await).await, "hello");
}

#[tokio::test]
async fn a_listener_without_its_certificate_costs_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let missing = "tls_server_cert: /nonexistent/cert\ntls_server_key: /nonexistent/key\n";
    let entries = || vec![entry("imaps", &["-s"], -1), entry("imap", &[], -1)];
    let context = context(dir.path(), missing, entries());
    let running = start(&context, Duration::from_secs(20));
    assert_eq!(line(&mut connect(&context, 1).await).await, "hello");
    let mut rest = Vec::new();
    let _ = connect(&context, 0).await.read_to_end(&mut rest).await;
    assert_eq!(rest, b"");
    // A reload finds what has come meanwhile.
    let authority = Authority::new(dir.path());
    let (cert, key) = authority.issue("imaps", "here");
    let found = format!("tls_server_cert: {}\ntls_server_key: {}\n", cert.display(), key.display());
    let text = format!("configdirectory: {}\n{found}", dir.path().display());
    fs::write(dir.path().join("imapd.conf"), text).unwrap();
    context.reload().unwrap();
    let options =
        transport::tls::ClientOptions { server_ca_file: Some(authority.ca()), ..Default::default() };
    let client = transport::tls::ClientTls::new(&options).unwrap();
    let socket = TcpStream::connect(context.listeners()[0].local_addr().unwrap()).await.unwrap();
    let mut stream = transport::stream::Stream::tcp(socket).unwrap();
    stream.connect_tls(&client, "here").await.unwrap();
    let mut hello = [0; 7];
    stream.read_exact(&mut hello).await.unwrap();
    assert_eq!(&hello, b"hello\r\n");
    context.stop();
    running.await.unwrap();
}

#[tokio::test]
async fn a_session_that_panics_ends_alone() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path(), "", vec![entry("imap", &[], -1)]);
    start(&context, LONG);
    let (mut good, mut bad) = (connect(&context, 0).await, connect(&context, 0).await);
    assert_eq!(line(&mut good).await, "hello");
    assert_eq!(line(&mut bad).await, "hello");
    bad.write_all(b"PANIC\r\n").await.unwrap();
    assert_eq!(line(&mut bad).await, "");
    good.write_all(b"one\r\ntwo\r\n").await.unwrap();
    assert_eq!(line(&mut good).await, "one");
    assert_eq!(line(&mut good).await, "two");
}

#[tokio::test]
async fn idle_clients_and_endless_lines_are_sent_away() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path(), "", vec![entry("imap", &[], -1)]);
    start(&context, Duration::from_millis(50));
    let mut idle = connect(&context, 0).await;
    assert_eq!(line(&mut idle).await, "hello");
    assert_eq!(line(&mut idle).await, "bye Idle");
    let mut endless = connect(&context, 0).await;
    assert_eq!(line(&mut endless).await, "hello");
    endless.write_all(&[b'x'; 5000]).await.unwrap();
    assert_eq!(line(&mut endless).await, "bye TooLong");
}

/// Unread bytes at a close reset the connection, and would take the last words with them.
#[tokio::test]
async fn a_client_that_goes_on_sending_still_hears_why_it_is_sent_away() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path(), "", vec![entry("imap", &[], -1)]);
    start(&context, LONG);
    for _ in 0..10 {
        let mut endless = connect(&context, 0).await;
        assert_eq!(line(&mut endless).await, "hello");
        // all of it is on the way before the server has read the first of it
        endless.write_all(&vec![b'x'; 8 * 1024 * 1024]).await.unwrap();
        assert_eq!(line(&mut endless).await, "bye TooLong");
    }
}

#[tokio::test]
async fn shutdown_says_goodbye_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path(), "", vec![entry("imap", &[], -1)]);
    let serving = start(&context, LONG);
    let mut client = connect(&context, 0).await;
    assert_eq!(line(&mut client).await, "hello");
    context.stop();
    assert_eq!(line(&mut client).await, "bye Shutdown");
    tokio::time::timeout(Duration::from_secs(10), serving).await.expect("drained").unwrap();
    assert_eq!(context.clients(), 0);
}

#[tokio::test]
async fn reload_takes_new_settings_and_keeps_the_old_when_they_are_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path());
    let (cert, key) = authority.issue("imap", "imap.example.org");
    let tls = format!("tls_server_cert: {}\ntls_server_key: {}\n", cert.display(), key.display());
    let conf = format!("{tls}imaps_allowplaintext: yes\n");
    let context = context(dir.path(), &conf, vec![entry("imaps", &["-s"], -1), entry("imap", &[], -1)]);
    let (imaps, imap) = (&context.listeners()[0], &context.listeners()[1]);
    assert!(imaps.implicit_tls() && imaps.tls().is_some() && imaps.starttls().is_none());
    assert!(imap.starttls().is_some() && imaps.imapd().allowplaintext && !imap.imapd().allowplaintext);
    let file = dir.path().join("imapd.conf");
    fs::write(&file, format!("configdirectory: {}\nallowplaintext: yes\n", dir.path().display())).unwrap();
    context.reload().unwrap();
    assert!(imap.imapd().allowplaintext && imap.starttls().is_none());
    fs::write(&file, "allowplaintext: perhaps\n").unwrap();
    assert!(context.reload().is_err());
    assert!(imap.imapd().allowplaintext);
}
