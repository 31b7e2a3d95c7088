//! The client's side of a session: frames, the login, what is the same on every server, and the rest to its [`Host`].

use std::time::Duration;

use bytes::BytesMut;
use config::imapd::{Imapd, ServerInfo};
use identity::auth::{Authenticator, Exchange, Failure, Login, Step64};
use protocol::frame::{Collected, Collector, FrameError, Limits, Poison};
use protocol::managesieve::{Capabilities, Code, Command, Condition, Reply, Session, Tls, Verdict};
use protocol::origin::Origin;
use service::drive::{self, Farewell, Next};
use service::sessions::Seat;
use service::{Connection, Context};
use sieve::Included;
use tracing::info;
use transport::peer::Channel;
use transport::tls::ServerTls;

use crate::check::{Accepted, Checked};
use crate::host::{Answer, Host, Welcome};
use crate::limits::{LINE, MAX_FAILURES, REPLIES, STEPS, rows};

/// A connected client.
pub struct Client<H> {
    host: H,
    imapd: Imapd,
    auth: Authenticator,
    starttls: Option<ServerTls>,
    channel: Channel,
    seat: Seat,
    context: Context,
    session: Session,
    collector: Collector,
    accepted: Accepted,
    exchange: Option<Box<Exchange>>,
    failures: u32,
    owner: Option<String>,
    /// What the next command about scripts is answered, where these are elsewhere.
    referral: Option<Reply>,
    /// What was said before the login; believed of a proxy.
    origin: Option<Origin>,
    /// TLS has begun: the client waits for what is announced now.
    unannounced: bool,
}

impl<H: Host> Client<H> {
    pub fn new(connection: &Connection, host: H) -> Client<H> {
        let listener = &connection.listener;
        let (channel, starttls) = (connection.stream.channel().clone(), listener.starttls());
        let tls = match (channel.is_encrypted(), &starttls) {
            (true, _) => Tls::Active,
            (false, Some(_)) => Tls::Offered,
            (false, None) => Tls::Unavailable,
        };
        let imapd = listener.imapd();
        Client {
            host,
            accepted: Accepted::of(&imapd),
            collector: collector(&imapd, false),
            imapd,
            auth: listener.auth(),
            starttls,
            channel,
            seat: connection.seat.clone(),
            context: connection.context.clone(),
            session: Session::new(tls),
            exchange: None,
            failures: 0,
            owner: None,
            referral: None,
            origin: None,
            unannounced: false,
        }
    }

    /// The host, once the driver has handed the connection back.
    pub fn into_host(self) -> H {
        self.host
    }

    fn announce(&mut self, out: &mut BytesMut) {
        self.unannounced = false;
        let sasl = self.auth.mechanisms(&self.channel);
        let implementation = match self.imapd.serverinfo {
            ServerInfo::On => concat!("Murder ManageSieve ", env!("CARGO_PKG_VERSION")),
            ServerInfo::Min => "Murder ManageSieve",
            ServerInfo::Off => "ManageSieve",
        };
        let capabilities = Capabilities {
            implementation,
            sasl: &sasl,
            sieve: &self.accepted.words(),
            notify: self.accepted.notify(),
            max_redirects: u32::try_from(sieve::limits::REDIRECTS).ok(),
            starttls: self.session.offers_starttls(),
            xclient: H::TAKES_ORIGINS && !self.session.is_logged_in() && !self.imapd.proxyservers.is_empty(),
            owner: self.owner.as_deref(),
        };
        let mut block = Vec::new();
        capabilities.write(&mut block);
        Reply::OK.write(&mut block);
        out.extend_from_slice(&block);
    }

