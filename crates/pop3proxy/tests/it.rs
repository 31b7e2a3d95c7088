//! The proxy between a client and a live backend: real sockets, real logins on both sides.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use config::imapd::Imapd;
use identity::auth::{Authenticator, Exchange, Step64};
use mailboxes::store::Memory;
use mailboxes::{Entry, Follow, List, Options};
use protocol::location::Location;
use protocol::name::MailboxName;
use service::Connection;
use service::Context;
use service::drive::{Farewell, Next, Session, drive};
use service::listen::Socket;
use supervision::listeners::Entry as ListenEntry;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use transport::wire::{Bounds, Wire};

const PATIENCE: Duration = Duration::from_secs(20);

/// A backend that says as whom it was logged in. `busy` has its maildrop locked.
struct Backend {
    auth: Authenticator,
    channel: transport::peer::Channel,
    exchange: Option<Exchange>,
}

impl Backend {
    async fn answer(&mut self, mut exchange: Exchange, line: Option<&[u8]>) -> (String, Next) {
        match exchange.step64(line).await {
            Step64::Challenge(challenge) => {
                self.exchange = Some(exchange);
                (format!("+ {challenge}"), Next::Again)
            }
            Step64::Done(login) if login.userid == "busy" => ("-ERR [IN-USE] locked".into(), Next::Again),
            Step64::Done(login) => {
                let folder = login.detail.map(|folder| format!(" in {folder}")).unwrap_or_default();
                (format!("+OK {} for {}{folder}", login.userid, login.authid), Next::Again)
            }
            Step64::Failed(failure) => (format!("-ERR [AUTH] {failure}"), Next::Again),
        }
    }
}

impl Session for Backend {
    async fn greet(&mut self, out: &mut BytesMut) -> Next {
        out.extend_from_slice(b"+OK backend\r\n");
        Next::Read
    }

    async fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Next {
        let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return Next::Read };
        let line = input.split_to(end + 1);
        let line = String::from_utf8(line.trim_ascii_end().to_vec()).unwrap();
        let (reply, next) = match self.exchange.take() {
            Some(exchange) => self.answer(exchange, Some(line.as_bytes())).await,
            None => match line.split(' ').collect::<Vec<_>>()[..] {
                ["CAPA"] => ("+OK\r\nSASL SCRAM-SHA-256 PLAIN\r\n.".into(), Next::Again),
                ["AUTH", mechanism, ref initial @ ..] => {
                    let exchange = self.auth.start(mechanism, &self.channel).unwrap();
                    self.answer(exchange, initial.first().map(|initial| initial.as_bytes())).await
                }
                ["STAT"] => ("+OK 2 320".into(), Next::Again),
                ["QUIT"] => ("+OK bye".into(), Next::Close),
                _ => ("-ERR what".into(), Next::Again),
            },
        };
        out.extend_from_slice(format!("{reply}\r\n").as_bytes());
        next
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn is_known(&self) -> bool {
        true
    }

    fn farewell(&mut self, _: Farewell, _: &mut BytesMut) {}
}

/// INBOXes on `be`, except `lost`, who is on a server that nobody answers for, and `ghost`, who has none.
async fn inboxes(complete: bool) -> List {
    let list = List::with_store(Arc::new(Memory::new()), Options::replica()).unwrap();
    let on = |server: &str| Location::parse(&format!("{server}!default")).unwrap();
    let entries = [
        ("user.fred", Entry::active(on("be"), "")),
        ("user.busy", Entry::active(on("be"), "")),
        ("user.fred.a.b", Entry::active(on("be"), "")),
        ("user.taken", Entry::reserved(on("be"))),
        ("user.lost", Entry::active(on("dead"), "")),
    ];
    let changes = entries.map(|(name, entry)| (MailboxName::parse(name).unwrap(), Some(entry)));
    let follow = Follow { changes: changes.into(), position: None, complete, whole: true };
    list.follow(follow).await.unwrap();
    list
}

