//! Replies: those of our server, all in one table, and the reading of another server's.

use std::fmt::Write as _;

/// A reply as it goes over the wire: one code, one or more lines. The enhanced code is part of a line's text, as Cyrus
/// has it: only the last line of a long reply needs one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub code: u16,
    pub lines: Vec<String>,
}

impl Answer {
    pub fn new(code: u16, lines: &[&str]) -> Answer {
        Answer { code, lines: lines.iter().map(|&line| line.to_owned()).collect() }
    }

    pub fn write(&self, out: &mut String) {
        for (at, line) in self.lines.iter().enumerate() {
            let mark = if at + 1 == self.lines.len() { ' ' } else { '-' };
            let _ = write!(out, "{}{mark}{line}\r\n", self.code);
        }
        if self.lines.is_empty() {
            let _ = write!(out, "{} \r\n", self.code);
        }
    }

    /// The enhanced code: of the last line that begins with one.
    pub fn enhanced(&self) -> Option<(u8, u16, u16)> {
        self.lines.iter().rev().find_map(|line| {
            let mut numbers = line.split_whitespace().next()?.splitn(3, '.');
            let class = numbers.next()?.parse().ok()?;
            Some((class, numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
        })
    }

    pub fn is_positive(&self) -> bool {
        (200..400).contains(&self.code)
    }
}

/// Collects the lines of a server's reply.
#[derive(Debug, Default)]
pub struct AnswerReader {
    lines: Vec<String>,
    code: Option<u16>,
}

/// A line that is no reply, or a reply of too many lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a reply")]
pub struct BadReply;

impl AnswerReader {
    /// Takes one line without its end; gives the reply that it completes.
    pub fn line(&mut self, line: &[u8]) -> Result<Option<Answer>, BadReply> {
        let (digits, rest) = line.split_at_checked(3).ok_or(BadReply)?;
        let code = std::str::from_utf8(digits).ok().and_then(|d| d.parse::<u16>().ok()).ok_or(BadReply)?;
        let (more, text) = match rest.split_first() {
            None => (false, rest),
            Some((b' ', text)) => (false, text),
            Some((b'-', text)) => (true, text),
            Some(_) => return Err(BadReply),
        };
        if *self.code.get_or_insert(code) != code || self.lines.len() >= MAX_LINES || code < 200 {
            return Err(BadReply);
        }
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        self.lines.push(String::from_utf8_lossy(text).chars().map(clean).collect());
        if more {
            return Ok(None);
        }
        self.code = None;
        Ok(Some(Answer { code, lines: std::mem::take(&mut self.lines) }))
    }
}

/// Lines of one reply of a server.
const MAX_LINES: usize = 200;

/// What a session says of itself.
#[derive(Debug, Clone)]
pub struct Server {
    pub servername: String,
    pub version: String,
    pub session_id: String,
    /// `maxmessagesize` in bytes; 0: no limit.
    pub max_size: u64,
}

/// Everything that our server says except verdicts on recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Greeting,
    /// Answer to LHLO: whether STARTTLS is offered, and the mechanisms for AUTH.
    Hello {
        starttls: bool,
        mechanisms: Vec<String>,
    },
    Ok,
    Reset,
    SenderOk,
    RecipientOk,
    GoAhead,
    Vrfy,
    Bye,
    BeginTls,
    /// An AUTH challenge, in base64.
    Challenge(String),
    Authenticated,
    // What the client did wrong.
    Syntax,
    Parameters,
    Unrecognized,
    LineTooLong,
    NestedMail,
    NoMail,
    NoRecipients,
    TooManyRecipients,
    AlreadyAuthenticated,
    UnknownMechanism,
    BadBase64,
    AuthCancelled,
    AuthFailed,
    NotAdmin,
    AuthUnavailable,
    /// `soft_noauth`: temporary, so that a mistake in configuration bounces no mail.
    AuthRequired {
        soft: bool,
    },
    TlsUnavailable,
    TlsActive,
    InTransaction,
    TooLarge,
    // Why the session ends.
    TooManyErrors,
    Idle,
    ShuttingDown,
    /// The admin's words in `msg/shutdown`.
    Maintenance(String),
    TooManyConnections,
}

impl Reply {
    pub fn answer(&self, me: &Server) -> Answer {
        let id = &me.session_id;
        match self {
            Reply::Greeting => {
                Answer::new(220, &[&format!("{} Murder LMTP {} server ready", me.servername, me.version)])
            }
            Reply::Hello { starttls, mechanisms } => hello(me, *starttls, mechanisms),
            Reply::Ok => Answer::new(250, &["2.0.0 ok"]),
            Reply::Reset => Answer::new(250, &[&format!("2.0.0 Ok SESSIONID=<{id}>")]),
            Reply::SenderOk => Answer::new(250, &["2.1.0 ok"]),
            Reply::RecipientOk => Answer::new(250, &["2.1.5 ok"]),
            Reply::GoAhead => Answer::new(354, &["go ahead"]),
            Reply::Vrfy => Answer::new(252, &["2.3.3 try RCPT to attempt delivery"]),
            Reply::Bye => Answer::new(221, &["2.0.0 bye"]),
            Reply::BeginTls => Answer::new(220, &["2.0.0 Begin TLS negotiation now"]),
            Reply::Challenge(base64) => Answer::new(334, &[base64]),
            Reply::Authenticated => Answer::new(235, &[&format!("2.7.0 Authenticated SESSIONID=<{id}>")]),
            Reply::Syntax => Answer::new(500, &["5.5.2 Syntax error"]),
            Reply::Parameters => Answer::new(501, &["5.5.4 Syntax error in parameters"]),
            Reply::Unrecognized => Answer::new(501, &["5.5.4 Unrecognized parameters"]),
            Reply::LineTooLong => Answer::new(500, &["5.5.6 Line too long"]),
            Reply::NestedMail => Answer::new(503, &["5.5.1 Nested MAIL command"]),
            Reply::NoMail => Answer::new(503, &["5.5.1 Need MAIL command"]),
            Reply::NoRecipients => Answer::new(503, &["5.5.1 No recipients"]),
            Reply::TooManyRecipients => Answer::new(452, &["4.5.3 Too many recipients"]),
            Reply::AlreadyAuthenticated => Answer::new(503, &["5.5.1 Already authenticated"]),
            Reply::UnknownMechanism => Answer::new(504, &["5.5.4 Unrecognized authentication type"]),
            Reply::BadBase64 => Answer::new(501, &["5.5.2 Not base64"]),
            Reply::AuthCancelled => Answer::new(501, &["5.7.0 Authentication cancelled"]),
            Reply::AuthFailed => Answer::new(535, &["5.7.8 Authentication failed"]),
            Reply::NotAdmin => Answer::new(501, &["5.5.4 Not an administrator of this service"]),
            Reply::AuthUnavailable => Answer::new(454, &["4.7.0 Temporary authentication failure"]),
            Reply::AuthRequired { soft: true } => Answer::new(430, &["4.7.0 Authentication required"]),
            Reply::AuthRequired { soft: false } => Answer::new(530, &["5.7.0 Authentication required"]),
            Reply::TlsUnavailable => Answer::new(454, &["4.3.3 STARTTLS not available"]),
            Reply::TlsActive => Answer::new(503, &["5.5.1 TLS already active"]),
            Reply::InTransaction => Answer::new(503, &["5.5.1 Not permitted during a mail transaction"]),
            Reply::TooLarge => Answer::new(552, &[&too_large(me.max_size)]),
            Reply::TooManyErrors => Answer::new(421, &["4.7.0 Too many errors"]),
            Reply::Idle => Answer::new(421, &["4.4.2 Timed out"]),
            Reply::ShuttingDown => Answer::new(421, &["4.3.2 Server is shutting down"]),
            Reply::Maintenance(text) => Answer::new(421, &[&format!("4.3.2 {text}")]),
            Reply::TooManyConnections => Answer::new(421, &["4.4.5 Too many connections"]),
        }
    }
}

fn hello(me: &Server, starttls: bool, mechanisms: &[String]) -> Answer {
    let size = if me.max_size == 0 { i32::MAX as u64 } else { me.max_size };
    let mut lines = vec![
        me.servername.clone(),
        "8BITMIME".to_owned(),
        "SMTPUTF8".to_owned(),
        "ENHANCEDSTATUSCODES".to_owned(),
        "PIPELINING".to_owned(),
        format!("SIZE {size}"),
    ];
    if starttls {
        lines.push("STARTTLS".to_owned());
    }
    if !mechanisms.is_empty() {
        lines.push(format!("AUTH {}", mechanisms.join(" ")));
    }
    lines.push("IGNOREQUOTA".to_owned());
    lines.push(format!("Ok SESSIONID=<{}>", me.session_id));
    Answer { code: 250, lines }
}

/// The text about a message that is too large.
pub(super) fn too_large(max: u64) -> String {
    format!("5.2.3 Message SIZE exceeds fixed maximum message size ({max})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_of_several_lines_are_read_and_written() {
        let mut reader = AnswerReader::default();
        assert_eq!(reader.line(b"550-No such"), Ok(None));
        let answer = reader.line(b"550 5.1.1 User unknown").unwrap().unwrap();
        assert_eq!(answer.enhanced(), Some((5, 1, 1)));
        let mut out = String::new();
        answer.write(&mut out);
        assert_eq!(out, "550-No such\r\n550 5.1.1 User unknown\r\n");
        assert_eq!(reader.line(b"250"), Ok(Some(Answer { code: 250, lines: vec![String::new()] })));
    }

    #[test]
    fn what_is_no_reply_is_told() {
        for line in [b"".as_slice(), b"25", b"abc def", b"250x", b"\xff\xff\xff"] {
            assert_eq!(AnswerReader::default().line(line), Err(BadReply));
        }
        let mut reader = AnswerReader::default();
        reader.line(b"250-a").unwrap();
        assert_eq!(reader.line(b"251 b"), Err(BadReply));
    }

    #[test]
    fn the_greeting_of_a_session_lists_what_it_can() {
        let me = Server {
            servername: "be1.example".into(),
            version: "0.1.0".into(),
            session_id: "x".into(),
            max_size: 0,
        };
        let mut out = String::new();
        Reply::Hello { starttls: true, mechanisms: vec!["PLAIN".into(), "SCRAM-SHA-256".into()] }
            .answer(&me)
            .write(&mut out);
        assert_eq!(
            out,
            "250-be1.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250-PIPELINING\r\n250-SIZE 2147483647\r\n\
             250-STARTTLS\r\n250-AUTH PLAIN SCRAM-SHA-256\r\n250-IGNOREQUOTA\r\n250 Ok SESSIONID=<x>\r\n"
        );
    }
}