    /// One frame, or why there is none. None: go on with the input.
    async fn collected(&mut self, collected: Collected, out: &mut BytesMut) -> Option<Next> {
        let frame = match collected {
            // No literal is waited for.
            Collected::Continue(_) => return None,
            Collected::Poisoned { why, .. } => {
                self.exchange = None;
                let reply = match (self.session.is_logged_in(), why) {
                    (false, _) => Reply::no("Authenticate first"),
                    (true, Poison::Line) => Reply::no("Line is too long"),
                    (true, Poison::Literal(_) | Poison::Command) => too_large(&self.imapd),
                };
                return verdict(self.session.wrong(reply), out).err();
            }
            Collected::Command(frame) => frame,
        };
        if let Some(exchange) = self.exchange.take() {
            return match Command::parse_answer(&frame) {
                Ok(answer) => self.authenticate(exchange, Some(&answer), out).await,
                Err(error) => {
                    let failure = Failure::Malformed(error.to_string());
                    self.concluded(Err(failure), Reply::OK, out).await
                }
            };
        }
        if let Some(text) = self.context.notices().shutdown().await {
            return Some(say(&Reply::bye(text).code(Code::TryLater), out, Next::Close));
        }
        logs::chat(self.imapd.chatty, &frame);
        match verdict(self.session.command(Command::parse(&frame)), out) {
            Ok(Some(command)) => self.act(command, out).await,
            Ok(None) => None,
            Err(next) => Some(next),
        }
    }

    async fn act(&mut self, command: Command, out: &mut BytesMut) -> Option<Next> {
        if let Some(referral) = self.referral.clone().filter(|_| needs_scripts(&command)) {
            return Some(say(&referral, out, Next::Close));
        }
        let answer = match command {
            Command::Capability => {
                self.announce(out);
                return None;
            }
            Command::Logout => return Some(say(&Reply::ok("Logout Complete"), out, Next::Close)),
            Command::Noop(None) => Reply::ok("Done").into(),
            Command::Noop(Some(tag)) => Reply::ok("Done").code(Code::Tag(tag)).into(),
            Command::StartTls => {
                return Some(match self.starttls.clone() {
                    Some(tls) => say(&Reply::ok("Begin TLS negotiation now"), out, Next::StartTls(tls)),
                    None => say(&Reply::no("TLS not available"), out, Next::Again),
                });
            }
            Command::Authenticate { mechanism, initial } => {
                return match self.auth.start(&mechanism, &self.channel) {
                    Ok(exchange) => self.authenticate(Box::new(exchange), initial.as_deref(), out).await,
                    Err(failure) => self.concluded(Err(failure), Reply::OK, out).await,
                };
            }
            Command::XClient(_) if !H::TAKES_ORIGINS => {
                Reply::no("Expected a command. Got something else.").into()
            }
            Command::XClient(origin) => {
                self.origin = Some(origin);
                Reply::OK.into()
            }
            Command::Unauthenticate => {
                self.log_out();
                Reply::OK.into()
            }
            Command::CheckScript(script) => match self.check(script).await {
                Ok(warnings) => warned(Reply::OK, warnings).into(),
                Err(reply) => reply.into(),
            },
            Command::PutScript { name, script } => self.put(name, script).await,
            other => self.host.serve(other).await,
        };
        let next = (answer.reply.condition == Condition::Bye).then_some(Next::Close);
        out.extend_from_slice(&answer.data);
        say(&answer.reply, out, Next::Again);
        next
    }

    /// PUTSCRIPT: room first, which costs nothing; then the check; then the store.
    async fn put(&mut self, name: protocol::managesieve::ScriptName, script: Vec<u8>) -> Answer {
        let size = script.len() as u64;
        let room = self.host.serve(Command::HaveSpace { name: name.clone(), size }).await;
        if room.reply.condition != Condition::Ok {
            return room;
        }
        let warnings = match self.check(script.clone()).await {
            Ok(warnings) => warnings,
            Err(reply) => return reply.into(),
        };
        let stored = self.host.serve(Command::PutScript { name, script }).await;
        match stored.reply.condition {
            Condition::Ok => Answer { reply: warned(stored.reply, warnings), ..stored },
            Condition::No | Condition::Bye => stored,
        }
    }

    /// What is to be said of a good script besides; or the refusal.
    async fn check(&mut self, script: Vec<u8>) -> Result<String, Reply> {
        if script.len() as u64 > self.imapd.sieve_maxscriptsize {
            return Err(too_large(&self.imapd));
        }
        let Checked { mut warnings, includes } = self.accepted.check(script).await.map_err(Reply::no)?;
        for Included { line, location, name, optional } in includes {
            let global = location == sieve::Location::Global;
            if !optional && self.host.has(&name, global).await == Some(false) {
                warnings.push_str(&format!("line {line}: the included script '{name}' does not exist\r\n"));
            }
        }
        Ok(warnings)
    }

