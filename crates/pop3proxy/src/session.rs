//! The client's side until it is logged in on its backend.

use std::sync::Arc;
use std::time::Duration;

use arrivals::Servers;
use bytes::BytesMut;
use config::imapd::Imapd;
use directory::lookup::Lookup;
use identity::auth::{Authenticator, Exchange, Failure, Login, Step64};
use protocol::namespace::Namespace;
use protocol::pop3::capability::Capabilities;
use protocol::pop3::command::Command;
use protocol::pop3::reply::Reply;
use protocol::pop3::session::{self, Action, Tls};
use protocol::pop3::unopenable::Unopenable;
use service::Context;
use service::drive::{Farewell, Next, Session};
use service::limits::BEFORE_LOGIN;
use service::sessions::Seat;
use tracing::info;
use transport::peer::Channel;
use transport::tls::ServerTls;
use upstream::Upstream;

use crate::limits::{MAX_FAILURES, rows};
use crate::locate;
use crate::open::{Backend, Way};

/// What a listener's configuration says of its sessions.
#[derive(Clone)]
pub struct Settings {
    pub servername: String,
    /// Empty: not told.
    pub version: String,
    pub auth: Authenticator,
    pub starttls: Option<ServerTls>,
    pub namespace: Namespace,
    /// As the listener has it.
    pub imapd: Imapd,
    pub expire_days: Option<u64>,
    pub login_delay: u64,
    pub chatty: bool,
    /// Named in the answer to a login whose backend names none.
    pub session_id: String,
    /// Its entry in the register of who is on.
    pub seat: Seat,
    pub context: Context,
}

/// A client that is not connected through yet.
pub struct Front {
    settings: Settings,
    directory: Arc<dyn Lookup>,
    upstream: Upstream,
    servers: Servers,
    channel: Channel,
    state: session::Session,
    exchange: Option<Exchange>,
    failures: u32,
    backend: Option<Backend>,
}

impl Front {
    pub fn new(
        settings: Settings,
        directory: Arc<dyn Lookup>,
        upstream: Upstream,
        servers: Servers,
        channel: Channel,
    ) -> Front {
        let tls = match (channel.is_encrypted(), &settings.starttls) {
            (true, _) => Tls::Active,
            (false, Some(_)) => Tls::Offered,
            (false, None) => Tls::Unavailable,
        };
        let state = session::Session::new(tls);
        Front {
            settings,
            directory,
            upstream,
            servers,
            channel,
            state,
            exchange: None,
            failures: 0,
            backend: None,
        }
    }

    /// The backend, once the driver has handed the connection back.
    pub fn into_backend(self) -> Option<Backend> {
        self.backend
    }

    async fn line(&mut self, line: &[u8], out: &mut BytesMut) -> Next {
        if let Some(exchange) = self.exchange.take() {
            return self.answer(exchange, Some(line), out).await;
        }
        if let Some(text) = self.settings.context.notices().shutdown().await {
            return say(out, Reply::Maintenance(text), Next::Close);
        }
        let plaintext = self.settings.auth.allows_plaintext(&self.channel);
        logs::chat(self.settings.chatty, line);
        match self.state.command(Command::parse(line), plaintext) {
            Action::Reply(reply) => say(out, reply, Next::Again),
            Action::Close(reply) => say(out, reply, Next::Close),
            Action::Capabilities => {
                let lines = self.capabilities();
                list(out, lines)
            }
            Action::Mechanisms => {
                let mechanisms = self.settings.auth.mechanisms(&self.channel);
                list(out, mechanisms.into_iter().map(str::to_owned).collect())
            }
            Action::StartTls => match self.settings.starttls.clone() {
                Some(tls) => say(out, Reply::BeginTls, Next::StartTls(tls)),
                None => say(out, Reply::TlsUnavailable, Next::Again),
            },
            Action::Login { user, password } => {
                let result = self.settings.auth.login(&user, &password, &self.channel).await;
                self.concluded(result, out).await
            }
            Action::Authenticate { mechanism, initial } => {
                match self.settings.auth.start(&mechanism, &self.channel) {
                    Ok(exchange) => self.answer(exchange, initial.as_deref().map(str::as_bytes), out).await,
                    Err(failure) => self.concluded(Err(failure), out).await,
                }
            }
            // Of the maildrop there is nothing here: the session never opens one; and where clients come from is seen.
            Action::List(..) | Action::Send { .. } | Action::Update(_) | Action::Origin(_) => {
                say(out, Reply::WrongState, Next::Again)
            }
        }
    }

    async fn answer(&mut self, mut exchange: Exchange, line: Option<&[u8]>, out: &mut BytesMut) -> Next {
        match exchange.step64(line).await {
            Step64::Challenge(challenge) => {
                self.exchange = Some(exchange);
                say(out, Reply::Challenge(challenge), Next::Again)
            }
            Step64::Done(login) => self.concluded(Ok(login), out).await,
            Step64::Failed(failure) => self.concluded(Err(failure), out).await,
        }
    }

