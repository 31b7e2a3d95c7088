//! Just enough of IMAP, POP3 and LMTP to show a murder at work, as any client would: blocking, every wait bounded.

mod wire;

use std::{io, net::SocketAddr};

use protocol::frame::literal_at_end;

pub use wire::{Trust, Wire};

/// An IMAP session.
#[derive(Debug)]
pub struct Imap {
    wire: Wire,
    next: u32,
    pub greeting: String,
}

/// What came back for one command.
#[derive(Debug, Default)]
pub struct Reply {
    /// The tagged line, without its tag.
    pub result: String,
    /// Untagged lines, literals left out.
    pub lines: Vec<String>,
    pub literals: Vec<Vec<u8>>,
}

impl Reply {
    pub fn is_ok(&self) -> bool {
        self.result.starts_with("OK")
    }
}

impl Imap {
    /// On the plain port, before any STARTTLS.
    pub fn plain(address: SocketAddr) -> io::Result<Imap> {
        let mut wire = Wire::connect(address)?;
        let greeting = wire.line()?;
        Ok(Imap { wire, next: 0, greeting })
    }

    /// On the TLS port.
    pub fn tls(address: SocketAddr, trust: &Trust) -> io::Result<Imap> {
        let mut wire = Wire::connect(address)?;
        wire.start_tls(trust, "localhost")?;
        let greeting = wire.line()?;
        Ok(Imap { wire, next: 0, greeting })
    }

    pub fn start_tls(&mut self, trust: &Trust) -> io::Result<()> {
        let reply = self.command("STARTTLS")?;
        if !reply.is_ok() {
            return Err(io::Error::other(format!("STARTTLS: {}", reply.result)));
        }
        self.wire.start_tls(trust, "localhost")
    }

    pub fn command(&mut self, text: &str) -> io::Result<Reply> {
        self.next += 1;
        let tag = format!("d{}", self.next);
        self.wire.send(format!("{tag} {text}\r\n").as_bytes())?;
        let mut reply = Reply::default();
        loop {
            let line = self.wire.line()?;
            if let Some(result) = line.strip_prefix(&tag).and_then(|rest| rest.strip_prefix(' ')) {
                reply.result = result.to_owned();
                return Ok(reply);
            }
            if line.starts_with("* BYE") && text != "LOGOUT" {
                return Err(io::Error::other(line));
            }
            if let Some(literal) = literal_at_end(line.as_bytes()) {
                let size = usize::try_from(literal.size).map_err(io::Error::other)?;
                reply.literals.push(self.wire.exactly(size)?);
            }
            reply.lines.push(line);
        }
    }

    /// The next line that the server sends of its own accord.
    pub fn line(&mut self) -> io::Result<String> {
        self.wire.line()
    }

    /// A command that must be answered OK.
    pub fn must(&mut self, text: &str) -> io::Result<Reply> {
        let reply = self.command(text)?;
        if reply.is_ok() {
            return Ok(reply);
        }
        let shown = if text.starts_with("LOGIN") { "LOGIN …" } else { text };
        Err(io::Error::other(format!("{shown}: {}", reply.result)))
    }

    /// A line that comes without being asked for.
    pub fn unasked(&mut self) -> io::Result<String> {
        self.wire.line()
    }

    /// Begins to IDLE.
    pub fn idle(&mut self) -> io::Result<Idle<'_>> {
        self.next += 1;
        let tag = format!("d{}", self.next);
        self.wire.send(format!("{tag} IDLE\r\n").as_bytes())?;
        loop {
            let line = self.wire.line()?;
            if line.starts_with('+') {
                return Ok(Idle { imap: self, tag });
            }
            if line.starts_with(&tag) {
                return Err(io::Error::other(line));
            }
        }
    }

    pub fn login(&mut self, user: &str, password: &str) -> io::Result<()> {
        self.must(&format!("LOGIN {} {}", quoted(user), quoted(password))).map(drop)
    }
}

