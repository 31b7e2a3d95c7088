//! A message on its way in: the bytes after `354` become the bytes that are stored.
//!
//! Dots are undone, the header loses any Return-Path and gains the trace fields of this hop, Message-ID and Date are
//! added where the sender left them out, bare line feeds are completed to CRLF as in Cyrus, and what no stored message may
//! hold is told as a [`Defect`]. The end is CRLF `.` CRLF and nothing else: a bare line feed never ends a message, so that
//! nothing can be smuggled behind it. A header without a body is a message: RFC 5322 section 2.1.

use bytes::{Buf, BytesMut};
use std::fmt;

/// What is done to a message while it is taken in.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Fields before the first: Return-Path, Received, …; complete lines.
    pub head: Vec<u8>,
    /// The Message-ID field (a complete line) for a message without one.
    pub message_id: Vec<u8>,
    /// The Date field for a message without one.
    pub date: Vec<u8>,
    /// Bytes that a message may have; 0: no limit.
    pub max_size: u64,
    pub eight_bit: EightBit,
}

/// 8-bit bytes in a header (`reject8bit`, `munge8bit`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EightBit {
    Reject,
    /// They become X.
    #[default]
    Munge,
    Keep,
}

/// Why a message cannot be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    Nul,
    EightBitHeader,
    BadHeader,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Defect::Nul => "Message contains NUL characters",
            Defect::EightBitHeader => "Message contains non-ASCII characters in headers",
            Defect::BadHeader => "Message contains invalid header",
        })
    }
}

/// How far the message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    More,
    /// The lone dot has been read; what is left in the buffer are commands.
    End,
}

/// What was found once the end has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Good,
    TooLarge,
    Invalid(Defect),
}

/// One message being taken in.
#[derive(Debug)]
pub struct Intake {
    plan: Plan,
    place: Place,
    /// Bytes of the message so far, as the client sent it.
    size: u64,
    /// Inside a line that is longer than a piece.
    mid_line: bool,
    /// The last line ended with a bare line feed: a lone dot behind it is no end.
    after_bare: bool,
    dropping: bool,
    defect: Option<Defect>,
    has_message_id: bool,
    has_date: bool,
    has_eight_bit: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Header,
    Body,
}

impl Intake {
    pub fn new(plan: Plan) -> Intake {
        Intake {
            plan,
            place: Place::Start,
            size: 0,
            mid_line: false,
            after_bare: false,
            dropping: false,
            defect: None,
            has_message_id: false,
            has_date: false,
            has_eight_bit: false,
        }
    }

    /// Takes what it can from `wire` and appends what is to be stored to `out`. Call again with more bytes until
    /// [`Progress::End`]. `wire` need not hold more than [`PIECE`] bytes; `out` may be emptied between calls.
    pub fn feed(&mut self, wire: &mut BytesMut, out: &mut Vec<u8>) -> Progress {
        loop {
            let (length, ended) = match wire.iter().position(|&b| b == b'\n') {
                Some(at) => (at + 1, true),
                // The CR that may precede a line feed stays for the next call.
                None if wire.len() >= PIECE => (wire.len() - 1, false),
                None => return Progress::More,
            };
            if !self.mid_line && !self.after_bare && &wire[..length] == b".\r\n" {
                wire.advance(length);
                self.finish(out);
                return Progress::End;
            }
            self.piece(&wire[..length], ended, out);
            wire.advance(length);
        }
    }

    /// To be asked after [`Progress::End`].
    pub fn outcome(&self) -> Outcome {
        if self.plan.max_size != 0 && self.size > self.plan.max_size {
            return Outcome::TooLarge;
        }
        self.defect.map_or(Outcome::Good, Outcome::Invalid)
    }

    /// Bytes that the client has sent.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether the header, as it is stored, holds bytes beyond ASCII: only with [`EightBit::Keep`].
    pub fn has_eight_bit_header(&self) -> bool {
        self.has_eight_bit
    }