    async fn authenticate(
        &mut self,
        mut exchange: Box<Exchange>,
        message: Option<&[u8]>,
        out: &mut BytesMut,
    ) -> Option<Next> {
        match exchange.step64(message).await {
            // A Cyrus frontend sends nothing more once the server has proved itself: that goes with the OK.
            Step64::Challenge(proof) if exchange.is_proven() => {
                let concluded = match exchange.step64(Some(b"")).await {
                    Step64::Done(login) => Ok(login),
                    Step64::Failed(failure) => Err(failure),
                    Step64::Challenge(_) => Err(Failure::Malformed("the exchange has no end".to_owned())),
                };
                self.concluded(concluded, Reply::OK.code(Code::Sasl(proof)), out).await
            }
            Step64::Challenge(challenge) => {
                self.exchange = Some(exchange);
                let mut data = Vec::new();
                Reply::write_data(challenge.as_bytes(), &mut data);
                out.extend_from_slice(&data);
                None
            }
            Step64::Done(login) => self.concluded(Ok(login), Reply::OK, out).await,
            Step64::Failed(failure) => self.concluded(Err(failure), Reply::OK, out).await,
        }
    }

    /// `yes` is what a client is answered that is let in.
    async fn concluded(
        &mut self,
        result: Result<Login, Failure>,
        yes: Reply,
        out: &mut BytesMut,
    ) -> Option<Next> {
        let login = match result {
            Ok(login) => login,
            Err(failure) => {
                self.failures += 1;
                if self.failures < MAX_FAILURES {
                    say(&failed(&failure), out, Next::Again);
                    return None;
                }
                rows::MAX_FAILURES.met("too many failed logins: the connection is ended");
                let reply = failed(&failure);
                return Some(say(&Reply { condition: Condition::Bye, ..reply }, out, Next::Close));
            }
        };
        if let Err(why) = self.seat.login(&login, self.channel.is_encrypted()) {
            say(&Reply::no(why.to_string()).code(Code::TryLater), out, Next::Again);
            return None;
        }
        match self.host.login(&login).await {
            Ok(Welcome::Through) => return Some(say(&yes, out, Next::Detach)),
            Ok(Welcome::Here) => self.referral = None,
            Ok(Welcome::Referred(reply)) => self.referral = Some(reply),
            Err(reply) => {
                self.seat.logout();
                say(&reply, out, Next::Again);
                return None;
            }
        }
        info!(user = login.userid, mechanism = login.mechanism, "ManageSieve login");
        if let Some(origin) = self.origin.take().filter(|_| login.proxy) {
            info!(client = %origin.client, session = %origin.session, node = %origin.node, "on behalf of");
            self.seat.came_from(origin);
        }
        self.session.logged_in();
        self.collector = collector(&self.imapd, true);
        self.owner = Some(login.userid);
        say(&yes, out, Next::Again);
        None
    }

    fn log_out(&mut self) {
        self.seat.logout();
        self.host.logout();
        self.session.logged_out();
        (self.owner, self.referral) = (None, None);
        self.collector = collector(&self.imapd, false);
    }
}

impl<H: Host> drive::Session for Client<H> {
    async fn greet(&mut self, out: &mut BytesMut) -> Next {
        self.announce(out);
        Next::Read
    }

    async fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Next {
        if self.unannounced {
            self.announce(out);
        }
        for _ in 0..STEPS {
            if out.len() > REPLIES {
                break;
            }
            let next = match self.collector.next(input) {
                Ok(Some(collected)) => self.collected(collected, out).await,
                Ok(None) => Some(Next::Read),
                Err(FrameError::Literal(_)) => {
                    let reply = too_large(&self.imapd);
                    Some(say(&Reply { condition: Condition::Bye, ..reply }, out, Next::Close))
                }
                Err(FrameError::Endless) => Some(say(&Reply::bye("Line is too long"), out, Next::Close)),
            };
            if let Some(next) = next {
                return next;
            }
        }
        Next::Again
    }

    /// After TLS has begun what is announced goes out unasked (RFC 5804 section 2.2).
    async fn wake(&mut self, out: &mut BytesMut) -> Next {
        if !self.unannounced {
            return std::future::pending().await;
        }
        self.announce(out);
        Next::Read
    }

