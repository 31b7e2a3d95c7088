//! The client's side of a POP3 session.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use config::imapd::Imapd;
use identity::auth::{Authenticator, Exchange, Failure, Login, Step64};
use protocol::dots::Stuffer;
use protocol::line::{Line, Lines};
use protocol::origin::Origin;
use protocol::pop3::capability::Capabilities;
use protocol::pop3::command::Command;
use protocol::pop3::maildrop::Listing;
use protocol::pop3::reply::Reply;
use protocol::pop3::session::{Action, Session, Tls};
use service::Connection;
use service::Context;
use service::drive::{self, Farewell, Next};
use service::sessions::Seat;
use tracing::info;
use transport::peer::Channel;
use transport::tls::ServerTls;

use super::limits::{LINE, MAX_FAILURES, PIECE, REPLIES, STEPS, UNOPENABLE_PAUSE, rows};
use super::locks::Locks;
use super::maildrop::{self, Opened};
use crate::moving::Moving;
use store::Store;

/// A connected client.
pub(super) struct Client {
    store: Store,
    moving: Option<Arc<Moving>>,
    locks: Arc<Locks>,
    imapd: Imapd,
    auth: Authenticator,
    starttls: Option<ServerTls>,
    channel: Channel,
    session_id: String,
    seat: Seat,
    context: Context,
    session: Session,
    lines: Lines,
    failures: u32,
    /// What was said before the login; believed of a proxy.
    origin: Option<Origin>,
    opened: Option<Opened>,
    phase: Phase,
}

/// What comes next on the connection.
enum Phase {
    Command,
    Auth(Box<Exchange>),
    /// A message on its way out.
    Sending(Box<Sending>),
    /// LIST or UIDL on its way out.
    Listing(Listing),
}

struct Sending {
    rest: Bytes,
    stuffer: Stuffer,
}

impl drive::Session for Client {
    async fn greet(&mut self, out: &mut BytesMut) -> Next {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        say(&Reply::Greeting { servername: self.imapd.servername.clone(), version }, out);
        Next::Read
    }

    async fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Next {
        let mut steps = 0;
        loop {
            if out.len() > REPLIES || steps == STEPS {
                return Next::Again;
            }
            steps += 1;
            let phase = match std::mem::replace(&mut self.phase, Phase::Command) {
                Phase::Sending(sending) => {
                    self.send(sending, out);
                    continue;
                }
                Phase::Listing(listing) => {
                    self.list(listing, out);
                    continue;
                }
                phase => phase,
            };
            let next = match self.lines.next(input) {
                Ok(Some(line)) => self.line(phase, line, out).await,
                Ok(None) => {
                    self.phase = phase;
                    Some(Next::Read)
                }
                Err(_) => Some(close(&Reply::TooManyErrors, out)),
            };
            if let Some(next) = next {
                return next;
            }
        }
    }

    fn patience(&self) -> Duration {
        self.imapd.poptimeout
    }

    fn is_known(&self) -> bool {
        self.session.is_logged_in()
    }

    /// Without QUIT nothing is deleted (RFC 1939 section 6).
    fn farewell(&mut self, why: Farewell, out: &mut BytesMut) {
        let reply = match why {
            Farewell::Idle => Reply::Idle,
            Farewell::Shutdown => self.seat.denied().map_or(Reply::ShuttingDown, Reply::UserDenied),
            Farewell::TooLong => Reply::LineTooLong,
        };
        say(&reply, out);
    }

    fn secured(&mut self, channel: &Channel) {
        self.channel = channel.clone();
        // What was said in the clear anybody may have said.
        self.origin = None;
        self.session.tls_started();
    }
}

