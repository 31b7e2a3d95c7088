//! A frontend, a backend that says as whom it was logged in, and clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use config::imapd::Imapd;
use identity::auth::Login;
use mailboxes::store::Memory;
use mailboxes::{Entry, Follow, List, Options};
use managesieve::{Answer, Host, Welcome};
use protocol::location::Location;
use protocol::managesieve::{Command, Reply, write_string};
use protocol::name::MailboxName;
use service::drive::drive;
use service::listen::Socket;
use service::{Connection, Context};
use supervision::listeners::Entry as ListenEntry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use transport::stream::Stream;
use transport::tls::{ClientOptions, ClientTls};
use transport::wire::{Bounds, Wire};

pub const PATIENCE: Duration = Duration::from_secs(20);

/// Has one script for each user, called after who is logged in. `busy` is not let in.
#[derive(Default)]
struct Scripts(String);

impl Host for Scripts {
    const TAKES_ORIGINS: bool = true;

    async fn login(&mut self, login: &Login) -> Result<Welcome, Reply> {
        if login.userid == "busy" {
            return Err(Reply::no("busy is not let in"));
        }
        self.0 = format!("{} for {}", login.userid, login.authid);
        Ok(Welcome::Here)
    }

    async fn serve(&mut self, _: Command) -> Answer {
        let mut data = Vec::new();
        write_string(self.0.as_bytes(), &mut data);
        data.extend_from_slice(b"\r\n");
        Answer { data, reply: Reply::OK }
    }

    async fn has(&self, _: &str, _: bool) -> Option<bool> {
        None
    }

    fn logout(&mut self) {}
}

/// INBOXes on `be`, except that of `lost`, who is on a server that nobody answers for, and of `ghost`, who has none.
async fn inboxes(complete: bool) -> List {
    let list = List::with_store(Arc::new(Memory::new()), Options::replica()).unwrap();
    let on = |server: &str| Location::parse(&format!("{server}!default")).unwrap();
    let entries = [
        ("user.fred", Entry::active(on("be"), "")),
        ("user.busy", Entry::active(on("be"), "")),
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
    let entry = ListenEntry { name: "sieve".into(), maxchild: -1, ..ListenEntry::default() };
    Context::new(program, imapd, vec![(entry, Socket::bind("127.0.0.1:0").unwrap())]).unwrap()
}

pub struct World {
    pub proxy: Context,
    pub backend: Context,
    certificate: PathBuf,
    _dir: tempfile::TempDir,
}

/// `more`: lines of the frontend's imapd.conf.
pub async fn world(complete: bool, more: &str) -> World {
    let dir = tempfile::tempdir().unwrap();
    let backend = context("backend", dir.path(), "proxyservers: proxy\nallowplaintext: yes\n");
    backend.passwords().set("proxy", "pr0xy").unwrap();
    let serving = backend.clone();
    tokio::spawn(async move {
        let each = |connection: Connection| async move {
            let mut session = managesieve::Client::new(&connection, Scripts::default());
            let stop = connection.context.shutdown();
            let _ = drive(Wire::new(connection.stream, Bounds::default()), &mut session, &stop).await;
        };
        serving.serve(each).await;
    });
    let port = backend.listeners()[0].local_addr().unwrap().port();
    let unused = test_host::port();
    let key = rcgen::generate_simple_self_signed(vec!["fe.example.org".to_owned()]).unwrap();
    let (certificate, key_file) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    fs::write(&certificate, key.cert.pem()).unwrap();
    fs::write(&key_file, key.signing_key.serialize_pem()).unwrap();
    let tls = format!("tls_server_cert: {}\ntls_server_key: {}\n", certificate.display(), key_file.display());
    let conf = format!(
        "proxy_password: pr0xy\nbe_address: 127.0.0.1\nbe_ports: sieve={port}\n{tls}\
         dead_address: 127.0.0.1\ndead_ports: sieve={unused}\nallowplaintext: yes\n{more}"
    );
    let proxy = context("sieveproxy", dir.path(), &conf);
    for user in ["fred", "busy", "ghost", "taken", "lost"] {
        proxy.passwords().set(user, "secret").unwrap();
    }
    let serving = proxy.clone();
    let directory = Arc::new(inboxes(complete).await);
    tokio::spawn(async move { sieveproxy::serve(&serving, directory).await });
    World { proxy, backend, certificate, _dir: dir }
}

/// A client past the greeting.
pub struct Client {
    pub stream: Stream,
    /// What the greeting announced.
    pub announced: Vec<String>,
}

impl Client {
    pub async fn of(world: &World) -> Client {
        let address = world.proxy.listeners()[0].local_addr().unwrap();
        let stream = Stream::tcp(TcpStream::connect(address).await.unwrap()).unwrap();
        let mut client = Client { stream, announced: Vec::new() };
        client.announced = client.block().await;
        client
    }

    /// Lines up to OK.
    async fn block(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.line().await {
                end if end == "OK" => return lines,
                line => lines.push(line),
            }
        }
    }

    pub async fn start_tls(&mut self, world: &World) -> Vec<String> {
        // What follows in the clear must not be taken for a command of the protected session.
        assert_eq!(self.say("STARTTLS\r\nNOOP").await, "OK \"Begin TLS negotiation now\"");
        let trusting =
            ClientOptions { server_ca_file: Some(world.certificate.clone()), ..Default::default() };
        self.stream.connect_tls(&ClientTls::new(&trusting).unwrap(), "fe.example.org").await.unwrap();
        self.block().await
    }

    /// The next line without its end; empty at the end of the connection.
    pub async fn line(&mut self) -> String {
        let (mut line, mut byte) = (Vec::new(), [0; 1]);
        while !line.ends_with(b"\n") {
            let read = timeout(PATIENCE, self.stream.read(&mut byte)).await.expect("silence");
            if !read.is_ok_and(|read| read > 0) {
                break;
            }
            line.push(byte[0]);
        }
        String::from_utf8(line.trim_ascii_end().to_vec()).unwrap()
    }

    pub async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub async fn say(&mut self, line: &str) -> String {
        self.send(&format!("{line}\r\n")).await;
        self.line().await
    }

    pub async fn log_in(&mut self, user: &str, password: &str) -> String {
        self.say(&format!("AUTHENTICATE \"PLAIN\" \"{}\"", plain(user, password))).await
    }
}

/// SASL PLAIN's message.
pub fn plain(user: &str, password: &str) -> String {
    BASE64_STANDARD.encode(format!("\0{user}\0{password}"))
}
