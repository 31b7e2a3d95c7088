//! Who may deliver: logins, trust, TLS and the admin's veto, on live listeners.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use config::imapd::Imapd;
use lmtp::{Deliver, Door, Envelope, Spool};
use protocol::lmtp::command::{Mail, Rcpt};
use protocol::lmtp::refusal::{Refusal, Verdict};
use service::Connection;
use service::Context;
use service::listen::Socket;
use supervision::listeners::Entry;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// Takes everything and keeps nothing.
#[derive(Default)]
struct Sink(usize);

impl Deliver for Sink {
    type Incoming = Spool;

    async fn recipient(&mut self, _: &Mail, _: Rcpt) -> Result<(), Refusal> {
        self.0 += 1;
        Ok(())
    }

    async fn begin(&mut self, _: Option<u64>) -> Result<Spool, Refusal> {
        Ok(Spool::new(Path::new("/tmp")))
    }

    async fn deliver(&mut self, _: Envelope, _: Spool) -> Vec<Verdict> {
        vec![Verdict::Delivered; self.0]
    }

    fn reset(&mut self) {
        self.0 = 0;
    }
}

struct World {
    context: Context,
    dir: tempfile::TempDir,
}

impl World {
    /// Listeners `lmtp` (login required), `lmtptrusted` (`-a`) and `lmtpunix`.
    fn start() -> World {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path();
        let text = format!(
            "configdirectory: {}\nservername: be1.example.com\nallowplaintext: yes\nadmins: cyrus\n\
             lmtp_admins: proxy\nfailedloginpause: 0\npassword_iterations: 10000\nsasl_pwcheck_method: auxprop\n",
            home.display()
        );
        let imapd = Imapd::parse(&home.join("imapd.conf"), &text, "backend").unwrap();
        let socket = home.join("lmtp.sock").display().to_string();
        let listeners =
            [("lmtp", "127.0.0.1:0", ""), ("lmtptrusted", "127.0.0.1:0", "-a"), ("lmtpunix", &socket, "")];
        let sockets = listeners.map(|(name, address, flag)| {
            let args = Some(flag.to_owned()).filter(|f| !f.is_empty()).into_iter().collect();
            let entry =
                Entry { name: name.into(), program: "lmtpd".into(), args, maxchild: -1, ..Entry::default() };
            (entry, Socket::bind(address).unwrap())
        });
        let context = Context::new("backend", imapd, sockets.into()).unwrap();
        for user in ["proxy", "fred"] {
            context.passwords().set(user, "secret").unwrap();
        }
        let serving = context.clone();
        tokio::spawn(async move {
            let one = |connection: Connection| {
                let (door, stop) = (Door::of(&connection), connection.context.shutdown());
                lmtp::serve(connection.stream, door, Sink::default(), stop)
            };
            serving.serve(one).await;
        });
        World { context, dir }
    }

    async fn tcp(&self, listener: usize) -> Client<TcpStream> {
        let address = self.context.listeners()[listener].local_addr().unwrap();
        Client::greeted(TcpStream::connect(address).await.unwrap()).await
    }

    async fn unix(&self) -> Client<UnixStream> {
        Client::greeted(UnixStream::connect(self.dir.path().join("lmtp.sock")).await.unwrap()).await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.context.stop();
    }
}

struct Client<S>(BufReader<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn greeted(stream: S) -> Client<S> {
        let mut client = Client(BufReader::new(stream));
        assert!(client.line().await.starts_with("220 be1.example.com Murder LMTP "));
        client
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(Duration::from_secs(30), self.0.read_line(&mut line)).await.expect("a line in time").unwrap();
        line.trim_end().to_owned()
    }

    /// Sends a line; gives the whole reply, its lines joined by `|`, session ids left out.
    async fn say(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        loop {
            let line = self.line().await;
            let last = line.as_bytes().get(3) != Some(&b'-');
            reply.push(line.split(" SESSIONID=").next().unwrap_or_default().to_owned());
            if last {
                return reply.join("|");
            }
        }
    }
}

fn plain(authzid: &str, user: &str, password: &str) -> String {
    BASE64_STANDARD.encode(format!("{authzid}\0{user}\0{password}"))
}

