//! One connection as the driver of all protocols sees it: commands, an AUTH exchange or a message, in turns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use identity::auth::{Authenticator, Exchange, Failure, Step64};
use metrics::counter;
use protocol::line::{Line, Lines};
use protocol::lmtp::command::{Command, Mail, Rcpt};
use protocol::lmtp::intake::{Intake, Outcome, Progress};
use protocol::lmtp::refusal::{Refusal, Verdict};
use protocol::lmtp::reply::{Answer, Reply, Server};
use protocol::lmtp::session::{Action, Session, Trust};
use service::drive::{self, Farewell, Next, drive};
use service::notices::Notices;
use service::serve::Connection;
use service::sessions::Seat;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use transport::peer::{Channel, Peer};
use transport::stream::Stream;
use transport::tls::ServerTls;
use transport::wire::{Bounds, Wire};
use work::aside::Pace;

use crate::deliver::{Deliver, Envelope, Incoming};
use crate::limits::{BYTES, COMMANDS, IDLE, INPUT, LINE, NOTICE, REPLIES, WRITE, rows};
use crate::settings::Settings;
use crate::trace;

/// What a listener gives to each of its connections.
#[derive(Clone)]
pub struct Door {
    pub settings: Arc<Settings>,
    pub auth: Authenticator,
    /// Where STARTTLS is offered.
    pub starttls: Option<ServerTls>,
    /// `-a`: clients need not authenticate. Those of a UNIX socket never do.
    pub trusted: bool,
    /// While the operator says so, no mail is taken.
    pub notices: Notices,
    /// Names the session in replies, headers and logs.
    pub session_id: String,
    /// Its entry in the register of who is on.
    pub seat: Seat,
}

impl Door {
    /// The door of a connection's listener.
    pub fn of(connection: &Connection) -> Door {
        let listener = &connection.listener;
        Door {
            settings: Arc::new(Settings::new(&listener.imapd())),
            auth: listener.auth(),
            starttls: listener.starttls(),
            trusted: listener.has_flag('a'),
            notices: connection.context.notices().clone(),
            session_id: connection.session.clone(),
            seat: connection.seat.clone(),
        }
    }
}

/// Serves one client until it quits, fails or `stop` is cancelled.
pub async fn serve<D: Deliver>(stream: Stream, door: Door, deliver: D, stop: CancellationToken) {
    let peer = stream.peer().clone();
    let mut conn = Conn::new(&stream, door, deliver);
    let bounds = Bounds { input: INPUT, write: WRITE, ..Bounds::default() };
    match drive(Wire::new(stream, bounds), &mut conn, &stop).await {
        Ok(_) => debug!(%peer, "LMTP session ended"),
        Err(error) => info!(%peer, %error, "LMTP connection lost"),
    }
}

struct Conn<D: Deliver> {
    door: Door,
    deliver: D,
    session: Session,
    me: Server,
    channel: Channel,
    lines: Lines,
    phase: Phase<D::Incoming>,
    pace: Pace,
}

/// What the next bytes are.
enum Phase<M> {
    Command,
    Auth(Box<Exchange>),
    Message(Box<Taking<M>>),
}

/// A message being taken in.
struct Taking<M> {
    mail: Mail,
    intake: Intake,
    /// Where it goes, or why it will be refused whatever else comes.
    message: Result<M, Refusal>,
    piece: Vec<u8>,
}

impl<D: Deliver> drive::Session for Conn<D> {
    async fn greet(&mut self, out: &mut BytesMut) -> Next {
        self.say(&Reply::Greeting, out);
        Next::Read
    }

    async fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Next {
        let mut commands = 0;
        loop {
            if out.len() > REPLIES || commands == COMMANDS {
                return Next::Again;
            }
            commands += 1;
            let next = match std::mem::replace(&mut self.phase, Phase::Command) {
                Phase::Message(incoming) => self.message(incoming, input, out).await,
                phase => match self.lines.next(input) {
                    Ok(Some(line)) => self.line(phase, line, out).await,
                    Ok(None) => {
                        self.phase = phase;
                        Some(Next::Read)
                    }
                    Err(_) => {
                        rows::LINE.met("a command without end: the connection is ended");
                        Some(self.close(&Reply::TooManyErrors, out))
                    }
                },
            };
            if let Some(next) = next {
                return next;
            }
        }
    }

    fn patience(&self) -> Duration {
        IDLE
    }

    fn is_known(&self) -> bool {
        self.session.trust() != Trust::None
    }

    fn farewell(&mut self, why: Farewell, out: &mut BytesMut) {
        let reply = match why {
            Farewell::Idle => Reply::Idle,
            Farewell::Shutdown => Reply::ShuttingDown,
            Farewell::TooLong => Reply::LineTooLong,
        };
        self.say(&reply, out);
    }

