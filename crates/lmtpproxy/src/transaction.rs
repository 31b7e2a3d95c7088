//! One message to one backend: `MAIL RCPT… DATA`, the message, a reply for each recipient that the backend took.
//!
//! A connection from the pool may have died unseen: as long as the message has not been sent, another is tried. After
//! that a lost connection leaves open what the backend did; those recipients get a temporary answer, the MTA comes
//! again, and the backend's duplicate suppression keeps it to one copy.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use lmtp::Message;
use protocol::dots::Stuffer;
use protocol::lmtp::command::{Body, Mail, Path, xtext};
use protocol::lmtp::refusal::{Refusal, Stage, Verdict};
use protocol::lmtp::reply::Answer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tracing::{info, warn};
use upstream::wire::OutOfStep;
use upstream::wire::lmtp::Wire;
use upstream::{Error, Pool};

use crate::limits::{PIPELINED, READ, STEPS, WRITE, rows};

/// An accepted recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub server: String,
    /// What the backend is given: the address as it came, unless it was rewritten to another user. (Cyrus re-renders
    /// it, and encodes a folder's name twice by that.)
    pub to: Path,
    pub ignore_quota: bool,
}

/// A connection to a backend.
type Connection = upstream::Connection<Wire>;

/// The options that a transaction depends on.
#[derive(Debug, Clone)]
pub struct Terms {
    /// `lmtptxn_timeout`: for each step of the backend.
    pub step: Duration,
    /// `lmtp_over_quota_perm_failure`
    pub over_quota_forever: bool,
    /// `maxmessagesize`
    pub max_size: u64,
}

/// A message and those of its recipients that one backend has.
pub struct Transaction<'t> {
    pub server: &'t str,
    pub mail: &'t Mail,
    /// The header holds bytes beyond ASCII.
    pub utf8_header: bool,
    pub routes: &'t [Route],
    pub message: &'t Message,
    pub terms: &'t Terms,
}

/// How far the envelope came.
enum Envelope {
    /// The backend waits for the message; a verdict for each recipient that it refused.
    GoAhead(Vec<Option<Verdict>>),
    /// Nothing to send: a verdict for each recipient.
    Over(Vec<Verdict>),
}

