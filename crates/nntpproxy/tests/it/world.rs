//! A frontend before backends, in one process.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use config::imapd::Imapd;
use mailboxes::store::Memory;
use mailboxes::{Entry, Follow, List, Options};
use protocol::location::Location;
use protocol::name::MailboxName;
use service::Context;
use service::listen::Socket;
use supervision::listeners::Entry as ListenEntry;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::backend::Backend;

pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct World {
    pub proxy: Context,
    pub be1: Backend,
    pub be2: Backend,
    list: List,
    _dir: tempfile::TempDir,
}

/// Everybody reads and posts; `alice` may, `fred` reads only.
const OPEN: &str = "anyone\tlrp\t";

impl World {
    /// `be1` with comp.test (3 articles) and comp.empty, `be2` with alt.test (2), which has an article that comp.test has, too.
    pub async fn new() -> World {
        World::with("").await
    }

    pub async fn with(more: &str) -> World {
        World::of(more, true).await
    }

    pub async fn of(more: &str, complete: bool) -> World {
        World::listening(more, complete, &[]).await
    }

    /// On a listener with these flags.
    pub async fn listening(more: &str, complete: bool, flags: &[&str]) -> World {
        let dir = tempfile::tempdir().unwrap();
        let be1 = Backend::with(&[("comp.test", 3), ("comp.empty", 0), ("comp.secret", 1)]);
        let be2 = Backend::with(&[("alt.test", 2), ("alt.read", 1)]);
        let (one, two) = (be1.serve().await, be2.serve().await);
        let spool = dir.path().join("spool");
        fs::create_dir(&spool).unwrap();
        let usual = ["client_timeout: 1s\n", "allownewnews: yes\n"].into_iter();
        let usual = usual.filter(|line| !more.contains(line.split(' ').next().unwrap())).collect::<String>();
        let conf = format!(
            "configdirectory: {}\nservername: fe.example.org\nfailedloginpause: 0\npassword_iterations: 10000\n\
             unix_group_enable: no\nproxy_authname: proxy\nproxy_password: pr0xy\nallowplaintext: yes\n\
             maxmessagesize: 1M\ntemp_path: {}\n\
             be1_address: 127.0.0.1\nbe1_ports: nntp={one}\nbe1_mechs: PLAIN\n\
             be2_address: 127.0.0.1\nbe2_ports: nntp={two}\nbe2_mechs: PLAIN\n{usual}{more}",
            dir.path().display(),
            spool.display(),
        );
        let file = dir.path().join("imapd.conf");
        fs::write(&file, conf).unwrap();
        let imapd = Imapd::load(&file, "nntpproxy").unwrap();
        let entry = ListenEntry {
            name: "nntp".into(),
            args: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            maxchild: -1,
            ..ListenEntry::default()
        };
        let proxy =
            Context::new("nntpproxy", imapd, vec![(entry, Socket::bind("127.0.0.1:0").unwrap())]).unwrap();
        for user in ["alice", "fred"] {
            proxy.passwords().set(user, "secret").unwrap();
        }
        let list = List::with_store(Arc::new(Memory::new()), Options::replica()).unwrap();
        let world = World { proxy, be1, be2, list, _dir: dir };
        let entries = [
            ("comp.test", "be1", OPEN),
            ("comp.empty", "be1", OPEN),
            ("comp.secret", "be1", "alice\tlrp\t"),
            ("alt.test", "be2", OPEN),
            ("alt.read", "be2", "anyone\tlr\talice\tlrp\t"),
        ];
        let changes = entries.map(|(name, server, acl)| (mailbox(name), Some(at(server, acl))));
        let follow = Follow { changes: changes.into(), position: None, complete, whole: true };
        world.list.follow(follow).await.unwrap();
        let (serving, directory) = (world.proxy.clone(), Arc::new(world.list.clone()));
        tokio::spawn(async move { nntpproxy::serve(&serving, directory).await });
        world
    }

    /// The list hears that a group is elsewhere.
    pub async fn moved(&self, group: &str, server: &str) {
        self.change(group, Some(at(server, OPEN))).await;
    }

    pub async fn change(&self, group: &str, entry: Option<Entry>) {
        let changes = vec![(mailbox(group), entry)];
        let follow = Follow { changes, position: None, complete: true, whole: false };
        self.list.follow(follow).await.unwrap();
    }

    /// A reader who has logged in.
    pub async fn reader(&self, user: &str) -> Client {
        let mut client = self.client().await;
        assert!(client.ask(&format!("AUTHINFO USER {user}")).await.starts_with("381 "));
        assert!(client.ask("AUTHINFO PASS secret").await.starts_with("281 "));
        client
    }

    pub async fn client(&self) -> Client {
        let address = self.proxy.listeners()[0].local_addr().unwrap();
        let mut client = Client(BufReader::new(TcpStream::connect(address).await.unwrap()));
        let greeting = client.line().await;
        assert!(
            greeting.contains("0 fe.example.org ") || greeting.contains("1 fe.example.org "),
            "{greeting}"
        );
        client
    }
}

pub fn mailbox(name: &str) -> MailboxName {
    MailboxName::parse(name).unwrap()
}

pub fn at(server: &str, acl: &str) -> Entry {
    Entry::active(Location::parse(&format!("{server}!default")).unwrap(), acl)
}

pub struct Client(pub BufReader<TcpStream>);

impl Client {
    pub async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("silence").unwrap();
        line.trim_end_matches(['\r', '\n']).to_owned()
    }

    pub async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    pub async fn ask(&mut self, line: &str) -> String {
        self.send(&format!("{line}\r\n")).await;
        self.line().await
    }

    /// Lines up to the dot; an end of the connection before it is `<end>`.
    pub async fn block(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.line().await {
                end if end == "." => return lines,
                end if end.is_empty() && self.0.buffer().is_empty() && self.is_over().await => {
                    lines.push("<end>".to_owned());
                    return lines;
                }
                line => lines.push(line),
            }
        }
    }

    async fn is_over(&mut self) -> bool {
        timeout(Duration::from_millis(50), self.0.fill_buf())
            .await
            .is_ok_and(|read| read.is_ok_and(<[u8]>::is_empty))
    }

    /// A status and its lines.
    pub async fn fetch(&mut self, line: &str) -> (String, Vec<String>) {
        let status = self.ask(line).await;
        let lines = self.block().await;
        (status, lines)
    }

    /// The code of an answer.
    pub async fn code(&mut self, line: &str) -> u16 {
        self.ask(line).await.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// Posts an article into these groups.
    pub async fn post(&mut self, command: &str, groups: &str, id: &str) -> String {
        let go = self.ask(command).await;
        if !go.starts_with('3') {
            return go;
        }
        self.send(&article(groups, id)).await;
        self.line().await
    }
}

/// An article up to its dot.
pub fn article(groups: &str, id: &str) -> String {
    let id = if id.is_empty() { String::new() } else { format!("Message-ID: {id}\r\n") };
    format!("From: alice@x\r\nSubject: s\r\nNewsgroups: {groups}\r\n{id}\r\n..dot\r\nbody\r\n.\r\n")
}
