//! Who we are towards a backend: `proxy_authname` with `<shorthost>_password` or `proxy_password`, acting for the
//! user, by one of the mechanisms that the server offers and the configuration admits.
//!
//! Only mechanisms that carry an authorisation identity are used: with LOGIN or CRAM-MD5 the server would not know
//! for whom we act, and the user would get the proxy's own rights.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use config::imapd::Imapd;
use identity::auth::client::{ClientError, ClientExchange, Credentials};
use identity::auth::{GSSAPI, Target};
use identity::demand::{Rule, Seen, Step};

use transport::resolve::Server;

use crate::dialog::Dialog;
use crate::{Capabilities, Error, Objection};

/// One login under way.
pub(crate) struct Sasl {
    /// Until it has failed.
    exchange: Option<ClientExchange>,
    mechanism: &'static str,
    initial: Vec<u8>,
    /// The initial response has gone out.
    sent: bool,
    server: String,
    authname: String,
    user: String,
    credentials: Credentials,
}

impl Sasl {
    /// The best mechanism that both sides can use on this connection.
    pub async fn choose<W>(d: &Dialog<W>, imapd: &Imapd, user: Option<&str>) -> Result<Sasl, Error> {
        let credentials = credentials(d, imapd, user);
        let offered = d.capabilities.mechanisms();
        credentials.prepare(&offered).await;
        let (rule, channel) = (Rule::backend(imapd, &d.server), d.stream.channel());
        let seen = Seen { starttls: false, mechanisms: &offered, preauth: false, cyrus_master: false };
        let none = || Error::NoMechanism {
            server: d.server.clone(),
            offered: offered.join(" "),
            withheld: rule.withholds(&credentials, seen, channel),
        };
        let mechanism = rule.choose(&credentials, seen, channel).ok_or_else(none)?;
        let (authname, user) = (credentials.authname.clone(), user.unwrap_or_default().to_owned());
        let failed = |error: ClientError| Error::Denied {
            server: d.server.clone(),
            authname: authname.clone(),
            user: user.clone(),
            text: error.to_string(),
            objection: Objection::Login,
        };
        let (exchange, initial) = credentials.begin(mechanism, channel).await.map_err(failed)?;
        let initial = initial.unwrap_or_default();
        let (exchange, server) = (Some(exchange), d.server.clone());
        Ok(Sasl { exchange, mechanism, initial, sent: false, server, authname, user, credentials })
    }

    pub fn mechanism(&self) -> &'static str {
        self.mechanism
    }

    /// The initial response in Base64, to go out with the mechanism's name; `=` where it is empty.
    pub fn initial(&mut self) -> String {
        self.sent = true;
        match self.initial.is_empty() {
            true => "=".to_owned(),
            false => BASE64_STANDARD.encode(&self.initial),
        }
    }

    /// The initial response did not go out after all: it answers the first, empty, challenge.
    pub fn rewind(&mut self) {
        self.sent = false;
    }

    /// The answer to a challenge, both in Base64.
    pub async fn answer(&mut self, challenge: &str) -> Result<String, Error> {
        if !self.sent && challenge.is_empty() {
            self.sent = true;
            return Ok(BASE64_STANDARD.encode(&self.initial));
        }
        let challenge = BASE64_STANDARD.decode(challenge).map_err(|error| self.denied(error.to_string()))?;
        let exchange = self.exchange.take().ok_or_else(|| self.denied("the exchange is over".to_owned()))?;
        let stepped = exchange.step_aside(challenge).await;
        let (exchange, answer) = stepped.map_err(|error| {
            if self.mechanism == GSSAPI {
                self.credentials.ticket_failed(&error.to_string());
            }
            self.denied(error.to_string())
        })?;
        self.exchange = Some(exchange);
        Ok(BASE64_STANDARD.encode(answer))
    }

    /// The server said yes: whether it has proved itself too, where the mechanism makes it.
    pub fn succeeded(&mut self) -> Result<(), Error> {
        let exchange = self.exchange.take().ok_or_else(|| self.denied("the exchange is over".to_owned()));
        exchange?.succeeded(None).map_err(|error| self.denied(error.to_string()))
    }

    /// The server said no to a ticket, and there is another mechanism that it may be asked with, on the same connection: it waits. What it
    /// has against the user it would have against him with any mechanism.
    pub fn falls_back<W>(&self, d: &Dialog<W>, imapd: &Imapd, text: &str) -> bool {
        let said = text.to_ascii_lowercase();
        if self.mechanism != GSSAPI || !(said.contains("authenti") || said.contains("invalid login")) {
            return false;
        }
        let offered = d.capabilities.mechanisms();
        let seen = Seen { starttls: false, mechanisms: &offered, preauth: false, cyrus_master: false };
        let others = self.credentials.clone().with_target(None);
        let other = Rule::backend(imapd, &d.server).choose(&others, seen, d.stream.channel());
        if other.is_some() {
            self.credentials.ticket_failed(text);
        }
        other.is_some()
    }

    /// The server said no, with this text. Whoever is acted for, it is our own password that it looks at first.
    pub fn refused(&self, text: String) -> Error {
        let said = text.to_ascii_lowercase();
        match said.contains("authentication fail") || said.contains("[authenticationfailed]") {
            true if !said.contains("temporary") => {
                Error::WrongPassword { server: self.server.clone(), authname: self.authname.clone(), text }
            }
            _ if said.contains("authenti") => self.denied(text),
            _ => self.objected(text, Objection::Rights),
        }
    }

    /// The login cannot go on.
    pub fn denied(&self, text: String) -> Error {
        self.objected(text, Objection::Login)
    }

    fn objected(&self, text: String, objection: Objection) -> Error {
        Error::Denied {
            server: self.server.clone(),
            authname: self.authname.clone(),
            user: self.user.clone(),
            text,
            objection,
        }
    }
}