fn context(program: &'static str, dir: &Path, conf: &str) -> Context {
    let dir = dir.join(program);
    fs::create_dir_all(&dir).unwrap();
    let file = dir.join("imapd.conf");
    let common = "servername: fe.example.org\nfailedloginpause: 0\npassword_iterations: 10000\nunix_group_enable: no\n";
    fs::write(&file, format!("configdirectory: {}\n{common}{conf}", dir.display())).unwrap();
    let imapd = Imapd::load(&file, program).unwrap();
    let entry = ListenEntry { name: "pop3".into(), maxchild: -1, ..ListenEntry::default() };
    Context::new(program, imapd, vec![(entry, Socket::bind("127.0.0.1:0").unwrap())]).unwrap()
}

struct World {
    proxy: Context,
    backend: Context,
    _dir: tempfile::TempDir,
}

async fn world(complete: bool, more: &str) -> World {
    let dir = tempfile::tempdir().unwrap();
    let backend =
        context("backend", dir.path(), "proxyservers: proxy\nallowplaintext: yes\npopsubfolders: yes\n");
    backend.passwords().set("proxy", "pr0xy").unwrap();
    let serving = backend.clone();
    tokio::spawn(async move {
        let each = |connection: Connection| async move {
            let channel = connection.stream.channel().clone();
            let mut session = Backend { auth: connection.listener.auth(), channel, exchange: None };
            let stop = connection.context.shutdown();
            let _ = drive(Wire::new(connection.stream, Bounds::default()), &mut session, &stop).await;
        };
        serving.serve(each).await;
    });
    let port = backend.listeners()[0].local_addr().unwrap().port();
    let unused = test_host::port();
    let conf = format!(
        "proxy_password: pr0xy\nbe_address: 127.0.0.1\nbe_ports: pop3={port}\n\
         dead_address: 127.0.0.1\ndead_ports: pop3={unused}\nallowplaintext: yes\n{more}"
    );
    let proxy = context("pop3proxy", dir.path(), &conf);
    for user in ["fred", "busy", "ghost", "taken", "lost"] {
        proxy.passwords().set(user, "secret").unwrap();
    }
    let serving = proxy.clone();
    let directory = Arc::new(inboxes(complete).await);
    tokio::spawn(async move { pop3proxy::serve(&serving, directory).await });
    World { proxy, backend, _dir: dir }
}

struct Client(BufReader<TcpStream>);

impl Client {
    async fn of(world: &World) -> Client {
        let address = world.proxy.listeners()[0].local_addr().unwrap();
        let mut client = Client(BufReader::new(TcpStream::connect(address).await.unwrap()));
        assert!(client.line().await.starts_with("+OK fe.example.org "));
        client
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("silence").unwrap();
        line.trim_end().to_owned()
    }

    async fn say(&mut self, line: &str) -> String {
        self.0.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        self.line().await
    }

    async fn log_in(&mut self, user: &str, password: &str) -> String {
        assert!(self.say(&format!("USER {user}")).await.starts_with("+OK"));
        self.say(&format!("PASS {password}")).await
    }
}

#[tokio::test]
async fn a_user_is_connected_through_to_the_backend() {
    let world = world(true, "").await;
    let mut client = Client::of(&world).await;
    assert_eq!(client.log_in("Fred", "secret").await, "+OK fred for proxy");
    assert_eq!(client.say("STAT").await, "+OK 2 320");
    assert_eq!(client.say("UNKNOWN").await, "-ERR what");
    assert_eq!(client.say("QUIT").await, "+OK bye");
    assert_eq!(client.line().await, "");
}

#[tokio::test]
async fn sasl_and_pipelined_commands_pass() {
    let world = world(true, "popsubfolders: yes\n").await;
    let mut client = Client::of(&world).await;
    // "\0fred+a/b\0secret": a folder by popsubfolders; STAT comes in the same packet.
    client.0.write_all(b"AUTH PLAIN AGZyZWQrYS9iAHNlY3JldA==\r\nSTAT\r\n").await.unwrap();
    assert_eq!(client.line().await, "+OK fred for proxy in a/b");
    assert_eq!(client.line().await, "+OK 2 320");
}

#[tokio::test]
async fn capabilities_are_listed_before_login() {
    let world = world(true, "").await;
    let mut client = Client::of(&world).await;
    assert!(client.say("CAPA").await.starts_with("+OK"));
    let mut lines = Vec::new();
    loop {
        match client.line().await {
            end if end == "." => break,
            line => lines.push(line),
        }
    }
    assert_eq!(lines[0], "SASL SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN");
    assert!(lines.contains(&"USER".to_owned()) && !lines.contains(&"STLS".to_owned()), "{lines:?}");
    assert_eq!(client.say("STAT").await, "-ERR Not permitted now");
    assert!(client.say("STLS").await.starts_with("-ERR"));
}