    /// Whether what is taken in from now on is thrown away, since the message is refused already.
    pub fn is_refused(&self) -> bool {
        self.outcome() != Outcome::Good
    }

    fn piece(&mut self, piece: &[u8], ended: bool, out: &mut Vec<u8>) {
        let fresh = !std::mem::replace(&mut self.mid_line, !ended);
        self.after_bare = ended && !piece.ends_with(b"\r\n");
        let (text, end): (&[u8], &[u8]) = match piece.strip_suffix(b"\n") {
            Some(text) => (text.strip_suffix(b"\r").unwrap_or(text), b"\r\n"),
            None => (piece, b""),
        };
        let text = match text.strip_prefix(b".") {
            // A lone dot that ends nothing is no stuffing either.
            Some(rest) if fresh && !(rest.is_empty() && ended) => rest,
            _ => text,
        };
        self.size += (text.len() + end.len()) as u64;
        if text.contains(&0) {
            self.found(Defect::Nul);
        }
        if self.is_refused() {
            out.clear();
            return;
        }
        if self.place != Place::Body && fresh {
            self.header_line(text, ended, out);
        }
        if self.dropping {
            return;
        }
        let from = out.len();
        out.extend(text.iter().copied().filter(|&b| b != b'\r'));
        if self.place != Place::Body {
            self.eight_bit(from, out);
        }
        out.extend_from_slice(end);
    }

    /// The first piece of a line before the body.
    fn header_line(&mut self, text: &[u8], ended: bool, out: &mut Vec<u8>) {
        if self.place == Place::Start {
            out.extend_from_slice(&self.plan.head);
        }
        if text.is_empty() && ended {
            self.end_header(out);
            return;
        }
        if matches!(text.first(), Some(b' ' | b'\t')) {
            if self.place == Place::Start {
                self.found(Defect::BadHeader);
            }
            return;
        }
        self.place = Place::Header;
        let Some(colon) = text.iter().position(|&b| b == b':') else {
            return self.found(Defect::BadHeader);
        };
        let name = text[..colon].trim_ascii_end();
        if name.is_empty() || name.iter().any(|&b| b <= b' ' || b == 0x7f) {
            return self.found(Defect::BadHeader);
        }
        self.dropping = name.eq_ignore_ascii_case(b"return-path");
        self.has_message_id |= name.eq_ignore_ascii_case(b"message-id");
        self.has_date |= name.eq_ignore_ascii_case(b"date");
    }

    fn end_header(&mut self, out: &mut Vec<u8>) {
        if !self.has_message_id {
            out.extend_from_slice(&self.plan.message_id);
        }
        if !self.has_date {
            out.extend_from_slice(&self.plan.date);
        }
        self.place = Place::Body;
        self.dropping = false;
    }

    fn eight_bit(&mut self, from: usize, out: &mut [u8]) {
        let line = out.get_mut(from..).unwrap_or_default();
        match self.plan.eight_bit {
            _ if line.is_ascii() => {}
            EightBit::Keep => self.has_eight_bit = true,
            EightBit::Munge => line.iter_mut().filter(|b| !b.is_ascii()).for_each(|b| *b = b'X'),
            EightBit::Reject => self.found(Defect::EightBitHeader),
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.is_refused() {
            return out.clear();
        }
        if self.place == Place::Start {
            out.extend_from_slice(&self.plan.head);
        }
        if self.place != Place::Body {
            self.end_header(out);
            out.extend_from_slice(b"\r\n");
        }
    }

    fn found(&mut self, defect: Defect) {
        self.defect.get_or_insert(defect);
    }
}

/// A line without end is taken in pieces of this many bytes.
pub const PIECE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dots::Stuffer;
    use proptest::prelude::*;