/// What we log in with: a ticket for the service before the proxy's password.
fn credentials<W>(d: &Dialog<W>, imapd: &Imapd, user: Option<&str>) -> Credentials {
    let host = Server::parse(&d.server).host().to_owned();
    let target = Target { service: d.service, host, patience: d.bound };
    Credentials::proxy(imapd, &d.server, user).with_target(Some(target))
}

/// Whether TLS must be raised before the login; an error where the server must not be used as it is.
pub(crate) async fn needs_tls<W>(
    d: &Dialog<W>,
    imapd: &Imapd,
    user: Option<&str>,
    opening: Opening,
) -> Result<bool, Error> {
    let credentials = credentials(d, imapd, user);
    let mechanisms = d.capabilities.mechanisms();
    credentials.prepare(&mechanisms).await;
    let Opening { starttls, preauth } = opening;
    let seen = Seen { starttls, mechanisms: &mechanisms, preauth, cyrus_master: false };
    match Rule::backend(imapd, &d.server).next(seen, &credentials, d.stream.channel()) {
        Step::RaiseTls => Ok(true),
        Step::LogIn => Ok(false),
        Step::Refuse(refusal) => Err(Error::Unprotected { server: d.server.clone(), refusal }),
    }
}

/// What a server offers before TLS.
#[derive(Clone, Copy)]
pub(crate) struct Opening {
    pub starttls: bool,
    pub preauth: bool,
}

/// STARTTLS was offered, and refused.
pub(crate) fn tls_refused(d: &Dialog<impl Sized>, imapd: &Imapd, doing: &'static str, answer: &str) -> Error {
    let rule = Rule::backend(imapd, &d.server);
    match rule.demands() {
        true => Error::Unprotected { server: d.server.clone(), refusal: rule.refused(answer) },
        false => d.unexpected(doing, answer),
    }
}

/// Whether a server offers no less under TLS than it did before.
pub(crate) fn unweakened(
    d: &Dialog<impl Sized>,
    imapd: &Imapd,
    user: Option<&str>,
    before: &Capabilities,
    starttls: &str,
) -> Result<(), Error> {
    let credentials = credentials(d, imapd, user);
    let (before, mechanisms) = (before.mechanisms(), d.capabilities.mechanisms());
    let starttls = d.capabilities.has(starttls);
    let seen = Seen { starttls, mechanisms: &mechanisms, preauth: false, cyrus_master: false };
    let verdict = Rule::backend(imapd, &d.server).unweakened(&before, seen, &credentials, d.stream.channel());
    verdict.map_err(|refusal| Error::Unprotected { server: d.server.clone(), refusal })
}
