//! The client's side of SMTP: one command, one reply, each bounded in time. RFC 5321.
//!
//! Nothing is pipelined: a mail has one recipient nearly always, and a server that refuses MAIL hears no more.

use std::io;

use bytes::BytesMut;
use protocol::lmtp::reply::{Answer, AnswerReader};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::limits::{ADDRESS, LINE, PIECE, REPLY, rows};
use crate::mail::{By, ByMode, Mail, Ret, To};
use crate::{SendError, limits};

/// A connection to a mail server.
pub(crate) struct Dialog<S> {
    pub io: S,
    /// What errors call it.
    pub server: String,
    /// What EHLO announced: keyword and parameters.
    pub offers: Vec<String>,
    /// Nobody but the two ends can read what is said.
    pub private: bool,
    input: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialog<S> {
    pub fn new(io: S, server: &str, private: bool) -> Dialog<S> {
        Dialog { io, server: server.to_owned(), offers: Vec::new(), private, input: BytesMut::new() }
    }

    /// Hears the greeting and says hello.
    pub async fn open(&mut self, name: &str) -> Result<(), SendError> {
        let greeting = self.reply("greeting").await?;
        self.wanted("greeting", &greeting, greeting.code == 220)?;
        self.hello(name).await
    }

    pub async fn hello(&mut self, name: &str) -> Result<(), SendError> {
        let answer = self.ask(&format!("EHLO {name}"), "EHLO").await?;
        if (500..=504).contains(&answer.code) {
            // A server of RFC 821.
            let answer = self.ask(&format!("HELO {name}"), "HELO").await?;
            self.offers.clear();
            return self.wanted("HELO", &answer, answer.code == 250);
        }
        self.wanted("EHLO", &answer, answer.code == 250)?;
        self.offers = answer.lines.into_iter().skip(1).collect();
        Ok(())
    }

    /// The parameters of what the server announced under a keyword; none: it did not.
    pub fn offer(&self, keyword: &str) -> Option<&str> {
        self.offers.iter().find_map(|line| {
            let (word, rest) = line.split_once([' ', '=']).unwrap_or((line, ""));
            word.eq_ignore_ascii_case(keyword).then_some(rest)
        })
    }

    /// Gives one mail. When it returns well, the server has taken it.
    pub async fn give(&mut self, mail: &Mail) -> Result<(), SendError> {
        let utf8 = self.check(mail)?;
        let line = self.mail_line(mail, utf8);
        let answer = self.ask(&line, "MAIL").await?;
        self.wanted("MAIL", &answer, answer.code / 100 == 2)?;
        for to in &mail.to {
            let line = self.rcpt_line(to);
            let answer = self.ask(&line, "RCPT").await?;
            self.wanted("RCPT", &answer, answer.code / 100 == 2)?;
        }
        let answer = self.ask("DATA", "DATA").await?;
        self.wanted("DATA", &answer, answer.code == 354)?;
        let mut stuffing = Stuffing::new();
        for piece in mail.message.chunks(PIECE) {
            self.write(&stuffing.piece(piece), "the message").await?;
        }
        self.write(stuffing.end(), "the message").await?;
        let answer = self.reply("the end of the message").await?;
        self.wanted("the end of the message", &answer, answer.code / 100 == 2)
    }

    /// Says goodbye. The mail is taken: how that ends does not matter.
    pub async fn quit(&mut self) {
        if self.write(b"QUIT\r\n", "QUIT").await.is_ok() {
            let _ = timeout(limits::ENDING, self.reply("QUIT")).await;
        }
        let _ = self.io.shutdown().await;
    }

    pub async fn ask(&mut self, command: &str, doing: &'static str) -> Result<Answer, SendError> {
        self.write(format!("{command}\r\n").as_bytes(), doing).await?;
        self.reply(doing).await
    }

    /// Whether bytes came that nobody has asked for.
    pub fn is_ahead(&self) -> bool {
        !self.input.is_empty()
    }

    fn wanted(&self, doing: &'static str, answer: &Answer, good: bool) -> Result<(), SendError> {
        match good {
            true => Ok(()),
            false => Err(SendError::refused(&self.server, doing, answer)),
        }
    }

    /// Whether SMTPUTF8 must be asked for; what cannot be sent is told before anything is.
    fn check(&self, mail: &Mail) -> Result<bool, SendError> {
        let addresses = mail.to.iter().map(|to| &to.address);
        for address in addresses.clone().chain([&mail.from].into_iter().filter(|from| !from.is_empty())) {
            if !is_writable(address) {
                return Err(SendError::Address(address.clone()));
            }
        }
        let size = mail.message.len() as u64;
        let max = self.offer("SIZE").and_then(|max| max.trim().parse().ok()).filter(|max| *max > 0);
        if let Some(max) = max.filter(|max| *max < size) {
            return Err(SendError::TooLarge { server: self.server.clone(), size, max });
        }
        let wide = addresses.chain([&mail.from]).any(|address| !address.is_ascii());
        if wide && self.offer("SMTPUTF8").is_none() {
            return Err(SendError::NoUtf8 { server: self.server.clone() });
        }
        let header = mail.message.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or(mail.message.len());
        let wide_header = !mail.message.get(..header).unwrap_or_default().is_ascii();
        Ok(wide || wide_header && self.offer("SMTPUTF8").is_some())
    }

    fn mail_line(&self, mail: &Mail, utf8: bool) -> String {
        let mut line = format!("MAIL FROM:<{}>", mail.from);
        if self.offer("SIZE").is_some() {
            line.push_str(&format!(" SIZE={}", mail.message.len()));
        }
        if !mail.message.is_ascii() && self.offer("8BITMIME").is_some() {
            line.push_str(" BODY=8BITMIME");
        }
        if utf8 {
            line.push_str(" SMTPUTF8");
        }
        if self.offer("DSN").is_some() {
            match mail.ret {
                Some(Ret::Full) => line.push_str(" RET=FULL"),
                Some(Ret::Headers) => line.push_str(" RET=HDRS"),
                None => {}
            }
        }
        if let Some(by) = mail.by
            && self.offer("DELIVERBY").is_some()
        {
            line.push_str(&by_parameter(by));
        }
        if let Some(user) = &mail.user
            && self.private
            && self.offer("AUTH").is_some()
        {
            line.push_str(&format!(" AUTH={}", xtext(user)));
        }
        line
    }

    fn rcpt_line(&self, to: &To) -> String {
        let mut line = format!("RCPT TO:<{}>", to.address);
        if let Some(notify) = &to.notify
            && self.offer("DSN").is_some()
        {
            line.push_str(&format!(" NOTIFY={notify}"));
        }
        line
    }

    async fn write(&mut self, bytes: &[u8], doing: &'static str) -> Result<(), SendError> {
        let written = timeout(REPLY, async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        });
        match written.await {
            Ok(result) => result.map_err(|error| self.lost(doing, error)),
            Err(_) => Err(self.late(doing)),
        }
    }

