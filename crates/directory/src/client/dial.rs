//! From an imapd.conf, or the path of a socket, to a logged-in [`Link`].
//!
//! Whether STARTTLS is used, and by which mechanism we log in, is [`identity::demand`]'s to say.

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use config::imapd::Imapd;
use identity::auth::client::Credentials;
use identity::demand::{Rule, Seen, Step};
use protocol::mupdate::response::Body;
use tokio::{net::UnixStream, time::timeout};
use transport::resolve;
use transport::settings;
use transport::stream::Stream;
use transport::tls::ClientTls;

use super::{Error, Why, link::Link, refused::Attempt};
use crate::client::limits::{
    BANNER_LINES, BLIND_TRIES, LOCAL, NEAREST_PAUSE, NEAREST_TRIES, REFUSAL_TEXT, SASL_STEPS, SASL_TEXT,
};
use crate::meter::Measure;

/// What a server said of itself.
#[derive(Debug, Clone, Default)]
pub struct Greeting {
    pub mechanisms: Vec<String>,
    pub starttls: bool,
    pub compress: bool,
    pub partial: bool,
    /// Extensions of ours: `RESUME`, `EXPECT`, `STATUS`, `HERE`, `SERVERS`, `FENCE`.
    pub murder: Vec<String>,
    /// The text behind `OK`: program, server name, version, role.
    pub text: String,
}

impl Greeting {
    pub fn has(&self, extension: &str) -> bool {
        self.murder.iter().any(|known| known.eq_ignore_ascii_case(extension))
    }

    /// A server of Cyrus's: it says so, and announces nothing of ours.
    fn is_cyrus(&self) -> bool {
        self.murder.is_empty() && self.text.contains("\"Cyrus IMAP\"")
    }

    fn seen<T>(&self, then: impl FnOnce(Seen<'_>) -> T) -> T {
        let mechanisms: Vec<&str> = self.mechanisms.iter().map(String::as_str).collect();
        let cyrus_master = self.is_cyrus();
        then(Seen { starttls: self.starttls, mechanisms: &mechanisms, preauth: false, cyrus_master })
    }

    fn step(&self, rule: &Rule, credentials: &Credentials, link: &Link) -> Step {
        self.seen(|seen| rule.next(seen, credentials, link.stream().channel()))
    }
}

/// Opens connections to one server: what a simulated network gives instead of sockets.
pub trait Connect: std::fmt::Debug + Send + Sync {
    fn connect(&self) -> Pin<Box<dyn Future<Output = io::Result<Stream>> + Send + '_>>;
}

/// Where a server of lists is.
#[derive(Debug, Clone)]
pub enum Address {
    /// `mupdate_server` of this configuration.
    Server(Imapd),
    /// The Unix socket beside a daemon's list; no login.
    Socket(PathBuf),
    /// The socket of this host's `mupdate`; where none answers, `mupdate_server`.
    Nearest { socket: PathBuf, imapd: Imapd },
    /// Behind connections of another kind; no login.
    Through(Arc<dyn Connect>),
}

impl Address {
    /// The name shown in messages and in a slave's banner.
    pub fn name(&self) -> String {
        match self {
            Address::Server(imapd) => imapd.mupdate_server.clone().unwrap_or_default(),
            Address::Socket(path) => path.display().to_string(),
            Address::Nearest { socket, imapd } => {
                imapd.mupdate_server.clone().unwrap_or_else(|| socket.display().to_string())
            }
            Address::Through(connect) => format!("{connect:?}"),
        }
    }

    /// How much of a list its server may make us hold.
    pub fn measure(&self) -> Measure {
        match self {
            Address::Server(imapd) | Address::Nearest { imapd, .. } => Measure::new(imapd),
            // A daemon of this host has kept the bound already.
            Address::Socket(_) | Address::Through(_) => Measure { entries: usize::MAX, octets: usize::MAX },
        }
    }