    async fn concluded(&mut self, result: Result<Login, Failure>, out: &mut BytesMut) -> Next {
        match result {
            Ok(login) => self.connect_through(&login, out).await,
            Err(failure) => {
                self.failures += 1;
                let next = if self.failures >= MAX_FAILURES {
                    rows::MAX_FAILURES.met("too many failed logins: the connection is ended");
                    Next::Close
                } else {
                    Next::Again
                };
                say(out, failed(&failure), next)
            }
        }
    }

    async fn connect_through(&mut self, login: &Login, out: &mut BytesMut) -> Next {
        if let Err(why) = self.settings.seat.login(login, self.channel.is_encrypted()) {
            return say(out, Reply::TooManySessions(why.to_string()), Next::Again);
        }
        let next = self.open(login, out).await;
        if self.backend.is_none() {
            self.settings.seat.logout();
        }
        next
    }

    async fn open(&mut self, login: &Login, out: &mut BytesMut) -> Next {
        let user = match login.detail.as_deref() {
            Some(folder) if !folder.is_empty() => format!("{}+{folder}", login.userid),
            _ => login.userid.clone(),
        };
        let way = Way {
            directory: &*self.directory,
            upstream: &self.upstream,
            servers: &self.servers,
            imapd: &self.settings.imapd,
            user: &user,
            origin: &self.settings.seat.as_origin(&self.settings.servername),
        };
        let opened = match locate::maildrop(&self.settings.namespace, login) {
            Some(name) => way.open(&name, login).await,
            None => Err(way.refused(Unopenable::BadName)),
        };
        match opened {
            Ok((server, connection)) => {
                info!(user, server, "connected through");
                let line = match connection.text.is_empty() {
                    true => Reply::Ready { session_id: self.settings.session_id.clone() }.to_string(),
                    false => format!("+OK {}", connection.text),
                };
                self.settings.seat.linked(&server, &connection.text);
                self.backend = Some(connection);
                say(out, line, Next::Detach)
            }
            Err(refusal) => say(out, refusal, Next::Again),
        }
    }

    fn capabilities(&self) -> Vec<String> {
        let implementation = match self.settings.version.is_empty() {
            true => String::new(),
            false => format!("Murder-POP3-{}", self.settings.version),
        };
        Capabilities {
            sasl: &self.settings.auth.mechanisms(&self.channel),
            stls: self.state.offers_stls(),
            user: self.settings.auth.allows_plaintext(&self.channel),
            expire_days: self.settings.expire_days,
            login_delay: self.settings.login_delay,
            xclient: false,
            implementation: &implementation,
        }
        .lines()
    }
}

impl Session for Front {
    async fn greet(&mut self, out: &mut BytesMut) -> Next {
        let Settings { servername, version, .. } = self.settings.clone();
        say(out, Reply::Greeting { servername, version }, Next::Read)
    }

    async fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Next {
        let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return Next::Read };
        let line = input.split_to(end + 1);
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.line(line, out).await
    }

    fn patience(&self) -> Duration {
        BEFORE_LOGIN
    }

    fn is_known(&self) -> bool {
        // Who is logged in goes on at the backend.
        false
    }

    fn farewell(&mut self, why: Farewell, out: &mut BytesMut) {
        let reply = match why {
            Farewell::Idle => Reply::Idle,
            Farewell::Shutdown => self.settings.seat.denied().map_or(Reply::ShuttingDown, Reply::UserDenied),
            Farewell::TooLong => Reply::LineTooLong,
        };
        say(out, reply, Next::Close);
    }

    fn secured(&mut self, channel: &Channel) {
        self.channel = channel.clone();
        self.state.tls_started();
    }
}

fn say(out: &mut BytesMut, reply: impl std::fmt::Display, next: Next) -> Next {
    out.extend_from_slice(format!("{reply}\r\n").as_bytes());
    next
}

fn list(out: &mut BytesMut, lines: Vec<String>) -> Next {
    for line in ["+OK List of capabilities follows".to_owned()].into_iter().chain(lines) {
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    say(out, ".", Next::Again)
}

/// What the client sees for each failure.
fn failed(failure: &Failure) -> Reply {
    match failure {
        Failure::BadCredentials | Failure::BadTicket(_) | Failure::NotAuthorized { .. } => {
            Reply::InvalidLogin
        }
        Failure::Denied { message, .. } => Reply::UserDenied(message.clone()),
        Failure::NoMechanism(_) => Reply::UnknownMechanism,
        Failure::PlaintextRefused => Reply::PlaintextRefused,
        Failure::Malformed(_) => Reply::BadBase64,
        Failure::Cancelled => Reply::AuthCancelled,
        Failure::Temporary(_) => Reply::AuthUnavailable,
    }
}