    fn plan() -> Plan {
        Plan {
            head: b"Return-Path: <a@b>\r\n".to_vec(),
            message_id: b"Message-ID: <new>\r\n".to_vec(),
            date: b"Date: now\r\n".to_vec(),
            max_size: 0,
            eight_bit: EightBit::Munge,
        }
    }

    fn take(wire: &[u8], plan: Plan) -> (Vec<u8>, Outcome, Vec<u8>) {
        let (mut intake, mut out) = (Intake::new(plan), Vec::new());
        let mut wire = BytesMut::from(wire);
        assert_eq!(intake.feed(&mut wire, &mut out), Progress::End);
        (out, intake.outcome(), wire.to_vec())
    }

    fn refused(wire: &[u8]) -> Outcome {
        take(wire, Plan { eight_bit: EightBit::Reject, max_size: 200, ..plan() }).1
    }

    #[test]
    fn the_header_loses_return_path_and_gains_what_it_lacks() {
        let wire =
            b"Return-Path: <old>\r\n folded\r\nSubject: x\xfc\r\nDATE: then\r\n\r\n..dot\r\n.\r\nNOOP\r\n";
        let (out, outcome, rest) = take(wire, plan());
        assert_eq!(outcome, Outcome::Good);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "Return-Path: <a@b>\r\nSubject: xX\r\nDATE: then\r\nMessage-ID: <new>\r\n\r\n.dot\r\n"
        );
        assert_eq!(rest, b"NOOP\r\n");
    }

    #[test]
    fn a_header_beyond_ascii_is_noticed_where_it_is_kept() {
        let keep = |wire: &[u8]| {
            let mut intake = Intake::new(Plan { eight_bit: EightBit::Keep, ..plan() });
            let mut out = Vec::new();
            intake.feed(&mut BytesMut::from(wire), &mut out);
            (intake.has_eight_bit_header(), String::from_utf8(out).unwrap())
        };
        let (noticed, stored) = keep("Subject: Grüße\r\n\r\nü\r\n.\r\n".as_bytes());
        assert!(noticed && stored.contains("Subject: Grüße\r\n"));
        assert!(!keep("Subject: x\r\n\r\nü\r\n.\r\n".as_bytes()).0);
    }

    #[test]
    fn a_message_of_a_body_only_gets_a_header() {
        let (out, outcome, _) = take(b"\r\nhello\r\n.\r\n", plan());
        assert_eq!(outcome, Outcome::Good);
        assert!(out.starts_with(b"Return-Path: <a@b>\r\nMessage-ID: <new>\r\nDate: now\r\n\r\nhello"));
    }

    #[test]
    fn a_message_of_a_header_only_is_a_message() {
        let (out, outcome, rest) = take(b"Subject: nothing to add\r\n.\r\nNOOP\r\n", plan());
        assert_eq!((outcome, rest), (Outcome::Good, b"NOOP\r\n".to_vec()));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "Return-Path: <a@b>\r\nSubject: nothing to add\r\nMessage-ID: <new>\r\nDate: now\r\n\r\n"
        );
        let (out, outcome, _) = take(b"Subject: x\r\nReturn-Path: <old>\r\n.\r\n", plan());
        assert_eq!(outcome, Outcome::Good);
        assert!(out.ends_with(b"Subject: x\r\nMessage-ID: <new>\r\nDate: now\r\n\r\n"));
        let (out, outcome, _) = take(b".\r\n", plan());
        assert_eq!(outcome, Outcome::Good);
        assert_eq!(out, b"Return-Path: <a@b>\r\nMessage-ID: <new>\r\nDate: now\r\n\r\n");
    }

    #[test]
    fn bare_line_feeds_are_completed_and_end_nothing() {
        let body = |wire: &[u8]| {
            let (out, outcome, rest) = take(&[b"Message-ID: 1\nDate: 2\r\n\r\n", wire].concat(), plan());
            assert_eq!((outcome, rest), (Outcome::Good, Vec::new()));
            let text = String::from_utf8(out).unwrap();
            text.strip_prefix("Return-Path: <a@b>\r\nMessage-ID: 1\r\nDate: 2\r\n\r\n").unwrap().to_owned()
        };
        assert_eq!(body(b"x\ny\r\n.\r\n"), "x\r\ny\r\n");
        assert_eq!(body(b"x\n..y\r\n.\r\n"), "x\r\n.y\r\n");
        assert_eq!(body(b"x\n.\nQUIT\n.\r\n\r\n.\r\n"), "x\r\n.\r\nQUIT\r\n.\r\n\r\n");
        assert_eq!(body(b"x\r\n.\nQUIT\r\n.\r\n"), "x\r\n.\r\nQUIT\r\n");
        assert_eq!(body(b"x\r\n.\r\r\nQUIT\r\n.\r\n"), "x\r\n\r\nQUIT\r\n");
    }

    #[test]
    fn defects_are_told_after_the_end() {
        let invalid = Outcome::Invalid;
        assert_eq!(refused(b"A: b\r\n\r\nx\0y\r\n.\r\n"), invalid(Defect::Nul));
        assert_eq!(refused(b"A: \xfc\r\n\r\nx\r\n.\r\n"), invalid(Defect::EightBitHeader));
        assert_eq!(refused(b"nonsense\r\n\r\nx\r\n.\r\n"), invalid(Defect::BadHeader));
        assert_eq!(refused(b" A: b\r\n\r\nx\r\n.\r\n"), invalid(Defect::BadHeader));
        assert_eq!(
            refused(&[b"A: b\r\n\r\n".as_slice(), &[b'x'; 300], b"\r\n.\r\n"].concat()),
            Outcome::TooLarge
        );
    }

    #[test]
    fn a_line_without_end_passes_in_pieces() {
        let (mut intake, mut total) = (Intake::new(plan()), 0);
        let mut wire = BytesMut::from(&b"A: b\r\n\r\n"[..]);
        for _ in 0..1000 {
            wire.extend_from_slice(&[b'.'; 4096]);
            let mut out = Vec::new();
            assert_eq!(intake.feed(&mut wire, &mut out), Progress::More);
            assert!(wire.len() <= PIECE);
            total += out.len();
        }
        let mut out = Vec::new();
        wire.extend_from_slice(b"\r\n.\r\n");
        assert_eq!(intake.feed(&mut wire, &mut out), Progress::End);
        // One dot at the line's start was stuffing.
        assert_eq!(
            total + out.len() - plan().head.len() - 6 - plan().date.len() - plan().message_id.len(),
            { 1000 * 4096 - 1 + 4 }
        );
    }

    proptest! {
        #[test]
        fn what_was_stuffed_comes_out_as_it_was(body in "[a.\r\n]{0,80}", cut in 1usize..90) {
            let message = format!("Message-ID: 1\r\nDate: 2\r\n\r\n{}\r\n", body.replace('\r', "").replace('\n', "\r\n"));
            let (mut stuffer, mut wire) = (Stuffer::default(), Vec::new());
            stuffer.push(message.as_bytes(), &mut wire);
            stuffer.finish(&mut wire);
            let (mut intake, mut out) = (Intake::new(Plan::default()), Vec::new());
            let mut buf = BytesMut::new();
            let mut ended = Progress::More;
            for piece in wire.chunks(cut) {
                buf.extend_from_slice(piece);
                ended = intake.feed(&mut buf, &mut out);
            }
            prop_assert_eq!(ended, Progress::End);
            prop_assert_eq!(intake.outcome(), Outcome::Good);
            prop_assert_eq!(String::from_utf8(out).unwrap(), message);
        }

        #[test]
        fn any_bytes_are_taken_without_a_panic(wire in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (mut intake, mut out) = (Intake::new(plan()), Vec::new());
            let _ = intake.feed(&mut BytesMut::from(&wire[..]), &mut out);
        }
    }
}
