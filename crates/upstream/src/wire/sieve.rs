//! A ManageSieve connection to a backend until its user is logged in; afterwards it is the client's alone, byte for byte.

use std::collections::VecDeque;

use bytes::BytesMut;
use protocol::frame::{Collected, Collector, Limits};
use protocol::managesieve::Condition;
use protocol::managesieve::response::Line;

use super::{OutOfStep, line};
use crate::limits::{LIST_MAX, SIEVE_ANSWER, rows};

/// One whole answer, or a challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The lines before the last one, each as its strings with blanks between them.
    Ok(Vec<String>),
    /// NO or BYE, and its text.
    Refused(String),
    /// Base64.
    Challenge(String),
}

/// The owner of a connection's state.
#[derive(Debug)]
pub struct Wire {
    owed: VecDeque<Owed>,
    lines: Vec<String>,
    challenged: bool,
    collector: Collector,
}

/// What an answer will answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owed {
    /// Lines, the last of which says how it went. Also the greeting.
    Answer,
    /// AUTHENTICATE: a line before is a challenge.
    Auth,
}

impl Default for Wire {
    /// A connection that has only been made: the greeting is owed.
    fn default() -> Wire {
        let limits = Limits { line: SIEVE_ANSWER, skip: SIEVE_ANSWER };
        let collector = Collector::new(limits, SIEVE_ANSWER as u64, SIEVE_ANSWER).without_continuation();
        Wire { owed: VecDeque::from([Owed::Answer]), lines: Vec::new(), challenged: false, collector }
    }
}

impl Wire {
    /// A command, without its line end.
    pub fn command(&mut self, text: &str, out: &mut BytesMut) -> Result<(), OutOfStep> {
        if self.owed.contains(&Owed::Auth) {
            return Err(OutOfStep::Busy);
        }
        line(text, out)?;
        self.owed.push_back(match text.starts_with("AUTHENTICATE ") {
            true => Owed::Auth,
            false => Owed::Answer,
        });
        Ok(())
    }

    /// A command with strings, each of which is a literal: any text may be one, and Cyrus takes no UTF-8 in quotes.
    pub fn command_with(
        &mut self,
        word: &str,
        strings: &[&[u8]],
        out: &mut BytesMut,
    ) -> Result<(), OutOfStep> {
        if self.owed.contains(&Owed::Auth) {
            return Err(OutOfStep::Busy);
        }
        out.extend_from_slice(word.as_bytes());
        for string in strings {
            out.extend_from_slice(format!(" {{{}+}}\r\n", string.len()).as_bytes());
            out.extend_from_slice(string);
        }
        out.extend_from_slice(b"\r\n");
        self.owed.push_back(Owed::Answer);
        Ok(())
    }

    /// TLS has begun: the server announces anew what it can do.
    pub fn expect_announcement(&mut self) {
        self.owed.push_back(Owed::Answer);
    }

    /// The answer to a challenge: Base64.
    pub fn say(&mut self, text: &str, out: &mut BytesMut) -> Result<(), OutOfStep> {
        if !std::mem::take(&mut self.challenged) {
            return Err(OutOfStep::Beyond);
        }
        line(&format!("\"{text}\""), out)
    }