#[tokio::test]
async fn refusals_are_told_and_the_session_goes_on() {
    let world = world(true, "").await;
    let mut client = Client::of(&world).await;
    let unopenable = |why: &str| format!("-ERR [SYS/TEMP] Unable to open maildrop: {why}");
    assert_eq!(client.log_in("fred", "wrong").await, "-ERR [AUTH] Invalid login");
    assert_eq!(client.log_in("nobody", "secret").await, "-ERR [AUTH] Invalid login");
    assert_eq!(client.log_in("ghost", "secret").await, unopenable("Mailbox does not exist"));
    assert_eq!(client.log_in("taken", "secret").await, unopenable("Mailbox is currently reserved"));
    let down = unopenable("Server(s) unavailable to complete operation");
    assert_eq!(client.log_in("lost", "secret").await, down);
    assert_eq!(client.log_in("busy", "secret").await, "-ERR [IN-USE] locked");
    assert_eq!(client.log_in("fred", "secret").await, "+OK fred for proxy");
}

#[tokio::test]
async fn before_the_list_is_complete_nobody_is_said_not_to_exist() {
    let world = world(false, "").await;
    let mut client = Client::of(&world).await;
    let answer = client.log_in("ghost", "secret").await;
    assert_eq!(answer, "-ERR [SYS/TEMP] Unable to open maildrop: The list of mailboxes is not complete yet");
}

#[tokio::test]
async fn a_newcomer_is_connected_to_a_backend_that_opens_the_maildrop() {
    let unopenable = |why: &str| format!("-ERR [SYS/TEMP] Unable to open maildrop: {why}");
    let missing = unopenable("Mailbox does not exist");
    let down = unopenable("Server(s) unavailable to complete operation");
    for (options, expected) in [
        ("serverlist: be\nautocreate_quota: 0\n", "+OK ghost for proxy"),
        ("serverlist: be dead\nautocreate_quota: 0\n", "+OK ghost for proxy"),
        ("serverlist: be\n", &missing),
        ("serverlist: be\nautocreate_quota: 0\nautocreate_users: fred\n", &missing),
        ("autocreate_quota: 0\n", &missing),
        ("serverlist: dead\nautocreate_quota: 0\n", &down),
    ] {
        let world = world(true, &format!("serverlist_select_mode: random\n{options}")).await;
        assert_eq!(Client::of(&world).await.log_in("ghost", "secret").await, expected, "{options}");
    }
    let world = world(false, "serverlist_select_mode: random\nserverlist: be\nautocreate_quota: 0\n").await;
    let answer = Client::of(&world).await.log_in("ghost", "secret").await;
    assert_eq!(answer, unopenable("The list of mailboxes is not complete yet"));
}

#[tokio::test]
async fn passwords_in_the_clear_are_refused_by_default() {
    let world = world(true, "pop3_allowplaintext: no\n").await;
    let mut client = Client::of(&world).await;
    assert_eq!(client.say("USER fred").await, "-ERR [AUTH] USER command only available under a layer");
    assert_eq!(client.say("AUTH PLAIN").await, "-ERR [AUTH] USER command only available under a layer");
}

#[tokio::test]
async fn the_end_of_the_backend_ends_the_client() {
    let world = world(true, "").await;
    let mut client = Client::of(&world).await;
    assert_eq!(client.log_in("fred", "secret").await, "+OK fred for proxy");
    world.backend.stop();
    let mut rest = Vec::new();
    timeout(PATIENCE, client.0.read_to_end(&mut rest)).await.expect("still open").unwrap();
}