    /// Connects and logs in, each step bounded by `client_timeout`.
    pub async fn dial(&self) -> Result<(Link, Greeting), Error> {
        match self {
            Address::Server(imapd) => server(imapd).await,
            Address::Socket(path) => socket(path).await,
            Address::Nearest { socket: path, imapd } => nearest(path, imapd).await,
            Address::Through(connect) => trusted(self.name(), connect.connect()).await,
        }
    }
}

/// A `mupdate` that is just starting gets a moment: the directory beside its socket tells that there is one.
async fn nearest(path: &Path, imapd: &Imapd) -> Result<(Link, Greeting), Error> {
    let mut tries = 0;
    loop {
        match socket(path).await {
            Ok((mut link, greeting)) => {
                link.server = format!("the mupdate of this host ({})", path.display());
                return Ok((link, greeting));
            }
            // At its very first start it may not have made the directory yet.
            Err(_)
                if tries
                    < if path.parent().is_some_and(Path::exists) { NEAREST_TRIES } else { BLIND_TRIES } =>
            {
                tries += 1;
                tokio::time::sleep(NEAREST_PAUSE).await;
            }
            Err(error) if imapd.mupdate_server.is_none() => return Err(error),
            Err(_) => return server(imapd).await,
        }
    }
}

async fn socket(path: &Path) -> Result<(Link, Greeting), Error> {
    let connect = async { Stream::unix(UnixStream::connect(path).await?) };
    trusted(path.display().to_string(), connect).await
}

/// A connection on which nobody logs in.
async fn trusted(
    name: String,
    connect: impl Future<Output = io::Result<Stream>>,
) -> Result<(Link, Greeting), Error> {
    let connected = timeout(LOCAL, connect).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let lost = |why: io::Error| Error::Unavailable { server: name.clone(), why: why.into() };
    let mut link = Link::new(connected.map_err(lost)?, name.clone());
    let greeting = greet(&mut link, LOCAL).await?;
    Ok((link, greeting))
}

async fn server(imapd: &Imapd) -> Result<(Link, Greeting), Error> {
    let upstream = imapd.mupdate_upstream().ok_or(Error::NoServer)?;
    let name = imapd.mupdate_server.clone().unwrap_or_default();
    let patience = settings::client_timeout(imapd);
    let credentials = Credentials::mupdate(imapd, &upstream.host);
    let attempt = Attempt::of(&name, &credentials);
    attempt.admit()?;
    let port =
        upstream.port.or_else(|| imapd.host_port(&upstream.host, "mupdate")).unwrap_or(imapd.mupdate_port);
    let host = imapd.host_address(&upstream.host);
    let lost = |why: io::Error| Error::Unavailable { server: name.clone(), why: why.into() };
    let stream = resolve::connect_host(imapd, &host, port).await.map_err(lost)?;
    let mut link = Link::new(stream, name.clone());
    let mut greeting = greet(&mut link, patience).await?;

    let rule = Rule::master(imapd, upstream.tls);
    match greeting.step(&rule, &credentials, &link) {
        Step::LogIn => {}
        Step::Refuse(refusal) => return Err(Error::Unprotected { server: name, refusal }),
        Step::RaiseTls => {
            let options = settings::client_tls(imapd, &upstream.host);
            let failed = |why: String| Error::Tls { server: name.clone(), why };
            let read = tokio::task::spawn_blocking(move || ClientTls::new(&options)).await;
            let tls = read.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))?;
            let before = std::mem::take(&mut greeting);
            greeting = start_tls(&mut link, &rule, &tls, &upstream.host, patience).await?;
            let verdict = before.seen(|before| {
                greeting.seen(|seen| {
                    rule.unweakened(before.mechanisms, seen, &credentials, link.stream().channel())
                })
            });
            verdict.map_err(|refusal| Error::Unprotected { server: name.clone(), refusal })?;
        }
    }
    let chosen = greeting.seen(|seen| rule.choose(&credentials, seen, link.stream().channel()));
    let Some(mechanism) = chosen else {
        let withheld = greeting.seen(|seen| rule.withholds(&credentials, seen, link.stream().channel()));
        let offered = greeting.mechanisms.join(" ").chars().take(REFUSAL_TEXT).collect();
        return Err(Error::NoMechanism { server: name, offered, withheld });
    };
    let outcome = login(&mut link, &credentials, mechanism, patience).await;
    attempt.note(outcome.as_ref().err());
    outcome?;
    if imapd.proxy_compress && greeting.compress {
        compress(&mut link, patience).await?;
    }
    Ok((link, greeting))
}

/// Reads a banner: everything up to `* OK`, of which unknown lines are ignored.
pub(super) async fn greet(link: &mut Link, patience: Duration) -> Result<Greeting, Error> {
    let mut greeting = Greeting::default();
    for _ in 0..BANNER_LINES {
        match link.response(patience).await?.body {
            Body::Auth(mechanisms) => greeting.mechanisms = mechanisms,
            Body::Starttls => greeting.starttls = true,
            Body::Compress(algorithms) => {
                greeting.compress = algorithms.iter().any(|a| a.eq_ignore_ascii_case("DEFLATE"));
            }
            Body::PartialUpdate => greeting.partial = true,
            Body::Murder(extensions) => greeting.murder = extensions,
            Body::Ok(text) => {
                greeting.text = text;
                return Ok(greeting);
            }
            Body::Bye(why) | Body::No(why) | Body::Bad(why) => return Err(link.lost(why)),
            _ => {}
        }
    }
    Err(link.lost("a banner without end"))
}

