//! The client's side: lines to commands, the article that follows one, and the answer that is on its way.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use identity::auth::{Authenticator, Exchange};
use protocol::line::{Line, Lines};
use protocol::lmtp::intake::Progress as Took;
use protocol::nntp::capability::{Capabilities, Logins};
use protocol::nntp::session::Action;
use protocol::nntp::{Command, No, Reply, Session};
use service::Context;
use service::drive::{self, Farewell, Next};
use tokio_util::sync::CancellationToken;
use transport::peer::Channel;
use transport::tls::ServerTls;

use crate::answer::{Answer, Progress};
use crate::cmd::post::{Purpose, Taking};
use crate::cmd::{News, Served};
use crate::limits::{LAST_ANSWER, LINE, LOGIN_LINE, REPLIES, STEPS, rows};

/// A connected client.
pub struct Front {
    pub(crate) news: News,
    pub(crate) auth: Authenticator,
    pub(crate) channel: Channel,
    pub(crate) session: Session,
    pub(crate) failures: u32,
    pub(crate) doing: Doing,
    pub(crate) chatty: bool,
    /// `nntptimeout`
    pub(crate) idle: Duration,
    /// Empty: not told.
    pub(crate) version: String,
    pub(crate) starttls: Option<ServerTls>,
    pub(crate) context: Context,
    pub(crate) lines: Lines,
    /// The client has sent CAPABILITIES.
    pub(crate) knows_metadata: bool,
    /// When the answer that is on its way was first seen to be the last.
    pub(crate) ending: Option<Instant>,
}

/// What the next bytes of the client, or of a backend, belong to.
pub(crate) enum Doing {
    Commands,
    LoggingIn(Box<Exchange>),
    Taking(Box<Taking>),
    Telling(Box<Answer>),
}

impl Front {
    /// A line for itself, or within a login.
    async fn line(&mut self, line: Line, out: &mut BytesMut) -> Option<Next> {
        let line = match line {
            Line::Text(line) => line,
            Line::TooLong => return self.too_long(out),
        };
        if let Doing::LoggingIn(exchange) = std::mem::replace(&mut self.doing, Doing::Commands) {
            return self.answer(exchange, Some(&line), out).await;
        }
        if line.len() + 2 > LINE && !Command::may_be_long(&line) {
            return self.too_long(out);
        }
        if let Some(text) = self.context.notices().shutdown().await {
            return Some(say(out, &No::Unavailable(text), Next::Close));
        }
        logs::chat(self.chatty, &line);
        let plaintext = self.auth.allows_plaintext(&self.channel);
        let action = self.session.command(Command::parse(&line), plaintext);
        self.act(action, out).await
    }

    async fn act(&mut self, action: Action, out: &mut BytesMut) -> Option<Next> {
        match action {
            Action::Reply(reply) => say(out, &reply, None),
            Action::Close(reply) => Some(say(out, &reply, Next::Close)),
            Action::Swallow(reply) => {
                let taking = Taking::new(Purpose::Nothing(reply.to_string()), &self.news);
                self.doing = Doing::Taking(Box::new(taking));
                None
            }
            Action::Capabilities => {
                self.knows_metadata = true;
                let lines = self.capabilities();
                listed(out, &Reply::CapabilitiesFollow.to_string(), &lines);
                None
            }
            Action::Greet => say(out, &self.greeting(), None),
            Action::StartTls => match self.starttls.clone() {
                Some(tls) => Some(say(out, &Reply::BeginTls, Next::StartTls(tls))),
                None => say(out, &No::TlsUnavailable, None),
            },
            Action::Compress => {
                self.session.compressed();
                Some(say(out, &Reply::Compressed, Next::Compress))
            }
            // Where clients of a frontend come from is seen.
            Action::Origin(_) => say(out, &No::Unknown, None),
            Action::Login { user, password } => {
                let result = self.auth.login(&user, &password, &self.channel).await;
                self.concluded(result, None, out)
            }
            Action::Authenticate { mechanism, initial } => self.authenticate(&mechanism, initial, out).await,
            Action::Serve(command) => {
                let began = Instant::now();
                let served = self.news.serve(command, self.knows_metadata).await;
                service::command_took("nntp", began);
                self.served(served, out)
            }
        }
    }

    fn served(&mut self, served: Served, out: &mut BytesMut) -> Option<Next> {
        match served {
            Served::Said(line) => put(out, &line),
            Served::Listed(line, lines) => listed(out, &line, &lines),
            Served::Follows(line, answer) => {
                put(out, &line);
                self.doing = Doing::Telling(answer);
            }
            Served::Wanted(line, taking) => {
                line.iter().for_each(|line| put(out, line));
                self.doing = Doing::Taking(taking);
            }
        }
        None
    }