    fn secured(&mut self, channel: &Channel) {
        self.channel = channel.clone();
        self.session.tls_started();
        self.deliver.reset();
    }
}

impl<D: Deliver> Conn<D> {
    fn new(stream: &Stream, door: Door, deliver: D) -> Conn<D> {
        let local = matches!(stream.peer(), Peer::Unix { .. });
        let trust = if local || door.trusted { Trust::PreAuthenticated } else { Trust::None };
        let session =
            Session::new(door.settings.session(door.starttls.is_some()), trust, stream.tls().is_some());
        let me = Server {
            servername: door.settings.servername.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            session_id: door.session_id.clone(),
            max_size: door.settings.max_size,
        };
        let channel = stream.channel().clone();
        let (lines, phase, pace) = (Lines::new(LINE), Phase::Command, Pace::default());
        Conn { door, deliver, session, me, channel, lines, phase, pace }
    }

    async fn line(&mut self, phase: Phase<D::Incoming>, line: Line, out: &mut BytesMut) -> Option<Next> {
        match (phase, line) {
            (Phase::Auth(exchange), Line::Text(text)) => self.authenticate(exchange, Some(text), out).await,
            (_, Line::TooLong) => self.say(&Reply::LineTooLong, out),
            (_, Line::Text(text)) => {
                logs::chat(self.door.settings.chatty, &text);
                let action = self.session.command(Command::parse(&text));
                return self.act(action, out).await;
            }
        }
        None
    }

    /// Does what the session says. None: go on with the input.
    async fn act(&mut self, action: Action, out: &mut BytesMut) -> Option<Next> {
        if self.session.mail().is_none() {
            self.deliver.reset();
        }
        if takes_mail(&action)
            && let Some(text) = self.door.notices.shutdown().await
        {
            self.say(&Reply::Maintenance(text.chars().take(NOTICE).collect()), out);
            self.session.reset();
            return None;
        }
        match action {
            Action::Reply(reply) => self.say(&reply, out),
            Action::Close(reply) => return Some(self.close(&reply, out)),
            Action::Hello => self.hello(out),
            Action::Authenticate { mechanism, initial } => {
                match self.door.auth.start(&mechanism, &self.channel) {
                    Ok(exchange) => {
                        self.authenticate(Box::new(exchange), initial.map(String::into_bytes), out).await;
                    }
                    Err(failure) => self.say(&failed(&failure), out),
                }
            }
            Action::StartTls => match self.door.starttls.clone() {
                Some(tls) => {
                    self.say(&Reply::BeginTls, out);
                    return Some(Next::StartTls(tls));
                }
                None => self.say(&Reply::TlsUnavailable, out),
            },
            Action::Recipient(rcpt) => self.recipient(rcpt, out).await,
            Action::Data => {
                self.begin_message().await;
                self.say(&Reply::GoAhead, out);
                // What a client pipelines behind DATA waits until it has seen 354.
                return Some(Next::Again);
            }
        }
        None
    }

    fn hello(&mut self, out: &mut BytesMut) {
        let local = matches!(self.channel.peer, Peer::Unix { .. });
        let mechanisms = match self.session.trust() {
            // With `-a` too: Cyrus's proxies insist on logging in.
            Trust::None | Trust::PreAuthenticated if !local => self.door.auth.mechanisms(&self.channel),
            Trust::None | Trust::PreAuthenticated | Trust::Authenticated => Vec::new(),
        };
        let reply = Reply::Hello {
            starttls: self.session.offers_starttls(),
            mechanisms: mechanisms.into_iter().map(str::to_owned).collect(),
        };
        self.say(&reply, out);
    }

    async fn recipient(&mut self, rcpt: Rcpt, out: &mut BytesMut) {
        let Some(mail) = self.session.mail().cloned() else { return self.say(&Reply::NoMail, out) };
        let address = rcpt.to.to_string();
        let outcome = self.deliver.recipient(&mail, rcpt).await;
        self.session.recipient(&outcome);
        match outcome {
            Ok(()) => self.say(&Reply::RecipientOk, out),
            Err(refusal) => {
                info!(rcpt = address, ?refusal, "recipient refused");
                let answer = Verdict::Refused(refusal).answer(&self.me.session_id);
                count(&answer);
                write(&answer, out);
            }
        }
    }

    async fn authenticate(
        &mut self,
        mut exchange: Box<Exchange>,
        message: Option<Vec<u8>>,
        out: &mut BytesMut,
    ) {
        let reply = match exchange.step64(message.as_deref()).await {
            Step64::Challenge(base64) => {
                self.phase = Phase::Auth(exchange);
                Reply::Challenge(base64)
            }
            Step64::Done(login) if login.admin => {
                info!(user = login.userid, "LMTP client authenticated");
                self.session.authenticated();
                // Admins are not counted.
                let _ = self.door.seat.login(&login, self.channel.is_encrypted());
                Reply::Authenticated
            }
            Step64::Done(login) => {
                warn!(user = login.userid, "not an admin of this LMTP service: see lmtp_admins");
                Reply::NotAdmin
            }
            Step64::Failed(failure) => failed(&failure),
        };
        self.say(&reply, out);
    }

