//! A backend that stands alone, and clients that speak to it in transcripts.
//!
//! A transcript is lines of `C:` (sent) and `S:` (expected). In an expected line `…` stands for any text; a line `S: …`
//! alone for any lines up to the one that matches next. A sent line may end in `{n}` or hold anything else: what it
//! announces comes in the next lines as they stand.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backend::daemon::{Task, run_trapped};
use config::imapd::Imapd;
use identity::passwords::PasswordDb;
use service::Context;
use service::listen::Socket;
use supervision::listeners::Entry;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::master::eventually;

/// A running backend. Stops when dropped.
pub struct Node {
    pub dir: tempfile::TempDir,
    pub context: Context,
    running: Option<JoinHandle<Result<(), String>>>,
    watch: Watch,
    pub trap: Trap,
}

/// Ends the daemon where a move writes down how far it is: the so-manieth time, before or after (true).
#[derive(Clone, Default)]
pub struct Trap(Arc<Mutex<Option<(usize, bool)>>>);

impl Trap {
    pub fn set(&self, at: usize, after: bool) {
        *self.0.lock().unwrap() = Some((at, after));
    }

    /// Whether it went off; it is not set any more.
    pub fn went_off(&self) -> bool {
        self.0.lock().unwrap().take().is_none()
    }

    fn step(&self, after: bool) -> bool {
        let mut set = self.0.lock().unwrap();
        match &mut *set {
            Some((0, at)) if *at == after => {
                *set = None;
                true
            }
            Some((left, at)) if *at == after => {
                *left -= 1;
                false
            }
            _ => false,
        }
    }
}

/// What is put round the task of each connection.
type Watch = Arc<dyn Fn(Task) -> Task + Send + Sync>;

impl Node {
    pub async fn start() -> Node {
        Node::with("").await
    }

    /// With further lines of imapd.conf.
    pub async fn with(lines: &str) -> Node {
        Node::watched(lines, Arc::new(|task| task)).await
    }

    /// Without mailboxes, and with lines of imapd.conf that may stand in the place of others.
    pub async fn bare(lines: &str) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let passwords = PasswordDb::new(dir.path().join("passwords"));
        for user in ["fred", "wilma", "cyrus", "proxy"] {
            passwords.set(user, "secret").unwrap();
        }
        let (context, watch): (_, Watch) = (Node::context(dir.path(), lines), Arc::new(|task| task));
        let trap = Trap::default();
        let running = Some(Node::run(&context, &watch, &trap));
        Node { dir, context, running, watch, trap }
    }

    /// With something round the task of each connection.
    pub async fn watched(lines: &str, watch: Watch) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let passwords = PasswordDb::new(dir.path().join("passwords"));
        for user in ["fred", "wilma", "cyrus", "proxy"] {
            passwords.set(user, "secret").unwrap();
        }
        let context = Node::context(dir.path(), lines);
        let trap = Trap::default();
        let running = Some(Node::run(&context, &watch, &trap));
        let node = Node { dir, context, running, watch, trap };
        let mut admin = node.login("cyrus").await;
        admin.talk("C: a CREATE user/fred\nS: a OK …\nC: a CREATE user/wilma\nS: a OK …").await;
        node
    }

    /// Ends the daemon and starts it again on the same directory.
    pub async fn restart(&mut self, lines: &str) {
        self.restart_after(lines, async |_| {}).await;
    }

    /// Ends the daemon, does something to its directory, and starts it again.
    pub async fn restart_after(&mut self, lines: &str, work: impl AsyncFnOnce(&Path)) {
        self.context.stop();
        if let Some(running) = self.running.take() {
            running.await.unwrap().unwrap();
        }
        let empty = tempfile::tempdir().unwrap();
        self.context = Node::context(empty.path(), "");
        work(self.dir.path()).await;
        // Its directory is free when the last task that has a handle on it is gone: a move may end after its daemon.
        self.context = eventually(async || match Node::try_context(self.dir.path(), lines) {
            Ok(context) => Some(context),
            Err(error) if error.contains("another instance is running") => None,
            Err(error) => panic!("{error}"),
        })
        .await;
        self.running = Some(Node::run(&self.context, &self.watch, &self.trap));
    }

    /// Writes other lines into imapd.conf, and rereads it as SIGHUP does.
    pub async fn reload(&self, lines: &str) {
        let mut reloads = self.context.reloads();
        Node::configure(self.dir.path(), lines);
        self.context.reload().unwrap();
        reloads.changed().await.unwrap();
    }

    fn configure(dir: &Path, lines: &str) {
        let base = dir.display();
        let own = format!(
            "configdirectory: {base}\nservername: be1\npartition-default: {base}/spool\npartition-big: {base}/big\n\
             defaultpartition: default\nadmins: cyrus\nproxyservers: proxy\npassword_db: {base}/passwords\n\
             allowplaintext: yes\nsasl_pwcheck_method: auxprop\nfailedloginpause: 0\npassword_iterations: 10000\nunix_group_enable: no\n"
        );
        let key = |line: &str| line.split_once(':').map(|(key, _)| key.to_owned());
        let others: Vec<_> = lines.lines().filter_map(key).collect();
        let own = own.lines().filter(|line| !key(line).is_some_and(|key| others.contains(&key)));
        let text: String = own.chain(lines.lines()).map(|line| format!("{line}\n")).collect();
        std::fs::write(dir.join("imapd.conf"), &text).unwrap();
    }

    fn context(dir: &Path, lines: &str) -> Context {
        Node::try_context(dir, lines).unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_context(dir: &Path, lines: &str) -> Result<Context, String> {
        Node::configure(dir, lines);
        let conf = dir.join("imapd.conf");
        let imapd = Imapd::load(&conf, "backend").unwrap_or_else(|problems| panic!("{problems}"));
        let entry = |name: &str, program: &str, args: &[&str]| Entry {
            name: name.into(),
            program: program.into(),
            args: args.iter().map(|arg| arg.to_string()).collect(),
            maxchild: -1,
            ..Entry::default()
        };
        let sockets = [
            entry("imap", "imapd", &[]),
            entry("noquota", "imapd", &["-q"]),
            entry("lmtp", "lmtpd", &["-a"]),
            entry("pop3", "pop3d", &[]),
            entry("sieve", "timsieved", &[]),
            entry("nntp", "nntpd", &[]),
            entry("nntpr", "nntpd", &["-r"]),
            entry("nntpf", "nntpd", &["-f"]),
        ]
        .into_iter()
        .map(|entry| (entry, Socket::bind("127.0.0.1:0").unwrap()))
        .collect();
        Context::new("backend", imapd, sockets).map_err(|error| error.to_string())
    }

    fn run(context: &Context, watch: &Watch, trap: &Trap) -> JoinHandle<Result<(), String>> {
        let (context, watch, trap) = (context.clone(), watch.clone(), trap.clone());
        let trap = Arc::new(move |after| trap.step(after));
        let daemon = run_trapped(context, move |task| watch(task), Some(trap));
        tokio::spawn(async move { daemon.await.map_err(|exit| exit.message) })
    }

    pub fn address(&self, name: &str) -> std::net::SocketAddr {
        let listeners = self.context.listeners();
        let listener = listeners.iter().find(|listener| listener.name == name).unwrap();
        listener.local_addr().unwrap()
    }

    /// A client of the listener with this name, before its greeting.
    pub async fn client(&self, listener: &str) -> Client {
        let socket = TcpStream::connect(self.address(listener)).await.unwrap();
        Client { socket: BufReader::new(socket) }
    }

    /// A client past the greeting.
    pub async fn connect(&self) -> Client {
        let socket = TcpStream::connect(self.address("imap")).await.unwrap();
        let mut client = Client { socket: BufReader::new(socket) };
        client.expect("* OK [CAPABILITY IMAP4rev1 …] be1 … server ready").await;
        client
    }

    pub async fn login(&self, user: &str) -> Client {
        let mut client = self.connect().await;
        client.talk(&format!("C: l LOGIN {user} secret\nS: l OK [CAPABILITY …] User logged in…")).await;
        client
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.context.stop();
    }
}