    async fn reply(&mut self, doing: &'static str) -> Result<Answer, SendError> {
        match timeout(REPLY, self.answer(doing)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.late(doing)),
        }
    }

    async fn answer(&mut self, doing: &'static str) -> Result<Answer, SendError> {
        let mut reader = AnswerReader::default();
        let none = |server: &str| SendError::NoReply { server: server.to_owned(), doing };
        loop {
            while let Some(at) = self.input.iter().position(|&byte| byte == b'\n') {
                let line = self.input.split_to(at + 1);
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if let Some(answer) = reader.line(line).map_err(|_| none(&self.server))? {
                    return Ok(answer);
                }
            }
            if self.input.len() > LINE {
                rows::LINE.met(format_args!("{}: a reply without end: the mail is not sent", self.server));
                return Err(none(&self.server));
            }
            match self.io.read_buf(&mut self.input).await {
                Ok(0) => return Err(self.lost(doing, io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) => return Err(self.lost(doing, error)),
            }
        }
    }

    fn late(&self, doing: &'static str) -> SendError {
        rows::REPLY.met(format_args!("{}: {doing}: no answer: the mail is not sent", self.server));
        SendError::Late { server: self.server.clone(), doing, bound: REPLY }
    }

    fn lost(&self, doing: &'static str, error: io::Error) -> SendError {
        SendError::Lost { server: self.server.clone(), doing, error }
    }
}

