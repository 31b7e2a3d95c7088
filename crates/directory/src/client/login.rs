//! One MUPDATE server at one address: connecting, TLS, and the login.
//!
//! Whether STARTTLS is used, and by which mechanism we log in, is [`identity::demand`]'s to say.

use std::{io, net::SocketAddr, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use config::imapd::{Imapd, Upstream};
use identity::auth::client::Credentials;
use identity::auth::{GSSAPI, Target};
use identity::demand::{Rule, Seen, Step};
use protocol::mupdate::response::Body;
use transport::resolve;
use transport::settings;
use transport::tls::ClientTls;

use super::{Error, Why, link::Link, refused::Attempt};
use crate::client::limits::{BANNER_LINES, REFUSAL_TEXT, SASL_STEPS, SASL_TEXT};

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

    /// Finds out whether there is a ticket for a server that would take one.
    async fn prepare(&self, credentials: &Credentials) {
        let mechanisms: Vec<&str> = self.mechanisms.iter().map(String::as_str).collect();
        credentials.prepare(&mechanisms).await;
    }

    fn step(&self, rule: &Rule, credentials: &Credentials, link: &Link) -> Step {
        self.seen(|seen| rule.next(seen, credentials, link.stream().channel()))
    }
}

/// The addresses of a master.
pub(super) async fn addresses(imapd: &Imapd, upstream: &Upstream) -> Result<Vec<SocketAddr>, Error> {
    let port =
        upstream.port.or_else(|| imapd.host_port(&upstream.host, "mupdate")).unwrap_or(imapd.mupdate_port);
    let found = resolve::addresses(imapd, &imapd.host_address(&upstream.host), port).await;
    found.map_err(|why| Error::Unavailable { server: upstream.name.clone(), why: why.into() })
}

/// Connects to a master at one of its addresses, and logs in.
pub(super) async fn at(
    imapd: &Imapd,
    upstream: &Upstream,
    address: SocketAddr,
) -> Result<(Link, Greeting), Error> {
    let name = upstream.name.clone();
    let patience = settings::client_timeout(imapd);
    let target = Target { service: "mupdate", host: upstream.host.clone(), patience };
    let credentials = Credentials::mupdate(imapd, &upstream.host).with_target(Some(target));
    let attempt = Attempt::of(&name, &credentials);
    attempt.admit()?;
    let lost = |why: io::Error| Error::Unavailable { server: name.clone(), why: why.into() };
    let stream = resolve::connect(imapd, address).await.map_err(lost)?;
    let mut link = Link::new(stream, name.clone());
    let mut greeting = greet(&mut link, patience).await?;
    greeting.prepare(&credentials).await;

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
            greeting.prepare(&credentials).await;
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
    let mut outcome = login(&mut link, &credentials, mechanism, patience).await;
    if let Err(refusal) = &outcome
        && mechanism == GSSAPI
    {
        // A password may do where a ticket does not: it may be another name's.
        let others = credentials.clone().with_target(None);
        let other = greeting.seen(|seen| rule.choose(&others, seen, link.stream().channel()));
        if let Some(other) = other {
            credentials.ticket_failed(&refusal.to_string());
            outcome = login(&mut link, &others, other, patience).await;
        }
    }
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

async fn start_tls(
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
async fn login(
    link: &mut Link,
    credentials: &Credentials,
    mechanism: &'static str,
    patience: Duration,
) -> Result<(), Error> {
    let denied = |server: &str, why: String| Error::Denied { server: server.to_owned(), why };
    let server = link.server.clone();
    let failed = |e: identity::auth::client::ClientError| denied(&server, e.to_string());
    let begun = credentials.begin(mechanism, link.stream().channel()).await;
    let (mut exchange, initial) = begun.map_err(failed)?;
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

async fn compress(link: &mut Link, patience: Duration) -> Result<(), Error> {
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
