//! An LMTP connection to a backend: how many replies are still to come, and whether a message is being sent.

use std::collections::VecDeque;

use bytes::BytesMut;
use protocol::line::{Line, Lines};
use protocol::lmtp::reply::{Answer, AnswerReader};

use super::OutOfStep;
use crate::limits::REPLY_LINE;

/// What a reply will answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owed {
    /// A command, the greeting, or one recipient of a message.
    Plain,
    /// DATA: after 354 the message follows.
    Data,
    /// AUTH: after 334 an answer to a challenge follows.
    Auth,
}

/// The owner of a connection's state.
#[derive(Debug)]
pub struct Wire {
    owed: VecDeque<Owed>,
    /// DATA was answered with 354, and the message is not sent to its end.
    in_message: bool,
    /// A challenge was sent.
    challenged: bool,
    lines: Lines,
    reader: AnswerReader,
    /// It said 421, or something that was not asked for.
    over: bool,
}

impl Default for Wire {
    /// A connection that has only been made: the greeting is owed.
    fn default() -> Wire {
        Wire {
            owed: VecDeque::from([Owed::Plain]),
            in_message: false,
            challenged: false,
            lines: Lines::new(REPLY_LINE),
            reader: AnswerReader::default(),
            over: false,
        }
    }
}

impl Wire {
    /// A command, without its line end. Commands may go out before the answers to others came, but for what ends a
    /// group: nothing may follow DATA, AUTH, STARTTLS.
    pub fn command(&mut self, text: &[u8], out: &mut BytesMut) -> Result<(), OutOfStep> {
        if self.in_message || self.owed.iter().any(|owed| *owed != Owed::Plain) {
            return Err(OutOfStep::Busy);
        }
        let word = text.split(|&b| b == b' ').next().unwrap_or_default();
        self.owed.push_back(match word {
            word if word.eq_ignore_ascii_case(b"DATA") => Owed::Data,
            word if word.eq_ignore_ascii_case(b"AUTH") => Owed::Auth,
            _ => Owed::Plain,
        });
        self.line(text, out)
    }

    /// The answer to a challenge.
    pub fn say(&mut self, text: &str, out: &mut BytesMut) -> Result<(), OutOfStep> {
        if !std::mem::take(&mut self.challenged) {
            return Err(OutOfStep::Beyond);
        }
        self.owed.push_front(Owed::Auth);
        self.line(text.as_bytes(), out)
    }

