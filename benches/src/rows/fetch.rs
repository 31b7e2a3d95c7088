//! FETCH and STORE over a large mailbox, directly and through the frontend.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use super::{Bench, least};
use crate::{
    figures::{Bar, Row, Unit},
    system::{Node, System},
};

pub fn measure(bench: &mut Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let messages = bench.size.fetched;
    for system in std::iter::once(&bench.ours).chain(&bench.cyrus) {
        let address = system.address(Node::Backend, "imap");
        fill(address, USER, (0..messages).map(message))?;
        fill(address, LARGE_USER, std::iter::once(large_message()))?;
    }
    for (node, place, large) in
        [(Node::Backend, "directly", Bar::None), (Node::Frontend, "through the frontend", Bar::Times(4.0))]
    {
        for (before, command, bar) in COMMANDS {
            let (ours, cyrus) = bench.in_turn(|system| timed(system, node, USER, before, command))?;
            let what = format!("{command} of {messages} messages of 4 kB, {place}");
            row(Row::new(
                what,
                Unit::Seconds,
                Bar::Times(*bar),
                least(ours).unwrap_or_default(),
                least(cyrus),
            ));
        }
        let (ours, cyrus) = bench.in_turn(|system| timed(system, node, LARGE_USER, ONE, ONE))?;
        let what = format!("{ONE} of a message of 10 MB, {place}");
        row(Row::new(what, Unit::Seconds, large, least(ours).unwrap_or_default(), least(cyrus)));
    }
    Ok(())
}

/// Seconds of one command, with what it needs in memory: of some in a row the quickest.
fn timed(system: &System, node: Node, user: &str, before: &str, command: &str) -> io::Result<f64> {
    let mut client = Client::login(system.address(node, "imap"), user)?;
    client.command("SELECT INBOX")?;
    let mut times = Vec::new();
    for _ in 0..IN_A_ROW {
        client.command(before)?;
        let began = Instant::now();
        client.command(command)?;
        times.push(began.elapsed().as_secs_f64());
    }
    Ok(least(times).unwrap_or_default())
}

/// Appends the messages, many before an answer is waited for.
pub fn fill(address: SocketAddr, user: &str, messages: impl IntoIterator<Item = String>) -> io::Result<()> {
    let mut client = Client::login(address, user)?;
    let mut messages = messages.into_iter().enumerate().peekable();
    while messages.peek().is_some() {
        let mut last = String::new();
        for (number, message) in messages.by_ref().take(IN_FLIGHT) {
            last = format!("fill{number}");
            client.say(&format!("{last} APPEND INBOX {{{}+}}\r\n{message}\r\n", message.len()))?;
        }
        client.wait_for(&last)?;
    }
    Ok(())
}

fn message(number: usize) -> String {
    let (day, second) = (1 + number % 28, number % 60);
    let first = number - number % 8;
    let head = format!(
        "Return-Path: <sender{number}@example.org>\r\nReceived: from a.example.org by b.example.org; Mon, 05 Jan 2026 \
         10:00:00 +0000\r\nFrom: \"Some Sender\" <sender{number}@example.org>\r\nTo: Somebody <{USER}@example.org>, \
         \"Somebody Else\" <else@example.com>\r\nCc: list@example.net\r\nSubject: Number {number} of a long \
         list\r\nDate: {day} Jan 2026 10:00:{second:02} +0000\r\nReferences: <{first}.fetch@example.org>\r\nMessage-ID: \
         <{number}.fetch@example.org>\r\nMIME-Version: \
         1.0\r\nContent-Type: multipart/alternative; boundary=\"sep\"\r\n\r\n--sep\r\nContent-Type: text/plain; \
         charset=utf-8\r\n\r\n"
    );
    let tail = "\r\n--sep\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>short</p>\r\n--sep--\r\n";
    let line = "0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ.\r\n";
    let room = SIZE.saturating_sub(head.len() + tail.len());
    format!("{head}{}{tail}", line.repeat(room / line.len()))
}

fn large_message() -> String {
    let line = "0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ.\r\n";
    format!("Subject: large\r\n\r\n{}", line.repeat((10 << 20) / line.len()))
}