/// Whether an address can stand between the brackets of a path as it is.
fn is_writable(address: &str) -> bool {
    let mut quoted = false;
    let mut before = ' ';
    for c in address.chars() {
        if c.is_control() || !quoted && (c.is_whitespace() || matches!(c, '<' | '>')) {
            return false;
        }
        if c == '"' && before != '\\' {
            quoted = !quoted;
        }
        before = if c == '\\' && before == '\\' { ' ' } else { c };
    }
    !address.is_empty() && !quoted && address.len() <= ADDRESS
}

/// The message as DATA has it, piece by piece: with CRLF at each line's end, and a dot before each dot that begins a line.
struct Stuffing {
    before: u8,
}

impl Stuffing {
    fn new() -> Stuffing {
        Stuffing { before: b'\n' }
    }

    fn piece(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 32 + 2);
        for &byte in bytes {
            match byte {
                b'\n' if self.before != b'\r' => out.push(b'\r'),
                b'.' if self.before == b'\n' => out.push(b'.'),
                _ => {}
            }
            out.push(byte);
            self.before = byte;
        }
        out
    }

    fn end(&self) -> &'static [u8] {
        match self.before {
            b'\n' => b".\r\n",
            b'\r' => b"\n.\r\n",
            _ => b"\r\n.\r\n",
        }
    }
}

fn by_parameter(by: By) -> String {
    // RFC 2852 section 4: nine digits at most, and a time that has passed only with N.
    let seconds = by.seconds.clamp(-999_999_999, 999_999_999);
    let mode = match by.mode {
        ByMode::Notify => 'N',
        ByMode::Return => 'R',
    };
    format!(" BY={seconds};{mode}{}", if by.trace { "T" } else { "" })
}

/// RFC 3461 section 4.
fn xtext(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if byte != b'+' && byte != b'=' => out.push(char::from(byte)),
            _ => out.push_str(&format!("+{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_begins_with_a_dot_arrives_as_it_was() {
        for (message, sent) in [
            (&b"a\r\n.b\r\n"[..], &b"a\r\n..b\r\n.\r\n"[..]),
            (b".", b"..\r\n.\r\n"),
            (b"", b".\r\n"),
            (b"a\n.\n", b"a\r\n..\r\n.\r\n"),
            (b"a.\r\nno end", b"a.\r\nno end\r\n.\r\n"),
        ] {
            for size in 1..=message.len().max(1) {
                let mut stuffing = Stuffing::new();
                let mut out: Vec<u8> = message.chunks(size).flat_map(|piece| stuffing.piece(piece)).collect();
                out.extend_from_slice(stuffing.end());
                assert_eq!(out, sent, "in pieces of {size}");
            }
        }
    }

    #[test]
    fn no_address_can_bring_a_command_of_its_own() {
        for good in ["a@b", "\"a b\"@c", "\"<\"@c", "jürgen@bücher.example", "postmaster"] {
            assert!(is_writable(good), "{good}");
        }
        for bad in ["", "a@b> SIZE=1", "a@b\r\nRCPT TO:<c@d>", "a b@c", "<a@b>", "\"a@b", "\"a\\\"@b"] {
            assert!(!is_writable(bad), "{bad}");
        }
        assert!(!is_writable(&"a".repeat(ADDRESS + 1)));
    }

    #[test]
    fn parameters_are_written_as_their_documents_have_them() {
        let by = |seconds, mode, trace| by_parameter(By { seconds, mode, trace });
        assert_eq!(by(120, ByMode::Return, false), " BY=120;R");
        assert_eq!(by(-5, ByMode::Notify, true), " BY=-5;NT");
        assert_eq!(by(i64::MAX, ByMode::Notify, false), " BY=999999999;N");
        assert_eq!(xtext("fred+x=y ü@d"), "fred+2Bx+3Dy+20+C3+BC@d");
    }
}