#[tokio::test]
async fn a_user_who_is_denied_hears_why_his_session_ends() {
    let world = world(true, "").await;
    let mut client = Client::of(&world).await;
    assert_eq!(client.log_in("fred", "secret").await, "+OK fred for proxy");
    let denial = identity::deny::Denial { services: "pop3".into(), message: "Ask the desk".into() };
    world.proxy.denied().deny("fred", denial).unwrap();
    assert_eq!(client.line().await, "-ERR [SYS/TEMP] Ask the desk");
    let mut rest = Vec::new();
    timeout(PATIENCE, client.0.read_to_end(&mut rest)).await.expect("still open").unwrap();
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn hostile_lines_end_no_more_than_their_session() {
    let world = world(true, "").await;
    let mut client = Client::of(&world).await;
    assert_eq!(client.say("\0\u{1}").await, "-ERR Bad argument");
    client.0.write_all(&[b'('; 20_000]).await.unwrap();
    assert_eq!(client.line().await, "-ERR Command line too long");
    let mut other = Client::of(&world).await;
    assert_eq!(other.log_in("fred", "secret").await, "+OK fred for proxy");
}

#[tokio::test]
async fn stls_and_the_tls_port_protect_the_login() {
    let dir = tempfile::tempdir().unwrap();
    let key = rcgen::generate_simple_self_signed(vec!["fe.example.org".to_owned()]).unwrap();
    let (cert_file, key_file) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    fs::write(&cert_file, key.cert.pem()).unwrap();
    fs::write(&key_file, key.signing_key.serialize_pem()).unwrap();
    let tls = format!("tls_server_cert: {}\ntls_server_key: {}\n", cert_file.display(), key_file.display());
    let world = world(true, &format!("pop3_allowplaintext: no\n{tls}")).await;
    let address = world.proxy.listeners()[0].local_addr().unwrap();
    let trusting = transport::tls::ClientOptions { server_ca_file: Some(cert_file), ..Default::default() };
    let trusting = transport::tls::ClientTls::new(&trusting).unwrap();
    let stream = transport::stream::Stream::tcp(TcpStream::connect(address).await.unwrap()).unwrap();
    let mut wire = Wire::new(stream, Bounds::default());
    // What follows STLS in the clear must not be taken for a command of the protected session.
    assert!(say(&mut wire, "").await.starts_with("+OK fe.example.org"));
    assert_eq!(say(&mut wire, "STLS\r\nUSER mallory\r\n").await, "+OK Begin TLS negotiation now");
    wire.connect_tls(&trusting, "fe.example.org").await.unwrap();
    assert_eq!(say(&mut wire, "PASS secret\r\n").await, "-ERR Must give USER command");
    assert_eq!(say(&mut wire, "STLS\r\n").await, "-ERR TLS is active already");
    assert!(say(&mut wire, "USER fred\r\n").await.starts_with("+OK"));
    assert_eq!(say(&mut wire, "PASS secret\r\n").await, "+OK fred for proxy");
    assert_eq!(say(&mut wire, "STAT\r\n").await, "+OK 2 320");
}

async fn say(wire: &mut Wire, bytes: &str) -> String {
    wire.output().extend_from_slice(bytes.as_bytes());
    wire.flush().await.unwrap();
    loop {
        if let Some(end) = wire.input().iter().position(|byte| *byte == b'\n') {
            let line = wire.input().split_to(end + 1);
            return String::from_utf8(line.trim_ascii_end().to_vec()).unwrap();
        }
        assert!(wire.fill(PATIENCE).await.unwrap() > 0, "closed");
    }
}

#[tokio::test]
async fn a_proxy_with_a_realm_logs_in_by_its_name_alone() {
    let world = world(true, "proxy_realm: nodes.example\n").await;
    let mut client = Client::of(&world).await;
    assert_eq!(client.log_in("fred", "secret").await, "+OK fred for proxy");
}

#[tokio::test]
async fn who_does_not_log_in_within_three_minutes_is_sent_away_however_slowly_it_types() {
    let world = world(true, "").await;
    let mut client = Client::of(&world).await;
    // From here on time goes as fast as nothing happens.
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    let mut pace = tokio::time::interval(Duration::from_secs(10));
    let mut line = String::new();
    loop {
        tokio::select! {
            biased;
            read = client.0.read_line(&mut line) => {
                read.unwrap();
                break;
            }
            _ = pace.tick() => client.0.get_mut().write_all(b"N").await.unwrap(),
        }
    }
    assert_eq!(line, "-ERR Idle for too long\r\n");
    assert!((180..=195).contains(&before.elapsed().as_secs()), "{:?}", before.elapsed());
}
