//! The proxy between a client and live backends: real sockets, the real server on both sides, and backends that keep
//! what they get in memory.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use config::imapd::Imapd;
use lmtp::{Deliver, Door, Envelope, Spool};
use mailboxes::store::Memory;
use mailboxes::{Entry, Follow, List, Options};
use protocol::lmtp::command::{Mail, Rcpt};
use protocol::lmtp::refusal::{Refusal, Verdict};
use protocol::location::Location;
use protocol::name::MailboxName;
use service::Context;
use service::listen::Socket;
use supervision::listeners::Entry as ListenEntry;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// What a backend got: per recipient, the messages.
type Inbox = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// A backend that answers by the recipient's name: `full` is over quota, `gone` and `ghost` are not known, `late` fails at the end.
/// The first one has given `mover` and `packer` away, and heard of the latter only after the message came; `rover` is nowhere.
struct Recorder {
    first: bool,
    inbox: Inbox,
    accepted: Vec<String>,
}

impl Deliver for Recorder {
    type Incoming = Spool;

    async fn recipient(&mut self, _: &Mail, rcpt: Rcpt) -> Result<(), Refusal> {
        let address = rcpt.to.to_string();
        match address.split('@').next().unwrap_or_default() {
            "full" if !rcpt.ignore_quota => Err(Refusal::OverQuota),
            "gone" | "ghost" => Err(Refusal::UnknownUser),
            "mover" if self.first => Err(Refusal::Moving),
            "rover" => Err(Refusal::Moving),
            _ => {
                self.accepted.push(address);
                Ok(())
            }
        }
    }

    async fn begin(&mut self, _: Option<u64>) -> Result<Spool, Refusal> {
        Ok(Spool::new(Path::new("/tmp")))
    }

    async fn deliver(&mut self, envelope: Envelope, spool: Spool) -> Vec<Verdict> {
        let text =
            String::from_utf8_lossy(&spool.finish().await.unwrap().bytes().await.unwrap()).into_owned();
        let mut inbox = self.inbox.lock().unwrap();
        inbox
            .entry(format!("of {}", envelope.mail.from.raw().escape_ascii()))
            .or_default()
            .push(text.clone());
        let deliver = |address: &String| {
            if self.first && address.starts_with("packer") {
                return Verdict::Refused(Refusal::Moving);
            }
            if address.starts_with("late") {
                return Verdict::Refused(Refusal::Relayed { code: 550, lines: vec!["5.7.1 not you".into()] });
            }
            inbox.entry(address.clone()).or_default().push(text.clone());
            Verdict::Delivered
        };
        self.accepted.iter().map(deliver).collect()
    }

    fn reset(&mut self) {
        self.accepted.clear();
    }
}

/// The list of a replica: every INBOX and the backend that has it.
async fn list(inboxes: &[(&str, &str)], complete: bool) -> List {
    let list = List::with_store(Arc::new(Memory::new()), Options::replica()).unwrap();
    let changes = inboxes.iter().map(|(user, server)| {
        let location = Location::parse(&format!("{server}!default")).unwrap();
        (MailboxName::parse(&format!("user.{user}")).unwrap(), Some(Entry::active(location, "")))
    });
    let follow = Follow { changes: changes.collect(), position: None, complete, whole: true };
    list.follow(follow).await.unwrap();
    list
}

/// Two backends and a proxy before them. `be3` is a server that accepts connections and says nothing; nothing listens
/// at `be4`; `be5` is an older server, which takes all but does not offer SMTPUTF8.
struct World {
    address: SocketAddr,
    inboxes: [Inbox; 2],
    /// What `be5` was told.
    told: Arc<Mutex<Vec<String>>>,
    contexts: Vec<Context>,
    list: List,
    _silent: TcpListener,
    _dir: tempfile::TempDir,
}

