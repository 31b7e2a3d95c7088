//! A frontend with backends that follow a script, and a client that speaks in lines.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use config::imapd::Imapd;
use imapproxy::node::Node;
use mailboxes::{Action, Change, Entry, List};
use protocol::frame::{Collected, Collector, Limits};
use protocol::location::Location;
use protocol::name::MailboxName;
use service::Context;
use service::listen::Socket;
use supervision::listeners::Entry as ListenEntry;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::time::timeout;
use transport::stream::Stream;

const PATIENCE: Duration = Duration::from_secs(20);

/// What a backend answers to a command (without its tag); `$` in the answer is the tag.
pub type Script = fn(&str) -> String;

/// Where a backend's connection breaks in an answer.
pub const DIES: &str = "<dies>";

/// A backend: what it was told, in order, without tags.
#[derive(Clone)]
pub struct Backend {
    pub heard: Arc<Mutex<Vec<String>>>,
    /// Connections that were made to it.
    pub connections: Arc<AtomicUsize>,
    pub port: u16,
    stop: tokio_util::sync::CancellationToken,
    /// What is said on every connection without being asked.
    aloud: broadcast::Sender<&'static str>,
}

impl Backend {
    pub async fn start(script: Script) -> Backend {
        Backend::announcing(CAPABILITIES.to_owned(), script).await
    }

    /// One that announces these words too.
    pub async fn with(script: Script, words: &'static str) -> Backend {
        Backend::announcing(format!("{CAPABILITIES} {words}"), script).await
    }

    /// One of this project, which has its connections parked.
    pub async fn of_ours(script: Script) -> Backend {
        Backend::announcing(format!("{CAPABILITIES} XCLIENT XCLIENT=PARKED"), script).await
    }

    async fn announcing(capabilities: String, script: Script) -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let backend = Backend {
            heard: Arc::default(),
            connections: Arc::default(),
            port,
            stop: Default::default(),
            aloud: broadcast::Sender::new(4),
        };
        let own = backend.clone();
        tokio::spawn(async move {
            while let Some(Ok((socket, _))) = own.stop.run_until_cancelled(listener.accept()).await {
                own.connections.fetch_add(1, Ordering::Relaxed);
                let (own, capabilities) = (own.clone(), capabilities.clone());
                tokio::spawn(async move {
                    let stop = own.stop.clone();
                    stop.run_until_cancelled(speak(socket, own, capabilities, script)).await
                });
            }
        });
        backend
    }

    /// Says something on every connection, and after a BYE nothing more.
    pub fn say(&self, text: &'static str) {
        self.aloud.send(text).unwrap();
    }

    /// How often somebody logged in.
    pub fn logins(&self) -> usize {
        self.heard().iter().filter(|command| command.starts_with("AUTHENTICATE")).count()
    }

    /// Every connection breaks, and nobody listens any longer.
    pub fn die(&self) {
        self.stop.cancel();
    }

    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    pub fn has_heard(&self, start: &str) -> bool {
        self.heard().iter().any(|line| line.starts_with(start))
    }
}

const CAPABILITIES: &str = "IMAP4rev1 LITERAL+ ID ENABLE IDLE MOVE MULTIAPPEND UIDPLUS UNSELECT CONDSTORE ACL MULTISEARCH SPECIAL-USE LIST-STATUS";