/// A session in IDLE.
#[derive(Debug)]
pub struct Idle<'a> {
    imap: &'a mut Imap,
    tag: String,
}

impl Idle<'_> {
    /// Reads until the server sends this line.
    pub fn wait_for(&mut self, wanted: &str) -> io::Result<()> {
        while self.imap.wire.line()? != wanted {}
        Ok(())
    }

    /// Ends IDLE.
    pub fn done(self) -> io::Result<Reply> {
        self.imap.wire.send(b"DONE\r\n")?;
        let mut reply = Reply::default();
        loop {
            let line = self.imap.wire.line()?;
            if let Some(result) = line.strip_prefix(&self.tag).and_then(|rest| rest.strip_prefix(' ')) {
                reply.result = result.to_owned();
                return Ok(reply);
            }
            reply.lines.push(line);
        }
    }
}

/// An LMTP session.
#[derive(Debug)]
pub struct Lmtp(Wire);

impl Lmtp {
    pub fn connect(address: SocketAddr) -> io::Result<Lmtp> {
        let mut lmtp = Lmtp(Wire::connect(address)?);
        lmtp.reply()?;
        lmtp.command("LHLO demo.test")?;
        Ok(lmtp)
    }

    /// Sends one message to several recipients; gives the final reply for each.
    pub fn deliver(&mut self, from: &str, to: &[&str], message: &str) -> io::Result<Vec<String>> {
        self.must(&format!("MAIL FROM:<{from}>"), "250")?;
        let mut accepted = 0;
        let mut replies = Vec::new();
        for recipient in to {
            let reply = self.command(&format!("RCPT TO:<{recipient}>"))?;
            if reply.starts_with('2') {
                accepted += 1;
            } else {
                replies.push(reply);
            }
        }
        if accepted == 0 {
            self.must("RSET", "250")?;
            return Ok(replies);
        }
        self.must("DATA", "354")?;
        let stuffed = message.replace("\r\n.", "\r\n..");
        self.0.send(format!("{stuffed}.\r\n").as_bytes())?;
        for _ in 0..accepted {
            replies.push(self.reply()?);
        }
        Ok(replies)
    }

    fn must(&mut self, text: &str, code: &str) -> io::Result<()> {
        let reply = self.command(text)?;
        if reply.starts_with(code) { Ok(()) } else { Err(io::Error::other(format!("{text}: {reply}"))) }
    }

    fn command(&mut self, text: &str) -> io::Result<String> {
        self.0.send(format!("{text}\r\n").as_bytes())?;
        self.reply()
    }

    /// The last line of one reply.
    fn reply(&mut self) -> io::Result<String> {
        loop {
            let line = self.0.line()?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line);
            }
        }
    }
}

/// A POP3 session.
#[derive(Debug)]
pub struct Pop3(Wire);

impl Pop3 {
    pub fn tls(address: SocketAddr, trust: &Trust) -> io::Result<Pop3> {
        let mut wire = Wire::connect(address)?;
        wire.start_tls(trust, "localhost")?;
        wire.line()?;
        Ok(Pop3(wire))
    }

    pub fn must(&mut self, text: &str) -> io::Result<String> {
        self.0.send(format!("{text}\r\n").as_bytes())?;
        let line = self.0.line()?;
        if line.starts_with("+OK") {
            return Ok(line);
        }
        let shown = if text.starts_with("PASS") { "PASS …" } else { text };
        Err(io::Error::other(format!("{shown}: {line}")))
    }

    /// A message with its lines joined by CRLF.
    pub fn retrieve(&mut self, number: u32) -> io::Result<String> {
        self.must(&format!("RETR {number}"))?;
        let mut message = String::new();
        loop {
            let line = self.0.line()?;
            if line == "." {
                return Ok(message);
            }
            message.push_str(line.strip_prefix('.').unwrap_or(&line));
            message.push_str("\r\n");
        }
    }
}

/// An IMAP quoted string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