#[tokio::test]
async fn over_tcp_only_admins_of_the_service_deliver() {
    let world = World::start();
    let mut c = world.tcp(0).await;
    let hello = c.say("LHLO mx").await;
    assert!(hello.contains("|250-AUTH ") && hello.contains("PLAIN"), "{hello}");
    assert_eq!(c.say("MAIL FROM:<a@b>").await, "430 4.7.0 Authentication required");
    assert_eq!(c.say("AUTH NONSENSE").await, "504 5.5.4 Unrecognized authentication type");
    assert_eq!(
        c.say(&format!("AUTH PLAIN {}", plain("", "proxy", "wrong"))).await,
        "535 5.7.8 Authentication failed"
    );
    assert_eq!(
        c.say(&format!("AUTH PLAIN {}", plain("", "fred", "secret"))).await,
        "501 5.5.4 Not an administrator of this service"
    );
    assert_eq!(c.say("MAIL FROM:<a@b>").await, "430 4.7.0 Authentication required");
    assert_eq!(c.say("AUTH PLAIN").await, "334");
    assert_eq!(c.say("*").await, "501 5.7.0 Authentication cancelled");
    assert_eq!(c.say("AUTH PLAIN").await, "334");
    assert_eq!(c.say("!!!").await, "501 5.5.2 Not base64");
    assert_eq!(c.say("AUTH PLAIN").await, "334");
    assert_eq!(c.say(&plain("", "proxy", "secret")).await, "235 2.7.0 Authenticated");
    assert_eq!(c.say("AUTH PLAIN").await, "503 5.5.1 Already authenticated");
    assert!(!c.say("LHLO mx").await.contains("AUTH"));
    assert_eq!(c.say("MAIL FROM:<a@b> AUTH=fred").await, "250 2.1.0 ok");
}

#[tokio::test]
async fn trusted_listeners_ask_for_no_login() {
    let world = World::start();
    let mut c = world.tcp(1).await;
    assert!(c.say("LHLO mx").await.contains("|250-AUTH "));
    assert_eq!(c.say("MAIL FROM:<>").await, "250 2.1.0 ok");
    let mut c = world.unix().await;
    assert!(!c.say("LHLO mx").await.contains("AUTH"));
    assert_eq!(c.say("STARTTLS").await, "454 4.3.3 STARTTLS not available");
    assert_eq!(c.say("MAIL FROM:<>").await, "250 2.1.0 ok");
    assert_eq!(c.say("RCPT TO:<x>").await, "250 2.1.5 ok");
    assert_eq!(c.say("DATA").await, "354 go ahead");
    assert_eq!(c.say("A: b\r\n\r\n.").await, "250 2.1.5 Success");
    assert_eq!(c.say("VRFY x").await, "252 2.3.3 try RCPT to attempt delivery");
}

#[tokio::test]
async fn no_mail_is_taken_while_the_admin_says_so() {
    let world = World::start();
    let mut c = world.tcp(1).await;
    let message = world.dir.path().join("msg");
    std::fs::create_dir(&message).unwrap();
    std::fs::write(message.join("shutdown"), "Back at noon\nmore\n").unwrap();
    assert!(c.say("LHLO mx").await.starts_with("250-"));
    assert_eq!(c.say("NOOP").await, "250 2.0.0 ok");
    assert_eq!(c.say("MAIL FROM:<>").await, "421 4.3.2 Back at noon");
    std::fs::remove_file(message.join("shutdown")).unwrap();
    assert_eq!(c.say("MAIL FROM:<>").await, "250 2.1.0 ok");
}

#[tokio::test]
async fn no_mail_is_taken_when_the_admin_says_so_in_latin_1() {
    let world = World::start();
    let mut c = world.tcp(1).await;
    let message = world.dir.path().join("msg");
    std::fs::create_dir(&message).unwrap();
    std::fs::write(message.join("shutdown"), b"Zur\xfcck um 12\n").unwrap();
    assert_eq!(c.say("MAIL FROM:<>").await, "421 4.3.2 Zur\u{fffd}ck um 12");
    std::fs::remove_dir_all(&message).unwrap();
    assert_eq!(c.say("MAIL FROM:<>").await, "250 2.1.0 ok");
}

#[tokio::test]
async fn many_recipients_and_strange_addresses_are_borne() {
    let world = World::start();
    let mut c = world.tcp(1).await;
    assert_eq!(c.say("MAIL FROM:<>").await, "250 2.1.0 ok");
    let parentheses = format!("RCPT TO:<{}@x>", "(".repeat(1000));
    assert_eq!(c.say(&parentheses).await, "250 2.1.5 ok");
    assert_eq!(
        c.say(&format!("RCPT TO:<{}>", "@".repeat(7000))).await,
        "501 5.5.4 Syntax error in parameters"
    );
    for _ in 0..4999 {
        assert_eq!(c.say("RCPT TO:<x>").await, "250 2.1.5 ok");
    }
    assert_eq!(c.say("RCPT TO:<x>").await, "452 4.5.3 Too many recipients");
}