async fn world(complete: bool, more: &str) -> World {
    let dir = tempfile::tempdir().unwrap();
    let inboxes = [Inbox::default(), Inbox::default()];
    let mut contexts = Vec::new();
    let mut ports = Vec::new();
    for (n, inbox) in inboxes.iter().enumerate() {
        let (context, address) = context("backend", dir.path(), &format!("be{n}"), "");
        let (serving, inbox) = (context.clone(), inbox.clone());
        tokio::spawn(async move {
            let each = move |connection: service::serve::Connection| {
                let deliver = Recorder { first: n == 0, inbox: inbox.clone(), accepted: Vec::new() };
                let (door, stop) = (Door::of(&connection), connection.context.shutdown());
                lmtp::serve(connection.stream, door, deliver, stop)
            };
            serving.serve(each).await;
        });
        contexts.push(context);
        ports.push(address.port());
    }
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = test_host::port();
    let older = TcpListener::bind("127.0.0.1:0").await.unwrap();
    ports.extend([silent.local_addr().unwrap().port(), dead, older.local_addr().unwrap().port()]);
    let told = Arc::<Mutex<Vec<String>>>::default();
    tokio::spawn(older_server(older, told.clone()));
    let mut text: String = (1..)
        .zip(&ports)
        .map(|(n, port)| format!("be{n}_address: 127.0.0.1\nbe{n}_ports: lmtp={port}\n"))
        .collect();
    text.push_str("client_timeout: 1s\nlmtptxn_timeout: 20s\n");
    text.push_str(more);
    let (context, address) = context("lmtpproxy", dir.path(), "fe", &text);
    let users = [
        ("fred", "be1"),
        ("full", "be1"),
        ("gone", "be1"),
        ("jane", "be2"),
        ("late", "be2"),
        ("mover", "be1"),
        ("packer", "be1"),
        ("rover", "be1"),
        ("mute", "be3"),
        ("dead", "be4"),
        ("olga", "be5"),
        ("otto", "be5"),
    ];
    let list = list(&users, complete).await;
    let directory = Arc::new(list.clone());
    let serving = context.clone();
    tokio::spawn(async move { lmtpproxy::serve(&serving, directory).await });
    contexts.push(context);
    World { address, inboxes, told, contexts, list, _silent: silent, _dir: dir }
}

async fn older_server(listener: TcpListener, told: Arc<Mutex<Vec<String>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (mut stream, mut recipients, mut message) = (BufReader::new(stream), 0, false);
        let mut say = "220 be5 LMTP ready\r\n".to_owned();
        loop {
            stream.get_mut().write_all(say.as_bytes()).await.unwrap();
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                break;
            }
            let line = line.trim_end().to_owned();
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_owned();
            told.lock().unwrap().push(line.clone());
            say = match (verb.as_str(), message) {
                (".", true) => {
                    message = false;
                    "250 2.1.5 ok\r\n".repeat(std::mem::take(&mut recipients))
                }
                (_, true) => String::new(),
                ("LHLO", _) => {
                    "250-be5\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 PIPELINING\r\n".to_owned()
                }
                ("DATA", _) => {
                    message = true;
                    "354 go ahead\r\n".to_owned()
                }
                ("RCPT", _) => {
                    recipients += 1;
                    "250 2.1.5 ok\r\n".to_owned()
                }
                _ => "250 2.0.0 ok\r\n".to_owned(),
            };
        }
    }
}

fn context(program: &'static str, dir: &Path, name: &str, more: &str) -> (Context, SocketAddr) {
    let home = dir.join(name);
    let text = format!("configdirectory: {}\nservername: {name}\ntemp_path: /tmp\n{more}", home.display());
    let imapd = Imapd::parse(&home.join("imapd.conf"), &text, program).unwrap();
    let entry = ListenEntry {
        name: "lmtp".into(),
        program: "lmtpd".into(),
        args: vec!["-a".into()],
        maxchild: -1,
        ..ListenEntry::default()
    };
    let context = Context::new(program, imapd, vec![(entry, Socket::bind("127.0.0.1:0").unwrap())]).unwrap();
    let address = context.listeners().iter().find_map(|listener| listener.local_addr()).unwrap();
    (context, address)
}

impl Drop for World {
    fn drop(&mut self) {
        self.contexts.iter().for_each(Context::stop);
    }
}

impl World {
    fn received(&self, backend: usize, address: &str) -> Vec<String> {
        self.inboxes[backend - 1].lock().unwrap().get(address).cloned().unwrap_or_default()
    }