impl Client {
    pub fn new(
        connection: &Connection,
        store: Store,
        locks: Arc<Locks>,
        moving: Option<Arc<Moving>>,
    ) -> Client {
        let listener = &connection.listener;
        let (channel, starttls) = (connection.stream.channel().clone(), listener.starttls());
        let tls = match (channel.is_encrypted(), &starttls) {
            (true, _) => Tls::Active,
            (false, Some(_)) => Tls::Offered,
            (false, None) => Tls::Unavailable,
        };
        Client {
            store,
            moving,
            locks,
            imapd: listener.imapd(),
            auth: listener.auth(),
            starttls,
            channel,
            session_id: connection.session.clone(),
            seat: connection.seat.clone(),
            context: connection.context.clone(),
            session: Session::new(tls),
            lines: Lines::new(LINE),
            failures: 0,
            origin: None,
            opened: None,
            phase: Phase::Command,
        }
    }

    /// Has somebody else decide the logins of this connection.
    pub fn decide_by(&mut self, auth: Authenticator) {
        self.auth = auth;
    }

    async fn line(&mut self, phase: Phase, line: Line, out: &mut BytesMut) -> Option<Next> {
        match (phase, line) {
            (_, Line::TooLong) => {
                say(&Reply::LineTooLong, out);
                None
            }
            (Phase::Auth(exchange), Line::Text(text)) => self.authenticate(exchange, Some(&text), out).await,
            (_, Line::Text(text)) => {
                if let Some(text) = self.context.notices().shutdown().await {
                    return Some(close(&Reply::Maintenance(text), out));
                }
                let plaintext = self.auth.allows_plaintext(&self.channel);
                logs::chat(self.imapd.chatty, &text);
                let action = self.session.command(Command::parse(&text), plaintext);
                self.act(action, out).await
            }
        }
    }

    /// Does what the session says. None: go on with the input.
    async fn act(&mut self, action: Action, out: &mut BytesMut) -> Option<Next> {
        match action {
            Action::Reply(reply) => say(&reply, out),
            Action::List(reply, listing) => {
                say(&reply, out);
                self.phase = Phase::Listing(listing);
            }
            Action::Close(reply) => return Some(close(&reply, out)),
            Action::Capabilities => list(&Reply::ListFollows, self.capabilities(), out),
            Action::Mechanisms => {
                let mechanisms = self.auth.mechanisms(&self.channel);
                list(&Reply::ListFollows, mechanisms.into_iter().map(str::to_owned).collect(), out);
            }
            Action::StartTls => match self.starttls.clone() {
                Some(tls) => {
                    say(&Reply::BeginTls, out);
                    return Some(Next::StartTls(tls));
                }
                None => say(&Reply::TlsUnavailable, out),
            },
            Action::Origin(origin) => {
                self.origin = Some(origin);
                say(&Reply::Noop, out);
            }
            Action::Login { user, password } => {
                let result = self.auth.login(&user, &password, &self.channel).await;
                return self.concluded(result, out).await;
            }
            Action::Authenticate { mechanism, initial } => {
                return match self.auth.start(&mechanism, &self.channel) {
                    Ok(exchange) => {
                        self.authenticate(Box::new(exchange), initial.as_deref().map(str::as_bytes), out)
                            .await
                    }
                    Err(failure) => self.concluded(Err(failure), out).await,
                };
            }
            Action::Send { uid, top } => self.begin_sending(uid, top, out).await,
            Action::Update(deleted) => {
                let reply = match &mut self.opened {
                    Some(opened) => opened.update(&deleted).await,
                    None => Reply::Bye,
                };
                // The maildrop is free before the client hears goodbye and comes again.
                self.opened = None;
                return Some(close(&reply, out));
            }
        }
        None
    }

    async fn authenticate(
        &mut self,
        mut exchange: Box<Exchange>,
        message: Option<&[u8]>,
        out: &mut BytesMut,
    ) -> Option<Next> {
        match exchange.step64(message).await {
            Step64::Challenge(base64) => {
                self.phase = Phase::Auth(exchange);
                say(&Reply::Challenge(base64), out);
                None
            }
            Step64::Done(login) => self.concluded(Ok(login), out).await,
            Step64::Failed(failure) => self.concluded(Err(failure), out).await,
        }
    }