/// A client's connection.
pub struct Client {
    socket: BufReader<TcpStream>,
}

impl Client {
    /// Plays a transcript. Tells what came where it does not match.
    pub async fn talk(&mut self, transcript: &str) {
        let mut skipping = false;
        for line in transcript.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
            let sent = line.strip_prefix("C:").map(|text| text.strip_prefix(' ').unwrap_or(text));
            if let Some(text) = sent {
                self.send(format!("{text}\r\n").as_bytes()).await;
            } else if line == "S: …" {
                skipping = true;
            } else if let Some(pattern) = line.strip_prefix("S:") {
                let pattern = pattern.strip_prefix(' ').unwrap_or(pattern);
                let mut seen = Vec::new();
                loop {
                    let got = self.line().await;
                    if matches(pattern, &got) {
                        break;
                    }
                    seen.push(got);
                    assert!(skipping && seen.len() < 1000, "expected {pattern:?}, got {seen:#?}");
                }
                skipping = false;
            } else {
                panic!("neither C: nor S: {line:?}");
            }
        }
    }

    pub async fn expect(&mut self, pattern: &str) {
        let got = self.line().await;
        assert!(matches(pattern, &got), "expected {pattern:?}, got {got:?}");
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) {
        timeout(PATIENCE, self.socket.get_mut().write_all(bytes)).await.expect("server takes it").unwrap();
    }

    /// The next line without its end; `<end>` at the end of the connection.
    pub async fn line(&mut self) -> String {
        let mut line = Vec::new();
        let read = timeout(PATIENCE, self.socket.read_until(b'\n', &mut line)).await.expect("server answers");
        match read {
            Ok(0) | Err(_) => "<end>".to_owned(),
            Ok(_) => String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned(),
        }
    }

    /// The next bytes, as they are.
    pub async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let read = timeout(PATIENCE, self.socket.read_exact(&mut bytes)).await.expect("server answers");
        read.unwrap();
        bytes
    }

    /// Reads on to the line that begins so, however many come before it.
    pub async fn until(&mut self, beginning: &str) -> String {
        loop {
            let line = self.line().await;
            if line.starts_with(beginning) || line == "<end>" {
                return line;
            }
        }
    }

    /// The next line, however long that takes.
    pub async fn last_words(&mut self) -> String {
        let mut line = String::new();
        self.socket.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    /// Appends a message to a mailbox.
    pub async fn append(&mut self, mailbox: &str, message: &str) {
        let message = message.replace('\n', "\r\n");
        self.send(format!("ap APPEND {mailbox} {{{}+}}\r\n{message}\r\n", message.len()).as_bytes()).await;
        self.expect("ap OK [APPENDUID …] Completed").await;
    }
}

/// Whether a line is what a pattern says; `…` is any text.
fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

const PATIENCE: Duration = Duration::from_secs(20);