async fn speak(mut socket: TcpStream, backend: Backend, capabilities: String, script: Script) {
    let mut aloud = backend.aloud.subscribe();
    let greeting = format!("* OK [CAPABILITY {capabilities} AUTH=PLAIN SASL-IR] ready\r\n");
    if socket.write_all(greeting.as_bytes()).await.is_err() {
        return;
    }
    let mut collector = Collector::new(Limits::default(), 1 << 24, 1 << 25);
    let mut buf = BytesMut::new();
    loop {
        while let Some(collected) = collector.next(&mut buf).unwrap() {
            let Collected::Command(raw) = collected else {
                socket.write_all(b"+ go\r\n").await.unwrap();
                continue;
            };
            let text = String::from_utf8_lossy(&raw).trim_end().to_owned();
            let (tag, command) = text.split_once(' ').unwrap_or(("*", &text));
            backend.heard.lock().unwrap().push(command.to_owned());
            let answer = if command.starts_with("AUTHENTICATE") {
                format!("$ OK [CAPABILITY {capabilities}] logged in\r\n")
            } else {
                script(command)
            };
            let answer = answer.replace('$', tag);
            let (answer, dies) = answer.split_once(DIES).map_or((&*answer, false), |(said, _)| (said, true));
            let ends = dies || answer.starts_with("* BYE");
            if socket.write_all(answer.as_bytes()).await.is_err() || ends {
                return;
            }
        }
        tokio::select! {
            read = socket.read_buf(&mut buf) => match read {
                Ok(n) if n > 0 => {}
                _ => return,
            },
            Ok(text) = aloud.recv() => {
                if socket.write_all(text.as_bytes()).await.is_err() || text.starts_with("* BYE") {
                    return;
                }
            }
        }
    }
}

/// The frontend, with what it stands on.
pub struct World {
    pub address: SocketAddr,
    pub list: List,
    pub context: Context,
    pub node: Arc<Node>,
    _dir: tempfile::TempDir,
}

impl World {
    /// A frontend before these backends, be0 and on. `places`: internal names and the number of their backend.
    pub async fn new(backends: &[&Backend], places: &[(&str, usize)], more: &str) -> World {
        let ports: Vec<u16> = backends.iter().map(|backend| backend.port).collect();
        World::before(&ports, places, more).await
    }

    /// The same before whatever listens there.
    pub async fn before(ports: &[u16], places: &[(&str, usize)], more: &str) -> World {
        let world = World::build(ports, places, more).await;
        let (context, node) = (world.context.clone(), world.node.clone());
        tokio::spawn(async move { imapproxy::serve(&context, node).await });
        world
    }

    /// The same for one client, whose end of a pipe of so many bytes is given: one for a clock that stands still.
    pub async fn piped(
        backends: &[&Backend],
        places: &[(&str, usize)],
        bytes: usize,
    ) -> (World, DuplexStream) {
        let ports: Vec<u16> = backends.iter().map(|backend| backend.port).collect();
        let world = World::build(&ports, places, "").await;
        let node = world.node.clone();
        let (near, far) = tokio::io::duplex(bytes);
        let far = Arc::new(Mutex::new(Some(far)));
        let context = world.context.clone();
        let session = move |mut connection: service::Connection| {
            let (node, far) = (node.clone(), far.lock().unwrap().take().unwrap());
            connection.stream = Stream::memory(far, connection.stream.peer().clone());
            async move { imapproxy::session::Session::new(node, connection).run().await }
        };
        tokio::spawn(async move { context.serve(session).await });
        // Its session is the pipe's.
        TcpStream::connect(world.address).await.unwrap();
        (world, near)
    }

    async fn build(ports: &[u16], places: &[(&str, usize)], more: &str) -> World {
        let dir = tempfile::tempdir().unwrap();
        let ports: String = ports
            .iter()
            .enumerate()
            .map(|(n, port)| format!("be{n}_address: 127.0.0.1\nbe{n}_ports: imap={port}\n"))
            .collect();
        let text = format!(
            "configdirectory: {}\nservername: fe.test\nmupdate_server: mup.test\nallowplaintext: yes\nadmins: cyrus\n\
             proxy_password: secret\nclient_timeout: 2s\nfailedloginpause: 0\npassword_iterations: 10000\n{ports}{more}",
            dir.path().display()
        );
        let path = dir.path().join("imapd.conf");
        let imapd = Imapd::parse(&path, &text, "imapproxy").unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let entry = ListenEntry {
            name: "imap".into(),
            program: "imapd".into(),
            maxchild: -1,
            ..ListenEntry::default()
        };
        let context = Context::new("imapproxy", imapd.clone(), vec![(entry, Socket::Tcp(socket))]).unwrap();
        for user in ["fred", "jane", "cyrus"] {
            context.passwords().set(user, "pw").unwrap();
        }
        let list = List::memory();
        let node = Node::new(&imapd, Arc::new(list.clone()));
        let world = World { address, list, context, node, _dir: dir };
        for (name, backend) in places {
            world.place(name, *backend).await;
        }
        world
    }

