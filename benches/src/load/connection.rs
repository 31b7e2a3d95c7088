//! One logged-in connection, which understands just enough to count.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};

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

    /// Reads and forgets what comes.
    pub fn drain(&mut self, patience: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(patience))?;
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(()),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(()),
            Err(e) => Err(e),
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

/// `tag OK "…"`: a line of literal data has no such second word in these loads.
fn is_end(line: &[u8]) -> bool {
    let mut words = line.split(|&b| b == b' ').skip(1);
    matches!(words.next(), Some(b"OK" | b"NO" | b"BAD"))
}

fn is_ok(line: &[u8]) -> bool {
    line.split(|&b| b == b' ').nth(1) == Some(b"OK")
}