    async fn begin_message(&mut self) {
        let Some(mail) = self.session.mail().cloned() else { return };
        let now = OffsetDateTime::now_utc();
        let plan = trace::plan(
            &self.session,
            &mail,
            &self.channel.peer,
            &self.me.session_id,
            &self.door.settings,
            now,
        );
        let message = self.deliver.begin(mail.size).await;
        let intake = Intake::new(plan);
        self.phase = Phase::Message(Box::new(Taking { mail, intake, message, piece: Vec::new() }));
    }

    /// Takes in what there is of the message; at its end, delivers it.
    async fn message(
        &mut self,
        mut taking: Box<Taking<D::Incoming>>,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Option<Next> {
        self.pace.steps(input.len() / BYTES).await;
        if taking.take(input).await == Progress::More {
            self.phase = Phase::Message(taking);
            return Some(Next::Read);
        }
        let began = Instant::now();
        let accepted = self.session.recipients();
        let Taking { mail, intake, message, .. } = *taking;
        let outcome = match (message, intake.outcome()) {
            (message, Outcome::Good) => message,
            (_, Outcome::TooLarge) => Err(Refusal::TooLarge { max: self.door.settings.max_size }),
            (_, Outcome::Invalid(defect)) => Err(Refusal::Invalid(defect)),
        };
        let verdicts = match outcome {
            Ok(message) => {
                let session_id = self.me.session_id.clone();
                let envelope = Envelope { mail, session_id, utf8_header: intake.has_eight_bit_header() };
                self.hand_over(envelope, message, accepted).await
            }
            Err(refusal) => {
                info!(?refusal, size = intake.size(), "message refused");
                vec![Verdict::Refused(refusal); accepted]
            }
        };
        for verdict in verdicts {
            let answer = verdict.answer(&self.me.session_id);
            count(&answer);
            write(&answer, out);
        }
        service::command_took("lmtp", began);
        self.session.reset();
        self.deliver.reset();
        None
    }

    async fn hand_over(&mut self, envelope: Envelope, message: D::Incoming, accepted: usize) -> Vec<Verdict> {
        let mut verdicts = self.deliver.deliver(envelope, message).await;
        // Never fewer than recipients: the client counts.
        verdicts.resize(accepted, Verdict::Refused(Refusal::Io));
        verdicts
    }

    fn say(&self, reply: &Reply, out: &mut BytesMut) {
        write(&reply.answer(&self.me), out);
    }

    fn close(&self, reply: &Reply, out: &mut BytesMut) -> Next {
        self.say(reply, out);
        Next::Close
    }
}

impl<M: Incoming> Taking<M> {
    /// Reads on, to the end whatever becomes of the message: what is refused is not kept.
    async fn take(&mut self, input: &mut BytesMut) -> Progress {
        let progress = self.intake.feed(input, &mut self.piece);
        if let Ok(message) = &mut self.message
            && !self.intake.is_refused()
            && let Err(refusal) = message.write(&self.piece).await
        {
            self.message = Err(refusal);
        }
        self.piece.clear();
        progress
    }
}

/// What became of a recipient, for whoever watches.
fn count(answer: &Answer) {
    let outcome = match answer.code {
        200..300 => "delivered",
        500.. => "refused",
        _ => "deferred",
    };
    counter!("murder_deliveries_total", "outcome" => outcome).increment(1);
}

/// Whether an action leads to mail: none is taken while `{configdirectory}/msg/shutdown` is there.
fn takes_mail(action: &Action) -> bool {
    match action {
        Action::Reply(Reply::SenderOk) | Action::Authenticate { .. } | Action::StartTls => true,
        Action::Recipient(_) | Action::Data => true,
        Action::Reply(_) | Action::Close(_) | Action::Hello => false,
    }
}

fn write(answer: &Answer, out: &mut BytesMut) {
    let mut text = String::new();
    answer.write(&mut text);
    out.extend_from_slice(text.as_bytes());
}

fn failed(failure: &Failure) -> Reply {
    match failure {
        Failure::BadCredentials
        | Failure::BadTicket(_)
        | Failure::NotAuthorized { .. }
        | Failure::Denied { .. }
        | Failure::PlaintextRefused => Reply::AuthFailed,
        Failure::NoMechanism(_) => Reply::UnknownMechanism,
        Failure::Malformed(_) => Reply::BadBase64,
        Failure::Cancelled => Reply::AuthCancelled,
        Failure::Temporary(_) => Reply::AuthUnavailable,
    }
}