pub(super) async fn start_tls(
    link: &mut Link,
    rule: &Rule,
    tls: &ClientTls,
    host: &str,
    patience: Duration,
) -> Result<Greeting, Error> {
    link.say_tagged("S01", "STARTTLS", &[]);
    link.flush().await?;
    match link.response(patience).await?.body {
        Body::Ok(_) => {}
        Body::No(why) | Body::Bad(why) | Body::Bye(why) => {
            let server = link.server.clone();
            return Err(match rule.demands() {
                true => Error::Unprotected { server, refusal: rule.refused(&why) },
                false => Error::Denied { server, why: format!("STARTTLS: {why}") },
            });
        }
        other => return Err(link.lost(format!("unexpected answer to STARTTLS: {other:?}"))),
    }
    let shaken = link.wire().connect_tls(tls, host).await;
    shaken.map_err(|error| match error.kind() {
        // What TLS itself finds wrong; anything else is the connection's.
        io::ErrorKind::InvalidData => {
            Error::Tls { server: link.server.clone(), why: format!("handshake: {error}") }
        }
        _ => link.lost(format!("TLS handshake: {error}")),
    })?;
    greet(link, patience).await
}

/// Cyrus's continuation prefix is empty: every line that is not `A01 …` is a challenge.
pub(super) async fn login(
    link: &mut Link,
    credentials: &Credentials,
    mechanism: &'static str,
    patience: Duration,
) -> Result<(), Error> {
    let denied = |server: &str, why: String| Error::Denied { server: server.to_owned(), why };
    let server = link.server.clone();
    let failed = |e: identity::auth::client::ClientError| denied(&server, e.to_string());
    let mut exchange = credentials.start(mechanism, link.stream().channel()).map_err(failed)?;
    let initial = exchange.initial().map_err(failed)?;
    let initial = initial.map(|initial| match initial.is_empty() {
        true => "=".to_owned(),
        false => BASE64_STANDARD.encode(initial),
    });
    let strings: Vec<&str> = [mechanism].into_iter().chain(initial.as_deref()).collect();
    link.say_tagged("A01", "AUTHENTICATE", &strings);
    link.flush().await?;
    for _ in 0..SASL_STEPS {
        let line = link.line(patience).await.map_err(|error| match error {
            Error::Unavailable { why: Why::Io(why), .. } if why.kind() == io::ErrorKind::TimedOut => {
                Error::SlowLogin { server: server.clone(), authname: credentials.authname.clone() }
            }
            other => other,
        })?;
        let text: String = String::from_utf8_lossy(&line).chars().take(SASL_TEXT).collect();
        let upper = text.to_ascii_uppercase();
        if upper.starts_with("A01 OK") {
            return exchange.succeeded(None).map_err(failed);
        }
        if upper.starts_with("A01 NO") || upper.starts_with("A01 BAD") || upper.starts_with("* BYE") {
            let why: String = text.chars().take(REFUSAL_TEXT).collect();
            // The protocol has no code for it: Cyrus and we say it in the same words.
            let said = why.to_ascii_lowercase();
            return Err(if said.contains("only admins may authenticate") {
                Error::NoAdmin { server, why }
            } else if said.contains("authentication fail") {
                // The other mechanisms would have the same password: it is not told by weaker ones too.
                Error::WrongPassword { server, authname: credentials.authname.clone(), why }
            } else {
                Error::Denied { server, why }
            });
        }
        let challenge =
            BASE64_STANDARD.decode(text.trim()).map_err(|_| link.lost("a challenge is not base64"))?;
        let (next, answer) = exchange.step_aside(challenge).await.map_err(failed)?;
        exchange = next;
        link.say_raw(BASE64_STANDARD.encode(answer).as_bytes());
        link.say_raw(b"\r\n");
        link.flush().await?;
    }
    Err(denied(&server, "a login without end".into()))
}

pub(super) async fn compress(link: &mut Link, patience: Duration) -> Result<(), Error> {
    link.say_tagged("Z01", "COMPRESS", &["DEFLATE"]);
    link.flush().await?;
    match link.response(patience).await?.body {
        Body::Ok(_) => {
            let begun = link.wire().compress().await;
            begun.map_err(|e| link.lost(e))
        }
        // Not worth a failure.
        _ => Ok(()),
    }
}