impl Transaction<'_> {
    /// A verdict for each route, in order. Ends within a bound.
    pub async fn run(&self, pool: &Pool) -> Vec<Verdict> {
        match timeout(self.terms.step * STEPS, self.attempt(pool)).await {
            Ok(verdicts) => verdicts,
            Err(_) => {
                rows::STEPS.met(format_args!("{}: the backend took too long over a message", self.server));
                self.all(Refusal::Retry)
            }
        }
    }

    async fn attempt(&self, pool: &Pool) -> Vec<Verdict> {
        loop {
            let mut connection = match pool.take(self.server).await {
                Ok(connection) => connection,
                Err(error) => return self.unreachable(&error),
            };
            let mut dialog = Dialog::new(&mut connection, self.terms.step);
            let envelope = match self.envelope(&mut dialog).await {
                Ok(envelope) => envelope,
                Err(error) if connection.reused => {
                    info!(server = self.server, %error, "a kept connection was lost: trying another");
                    continue;
                }
                Err(error) => {
                    warn!(server = self.server, %error, "connection lost before the message was sent");
                    return self.all(Refusal::Unavailable);
                }
            };
            let verdicts = match envelope {
                Envelope::Over(verdicts) => verdicts,
                Envelope::GoAhead(verdicts) => match self.send(&mut dialog, verdicts).await {
                    (verdicts, true) => verdicts,
                    (verdicts, false) => return verdicts,
                },
            };
            connection.give_back();
            return verdicts;
        }
    }

    /// Everything up to the backend's `354`.
    async fn envelope(&self, dialog: &mut Dialog<'_>) -> io::Result<Envelope> {
        let mut commands = vec![self.mail_command(dialog.connection)];
        let offers_quota = dialog.connection.capabilities.has("IGNOREQUOTA");
        let offers_utf8 = dialog.connection.capabilities.has("SMTPUTF8");
        let may_go = |route: &&Route| offers_utf8 || !self.needs_utf8(route);
        let to_go = self.routes.iter().filter(may_go).count();
        if to_go == 0 {
            return Ok(Envelope::Over(self.all(Refusal::NoUtf8)));
        }
        commands.extend(self.routes.iter().filter(may_go).map(|route| {
            let mark = if route.ignore_quota && offers_quota { " IGNOREQUOTA" } else { "" };
            [b"RCPT TO:<", route.to.raw(), b">", mark.as_bytes()].concat()
        }));
        commands.push(b"DATA".to_vec());
        let answers = dialog.exchange(&commands).await?;
        let [mail, recipients @ .., data] = answers.as_slice() else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut answers = recipients.iter();
        let refused = |route: &Route| match may_go(&route) {
            true => {
                let verdict = answers.next().map(|answer| self.verdict(answer, Stage::Recipient));
                verdict.filter(|verdict| *verdict != Verdict::Delivered)
            }
            false => Some(Verdict::Refused(Refusal::NoUtf8)),
        };
        let verdicts: Vec<Option<Verdict>> = self.routes.iter().map(refused).collect();
        let nobody = verdicts.iter().all(Option::is_some);
        let others = |refusal: Refusal| {
            let kept = |verdict: &Option<Verdict>| *verdict == Some(Verdict::Refused(Refusal::NoUtf8));
            let verdict = |of: &Option<Verdict>| if kept(of) { Refusal::NoUtf8 } else { refusal.clone() };
            verdicts.iter().map(verdict).map(Verdict::Refused).collect()
        };
        let envelope = match (mail.is_positive(), data.code == 354) {
            (true, true) if nobody => {
                // The backend waits for a message that nobody gets.
                dialog.message(b".\r\n").await?;
                dialog.message_ended(0)?;
                dialog.answer().await?;
                Envelope::Over(verdicts.into_iter().flatten().collect())
            }
            (true, true) => Envelope::GoAhead(verdicts),
            (true, false) if nobody => Envelope::Over(verdicts.into_iter().flatten().collect()),
            (true, false) => Envelope::Over(others(self.refusal(data))),
            // MAIL was refused, and the backend waits for a message all the same: it is given up with the connection.
            (false, _) => Envelope::Over(others(self.refusal(mail))),
        };
        Ok(envelope)
    }

    /// Whether a message cannot go to a recipient whose backend does not offer SMTPUTF8.
    fn needs_utf8(&self, route: &Route) -> bool {
        let beyond_ascii = self.utf8_header || !self.mail.from.raw().is_ascii() || !route.to.raw().is_ascii();
        self.mail.smtputf8 && beyond_ascii
    }

    fn mail_command(&self, connection: &Connection) -> Vec<u8> {
        let offers = |capability| connection.capabilities.has(capability);
        let mut line = [b"MAIL FROM:<", self.mail.from.raw(), b">"].concat();
        if connection.capabilities.line("AUTH").is_some() {
            let identity = self.mail.auth.as_deref().map_or_else(|| "<>".to_owned(), xtext);
            line.extend_from_slice(format!(" AUTH={identity}").as_bytes());
        }
        if self.mail.body == Some(Body::EightBitMime) && offers("8BITMIME") {
            line.extend_from_slice(b" BODY=8BITMIME");
        }
        if self.mail.smtputf8 && offers("SMTPUTF8") {
            line.extend_from_slice(b" SMTPUTF8");
        }
        if offers("SIZE") {
            line.extend_from_slice(format!(" SIZE={}", self.message.size()).as_bytes());
        }
        line
    }

    /// Sends the message and reads the replies. The flag tells whether the connection can be used again.
    async fn send(
        &self,
        dialog: &mut Dialog<'_>,
        mut verdicts: Vec<Option<Verdict>>,
    ) -> (Vec<Verdict>, bool) {
        let replies = verdicts.iter().filter(|verdict| verdict.is_none()).count();
        let mut outcome = dialog.send_message(self.message, replies).await;
        for verdict in verdicts.iter_mut().filter(|verdict| verdict.is_none()) {
            if outcome.is_err() {
                break;
            }
            match dialog.answer().await {
                Ok(answer) => *verdict = Some(self.verdict(&answer, Stage::Message)),
                Err(error) => outcome = Err(error),
            }
        }
        if let Err(error) = &outcome {
            warn!(server = self.server, %error, "connection lost while a message was being delivered");
        }
        let verdict = |verdict: Option<Verdict>| verdict.unwrap_or(Verdict::Refused(Refusal::Retry));
        (verdicts.into_iter().map(verdict).collect(), outcome.is_ok())
    }

    fn verdict(&self, answer: &Answer, stage: Stage) -> Verdict {
        let verdict = Verdict::of_backend(answer, stage, self.terms.over_quota_forever, self.terms.max_size);
        if verdict != Verdict::Delivered {
            info!(server = self.server, ?stage, code = answer.code, text = answer.lines.last(), "refused");
        }
        verdict
    }

    /// The backend refused the whole transaction: whose fault that is, it did not say per recipient.
    fn refusal(&self, answer: &Answer) -> Refusal {
        info!(server = self.server, code = answer.code, text = answer.lines.last(), "transaction refused");
        match (answer.code, answer.enhanced()) {
            (421 | 430 | 530 | 535, _) | (451, Some((4, 4, _))) => Refusal::Unavailable,
            (552, Some((5, 2, 3) | (5, 3, _))) => Refusal::TooLarge { max: self.terms.max_size },
            _ => Refusal::Retry,
        }
    }

    fn unreachable(&self, error: &Error) -> Vec<Verdict> {
        warn!(server = self.server, %error, "no connection for delivery");
        self.all(Refusal::Unavailable)
    }

    fn all(&self, refusal: Refusal) -> Vec<Verdict> {
        vec![Verdict::Refused(refusal); self.routes.len()]
    }
}