    /// The next answer, consumed from `input`; `None` when more bytes are needed.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Answer>, OutOfStep> {
        loop {
            let frame = match self.collector.next(input) {
                Ok(None) => return Ok(None),
                Ok(Some(Collected::Command(frame))) => frame,
                // No literal is waited for.
                Ok(Some(Collected::Continue(_))) => continue,
                Ok(Some(Collected::Poisoned { .. })) | Err(_) => return Err(OutOfStep::Endless),
            };
            if let Some(answer) = self.line(Line::parse(&frame).map_err(|_| OutOfStep::Malformed)?)? {
                return Ok(Some(answer));
            }
        }
    }

    fn line(&mut self, line: Line) -> Result<Option<Answer>, OutOfStep> {
        let owed = *self.owed.front().ok_or(OutOfStep::Unasked)?;
        match line {
            Line::Data(strings) if owed == Owed::Auth => {
                let [challenge] = &strings[..] else { return Err(OutOfStep::Malformed) };
                self.challenged = true;
                Ok(Some(Answer::Challenge(String::from_utf8_lossy(challenge).into_owned())))
            }
            Line::Data(strings) => {
                if self.lines.len() >= LIST_MAX {
                    rows::LIST_MAX.met("a backend sends capabilities without end: it is disconnected");
                    return Err(OutOfStep::Endless);
                }
                let strings: Vec<_> = strings.iter().map(|string| String::from_utf8_lossy(string)).collect();
                self.lines.push(strings.join(" "));
                Ok(None)
            }
            Line::Done { condition, code, text } => {
                self.owed.pop_front();
                self.challenged = false;
                let mut lines = std::mem::take(&mut self.lines);
                if condition != Condition::Ok {
                    return Ok(Some(Answer::Refused(text)));
                }
                // What a server proves itself with may come with the end.
                if let Some((_, Some(data))) = code.filter(|(word, _)| word == "SASL") {
                    lines.push(format!("{PROOF} {}", String::from_utf8_lossy(&data)));
                }
                Ok(Some(Answer::Ok(lines)))
            }
        }
    }

    /// Whether every command has had its answer.
    pub fn is_at_rest(&self, unread: &[u8]) -> bool {
        self.owed.is_empty() && self.lines.is_empty() && unread.is_empty()
    }
}

/// The name of the line that an `OK (SASL "…")` becomes.
pub const PROOF: &str = "(SASL)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_lines_and_its_end() {
        let (mut wire, mut out) = (Wire::default(), BytesMut::new());
        let mut input = BytesMut::from("\"SASL\" \"PLAIN\"\r\n\"STARTTLS\"\r\nOK\r\n");
        let greeting = Answer::Ok(vec!["SASL PLAIN".to_owned(), "STARTTLS".to_owned()]);
        assert_eq!(wire.next(&mut input), Ok(Some(greeting)));
        assert_eq!(wire.next(&mut BytesMut::from("OK\r\n")), Err(OutOfStep::Unasked));
        wire.command("AUTHENTICATE \"SCRAM-SHA-1\"", &mut out).unwrap();
        assert_eq!(wire.command("NOOP", &mut out), Err(OutOfStep::Busy));
        let mut input = BytesMut::from("{4}\r\nZm9v\r\nNO \"no\"\r\n");
        assert_eq!(wire.next(&mut input), Ok(Some(Answer::Challenge("Zm9v".to_owned()))));
        wire.say("eA==", &mut out).unwrap();
        assert_eq!(wire.say("eA==", &mut out), Err(OutOfStep::Beyond));
        assert_eq!(wire.next(&mut input), Ok(Some(Answer::Refused("no".to_owned()))));
        assert!(wire.is_at_rest(&input));
        assert_eq!(&out[..], b"AUTHENTICATE \"SCRAM-SHA-1\"\r\n\"eA==\"\r\n");
    }

    #[test]
    fn strings_of_a_command_are_literals() {
        let (mut wire, mut out) = (Wire::default(), BytesMut::new());
        assert!(wire.next(&mut BytesMut::from("OK\r\n")).unwrap().is_some());
        wire.command_with("PUTSCRIPT", &["ü\"".as_bytes(), b"keep;\r\n"], &mut out).unwrap();
        assert_eq!(&out[..], "PUTSCRIPT {3+}\r\nü\" {7+}\r\nkeep;\r\n\r\n".as_bytes());
        assert!(!wire.is_at_rest(b""));
        assert_eq!(wire.next(&mut BytesMut::from("OK\r\n")), Ok(Some(Answer::Ok(vec![]))));
        assert!(wire.is_at_rest(b""));
    }

    #[test]
    fn what_is_no_answer_is_out_of_step() {
        for (input, error) in [
            ("+OK\r\n", OutOfStep::Malformed),
            ("\"a\r\n", OutOfStep::Malformed),
            ("\r\n", OutOfStep::Malformed),
        ] {
            assert_eq!(Wire::default().next(&mut BytesMut::from(input)), Err(error), "{input}");
        }
        let endless = "x".repeat(2 * SIEVE_ANSWER + 1);
        assert_eq!(Wire::default().next(&mut BytesMut::from(endless.as_str())), Err(OutOfStep::Endless));
    }
}
