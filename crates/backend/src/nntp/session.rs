//! The client's side of an NNTP session: one thing at a time, so that answers have the order of their commands.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use config::imapd::Imapd;
use identity::auth::{Authenticator, Exchange, Login};
use protocol::line::{Line, Lines};
use protocol::nntp::capability::{Capabilities, Logins};
use protocol::nntp::session::{Action, Options, Session, Tls};
use protocol::nntp::{Command, No, Reply};
use protocol::origin::Origin;
use service::Connection;
use service::Context;
use service::drive::{self, Farewell, Next};
use service::sessions::Seat;
use transport::peer::Channel;
use transport::tls::ServerTls;

use super::limits::{LINE, LONG_LINE, REPLIES, STEPS};
use super::listing::Listing;
use super::node::Node;
use super::selected::Selected;
use super::taking::{Bringer, Kind, Taking};

/// A connected client.
pub(super) struct Client {
    pub(super) node: Arc<Node>,
    pub(super) imapd: Imapd,
    pub(super) auth: Authenticator,
    starttls: Option<ServerTls>,
    pub(super) channel: Channel,
    session_id: String,
    pub(super) seat: Seat,
    context: Context,
    pub(super) session: Session,
    lines: Lines,
    pub(super) failures: u32,
    /// What was said before the login; believed of a proxy.
    pub(super) origin: Option<Origin>,
    pub(super) who: Option<Login>,
    pub(super) selected: Option<Selected>,
    /// The client has asked for CAPABILITIES: metadata have their new names.
    pub(super) metadata: bool,
    pub(super) phase: Phase,
}

/// What comes next on the connection.
pub(super) enum Phase {
    Command,
    Auth(Box<Exchange>),
    /// An article on its way in.
    Taking(Box<Taking>),
    /// A list or an article on its way out.
    Sending(Listing),
}

impl drive::Session for Client {
    async fn greet(&mut self, out: &mut BytesMut) -> Next {
        say(&self.greeting(), out);
        Next::Read
    }

    async fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Next {
        for _ in 0..STEPS {
            if out.len() > REPLIES {
                break;
            }
            let next = match std::mem::replace(&mut self.phase, Phase::Command) {
                Phase::Sending(listing) => {
                    let login = self.who.clone().unwrap_or_else(Login::anonymous);
                    if let Some(rest) = listing.step(&self.node, &login, out).await {
                        self.phase = Phase::Sending(rest);
                    }
                    None
                }
                Phase::Taking(taking) => self.take(taking, input, out).await,
                phase @ (Phase::Command | Phase::Auth(_)) => match self.lines.next(input) {
                    Ok(Some(line)) => self.line(phase, line, out).await,
                    Ok(None) => {
                        self.phase = phase;
                        Some(Next::Read)
                    }
                    Err(_) => Some(close(&No::Unavailable("Too many errors".to_owned()).into(), out)),
                },
            };
            if let Some(next) = next {
                return next;
            }
        }
        Next::Again
    }

    fn patience(&self) -> Duration {
        self.imapd.nntptimeout
    }

    fn is_known(&self) -> bool {
        self.session.is_known()
    }

    fn farewell(&mut self, why: Farewell, out: &mut BytesMut) {
        let why = match why {
            Farewell::Idle => "Idle for too long".to_owned(),
            Farewell::Shutdown => self.seat.denied().unwrap_or_else(|| "Server is shutting down".to_owned()),
            Farewell::TooLong => return say(&No::LineTooLong.into(), out),
        };
        say(&No::Unavailable(why).into(), out);
    }

    fn secured(&mut self, channel: &Channel) {
        self.channel = channel.clone();
        // What was said in the clear anybody may have said.
        self.origin = None;
        self.selected = None;
        self.session.tls_started();
    }
}

impl Client {
    pub fn new(connection: &Connection, node: Arc<Node>) -> Client {
        let listener = &connection.listener;
        let (channel, starttls, imapd) =
            (connection.stream.channel().clone(), listener.starttls(), listener.imapd());
        let tls = match (channel.is_encrypted(), &starttls) {
            (true, _) => Tls::Active,
            (false, Some(_)) => Tls::Offered,
            (false, None) => Tls::Unavailable,
        };
        let (readers, feeders) = (listener.has_flag('r'), listener.has_flag('f'));
        let options = Options {
            reads: readers || !feeders,
            feeds: feeders || !readers,
            anonymous: imapd.allowanonymouslogin,
            tls,
        };
        Client {
            node,
            imapd,
            auth: listener.auth(),
            starttls,
            channel,
            session_id: connection.session.clone(),
            seat: connection.seat.clone(),
            context: connection.context.clone(),
            session: Session::new(options),
            lines: Lines::new(LONG_LINE),
            failures: 0,
            origin: None,
            who: None,
            selected: None,
            metadata: false,
            phase: Phase::Command,
        }
    }