    /// Takes in what there is of an article; at its end, has it delivered.
    async fn taking(
        &mut self,
        mut taking: Box<Taking>,
        input: &mut BytesMut,
        out: &mut BytesMut,
    ) -> Option<Next> {
        let servername = self.news.settings.servername.clone();
        let userid = self.news.map.reader.userid.clone();
        if taking.take(input, &servername, &userid).await == Took::More {
            self.doing = Doing::Taking(taking);
            return Some(Next::Read);
        }
        let began = Instant::now();
        let (line, goes_on) = self.news.taken(*taking).await;
        service::command_took("nntp", began);
        put(out, &line);
        (!goes_on).then_some(Next::Close)
    }

    /// Passes some more of an answer on.
    async fn telling(&mut self, mut answer: Box<Answer>, out: &mut BytesMut) -> Option<Next> {
        if self.stop().is_cancelled() {
            let since = *self.ending.get_or_insert_with(Instant::now);
            if since.elapsed() > LAST_ANSWER && !self.context.shutdown().is_cancelled() {
                rows::LAST_ANSWER.met("a session that was ended is cut off in an answer that has no end");
                return Some(Next::Close);
            }
        }
        match answer.go_on(&mut self.news.links, out).await {
            Progress::End => None,
            Progress::More => {
                self.doing = Doing::Telling(answer);
                Some(Next::Again)
            }
            Progress::Broken => Some(Next::Close),
        }
    }

    fn too_long(&mut self, out: &mut BytesMut) -> Option<Next> {
        self.doing = Doing::Commands;
        rows::LINE.met("a command is longer than RFC 3977 lets it be: it is refused");
        say(out, &No::LineTooLong, None)
    }

    fn greeting(&self) -> Reply {
        Reply::Ready {
            servername: self.news.settings.servername.clone(),
            version: self.version.clone(),
            posting: self.session.options().reads,
        }
    }

    fn capabilities(&self) -> Vec<String> {
        let implementation = match self.version.is_empty() {
            true => String::new(),
            false => format!("Murder NNTP {}", self.version),
        };
        let sasl = self.auth.mechanisms(&self.channel);
        let login = Logins { user: self.auth.allows_plaintext(&self.channel), sasl: &sasl };
        let options = self.session.options();
        Capabilities {
            implementation: &implementation,
            starttls: self.session.offers_starttls(),
            known: self.session.is_known(),
            login: (!self.session.is_logged_in()).then_some(login),
            compress: self.session.offers_compress(),
            feeds: options.feeds,
            reads: options.reads,
            newnews: self.news.settings.allow_newnews,
            xclient: false,
        }
        .lines()
    }

    fn stop(&self) -> CancellationToken {
        self.news.seat.stop()
    }
}

impl drive::Session for Front {
    async fn greet(&mut self, out: &mut BytesMut) -> Next {
        self.enter_anonymously();
        say(out, &self.greeting(), Next::Read)
    }

    async fn advance(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Next {
        for _ in 0..STEPS {
            if out.len() > REPLIES {
                break;
            }
            let next = match std::mem::replace(&mut self.doing, Doing::Commands) {
                Doing::Taking(taking) => self.taking(taking, input, out).await,
                Doing::Telling(answer) => self.telling(answer, out).await,
                doing @ (Doing::Commands | Doing::LoggingIn(_)) => {
                    self.doing = doing;
                    match self.lines.next(input) {
                        Ok(Some(line)) => self.line(line, out).await,
                        Ok(None) => Some(Next::Read),
                        Err(_) => Some(say(out, &No::Unavailable("A line without end".into()), Next::Close)),
                    }
                }
            };
            if let Some(next) = next {
                return next;
            }
        }
        Next::Again
    }

    fn patience(&self) -> Duration {
        self.idle
    }

    fn is_known(&self) -> bool {
        self.session.is_known()
    }

    fn farewell(&mut self, why: Farewell, out: &mut BytesMut) {
        let why = match why {
            Farewell::Idle => "Shutdown TCP timeout".to_owned(),
            Farewell::Shutdown => {
                self.news.seat.denied().unwrap_or_else(|| "Server is shutting down".to_owned())
            }
            Farewell::TooLong => "A line without end".to_owned(),
        };
        say(out, &No::Unavailable(why), Next::Close);
    }

    fn secured(&mut self, channel: &Channel) {
        self.channel = channel.clone();
        self.session.tls_started();
        // What was said in the clear anybody may have said.
        self.doing = Doing::Commands;
        self.knows_metadata = false;
        self.lines = Lines::new(LOGIN_LINE);
        self.begin_anew(None);
    }
}

pub(crate) fn say<T>(out: &mut BytesMut, reply: &impl std::fmt::Display, next: T) -> T {
    put(out, &reply.to_string());
    next
}

/// A line. What a backend said is in it: one of ours has no line end within.
fn put(out: &mut BytesMut, line: &str) {
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn listed(out: &mut BytesMut, line: &str, lines: &[String]) {
    put(out, line);
    lines.iter().for_each(|line| put(out, line));
    put(out, ".");
}