    /// Waits until so many connections are parked.
    pub async fn parked(&self, count: usize) {
        let settled = async {
            while self.node.parked.waiting() != count {
                tokio::task::yield_now().await;
            }
        };
        let late = || panic!("{} parked, not {count}", self.node.parked.waiting());
        timeout(PATIENCE, settled).await.unwrap_or_else(|_| late());
    }

    /// A mailbox comes to be.
    pub async fn place(&self, name: &str, backend: usize) {
        self.place_many([name.to_owned()], backend).await;
    }

    /// Mailboxes come to be, at once.
    pub async fn place_many(&self, names: impl IntoIterator<Item = String>, backend: usize) {
        let location = Location::parse(&format!("be{backend}!default")).unwrap();
        let change = |name: String| {
            let fred = name.starts_with("user.fred");
            let acl = if fred { "fred\tlrswipkxtecdan\t" } else { "anyone\tlrsip\t" };
            let entry = Entry::active(location.clone(), acl);
            let name = MailboxName::parse(&name).unwrap();
            Change { name, expect: None, action: Action::Put(Box::new(entry)) }
        };
        self.list.commit(names.into_iter().map(change).collect()).await.unwrap();
    }

    pub async fn client(&self) -> Client {
        let mut client = Client::connect(self.address.port()).await;
        assert!(client.line().await.starts_with("* OK [CAPABILITY IMAP4rev1"));
        client
    }

    /// A client logged in as fred.
    pub async fn fred(&self) -> Client {
        self.login("fred").await
    }

    pub async fn login(&self, user: &str) -> Client {
        let mut client = self.client().await;
        client.ok(&format!("LOGIN {user} pw")).await;
        client
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.context.stop();
    }
}

pub struct Client {
    socket: TcpStream,
    buf: BytesMut,
}

impl Client {
    /// One of whoever listens there, before the greeting.
    pub async fn connect(port: u16) -> Client {
        Client { socket: TcpStream::connect(("127.0.0.1", port)).await.unwrap(), buf: BytesMut::new() }
    }

    pub async fn send(&mut self, bytes: &str) {
        self.socket.write_all(bytes.as_bytes()).await.unwrap();
    }

    pub async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.buf.iter().position(|&b| b == b'\n') {
                return String::from_utf8_lossy(&self.buf.split_to(end + 1)).trim_end().to_owned();
            }
            let read =
                timeout(PATIENCE, self.socket.read_buf(&mut self.buf)).await.expect("an answer in time");
            if read.unwrap() == 0 {
                return "(closed)".to_owned();
            }
        }
    }

    /// All lines up to the one that begins with `tag`.
    pub async fn until(&mut self, tag: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            let last = line.starts_with(&format!("{tag} ")) || line == "(closed)";
            lines.push(line);
            if last {
                return lines;
            }
        }
    }

    /// A command, and all lines of its answer.
    pub async fn ask(&mut self, command: &str) -> Vec<String> {
        self.send(&format!("t {command}\r\n")).await;
        self.until("t").await
    }

    pub async fn ok(&mut self, command: &str) -> Vec<String> {
        let lines = self.ask(command).await;
        assert!(lines.last().unwrap().starts_with("t OK"), "{command}: {lines:?}");
        lines
    }
}