    async fn take(
        &mut self,
        mut taking: Box<Taking>,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Option<Next> {
        let login = self.who.clone().unwrap_or_else(Login::anonymous);
        let by = Bringer { login: &login, imapd: &self.imapd, session: &self.session_id };
        let reply = match taking.advance(input, &self.node, &by).await {
            Some(reply) => reply,
            None => {
                self.phase = Phase::Taking(taking);
                return Some(Next::Read);
            }
        };
        match reply {
            Reply::No(No::Unavailable(_)) => Some(close(&reply, out)),
            reply => {
                say(&reply, out);
                None
            }
        }
    }

    async fn line(&mut self, phase: Phase, line: Line, out: &mut BytesMut) -> Option<Next> {
        let text = match line {
            Line::Text(text) => text,
            // Nobody knows whether it brings an article.
            Line::TooLong => return Some(close(&No::LineTooLong.into(), out)),
        };
        if let Phase::Auth(exchange) = phase {
            return self.authenticate(exchange, Some(&text), out).await;
        }
        if text.len() + 2 > LINE && Command::brings_article(&text) {
            self.phase = self.taking(Kind::Swallow(No::LineTooLong.into()));
            return None;
        }
        if text.len() + 2 > LINE && !Command::may_be_long(&text) {
            say(&No::LineTooLong.into(), out);
            return None;
        }
        if let Some(text) = self.context.notices().shutdown().await {
            return Some(close(&No::Unavailable(text).into(), out));
        }
        let plaintext = self.auth.allows_plaintext(&self.channel);
        logs::chat(self.imapd.chatty, &text);
        let action = self.session.command(Command::parse(&text), plaintext);
        self.act(action, out).await
    }

    /// Does what the session says. None: go on with the input.
    async fn act(&mut self, action: Action, out: &mut BytesMut) -> Option<Next> {
        match action {
            Action::Reply(reply) => say(&reply, out),
            Action::Swallow(reply) => self.phase = self.taking(Kind::Swallow(reply)),
            Action::Close(reply) => return Some(close(&reply, out)),
            Action::Capabilities => {
                self.metadata = true;
                say(&Reply::CapabilitiesFollow, out);
                self.phase = Phase::Sending(Listing::Lines(self.capabilities()));
            }
            Action::Greet => say(&self.greeting(), out),
            Action::StartTls => match self.starttls.clone() {
                Some(tls) => {
                    say(&Reply::BeginTls, out);
                    return Some(Next::StartTls(tls));
                }
                None => say(&No::TlsUnavailable.into(), out),
            },
            Action::Compress => {
                self.session.compressed();
                say(&Reply::Compressed, out);
                return Some(Next::Compress);
            }
            Action::Origin(origin) => {
                self.origin = Some(origin);
                say(&Reply::OriginNoted, out);
            }
            Action::Login { user, password } => {
                let result = self.auth.login(&user, &password, &self.channel).await;
                return self.concluded(result, Reply::LoggedIn, out).await;
            }
            Action::Authenticate { mechanism, initial } => {
                return match self.auth.start(&mechanism, &self.channel) {
                    Ok(exchange) => {
                        let initial = initial.as_deref().map(str::as_bytes);
                        self.authenticate(Box::new(exchange), initial, out).await
                    }
                    Err(failure) => self.concluded(Err(failure), Reply::LoggedIn, out).await,
                };
            }
            Action::Serve(command) => return self.serve(command, out).await,
        }
        None
    }

    pub(super) fn taking(&self, kind: Kind) -> Phase {
        Phase::Taking(Box::new(Taking::new(kind, &self.imapd)))
    }

    fn greeting(&self) -> Reply {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let posting = self.session.options().reads;
        Reply::Ready { servername: self.imapd.servername.clone(), version, posting }
    }

    fn capabilities(&self) -> Vec<String> {
        let options = self.session.options();
        let sasl = self.auth.mechanisms(&self.channel);
        let user = self.auth.allows_plaintext(&self.channel);
        let login = (!self.session.is_logged_in()).then_some(Logins { user, sasl: &sasl });
        Capabilities {
            implementation: concat!("Murder NNTP ", env!("CARGO_PKG_VERSION")),
            starttls: self.session.offers_starttls(),
            known: self.session.is_known(),
            login: login.filter(|login| login.user || !login.sasl.is_empty()),
            compress: self.session.offers_compress(),
            feeds: options.feeds,
            reads: options.reads,
            newnews: self.imapd.allownewnews,
            xclient: !self.session.is_logged_in() && !self.imapd.proxyservers.is_empty(),
        }
        .lines()
    }
}

pub(super) fn say(reply: &Reply, out: &mut BytesMut) {
    out.extend_from_slice(format!("{reply}\r\n").as_bytes());
}

pub(super) fn close(reply: &Reply, out: &mut BytesMut) -> Next {
    say(reply, out);
    Next::Close
}
