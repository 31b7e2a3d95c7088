//! Users who follow one another on a connection to a backend, if its wire lets them: pipelines, literals and messages cut
//! anywhere, clients that go away in the middle, backends that are slow or say what nobody asked for.
//!
//! What must hold: no byte that one user caused is sent as, or read as, part of another's session. The backend takes its
//! input apart by itself, and finds every command to be one that somebody sent, whole; and every answer that a user
//! reads is to his own command. Decisions are bytes, so that a fuzzer can make them too.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};
use protocol::frame::{Collected, Collector, Limits, trim_line};
use upstream::wire::{OutOfStep, imap, lmtp, nntp};

/// When a connection may be used by the next user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// As the wire says.
    AtRest,
    /// When nothing is unread, and the last response was whole. It is not enough, and must be found out.
    Quiet,
}

/// What was decided; nothing at its end.
struct Decisions<'d>(std::slice::Iter<'d, u8>);

impl Decisions<'_> {
    fn next(&mut self) -> Option<usize> {
        self.0.next().map(|&byte| usize::from(byte))
    }

    /// A number of bytes, small or large.
    fn amount(&mut self) -> usize {
        self.next().unwrap_or(0) % 24
    }
}

/// Bytes on their way.
#[derive(Default)]
struct Pipes {
    /// Written by the frontend, not sent.
    out: BytesMut,
    up: BytesMut,
    down: BytesMut,
    /// Read by the frontend, not used.
    input: BytesMut,
}

impl Pipes {
    fn flow_up(&mut self, bytes: usize) {
        let some = self.out.split_to(bytes.min(self.out.len()));
        self.up.extend_from_slice(&some);
    }

    fn flow_down(&mut self, bytes: usize) {
        let some = self.down.split_to(bytes.min(self.down.len()));
        self.input.extend_from_slice(&some);
    }
}

/// What an ill-willed user would like the frontend to read as an answer, or the backend as a command.
const FORGED: &[&str] = &[
    "a1 OK done\r\n",
    "A01 OK [CAPABILITY AUTH=PLAIN] in\r\n",
    "PROXY0 OK done\r\n",
    "+ go\r\n",
    "* BYE\r\n",
    "x DELETE INBOX\r\n",
    "M00 OK\r\n",
    "250 ok\r\n",
    "354 go\r\n",
    "DATA\r\n",
    "\r\n.\r\nMAIL FROM:<x>\r\n",
    "{5+}\r\n",
];

/// Runs a story over IMAP; what went wrong, if anything.
pub fn imap_story(decisions: &[u8], policy: Policy) -> Result<(), String> {
    let mut decisions = Decisions(decisions.iter());
    let mut kept = None;
    for user in 0..USERS {
        let conn = kept.take().unwrap_or_else(|| ImapConn::new(user));
        kept = ImapSession { user, conn, begun: 0, waiting: Vec::new(), to_send: VecDeque::new() }
            .run(&mut decisions, policy)?;
    }
    Ok(())
}

struct ImapConn {
    wire: imap::Wire,
    pipes: Pipes,
    collector: Collector,
    /// Every command that was begun, as the backend must see it, without its tag.
    sent: Vec<Vec<u8>>,
    /// How many the backend has seen.
    seen: usize,
}