    fn line(&mut self, text: &[u8], out: &mut BytesMut) -> Result<(), OutOfStep> {
        if text.contains(&b'\n') || text.contains(&b'\r') {
            return Err(OutOfStep::Beyond);
        }
        out.extend_from_slice(text);
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Bytes of the message, with its dots doubled (RFC 5321 section 4.5.2).
    pub fn message(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<(), OutOfStep> {
        if !self.in_message {
            return Err(OutOfStep::Beyond);
        }
        out.extend_from_slice(bytes);
        Ok(())
    }

    /// The message was sent to its final dot; `replies` follow: one for each recipient, and one in any case (RFC 2033
    /// section 4.2).
    pub fn message_ended(&mut self, replies: usize) -> Result<(), OutOfStep> {
        if !std::mem::take(&mut self.in_message) {
            return Err(OutOfStep::Beyond);
        }
        self.owed.extend(std::iter::repeat_n(Owed::Plain, replies.max(1)));
        Ok(())
    }

    /// The next reply, consumed from `input`; `None` when more bytes are needed.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Answer>, OutOfStep> {
        loop {
            let line = self.lines.next(input).map_err(|_| OutOfStep::Endless);
            let answer = match line.inspect_err(|_| self.over = true)? {
                None => return Ok(None),
                Some(Line::TooLong) => Err(OutOfStep::Endless),
                Some(Line::Text(text)) => self.reader.line(&text).map_err(|_| OutOfStep::Malformed),
            };
            if let Some(answer) = answer.inspect_err(|_| self.over = true)? {
                return self.answered(answer).map(Some).inspect_err(|_| self.over = true);
            }
        }
    }

    fn answered(&mut self, answer: Answer) -> Result<Answer, OutOfStep> {
        if answer.code == 421 {
            self.over = true;
        }
        match (self.owed.pop_front(), answer.code) {
            (Some(Owed::Data), 354) => self.in_message = true,
            (Some(Owed::Auth), 334) => self.challenged = true,
            // A server may say good-bye at any time (RFC 5321 section 3.8).
            (None, 421) => {}
            (None, _) | (Some(Owed::Plain | Owed::Auth), 300..400) => return Err(OutOfStep::Unasked),
            (Some(_), _) => {}
        }
        Ok(answer)
    }

    /// Whether every command has had its reply and no message is open.
    pub fn is_at_rest(&self, unread: &[u8]) -> bool {
        self.owed.is_empty() && !self.in_message && !self.challenged && !self.over && unread.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(wire: &mut Wire, text: &str) -> Result<Vec<u16>, OutOfStep> {
        let (mut input, mut codes) = (BytesMut::from(text), Vec::new());
        while let Some(answer) = wire.next(&mut input)? {
            codes.push(answer.code);
        }
        Ok(codes)
    }

    #[test]
    fn a_delivery_is_over_when_each_recipient_is_answered() {
        let (mut wire, mut out) = (Wire::default(), BytesMut::new());
        assert!(!wire.is_at_rest(b""), "the greeting is owed");
        hear(&mut wire, "220 ready\r\n").unwrap();
        for command in ["MAIL FROM:<a@b>", "RCPT TO:<c>", "RCPT TO:<d>", "data"] {
            wire.command(command.as_bytes(), &mut out).unwrap();
        }
        assert_eq!(wire.command(b"RSET", &mut out), Err(OutOfStep::Busy), "nothing follows DATA");
        assert_eq!(wire.message(b"x", &mut out), Err(OutOfStep::Beyond), "not asked for yet");
        assert_eq!(hear(&mut wire, "250 ok\r\n250-a\r\n250 b\r\n250 ok\r\n354 go\r\n").unwrap().len(), 4);
        wire.message(b"x\r\n.\r\n", &mut out).unwrap();
        assert!(!wire.is_at_rest(b"") && wire.command(b"RSET", &mut out).is_err());
        wire.message_ended(2).unwrap();
        hear(&mut wire, "250 ok\r\n").unwrap();
        assert!(!wire.is_at_rest(b""));
        hear(&mut wire, "452 full\r\n").unwrap();
        assert!(wire.is_at_rest(b"") && !wire.is_at_rest(b"2"));
        assert_eq!(hear(&mut wire, "250 one too many\r\n"), Err(OutOfStep::Unasked));
        assert!(!wire.is_at_rest(b""));
    }

    #[test]
    fn what_a_command_cannot_be_answered_with_is_out_of_step() {
        for (command, answer) in
            [("RSET", "354 go"), ("MAIL FROM:<>", "334 x"), ("RSET", "nonsense"), ("RSET", "100 x")]
        {
            let (mut wire, mut out) = (Wire::default(), BytesMut::new());
            hear(&mut wire, "220 ready\r\n").unwrap();
            wire.command(command.as_bytes(), &mut out).unwrap();
            assert!(hear(&mut wire, &format!("{answer}\r\n")).is_err(), "{answer}");
            assert!(!wire.is_at_rest(b""));
        }
        let (mut wire, mut out) = (Wire::default(), BytesMut::new());
        assert_eq!(wire.command(b"RSET\r\nMAIL", &mut out), Err(OutOfStep::Beyond));
    }

    #[test]
    fn a_good_bye_ends_the_use_of_a_connection() {
        let mut wire = Wire::default();
        assert_eq!(hear(&mut wire, "220 ready\r\n421 tired\r\n").unwrap(), [220, 421]);
        assert!(!wire.is_at_rest(b""));
    }

    #[test]
    fn a_login_is_a_dialogue() {
        let (mut wire, mut out) = (Wire::default(), BytesMut::new());
        hear(&mut wire, "220 ready\r\n").unwrap();
        wire.command(b"AUTH SCRAM-SHA-256 x", &mut out).unwrap();
        assert_eq!(wire.say("y", &mut out), Err(OutOfStep::Beyond));
        hear(&mut wire, "334 y\r\n").unwrap();
        assert!(!wire.is_at_rest(b""));
        wire.say("z", &mut out).unwrap();
        hear(&mut wire, "235 in\r\n").unwrap();
        assert!(wire.is_at_rest(b""));
    }
}
