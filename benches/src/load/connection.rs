//! One logged-in connection, which understands just enough to count.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use rustix::{
    event::{PollFd, PollFlags, poll},
    time::Timespec,
};
use serde_json::Value;

use super::Account;

pub struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    used: usize,
}

impl Connection {
    pub fn open(server: SocketAddr, account: &Account) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&server, Duration::from_secs(10))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        let mut connection = Connection { stream, input: Vec::new(), used: 0 };
        while !connection.line()?.starts_with(b"* OK") {}
        let Account { user, password } = account;
        let initial = BASE64_STANDARD.encode(format!("{user}\0{user}\0{password}"));
        connection.say(&format!("A01 AUTHENTICATE \"PLAIN\" {{{}+}}\r\n{initial}\r\n", initial.len()))?;
        let answer = connection.line()?;
        match answer.starts_with(b"A01 OK") {
            true => Ok(connection),
            false => Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned())),
        }
    }

    pub fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes())
    }

    /// At least one end of a command, and as many as have been read.
    pub fn replies(&mut self) -> io::Result<usize> {
        let mut ends = 0;
        loop {
            while let Some(line) = self.buffered() {
                if is_end(line) {
                    if !is_ok(line) {
                        return Err(io::Error::other(String::from_utf8_lossy(line).into_owned()));
                    }
                    ends += 1;
                }
            }
            if ends > 0 {
                return Ok(ends);
            }
            self.fill()?;
        }
    }

    /// Whether the answer to a FIND held an entry.
    pub fn found(&mut self) -> io::Result<bool> {
        let mut lines = 0;
        loop {
            let line = self.line()?;
            if is_end(&line) && is_ok(&line) {
                return Ok(lines > 0);
            }
            lines += 1;
        }
    }

    /// Counts data lines up to the one that begins with `end`.
    pub fn listing(&mut self, end: &str) -> io::Result<usize> {
        let mut entries = 0;
        loop {
            while let Some(line) = self.buffered() {
                if line.starts_with(end.as_bytes()) {
                    return Ok(entries);
                }
                if line.starts_with(b"U01 MAILBOX") || line.starts_with(b"U01 RESERVE") {
                    entries += 1;
                }
            }
            self.fill()?;
        }
    }

    /// Asks again and again until a name is found.
    pub fn wait_for(&mut self, name: &str, patience: Duration) -> io::Result<()> {
        let until = Instant::now() + patience;
        loop {
            self.say(&format!("X1 FIND \"{name}\"\r\n"))?;
            if self.found()? {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(io::Error::other(format!("{name} was never found")));
            }
        }
    }

    /// STATUS, of a server of ours.
    pub fn status(&mut self) -> io::Result<Value> {
        self.say("S1 STATUS\r\n")?;
        let (head, json) = (self.line()?, self.line()?);
        if !head.starts_with(b"S1 STATUS") {
            return Err(io::Error::other(String::from_utf8_lossy(&head).into_owned()));
        }
        self.line()?;
        Ok(serde_json::from_slice(&json)?)
    }

    /// The position of the list of a server of ours.
    pub fn position(&mut self) -> io::Result<String> {
        let status = self.status()?;
        let part =
            |path| status.pointer(path).map(|part| part.to_string().replace('"', "")).unwrap_or_default();
        Ok(["/position/list", "/position/term", "/position/seq"].map(part).join(":"))
    }

    /// How many streams the server has.
    pub fn streams(&mut self) -> io::Result<u64> {
        Ok(self.status()?.get("streams").and_then(Value::as_u64).unwrap_or_default())
    }

    /// Waits until a slave has its list in memory, and follows its master.
    pub fn wait_until_complete(&mut self, patience: Duration) -> io::Result<()> {
        let until = Instant::now() + patience;
        let is = |status: &Value, path: &str| status.pointer(path).and_then(Value::as_bool) == Some(true);
        loop {
            let status = self.status()?;
            if ["/loaded", "/complete", "/upstream/live"].iter().all(|path| is(&status, path)) {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(io::Error::other("the slave was never complete"));
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(line) = self.buffered() {
                return Ok(line.to_vec());
            }
            self.fill()?;
        }
    }

    fn buffered(&mut self) -> Option<&[u8]> {
        let rest = self.input.get(self.used..)?;
        let end = rest.iter().position(|&b| b == b'\n')? + 1;
        let from = self.used;
        self.used += end;
        self.input.get(from..self.used)
    }

    fn fill(&mut self) -> io::Result<()> {
        self.input.drain(..self.used);
        self.used = 0;
        let mut chunk = [0; 64 * 1024];
        let read = self.stream.read(&mut chunk)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.input.extend_from_slice(chunk.get(..read).unwrap_or_default());
        Ok(())
    }
}

/// Reads and forgets what comes on any of them, waiting for it a moment.
pub fn drain(streams: &mut [Connection]) -> io::Result<()> {
    let mut ready = Vec::new();
    {
        let mut polled: Vec<PollFd<'_>> =
            streams.iter().map(|connection| PollFd::new(&connection.stream, PollFlags::IN)).collect();
        let moment = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        poll(&mut polled, Some(&moment))?;
        ready.extend(polled.iter().map(|polled| !polled.revents().is_empty()));
    }
    let mut chunk = vec![0; 64 * 1024];
    for (connection, _) in streams.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
        if connection.stream.read(&mut chunk)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// `tag OK "…"`: a line of literal data has no such second word in these loads.
fn is_end(line: &[u8]) -> bool {
    let mut words = line.split(|&b| b == b' ').skip(1);
    matches!(words.next(), Some(b"OK" | b"NO" | b"BAD"))
}

fn is_ok(line: &[u8]) -> bool {
    line.split(|&b| b == b' ').nth(1) == Some(b"OK")
}
