//! FETCH and STORE over a large mailbox, directly and through the frontend.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use super::{Bench, middle};
use crate::{
    figures::{Bar, Row, Unit},
    system::{Node, System},
};

pub fn measure(bench: &mut Bench, row: &mut dyn FnMut(Row)) -> io::Result<()> {
    let messages = bench.size.fetched;
    for system in std::iter::once(&bench.ours).chain(&bench.cyrus) {
        Client::login(system.address(Node::Backend, "imap"), USER)?.fill("INBOX", messages, message)?;
    }
    for (node, place) in [(Node::Backend, "directly"), (Node::Frontend, "through the frontend")] {
        for (before, command, bar) in COMMANDS {
            let (ours, cyrus) = bench.in_turn(|system| timed(system, node, before, command))?;
            let what = format!("{command} of {messages} messages of 4 kB, {place}");
            let ours = middle(ours).unwrap_or_default();
            row(Row::new(what, Unit::Seconds, Bar::Times(*bar), ours, middle(cyrus)));
        }
    }
    Ok(())
}

/// Seconds of one command, with what it needs in memory.
fn timed(system: &System, node: Node, before: &str, command: &str) -> io::Result<f64> {
    let mut client = Client::login(system.address(node, "imap"), USER)?;
    client.command("SELECT INBOX")?;
    client.command(before)?;
    let began = Instant::now();
    client.command(command)?;
    Ok(began.elapsed().as_secs_f64())
}

fn message(number: usize) -> String {
    let head = format!(
        "Return-Path: <sender{number}@example.org>\r\nReceived: from a.example.org by b.example.org; Mon, 05 Jan 2026 \
         10:00:00 +0000\r\nFrom: \"Some Sender\" <sender{number}@example.org>\r\nTo: Somebody <{USER}@example.org>, \
         \"Somebody Else\" <else@example.com>\r\nCc: list@example.net\r\nSubject: Number {number} of a long \
         list\r\nDate: Mon, 05 Jan 2026 10:00:00 +0000\r\nMessage-ID: <{number}.fetch@example.org>\r\nMIME-Version: \
         1.0\r\nContent-Type: multipart/alternative; boundary=\"sep\"\r\n\r\n--sep\r\nContent-Type: text/plain; \
         charset=utf-8\r\n\r\n"
    );
    let tail = "\r\n--sep\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>short</p>\r\n--sep--\r\n";
    let line = "0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ.\r\n";
    let room = SIZE.saturating_sub(head.len() + tail.len());
    format!("{head}{}{tail}", line.repeat(room / line.len()))
}

/// A connection that reads as fast as it can, and looks at no more than the end of what came.
pub struct Client {
    stream: TcpStream,
    held: Vec<u8>,
    next: usize,
}

impl Client {
    /// Whose password is the name.
    pub fn login(address: SocketAddr, user: &str) -> io::Result<Client> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut client = Client { stream, held: Vec::new(), next: 0 };
        client.command(&format!("LOGIN {user} {user}"))?;
        Ok(client)
    }

    /// Appends messages, many at a time.
    pub fn fill(
        &mut self,
        mailbox: &str,
        messages: usize,
        message: impl Fn(usize) -> String,
    ) -> io::Result<()> {
        for first in (0..messages).step_by(IN_FLIGHT) {
            let numbers = first..messages.min(first + IN_FLIGHT);
            let tags: Vec<String> = numbers.clone().map(|number| format!("fill{number}")).collect();
            for (number, tag) in numbers.zip(&tags) {
                let message = message(number);
                self.say(&format!("{tag} APPEND {mailbox} {{{}+}}\r\n{message}\r\n", message.len()))?;
            }
            for tag in &tags {
                self.wait_for(tag)?;
            }
        }
        Ok(())
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

    /// Reads up to the tagged line, which must say OK. No message has such a line.
    fn wait_for(&mut self, tag: &str) -> io::Result<()> {
        let (good, mut chunk) = (format!("\n{tag} OK"), vec![0; 256 << 10]);
        let any = format!("\n{tag} ");
        loop {
            if let Some(at) = find(&self.held, any.as_bytes()) {
                let line = self.held.get(at..).unwrap_or_default();
                if let Some(end) = line.iter().skip(1).position(|byte| *byte == b'\n') {
                    let text = String::from_utf8_lossy(line.get(..end + 1).unwrap_or_default()).into_owned();
                    // The line end stays, as the beginning of the next one.
                    self.held.drain(..at + end + 1);
                    return if text.starts_with(&good) { Ok(()) } else { Err(io::Error::other(text)) };
                }
            } else {
                let kept = self.held.len().min(any.len());
                self.held.drain(..self.held.len() - kept);
            }
            let read = self.stream.read(&mut chunk)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.held.extend_from_slice(chunk.get(..read).unwrap_or_default());
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let (first, _) = wanted.split_first()?;
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| byte == first) {
        if bytes.get(from + at..)?.starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// A command that comes before, one that is measured, and how many times faster than Cyrus it must be.
const COMMANDS: &[(&str, &str, f64)] = &[
    (ENVELOPE, ENVELOPE, 3.0),
    (BODYSTRUCTURE, BODYSTRUCTURE, 3.0),
    (BODIES, BODIES, 2.0),
    (FIELDS, FIELDS, 2.0),
    ("STORE 1:* FLAGS (\\Flagged)", "STORE 1:* FLAGS (\\Answered)", 2.0),
];
const ENVELOPE: &str = "FETCH 1:* ENVELOPE";
const BODYSTRUCTURE: &str = "FETCH 1:* BODYSTRUCTURE";
const BODIES: &str = "FETCH 1:* BODY.PEEK[]";
const FIELDS: &str = "FETCH 1:* BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)]";
/// Somebody of the first backend.
const USER: &str = "ivan";
const SIZE: usize = 4096;
/// Messages that are appended before an answer is waited for.
const IN_FLIGHT: usize = 64;
const PATIENCE: Duration = Duration::from_secs(120);