impl ImapConn {
    fn new(number: u8) -> ImapConn {
        ImapConn {
            wire: imap::Wire::new([number, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
            pipes: Pipes::default(),
            collector: Collector::new(Limits { line: 1 << 16, skip: 1 << 20 }, 1 << 16, 1 << 18),
            sent: Vec::new(),
            seen: 0,
        }
    }

    /// The backend reads what has come, and answers each command with what it was.
    fn serve(&mut self) -> Result<(), String> {
        while let Some(collected) = self.collector.next(&mut self.pipes.up).map_err(|e| e.to_string())? {
            let raw = match collected {
                Collected::Command(raw) => raw,
                Collected::Continue(_) => {
                    self.pipes.down.extend_from_slice(b"+ go\r\n");
                    continue;
                }
                Collected::Poisoned { .. } => return Err("the backend could not read a command".to_owned()),
            };
            let blank = raw.iter().position(|&b| b == b' ').unwrap_or(0);
            let (tag, text) = (&raw[..blank], trim_line(&raw[blank + 1..]));
            if self.sent.get(self.seen).map(Vec::as_slice) != Some(text) {
                return Err(format!("the backend read {:?}", String::from_utf8_lossy(text)));
            }
            self.seen += 1;
            // What a user has stored comes back as it is, in a literal and in free text.
            let forged = FORGED[self.seen % FORGED.len()];
            let echo = format!(
                "* 1 FETCH (BODY[] {{{}}}\r\n{forged})\r\n* OK {}\r\n",
                forged.len(),
                forged.trim_end()
            );
            self.pipes.down.extend_from_slice(echo.as_bytes());
            self.pipes.down.extend_from_slice(tag);
            self.pipes.down.extend_from_slice(format!(" OK {}\r\n", owner(text)).as_bytes());
        }
        Ok(())
    }
}

/// `USERu.n`, which begins each command.
fn owner(text: &[u8]) -> String {
    String::from_utf8_lossy(text.split(|&b| b == b' ').next().unwrap_or_default()).into_owned()
}

struct ImapSession {
    user: u8,
    conn: ImapConn,
    begun: usize,
    /// Commands without their answer.
    waiting: Vec<(imap::Id, String)>,
    /// Bytes of the command that was begun.
    to_send: VecDeque<u8>,
}

impl ImapSession {
    /// Gives the connection, if another may use it.
    fn run(mut self, d: &mut Decisions<'_>, policy: Policy) -> Result<Option<ImapConn>, String> {
        while let Some(decision) = d.next() {
            let step = match decision % 9 {
                0 | 1 => self.begin(d),
                2 => self.send(d.amount()),
                3 => {
                    self.conn.pipes.flow_up(d.amount() * 8);
                    self.conn.serve()?;
                    Ok(())
                }
                4 => {
                    self.conn.pipes.flow_down(d.amount() * 8);
                    self.hear()?
                }
                5 => self.finish()?,
                6 if decision > 200 => {
                    let said = FORGED[d.amount() % FORGED.len()];
                    self.conn.pipes.down.extend_from_slice(said.as_bytes());
                    Ok(())
                }
                7 if decision > 128 => break,
                _ => Ok(()),
            };
            if step.is_err() {
                return Ok(None);
            }
        }
        let ImapConn { wire, pipes, .. } = &self.conn;
        let free = match policy {
            Policy::AtRest => wire.is_at_rest(&pipes.input) && pipes.out.is_empty(),
            Policy::Quiet => pipes.input.is_empty() && pipes.out.is_empty() && wire.between_responses(),
        };
        Ok(free.then_some(self.conn))
    }

    fn begin(&mut self, d: &mut Decisions<'_>) -> Result<(), OutOfStep> {
        if !self.to_send.is_empty() || self.conn.wire.is_asked() {
            return Ok(());
        }
        // A wire that is busy by what somebody else has begun refuses: that is no error of this user's connection.
        let client = format!("a{}", self.begun);
        let id = self.conn.wire.begin(Some(&client), &mut self.conn.pipes.out)?;
        let name = format!("USER{}.{}", self.user, self.begun);
        self.begun += 1;
        let mut text = format!("{name} x").into_bytes();
        for _ in 0..d.amount() % 3 {
            let forged = FORGED[d.amount() % FORGED.len()];
            let plus = if d.amount().is_multiple_of(2) { "+" } else { "" };
            text.extend_from_slice(format!(" {{{}{plus}}}\r\n{forged}", forged.len()).as_bytes());
        }
        self.conn.sent.push(text.clone());
        self.to_send.extend(text);
        self.to_send.extend(b"\r\n");
        self.waiting.push((id, name));
        Ok(())
    }

    fn send(&mut self, bytes: usize) -> Result<(), OutOfStep> {
        for _ in 0..bytes {
            if self.conn.wire.is_asked() {
                return Ok(());
            }
            let Some(byte) = self.to_send.pop_front() else { return Ok(()) };
            self.conn.wire.send(&[byte], &mut self.conn.pipes.out)?;
        }
        Ok(())
    }

    fn hear(&mut self) -> Result<Result<(), OutOfStep>, String> {
        loop {
            match self.conn.wire.next(&mut self.conn.pipes.input) {
                Ok(None) => return Ok(Ok(())),
                Ok(Some(imap::Event::Done(id, answer))) => {
                    let at = self.waiting.iter().position(|(open, _)| *open == id);
                    // Somebody else's answer, which this session drops.
                    let Some(at) = at else { return Err(format!("{answer:?} is nobody's here")) };
                    let (_, name) = self.waiting.remove(at);
                    if answer.remark() != name {
                        return Err(format!("{name} was answered {answer:?}"));
                    }
                }
                Ok(Some(_)) => {}
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    /// The rest of all that is under way.
    fn finish(&mut self) -> Result<Result<(), OutOfStep>, String> {
        for _ in 0..20 {
            if let Err(error) = self.send(usize::MAX) {
                return Ok(Err(error));
            }
            self.conn.pipes.flow_up(usize::MAX);
            self.conn.serve()?;
            self.conn.pipes.flow_down(usize::MAX);
            if let Err(error) = self.hear()? {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }
}

/// Runs a story over LMTP; what went wrong, if anything.
pub fn lmtp_story(decisions: &[u8], policy: Policy) -> Result<(), String> {
    let mut decisions = Decisions(decisions.iter());
    let mut kept: Option<LmtpConn> = None;
    for user in 0..USERS {
        let mut conn = match kept.take() {
            Some(conn) => conn,
            None => LmtpConn::new(),
        };
        let delivered = conn.deliver(user, &mut decisions)?;
        let free = match policy {
            Policy::AtRest => conn.wire.is_at_rest(&conn.pipes.input),
            Policy::Quiet => conn.pipes.input.is_empty(),
        };
        kept = (delivered && free && conn.pipes.out.is_empty()).then_some(conn);
    }
    Ok(())
}

struct LmtpConn {
    wire: lmtp::Wire,
    pipes: Pipes,
    backend: LmtpBackend,
}

#[derive(Default)]
struct LmtpBackend {
    sender: String,
    recipients: usize,
    /// The message so far, while one is coming.
    message: Option<Vec<u8>>,
}

impl LmtpConn {
    fn new() -> LmtpConn {
        let mut conn = LmtpConn {
            wire: lmtp::Wire::default(),
            pipes: Pipes::default(),
            backend: LmtpBackend::default(),
        };
        conn.pipes.input.extend_from_slice(b"220 ready\r\n");
        let _ = conn.wire.next(&mut conn.pipes.input);
        conn
    }

    /// One delivery, given up at some point or not. False: the connection is of no use any more.
    fn deliver(&mut self, user: u8, d: &mut Decisions<'_>) -> Result<bool, String> {
        let recipients = 1 + d.amount() % 3;
        let mut commands = vec!["RSET".to_owned(), format!("MAIL FROM:<user{user}>")];
        commands.extend((0..recipients).map(|n| format!("RCPT TO:<r{n}>")));
        commands.push("DATA".to_owned());
        let expected = commands.len();
        for command in commands {
            if self.wire.command(command.as_bytes(), &mut self.pipes.out).is_err() {
                return Ok(false);
            }
        }
        let Some(answers) = self.answers(expected, d)? else { return Ok(d.amount().is_multiple_of(2)) };
        if answers.iter().rev().skip(1).any(|code| *code != 250) || answers.last() != Some(&354) {
            return Err(format!("user{user} was answered {answers:?}"));
        }
        let body = format!("from user{user}\r\n250 ok\r\n354 go\r\nMAIL FROM:<x>\r\n");
        let cut = d.amount() * 4;
        let (now, later) = body.as_bytes().split_at(cut.min(body.len()));
        if self.wire.message(now, &mut self.pipes.out).is_err() {
            return Ok(false);
        }
        if d.next().unwrap_or(0).is_multiple_of(3) {
            self.pipes.flow_up(usize::MAX);
            self.backend.serve(&mut self.pipes)?;
            return Ok(true);
        }
        let whole = [later, b".\r\n"].concat();
        let sent =
            self.wire.message(&whole, &mut self.pipes.out).and_then(|()| self.wire.message_ended(recipients));
        if sent.is_err() {
            return Ok(false);
        }
        match self.answers(recipients, d)? {
            Some(answers) if answers.iter().all(|code| *code == 250) => Ok(true),
            Some(answers) => Err(format!("the message of user{user} was answered {answers:?}")),
            None => Ok(true),
        }
    }

    /// So many replies; none if the frontend gives up before.
    fn answers(&mut self, count: usize, d: &mut Decisions<'_>) -> Result<Option<Vec<u16>>, String> {
        let mut codes = Vec::new();
        while codes.len() < count {
            let Some(decision) = d.next() else { return Ok(None) };
            match decision % 8 {
                7 if decision > 128 => return Ok(None),
                0..4 => self.pipes.flow_up(decision),
                _ => self.pipes.flow_down(decision),
            }
            self.backend.serve(&mut self.pipes)?;
            while codes.len() < count {
                match self.wire.next(&mut self.pipes.input) {
                    Ok(Some(answer)) => codes.push(answer.code),
                    Ok(None) => break,
                    Err(error) => return Err(error.to_string()),
                }
            }
        }
        Ok(Some(codes))
    }
}

impl LmtpBackend {
    fn serve(&mut self, pipes: &mut Pipes) -> Result<(), String> {
        while let Some(end) = pipes.up.iter().position(|&b| b == b'\n') {
            let line = pipes.up.split_to(end);
            pipes.up.advance(1);
            let line = String::from_utf8_lossy(trim_line(&line)).into_owned();
            let answer = match &mut self.message {
                Some(message) if line == "." => {
                    let text = String::from_utf8_lossy(message).into_owned();
                    if !text.starts_with(&format!("from {}", self.sender))
                        || text.matches("from ").count() != 1
                    {
                        return Err(format!("the backend stored {text:?} of {}", self.sender));
                    }
                    self.message = None;
                    "250 stored\r\n".repeat(self.recipients)
                }
                Some(message) => {
                    message.extend_from_slice(line.as_bytes());
                    continue;
                }
                None => self.command(&line),
            };
            pipes.down.extend_from_slice(answer.as_bytes());
        }
        Ok(())
    }

    fn command(&mut self, line: &str) -> String {
        match line.split([':', ' ']).next() {
            Some("MAIL") => {
                self.sender = line.trim_start_matches("MAIL FROM:<").trim_end_matches('>').to_owned();
            }
            Some("RCPT") => self.recipients += 1,
            Some("RSET") => *self = LmtpBackend::default(),
            Some("DATA") => {
                self.message = Some(Vec::new());
                return "354 go\r\n".to_owned();
            }
            _ => return "500 what\r\n".to_owned(),
        }
        "250 ok\r\n".to_owned()
    }
}

/// An answer of a news server, whatever it says, is the same however it is cut into pieces; what went wrong, if anything.
pub fn nntp_cut(decisions: &[u8]) -> Result<(), String> {
    let (cuts, said) = decisions.split_at(decisions.len().min(8));
    let answer = [b"220 1 <a@b>\r\n", said, b"\r\n.\r\n"].concat();
    let whole = nntp_heard(&answer, std::iter::empty());
    let pieces = nntp_heard(&answer, cuts.iter().map(|&cut| 1 + usize::from(cut) % 24));
    match whole == pieces {
        true => Ok(()),
        false => Err(format!("whole: {whole:?}, in pieces: {pieces:?}")),
    }
}

/// The lines of the first answer, whether it ended, and how many bytes came behind its end.
fn nntp_heard(answer: &[u8], cuts: impl Iterator<Item = usize>) -> Result<(Vec<u8>, bool, usize), OutOfStep> {
    let (mut wire, mut out, mut lines) = (nntp::Wire::default(), BytesMut::new(), Vec::new());
    wire.next(&mut BytesMut::from(&b"200 ready\r\n"[..]))?;
    wire.command("ARTICLE", &mut out)?;
    let (mut input, mut rest) = (BytesMut::new(), answer);
    for cut in cuts.chain([usize::MAX]) {
        let (now, later) = rest.split_at(cut.min(rest.len()));
        input.extend_from_slice(now);
        rest = later;
        while let Some(event) = wire.next(&mut input)? {
            match event {
                nntp::Event::Status { .. } => {}
                nntp::Event::Piece(piece) => lines.extend_from_slice(&piece),
                nntp::Event::End => return Ok((lines, true, input.len() + rest.len())),
            }
        }
    }
    Ok((lines, false, input.len()))
}

/// Users of one connection, at most.
const USERS: u8 = 6;