    fn patience(&self) -> Duration {
        self.imapd.timeout
    }

    fn is_known(&self) -> bool {
        self.session.is_logged_in()
    }

    fn farewell(&mut self, why: Farewell, out: &mut BytesMut) {
        let reply = match why {
            Farewell::Idle => Reply::bye("Shutdown TCP timeout"),
            Farewell::Shutdown => leave(&self.seat),
            Farewell::TooLong => Reply::bye("Line is too long"),
        };
        say(&reply, out, Next::Close);
    }

    fn secured(&mut self, channel: &Channel) {
        self.channel = channel.clone();
        self.session.tls_started();
        // What was said in the clear anybody may have said.
        (self.exchange, self.origin) = (None, None);
        self.collector = collector(&self.imapd, false);
        self.unannounced = true;
    }
}

/// What a client is told whose session is ended.
pub fn leave(seat: &Seat) -> Reply {
    match seat.denied() {
        Some(text) => Reply::bye(text),
        None => Reply::bye("Server is shutting down").code(Code::TryLater),
    }
}

/// What is taken of a stranger is bounded by what a login needs.
fn collector(imapd: &Imapd, known: bool) -> Collector {
    let script = usize::try_from(imapd.sieve_maxscriptsize).unwrap_or(usize::MAX);
    let literal = if known { script.max(LINE) } else { LINE };
    let limits = Limits { line: LINE, skip: script.saturating_mul(2).max(LINE) };
    Collector::new(limits, literal as u64, literal.saturating_add(2 * LINE)).without_continuation()
}

/// Whether a frontend whose backend has the scripts cannot answer it.
fn needs_scripts(command: &Command) -> bool {
    match command {
        Command::Capability
        | Command::HaveSpace { .. }
        | Command::GetScript(_)
        | Command::PutScript { .. }
        | Command::SetActive(_)
        | Command::RenameScript { .. }
        | Command::DeleteScript(_)
        | Command::ListScripts
        | Command::StartTls => true,
        Command::Authenticate { .. }
        | Command::CheckScript(_)
        | Command::Logout
        | Command::Noop(_)
        | Command::Unauthenticate
        | Command::XClient(_) => false,
    }
}

fn too_large(imapd: &Imapd) -> Reply {
    let most = imapd.sieve_maxscriptsize;
    rows::sieve_maxscriptsize.met("a client sends a script that is larger than one may be: it is refused");
    Reply::no(format!("Script size is too large. Max script size is {most} bytes")).code(Code::QuotaMaxSize)
}

fn warned(reply: Reply, warnings: String) -> Reply {
    if warnings.is_empty() { reply } else { Reply::ok(warnings).code(Code::Warnings) }
}

/// Says what there is to say; the command, if it may come.
fn verdict(verdict: Verdict, out: &mut BytesMut) -> Result<Option<Command>, Next> {
    match verdict {
        Verdict::Do(command) => Ok(Some(command)),
        Verdict::Say(reply) => {
            say(&reply, out, Next::Again);
            Ok(None)
        }
        Verdict::Close(reply) => {
            rows::ERRORS.met("too many wrong commands: the connection is ended");
            Err(say(&reply, out, Next::Close))
        }
    }
}

fn say(reply: &Reply, out: &mut BytesMut, next: Next) -> Next {
    let mut line = Vec::new();
    reply.write(&mut line);
    out.extend_from_slice(&line);
    next
}

/// What the client sees for each failure.
fn failed(failure: &Failure) -> Reply {
    match failure {
        Failure::BadCredentials
        | Failure::BadTicket(_)
        | Failure::NotAuthorized { .. }
        | Failure::Malformed(_) => Reply::no("Authentication Error"),
        Failure::Denied { message, .. } => Reply::no(message.clone()),
        Failure::NoMechanism(_) => Reply::no("SASL mechanism is not available"),
        Failure::PlaintextRefused => {
            Reply::no("AUTHENTICATE only available under a layer").code(Code::EncryptNeeded)
        }
        Failure::Cancelled => Reply::no("Authentication cancelled"),
        Failure::Temporary(_) => {
            Reply::no("Authentication is not available at the moment").code(Code::TryLater)
        }
    }
}