    async fn client(&self) -> Client {
        let mut client = Client(BufReader::new(TcpStream::connect(self.address).await.unwrap()));
        client.talk("S: 220 fe Murder LMTP * server ready\nC: LHLO mx.example.com\nS: 250-fe\nS: 250-8BITMIME\nS: 250-SMTPUTF8\nS: 250-ENHANCEDSTATUSCODES\nS: 250-PIPELINING\nS: 250-SIZE *\nS: 250-AUTH *\nS: 250-IGNOREQUOTA\nS: 250 Ok SESSIONID=<*>").await;
        client
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    /// Runs a transcript: `C:` lines are sent, `S:` lines must come, a `*` standing for anything.
    async fn talk(&mut self, transcript: &str) {
        for line in transcript.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match line.split_at(2) {
                ("C:", text) => {
                    self.send(format!("{}\r\n", text.strip_prefix(' ').unwrap_or(text)).as_bytes()).await
                }
                ("S:", text) => {
                    let got = self.line().await;
                    assert!(matches(text.trim(), &got), "wanted {text:?}, got {got:?}");
                }
                _ => panic!("{line}"),
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("an answer in time").unwrap();
        line.trim_end().to_owned()
    }

    async fn ends(&mut self) {
        let mut rest = Vec::new();
        timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.expect("an end in time").unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(head) else { return false };
    (0..=rest.len()).filter_map(|at| rest.get(at..)).any(|rest| matches(tail, rest))
}

#[tokio::test]
async fn one_message_reaches_recipients_on_two_backends_with_a_reply_for_each() {
    let world = world(true, "").await;
    let mut client = world.client().await;
    client
        .talk(
            "C: MAIL FROM:<ann@example.com>
             S: 250 2.1.0 ok
             C: RCPT TO:<Fred+Lists/x@example.com>
             S: 250 2.1.5 ok
             C: RCPT TO:<jane@example.com>
             S: 250 2.1.5 ok
             C: RCPT TO:<nobody@example.com>
             S: 550-*
             S: 550 5.1.1 User unknown
             C: RCPT TO:<full@example.com>
             S: 250 2.1.5 ok
             C: RCPT TO:<gone@example.com>
             S: 250 2.1.5 ok
             C: RCPT TO:<late@example.com>
             S: 250 2.1.5 ok
             C: DATA
             S: 354 go ahead
             C: Return-Path: <forged@example.com>
             C: Subject: hello
             C:
             C: ..a line with a dot
             C: .
             S: 250 2.1.5 Success SESSIONID=<*>
             S: 250 2.1.5 Success SESSIONID=<*>
             S: 452 4.2.2 Over quota SESSIONID=<*>
             S: 451 4.3.0 Retry operation
             S: 550 5.7.1 not you
             C: QUIT
             S: 221 2.0.0 bye",
        )
        .await;
    client.ends().await;
    let fred = world.received(1, "Fred+Lists/x@example.com");
    assert_eq!(fred.len(), 1);
    assert_eq!(fred[0].matches("Return-Path: <ann@example.com>\r\n").count(), 1);
    assert_eq!(fred[0].matches("\r\nReceived: from ").count(), 2);
    assert!(
        fred[0].contains("\r\nReceived: from mx.example.com ([127.0.0.1])\r\n\t by fe (Murder "),
        "{}",
        fred[0]
    );
    assert!(!fred[0].contains("forged"));
    assert!(fred[0].ends_with("\r\n\r\n.a line with a dot\r\n"));
    assert!(fred[0].contains("\r\nMessage-ID: <") && fred[0].contains("\r\nDate: "));
    assert_eq!(world.received(2, "jane@example.com").len(), 1);
    assert!(world.received(2, "late@example.com").is_empty());
}

#[tokio::test]
async fn mail_follows_a_mailbox_that_moves_while_the_message_comes() {
    let world = world(true, "").await;
    let mut client = world.client().await;
    client
        .talk(
            "C: MAIL FROM:<ann@example.com>
             S: 250 2.1.0 ok
             C: RCPT TO:<mover>
             S: 250 2.1.5 ok
             C: RCPT TO:<packer>
             S: 250 2.1.5 ok
             C: RCPT TO:<rover>
             S: 250 2.1.5 ok
             C: RCPT TO:<fred>
             S: 250 2.1.5 ok",
        )
        .await;
    let moved = ["mover", "packer", "rover"].map(|user| {
        let to = Location::parse("be2!default").unwrap();
        (MailboxName::parse(&format!("user.{user}")).unwrap(), Some(Entry::active(to, "")))
    });
    let follow = Follow { changes: moved.into(), position: None, complete: true, whole: false };
    world.list.follow(follow).await.unwrap();
    client
        .talk(
            "C: DATA
             S: 354 go ahead
             C: Subject: where are you
             C:
             C: x
             C: .
             S: 250 2.1.5 Success SESSIONID=<*>
             S: 250 2.1.5 Success SESSIONID=<*>
             S: 451 4.2.1 Mailbox has been moved to another server
             S: 250 2.1.5 Success SESSIONID=<*>
             C: QUIT
             S: 221 2.0.0 bye",
        )
        .await;
    client.ends().await;
    for (backend, user, copies) in
        [(1, "mover", 0), (2, "mover", 1), (1, "packer", 0), (2, "packer", 1), (1, "fred", 1)]
    {
        assert_eq!(world.received(backend, user).len(), copies, "{user} at be{backend}");
    }
}

#[tokio::test]
async fn a_backend_that_is_down_or_mute_costs_only_its_own_recipients() {
    let world = world(true, "").await;
    let mut client = world.client().await;
    for _ in 0..2 {
        client
            .talk(
                "C: MAIL FROM:<>
                 S: 250 2.1.0 ok
                 C: RCPT TO:<mute>
                 S: 250 2.1.5 ok
                 C: RCPT TO:<jane>
                 S: 250 2.1.5 ok
                 C: RCPT TO:<dead>
                 S: 250 2.1.5 ok
                 C: DATA
                 S: 354 go ahead
                 C: Subject: x
                 C:
                 C: .
                 S: 451 4.4.3 Server(s) unavailable to complete operation
                 S: 250 2.1.5 Success SESSIONID=<*>
                 S: 451 4.4.3 Server(s) unavailable to complete operation",
            )
            .await;
    }
    assert_eq!(world.received(2, "jane").len(), 2);
}

#[tokio::test]
async fn a_list_that_is_not_current_refuses_nobody_for_good() {
    let world = world(false, "").await;
    let mut client = world.client().await;
    client
        .talk(
            "C: MAIL FROM:<a@b>
             S: 250 2.1.0 ok
             C: RCPT TO:<nobody>
             S: 451 4.4.3 Server(s) unavailable to complete operation
             C: RCPT TO:<fred>
             S: 250 2.1.5 ok",
        )
        .await;
}

/// The reply to RCPT, where newcomers are sent to these servers.
async fn newcomer(user: &str, options: &str) -> String {
    let world = world(true, &format!("serverlist_select_mode: random\n{options}")).await;
    let mut client = world.client().await;
    client.talk("C: MAIL FROM:<a@b>\nS: 250 2.1.0 ok").await;
    client.send(format!("RCPT TO:<{user}>\r\n").as_bytes()).await;
    loop {
        let line = client.line().await;
        if line.as_bytes().get(3) == Some(&b' ') {
            return line;
        }
    }
}

#[tokio::test]
async fn a_newcomer_is_unknown_only_when_the_backends_that_could_take_him_say_so() {
    const MAKES: &str = "autocreate_quota: 0\nautocreate_post: yes\n";
    let (unknown, later) =
        ("550 5.1.1 User unknown", "451 4.4.3 Server(s) unavailable to complete operation");
    for (user, options, expected) in [
        // Not made here: nobody is asked.
        ("nobody", "serverlist: be1 be2\nautocreate_quota: 0\n", unknown),
        ("nobody", "serverlist: be1 be2\nautocreate_post: yes\n", unknown),
        ("nobody", &format!("serverlist: be1 be2\n{MAKES}autocreate_users: jane\n"), unknown),
        // Both were asked, and neither makes it.
        ("ghost", &format!("serverlist: be1 be2\n{MAKES}"), unknown),
        // A backend took the recipient, and the list has not heard of the INBOX.
        ("nobody", &format!("serverlist: be1 be2\n{MAKES}"), later),
        // Nobody answers there; there is a word missing; no backend is named at all.
        ("ghost", &format!("serverlist: be4\n{MAKES}"), later),
        ("ghost", &format!("serverlist: be1 be3\n{MAKES}"), later),
        ("ghost", MAKES, unknown),
    ] {
        assert_eq!(newcomer(user, options).await, expected, "{user}, {options}");
    }
}

#[tokio::test]
async fn before_the_list_is_complete_no_backend_is_asked_to_make_an_inbox() {
    let options =
        "serverlist: be5\nserverlist_select_mode: random\nautocreate_quota: 0\nautocreate_post: yes\n";
    let world = world(false, options).await;
    let mut client = world.client().await;
    client
        .talk(
            "C: MAIL FROM:<a@b>
             S: 250 2.1.0 ok
             C: RCPT TO:<nobody>
             S: 451 4.4.3 Server(s) unavailable to complete operation",
        )
        .await;
    assert_eq!(world.told.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_catchall_gets_what_newcomers_do_not() {
    let makes =
        "serverlist: be1 be2\nautocreate_quota: 0\nautocreate_post: yes\nlmtp_catchall_mailbox: jane\n";
    assert_eq!(newcomer("ghost", makes).await, "250 2.1.5 ok");
    assert!(newcomer("nobody", makes).await.starts_with("451"), "who is being made is nobody else's mail");
}

#[tokio::test]
async fn recipients_may_ask_to_ignore_their_quota() {
    let world = world(true, "").await;
    let mut client = world.client().await;
    client
        .talk(
            "C: MAIL FROM:<a@b>
             S: 250 2.1.0 ok
             C: RCPT TO:<full> IGNOREQUOTA
             S: 250 2.1.5 ok
             C: DATA
             S: 354 go ahead
             C: A: b
             C:
             C: .
             S: 250 2.1.5 Success SESSIONID=<*>",
        )
        .await;
}

#[tokio::test]
async fn hostile_input_gets_its_reply_and_the_session_goes_on() {
    let world = world(true, "maxmessagesize: 100000\n").await;
    let mut client = world.client().await;
    client
        .talk("C: EHLO x\nS: 500 5.5.2 Syntax error\nC: RCPT TO:<fred>\nS: 503 5.5.1 Need MAIL command")
        .await;
    client.send(&[&[b'x'; 20_000][..], b"\r\n"].concat()).await;
    client.talk("S: 500 5.5.6 Line too long").await;
    client.send(b"NO\0OP\r\n").await;
    client.talk("S: 500 5.5.2 Syntax error").await;
    client.send(b"\xff\xfe\r\n").await;
    client.talk("S: 500 5.5.2 Syntax error").await;
    client.talk("C: MAIL FROM:<a@b> SIZE=100001\nS: 552 5.2.3 Message SIZE exceeds fixed maximum message size (100000)").await;
    let envelope = "C: MAIL FROM:<a@b>
        S: 250 2.1.0 ok
        C: RCPT TO:<fred>
        S: 250 2.1.5 ok
        C: RCPT TO:<jane>
        S: 250 2.1.5 ok
        C: DATA
        S: 354 go ahead";
    let bad: [(&[u8], &str); 3] = [
        (b"A: b\r\n\r\nx\0y\r\n.\r\n", "554 5.6.0 Message contains NUL characters"),
        (b"no header\r\n\r\n.\r\n", "554 5.6.0 Message contains invalid header"),
        (
            &[b"A: b\r\n\r\n", &[b'x'; 200_000][..], b"\r\n.\r\n"].concat(),
            "552 5.2.3 Message SIZE exceeds fixed maximum message size (100000)",
        ),
    ];
    for (message, reply) in bad {
        client.talk(envelope).await;
        client.send(message).await;
        client.talk(&format!("S: {reply}\nS: {reply}")).await;
    }
    client.talk("C: NOOP\nS: 250 2.0.0 ok").await;
    assert!(world.received(1, "fred").is_empty());
}

#[tokio::test]
async fn a_line_without_end_closes_the_session() {
    let world = world(true, "").await;
    let mut client = world.client().await;
    let mut refused = false;
    for _ in 0..400 {
        refused |= client.0.get_mut().write_all(&[b'x'; 8192]).await.is_err();
    }
    let mut rest = String::new();
    let read = timeout(PATIENCE, client.0.read_to_string(&mut rest)).await.expect("an end in time");
    // The server closes while bytes are still coming: a reset may overtake its words.
    assert!(refused || read.is_err() || rest.ends_with("421 4.7.0 Too many errors\r\n"), "{rest}");
}

#[tokio::test]
async fn a_pipelined_transaction_and_a_large_message_pass() {
    let world = world(true, "").await;
    let mut client = world.client().await;
    let body = "0123456789abcdef\r\n".repeat(100_000);
    client.send(b"RSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<fred>\r\nRCPT TO:<jane>\r\nDATA\r\n").await;
    client.talk("S: 250 2.0.0 Ok SESSIONID=<*>\nS: 250 2.1.0 ok\nS: 250 2.1.5 ok\nS: 250 2.1.5 ok\nS: 354 go ahead").await;
    client.send(format!("Subject: large\r\n\r\n{body}.\r\nNOOP\r\n").as_bytes()).await;
    client
        .talk("S: 250 2.1.5 Success SESSIONID=<*>\nS: 250 2.1.5 Success SESSIONID=<*>\nS: 250 2.0.0 ok")
        .await;
    assert!(world.received(1, "fred")[0].ends_with(&format!("\r\n\r\n{body}")));
    assert!(world.received(2, "jane")[0].ends_with(&format!("\r\n\r\n{body}")));
}

#[tokio::test]
async fn a_session_is_told_when_the_server_ends() {
    let world = world(true, "").await;
    let mut client = world.client().await;
    world.contexts.iter().for_each(Context::stop);
    client.talk("S: 421 4.3.2 Server is shutting down").await;
    client.ends().await;
}

#[tokio::test]
async fn an_address_goes_on_byte_for_byte() {
    let world = world(true, "").await;
    let mut client = world.client().await;
    client.send(b"MAIL FROM:<J\xF6rg@example.com>\r\n").await;
    client.talk("S: 250 *\nC: RCPT TO:<fred@example.com>\nS: 250 *").await;
    client.talk("C: DATA\nS: 354 *\nC: Subject: x\nC:\nC: .\nS: 250 *").await;
    assert_eq!(world.received(1, "of J\\xf6rg@example.com").len(), 1);
}

#[tokio::test]
async fn a_header_without_body_and_bare_line_feeds_are_delivered() {
    let world = world(true, "").await;
    let mut client = world.client().await;
    let envelope = "C: MAIL FROM:<a@b>
        S: 250 2.1.0 ok
        C: RCPT TO:<fred>
        S: 250 2.1.5 ok
        C: DATA
        S: 354 go ahead";
    for message in [&b"Subject: nothing to add\r\n.\r\n"[..], b"A: b\r\n\r\nx\n.\nQUIT\n.\r\n\r\n.\r\n"] {
        client.talk(envelope).await;
        client.send(message).await;
        client.talk("S: 250 2.1.5 Success SESSIONID=<*>").await;
    }
    client.talk("C: NOOP\nS: 250 2.0.0 ok").await;
    let got = world.received(1, "fred");
    assert!(got[0].contains("\r\nSubject: nothing to add\r\n") && got[0].ends_with("\r\n\r\n"), "{}", got[0]);
    assert!(got[1].ends_with("\r\n\r\nx\r\n.\r\nQUIT\r\n.\r\n\r\n"), "{}", got[1]);
}

#[tokio::test]
async fn mail_beyond_ascii_is_refused_only_for_those_whose_server_cannot_take_it() {
    let world = world(true, "").await;
    let mut client = world.client().await;
    // The header needs it.
    client
        .talk(
            "C: MAIL FROM:<ann@example.com> BODY=8BITMIME SMTPUTF8
             S: 250 2.1.0 ok
             C: RCPT TO:<olga>
             S: 250 2.1.5 ok
             C: RCPT TO:<fred+Entwürfe>
             S: 250 2.1.5 ok
             C: DATA
             S: 354 go ahead
             C: Subject: Grüße
             C: .
             S: 550 5.6.7 The recipient's server takes no addresses or header fields beyond ASCII (SMTPUTF8)
             S: 250 2.1.5 Success SESSIONID=<*>",
        )
        .await;
    let got = world.received(1, "fred+Entwürfe");
    assert!(got[0].contains("\r\nSubject: Grüße\r\n") && got[0].contains("with UTF8LMTP;"), "{}", got[0]);
    // One recipient's address needs it: the other's mail goes, without the word that the server does not know.
    client
        .talk(
            "C: MAIL FROM:<ann@example.com> SMTPUTF8
             S: 250 2.1.0 ok
             C: RCPT TO:<olga+Entwürfe>
             S: 250 2.1.5 ok
             C: RCPT TO:<otto>
             S: 250 2.1.5 ok
             C: DATA
             S: 354 go ahead
             C: Subject: plain
             C:
             C: ü
             C: .
             S: 550 5.6.7 *
             S: 250 2.1.5 Success SESSIONID=<*>",
        )
        .await;
    let told = world.told.lock().unwrap().clone();
    let verb = |verb: &str| told.iter().filter(|line| line.starts_with(verb)).cloned().collect::<Vec<_>>();
    assert_eq!(verb("MAIL "), ["MAIL FROM:<ann@example.com>"]);
    assert_eq!(verb("RCPT "), ["RCPT TO:<otto>"]);
}
