//! A MUPDATE master, and the cable to it, which breaks at a chosen word of a conversation.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use config::imapd::Imapd;
use directory::client::Client;
use mupdate::daemon::{Mode, serve};
use service::Context;
use service::listen::Socket;
use supervision::listeners::Entry;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};

/// A running master. Stops when dropped.
pub struct Master {
    pub dir: Arc<TempDir>,
    context: Context,
    task: JoinHandle<()>,
}

impl Master {
    /// On a new directory, or on that of one before.
    pub async fn start(dir: Option<Arc<TempDir>>) -> Master {
        let dir = dir.unwrap_or_else(|| Arc::new(tempfile::tempdir().unwrap()));
        let path = dir.path().join("imapd.conf");
        let base = dir.path().display();
        let text = format!(
            "configdirectory: {base}\nservername: mupdate\nadmins: be1\nallowplaintext: yes\nfailedloginpause: 0\npassword_iterations: 10000\n\
             drain_timeout: 1\n"
        );
        std::fs::write(&path, text).unwrap();
        let imapd = Imapd::load(&path, "mupdate").unwrap();
        let entry = Entry { name: "mupdate".into(), maxchild: -1, ..Entry::default() };
        let context =
            Context::new("mupdate", imapd, vec![(entry, Socket::bind("127.0.0.1:0").unwrap())]).unwrap();
        context.passwords().set("be1", "be1").unwrap();
        let running = context.clone();
        let task = tokio::spawn(async move {
            if let Err(exit) = serve(running, Mode::Master).await {
                panic!("{}", exit.message);
            }
        });
        let master = Master { dir, context, task };
        eventually(async || Client::local(&master.context.file("socket")).await.ok()).await;
        master
    }

    pub fn address(&self) -> SocketAddr {
        self.context.listeners().first().unwrap().local_addr().unwrap()
    }

    pub async fn client(&self) -> Client {
        Client::local(&self.context.file("socket")).await.unwrap()
    }

    /// Name → what it is, with place and ACL.
    pub async fn entries(&self) -> BTreeMap<String, String> {
        self.client().await.list(None).await.unwrap().into_iter().map(shown).collect()
    }

    pub async fn stop(self) -> Arc<TempDir> {
        self.context.stop();
        timeout(PATIENCE, self.task).await.unwrap().unwrap();
        self.dir
    }
}

pub fn shown((name, entry): (protocol::name::MailboxName, mailboxes::Entry)) -> (String, String) {
    let state = if entry.is_active() { "active" } else { "reserved" };
    (name.to_string(), format!("{state} {} {}", entry.location, entry.acl))
}

/// When the cable breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// So many changes get through, with their answers; the next one does not.
    Before(usize),
    /// The next one gets through, but not its answer.
    After(usize),
}

/// A cable to a master. Broken, it takes no connection until it is mended.
#[derive(Clone)]
pub struct Cable {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    target: SocketAddr,
    at: Option<Break>,
    broken: bool,
    /// Breaks every connection.
    pulls: tokio::sync::watch::Sender<usize>,
    /// How often somebody asked where the list stands.
    looks: usize,
}

impl Cable {
    pub async fn to(target: SocketAddr) -> Cable {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pulls = tokio::sync::watch::Sender::new(0);
        let state = State { target, at: None, broken: false, pulls, looks: 0 };
        let cable = Cable { address: listener.local_addr().unwrap(), state: Arc::new(Mutex::new(state)) };
        let serving = cable.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                if !serving.is_broken() {
                    tokio::spawn(serving.clone().pass(client));
                }
            }
        });
        cable
    }

    /// The lines of imapd.conf that name the master.
    pub fn lines(&self) -> String {
        let address = self.address;
        format!(
            "mupdate_server: {address}\nmupdate_authname: be1\nmupdate_password: be1\nmupdate_retry_delay: 1\n"
        )
    }

    pub fn break_at(&self, at: Break) {
        self.state.lock().unwrap().at = Some(at);
    }

    pub fn is_broken(&self) -> bool {
        self.state.lock().unwrap().broken
    }

    pub fn cut(&self) {
        let mut state = self.state.lock().unwrap();
        state.broken = true;
        state.pulls.send_modify(|pulls| *pulls += 1);
    }

    /// It leads there from now on.
    pub fn mend(&self, target: SocketAddr) {
        let mut state = self.state.lock().unwrap();
        (state.target, state.broken, state.at, state.looks) = (target, false, None, 0);
    }

    /// Returns when somebody has asked twice where the master's list stands: what was to be done in between is done.
    pub async fn was_looked_at(&self) {
        eventually(async || (self.state.lock().unwrap().looks >= 2).then_some(())).await;
    }

    async fn pass(self, mut client: TcpStream) {
        let (target, mut pulled) = {
            let state = self.state.lock().unwrap();
            (state.target, state.pulls.subscribe())
        };
        let Ok(mut server) = TcpStream::connect(target).await else { return };
        let (mut there, mut back) = ([0; 16384], [0; 16384]);
        loop {
            tokio::select! {
                _ = pulled.changed() => return,
                read = client.read(&mut there) => {
                    let said = &there[..read.unwrap_or(0)];
                    if said.is_empty() {
                        return;
                    }
                    let breaks = self.hear(said);
                    if breaks == Some(Break::Before(0)) {
                        return self.cut();
                    }
                    server.write_all(said).await.unwrap();
                    if breaks == Some(Break::After(0)) {
                        let _ = server.read(&mut back).await;
                        return self.cut();
                    }
                }
                read = server.read(&mut back) => {
                    let said = &back[..read.unwrap_or(0)];
                    if said.is_empty() || client.write_all(said).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Counts a change of the list; gives when the cable breaks after it.
    fn hear(&self, said: &[u8]) -> Option<Break> {
        let text = String::from_utf8_lossy(said);
        let mut state = self.state.lock().unwrap();
        state.looks += usize::from(text.contains(" STATUS"));
        if !["RESERVE", "ACTIVATE", "DELETE"].iter().any(|verb| text.contains(&format!(" {verb} "))) {
            return None;
        }
        let at = state.at?;
        state.at = match at {
            Break::Before(left) => left.checked_sub(1).map(Break::Before),
            Break::After(left) => left.checked_sub(1).map(Break::After),
        };
        Some(at)
    }
}

/// Asks again and again, without waiting longer than for others to act.
pub async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let mut pause = tokio::time::interval(Duration::from_millis(5));
    let asking = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            pause.tick().await;
        }
    };
    timeout(PATIENCE, asking).await.expect("it comes about in time")
}

const PATIENCE: Duration = Duration::from_secs(60);
