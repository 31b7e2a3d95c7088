//! A POP3 connection to a backend until its user is logged in; afterwards it is the client's alone, byte for byte.

use std::collections::VecDeque;

use bytes::BytesMut;
use protocol::line::{Line, Lines};

use super::{OutOfStep, line};
use crate::limits::{LIST_MAX, POP3_LINE, rows};

/// What a response will answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owed {
    /// One line.
    Line,
    /// `+OK` and lines up to a dot (CAPA).
    List,
    /// AUTH: `+ challenge` may come first.
    Auth,
}

/// One whole response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The text after `+OK`, and the lines of a list.
    Ok(String, Vec<String>),
    /// The text after `-ERR`.
    Err(String),
    /// The text after `+`.
    Challenge(String),
}

/// The owner of a connection's state.
#[derive(Debug)]
pub struct Wire {
    owed: VecDeque<Owed>,
    /// The first line of a list, and what has come of it.
    list: Option<(String, Vec<String>)>,
    challenged: bool,
    lines: Lines,
}

impl Default for Wire {
    /// A connection that has only been made: the greeting is owed.
    fn default() -> Wire {
        let lines = Lines::new(POP3_LINE);
        Wire { owed: VecDeque::from([Owed::Line]), list: None, challenged: false, lines }
    }
}

impl Wire {
    /// A command, without its line end.
    pub fn command(&mut self, text: &str, out: &mut BytesMut) -> Result<(), OutOfStep> {
        if self.owed.contains(&Owed::Auth) {
            return Err(OutOfStep::Busy);
        }
        self.owed.push_back(match text.split(' ').next() {
            Some("CAPA") => Owed::List,
            Some("AUTH") => Owed::Auth,
            _ => Owed::Line,
        });
        line(text, out)
    }

    /// The answer to a challenge.
    pub fn say(&mut self, text: &str, out: &mut BytesMut) -> Result<(), OutOfStep> {
        if !std::mem::take(&mut self.challenged) {
            return Err(OutOfStep::Beyond);
        }
        line(text, out)
    }

    /// The next response, consumed from `input`; `None` when more bytes are needed.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Answer>, OutOfStep> {
        loop {
            let text = match self.lines.next(input).map_err(|_| OutOfStep::Endless)? {
                None => return Ok(None),
                Some(Line::TooLong) => return Err(OutOfStep::Endless),
                Some(Line::Text(text)) => String::from_utf8_lossy(&text).into_owned(),
            };
            if let Some(answer) = self.line(text)? {
                return Ok(Some(answer));
            }
        }
    }

    fn line(&mut self, text: String) -> Result<Option<Answer>, OutOfStep> {
        if let Some((first, mut lines)) = self.list.take() {
            if text == "." {
                return Ok(Some(Answer::Ok(first, lines)));
            }
            if lines.len() >= LIST_MAX {
                rows::LIST_MAX.met("a backend sends capabilities without end: it is disconnected");
                return Err(OutOfStep::Endless);
            }
            lines.push(text);
            self.list = Some((first, lines));
            return Ok(None);
        }
        let owed = self.owed.pop_front().ok_or(OutOfStep::Unasked)?;
        if let Some(rest) = text.strip_prefix("+OK") {
            let rest = rest.trim().to_owned();
            if owed == Owed::List {
                self.list = Some((rest, Vec::new()));
                return Ok(None);
            }
            return Ok(Some(Answer::Ok(rest, Vec::new())));
        }
        if let Some(rest) = text.strip_prefix("-ERR") {
            return Ok(Some(Answer::Err(rest.trim().to_owned())));
        }
        match text.strip_prefix('+').filter(|_| owed == Owed::Auth) {
            Some(rest) => {
                self.owed.push_front(Owed::Auth);
                self.challenged = true;
                Ok(Some(Answer::Challenge(rest.trim().to_owned())))
            }
            None => Err(OutOfStep::Malformed),
        }
    }

    /// Whether every command has had its response.
    pub fn is_at_rest(&self, unread: &[u8]) -> bool {
        self.owed.is_empty() && self.list.is_none() && unread.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_one_response() {
        let (mut wire, mut out) = (Wire::default(), BytesMut::new());
        let mut input = BytesMut::from("+OK ready\r\n+OK\r\nSASL PLAIN\r\n.\r\n");
        assert_eq!(wire.next(&mut input), Ok(Some(Answer::Ok("ready".to_owned(), vec![]))));
        assert_eq!(wire.next(&mut input), Err(OutOfStep::Unasked), "nothing was asked");
        let mut input = BytesMut::from("+OK\r\nSASL PLAIN\r\n.\r\n+OK go\r\n");
        wire.command("CAPA", &mut out).unwrap();
        assert_eq!(wire.next(&mut input), Ok(Some(Answer::Ok(String::new(), vec!["SASL PLAIN".to_owned()]))));
        assert!(!wire.is_at_rest(&input), "unread");
    }

    #[test]
    fn a_login_may_be_a_dialogue() {
        let (mut wire, mut out) = (Wire::default(), BytesMut::new());
        let mut input = BytesMut::from("+OK ready\r\n+OK seen\r\n+ Zm9v\r\n-ERR [IN-USE] locked\r\n");
        wire.command("XCLIENT x", &mut out).unwrap();
        wire.command("AUTH SCRAM-SHA-1", &mut out).unwrap();
        assert_eq!(wire.command("NOOP", &mut out), Err(OutOfStep::Busy));
        wire.next(&mut input).unwrap();
        wire.next(&mut input).unwrap();
        assert_eq!(wire.next(&mut input), Ok(Some(Answer::Challenge("Zm9v".to_owned()))));
        wire.say("x", &mut out).unwrap();
        assert_eq!(wire.say("y", &mut out), Err(OutOfStep::Beyond));
        assert_eq!(wire.next(&mut input), Ok(Some(Answer::Err("[IN-USE] locked".to_owned()))));
        assert!(wire.is_at_rest(&input));
    }

    #[test]
    fn a_challenge_to_what_is_no_login_is_out_of_step() {
        let mut wire = Wire::default();
        assert_eq!(wire.next(&mut BytesMut::from("+ x\r\n")), Err(OutOfStep::Malformed));
    }
}