/// A connection that reads as fast as it can, and looks at no more than the end of what came: the kernel's copy is most of its work.
pub struct Client {
    stream: TcpStream,
    chunk: Vec<u8>,
    /// The last of what came: more than a tagged line has.
    tail: Vec<u8>,
    next: usize,
}

impl Client {
    pub fn login(address: SocketAddr, user: &str) -> io::Result<Client> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut client = Client { stream, chunk: vec![0; CHUNK], tail: Vec::new(), next: 0 };
        client.command(&format!("LOGIN {user} {user}"))?;
        Ok(client)
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes())
    }

    pub fn command(&mut self, text: &str) -> io::Result<()> {
        self.next += 1;
        let tag = format!("fetch{}", self.next);
        self.say(&format!("{tag} {text}\r\n"))?;
        self.wait_for(&tag)
    }

    /// What a command is told, which must not be much.
    pub fn answer(&mut self, text: &str) -> io::Result<String> {
        self.command(text)?;
        Ok(String::from_utf8_lossy(&self.tail).into_owned())
    }

    /// Reads up to the tagged line, which must say OK. No message has such a line.
    fn wait_for(&mut self, tag: &str) -> io::Result<()> {
        let (any, good) = (format!("\n{tag} "), format!("\n{tag} OK"));
        self.tail.clear();
        self.tail.push(b'\n');
        loop {
            let read = self.stream.read(&mut self.chunk)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.tail.extend_from_slice(self.chunk.get(read.saturating_sub(TAIL)..read).unwrap_or_default());
            self.tail.drain(..self.tail.len().saturating_sub(TAIL));
            let line = find(&self.tail, any.as_bytes()).and_then(|at| self.tail.get(at..));
            if let Some(line) = line.filter(|line| line.ends_with(b"\n")) {
                let is_good = line.starts_with(good.as_bytes());
                return match is_good {
                    true => Ok(()),
                    false => Err(io::Error::other(String::from_utf8_lossy(line).into_owned())),
                };
            }
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|run| run == wanted)
}

/// A command that comes before, one that is measured, and how many times faster than Cyrus it must be.
const COMMANDS: &[(&str, &str, f64)] = &[
    (ENVELOPE, ENVELOPE, 3.0),
    (BODYSTRUCTURE, BODYSTRUCTURE, 3.0),
    (BODIES, BODIES, 2.0),
    (FIELDS, FIELDS, 2.0),
    (SUBJECT, SUBJECT, 5.0),
    (ESEARCH, ESEARCH, 2.0),
    (BY_DATE, BY_DATE, 2.0),
    (BY_SUBJECT, BY_SUBJECT, 2.0),
    (THREADS, THREADS, 2.0),
    ("STORE 1:* FLAGS (\\Flagged)", "STORE 1:* FLAGS (\\Answered)", 2.0),
];
const ENVELOPE: &str = "FETCH 1:* ENVELOPE";
const BODYSTRUCTURE: &str = "FETCH 1:* BODYSTRUCTURE";
const BODIES: &str = "FETCH 1:* BODY.PEEK[]";
const FIELDS: &str = "FETCH 1:* BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)]";
const SUBJECT: &str = "SEARCH SUBJECT \"number 77\"";
const ESEARCH: &str = "UID SEARCH RETURN (MIN MAX COUNT) SEEN";
const BY_DATE: &str = "SORT (DATE) UTF-8 ALL";
const BY_SUBJECT: &str = "SORT (SUBJECT) UTF-8 ALL";
const THREADS: &str = "THREAD REFERENCES UTF-8 ALL";
const ONE: &str = "FETCH 1 BODY.PEEK[]";
/// Somebody of the first backend.
const USER: &str = "ivan";
const LARGE_USER: &str = "grace";
const SIZE: usize = 4096;
/// Messages that are appended before an answer is waited for.
const IN_FLIGHT: usize = 64;
/// Each command is sent so often by one connection.
const IN_A_ROW: usize = 5;
/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;
/// Bytes at the end of what came that are looked at.
const TAIL: usize = 4096;
const PATIENCE: Duration = Duration::from_secs(120);