/// Commands and replies on a connection, each step bounded.
pub(crate) struct Dialog<'c> {
    connection: &'c mut Connection,
    step: Duration,
}

impl<'c> Dialog<'c> {
    pub(crate) fn new(connection: &'c mut Connection, step: Duration) -> Dialog<'c> {
        Dialog { connection, step }
    }

    pub(crate) fn offers(&self, capability: &str) -> bool {
        self.connection.capabilities.has(capability)
    }

    /// Sends commands, all at once where the backend can take that, and reads the reply to each.
    pub(crate) async fn exchange(&mut self, commands: &[Vec<u8>]) -> io::Result<Vec<Answer>> {
        let batch = if self.connection.capabilities.has("PIPELINING") { PIPELINED } else { 1 };
        let mut answers = Vec::with_capacity(commands.len());
        for commands in commands.chunks(batch) {
            let mut text = BytesMut::new();
            for command in commands {
                self.connection.wire.command(command, &mut text).map_err(out_of_step)?;
            }
            self.write(&text).await?;
            for _ in commands {
                answers.push(self.answer().await?);
            }
        }
        Ok(answers)
    }

    async fn send_message(&mut self, message: &Message, replies: usize) -> io::Result<()> {
        let (mut reader, mut piece, mut wire) = (message.reader().await?, Vec::new(), Vec::new());
        let mut stuffer = Stuffer::default();
        while reader.next(&mut piece).await? {
            stuffer.push(&piece, &mut wire);
            if wire.len() >= WRITE {
                self.message(&wire).await?;
                wire.clear();
            }
        }
        stuffer.finish(&mut wire);
        self.message(&wire).await?;
        self.message_ended(replies)
    }

    /// Bytes of the message, as they go over the wire.
    async fn message(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut out = BytesMut::with_capacity(bytes.len());
        self.connection.wire.message(bytes, &mut out).map_err(out_of_step)?;
        self.write(&out).await
    }

    fn message_ended(&mut self, replies: usize) -> io::Result<()> {
        self.connection.wire.message_ended(replies).map_err(out_of_step)
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = &mut self.connection.stream;
        let send = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        timeout(self.step, send).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    async fn answer(&mut self) -> io::Result<Answer> {
        loop {
            let Connection { stream, input, wire, .. } = &mut *self.connection;
            if let Some(answer) = wire.next(input).map_err(out_of_step)? {
                return Ok(answer);
            }
            let read = timeout(self.step, read_some(stream, input)).await;
            if read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

fn out_of_step(why: OutOfStep) -> io::Error {
    io::Error::other(why)
}

async fn read_some(stream: &mut transport::stream::Stream, input: &mut BytesMut) -> io::Result<usize> {
    input.reserve(READ);
    stream.read_buf(input).await
}