    async fn concluded(&mut self, result: Result<Login, Failure>, out: &mut BytesMut) -> Option<Next> {
        let login = match result {
            Ok(login) => login,
            Err(failure) => {
                self.failures += 1;
                say(&failed(&failure), out);
                if self.failures >= MAX_FAILURES {
                    rows::MAX_FAILURES.met("too many failed logins: the connection is ended");
                    return Some(Next::Close);
                }
                return None;
            }
        };
        if let Err(why) = self.seat.login(&login, self.channel.is_encrypted()) {
            say(&Reply::TooManySessions(why.to_string()), out);
            return None;
        }
        let opened = maildrop::open(&self.store, &self.locks, &self.imapd, &login, self.moving.clone());
        match opened.await {
            Ok((opened, maildrop)) => {
                info!(user = login.userid, mechanism = login.mechanism, "POP3 login");
                self.note_origin(&login);
                self.opened = Some(opened);
                self.session.opened(maildrop);
                say(&Reply::Ready { session_id: self.session_id.clone() }, out);
            }
            Err(reply) => {
                self.seat.logout();
                info!(user = login.userid, "POP3 login refused: {reply}");
                tokio::time::sleep(UNOPENABLE_PAUSE).await;
                say(&reply, out);
            }
        }
        None
    }

    /// Where the session comes from, as far as whoever logged in is to be believed.
    fn note_origin(&mut self, login: &Login) {
        let Some(origin) = self.origin.take() else { return };
        if login.proxy {
            info!(client = %origin.client, session = %origin.session, node = %origin.node, "on behalf of");
            self.seat.came_from(origin);
        }
    }

    async fn begin_sending(&mut self, uid: u32, top: Option<u32>, out: &mut BytesMut) {
        let Some(opened) = &mut self.opened else { return say(&Reply::WrongState, out) };
        match opened.message(uid, top).await {
            Ok(rest) => {
                say(&Reply::MessageFollows, out);
                self.phase = Phase::Sending(Box::new(Sending { rest, stuffer: Stuffer::faithful() }));
            }
            Err(reply) => say(&reply, out),
        }
    }

    /// Puts the next piece of a message out.
    fn send(&mut self, mut sending: Box<Sending>, out: &mut BytesMut) {
        let piece = sending.rest.split_to(sending.rest.len().min(PIECE));
        let mut wire = Vec::new();
        sending.stuffer.push(&piece, &mut wire);
        if sending.rest.is_empty() {
            sending.stuffer.finish(&mut wire);
        } else {
            self.phase = Phase::Sending(sending);
        }
        out.extend_from_slice(&wire);
    }

    /// Puts the next lines of a listing out.
    fn list(&mut self, mut listing: Listing, out: &mut BytesMut) {
        let mut lines = Vec::new();
        if self.session.list(&mut listing, &mut lines) {
            lines.extend_from_slice(b".\r\n");
        } else {
            self.phase = Phase::Listing(listing);
        }
        out.extend_from_slice(&lines);
    }

    fn capabilities(&self) -> Vec<String> {
        let before_login = !self.session.is_logged_in();
        let sasl = if before_login { self.auth.mechanisms(&self.channel) } else { Vec::new() };
        Capabilities {
            sasl: &sasl,
            stls: self.session.offers_stls(),
            user: self.auth.allows_plaintext(&self.channel),
            expire_days: self.imapd.popexpiretime.map(|time| time.as_secs() / 86_400),
            login_delay: self.imapd.popminpoll.as_secs(),
            xclient: before_login && !self.imapd.proxyservers.is_empty(),
            implementation: concat!("Murder-POP3-", env!("CARGO_PKG_VERSION")),
        }
        .lines()
    }
}

fn say(reply: &Reply, out: &mut BytesMut) {
    out.extend_from_slice(format!("{reply}\r\n").as_bytes());
}

fn close(reply: &Reply, out: &mut BytesMut) -> Next {
    say(reply, out);
    Next::Close
}

fn list(reply: &Reply, lines: Vec<String>, out: &mut BytesMut) {
    say(reply, out);
    for line in lines {
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
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
