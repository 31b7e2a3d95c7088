//! An IMAP connection to a backend: which commands are open, what is owed of a literal, whose answer a line is.
//!
//! ```text
//!              begin            send …           literal that waits      +
//!   at rest ───────────▶ text ──────────▶ text ───────────────▶ asked ─────▶ literal ─▶ text
//!      ▲                   │ line end
//!      └───── answer ──────┴──▶ rest (other commands may begin), or a dialogue (IDLE, AUTHENTICATE)
//! ```
//!
//! Every command goes out under a tag that nobody can guess: a secret of the connection and a number. What comes back
//! under another tag was not asked for. Where a response quotes the tag, the client's own is put back.

use std::collections::VecDeque;
use std::fmt::Write as _;

use bytes::{Buf, Bytes, BytesMut};
use protocol::frame::{HEADER_MAX, literal_at_end};
use protocol::imap::Kind;
use protocol::imap::code::{self, Heard};
use protocol::imap::command::adopt::Part as StatePart;

use super::OutOfStep;
use super::scan::{Piece, Reply, Scanner, tag_quoted_at, words};
use crate::limits::MOVED_STATE;

/// One command on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(u64);

/// The tagged line that ended a command, without its tag and its line end: `OK [CODE x] text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer(Bytes);

impl Answer {
    pub fn new(text: impl Into<Bytes>) -> Answer {
        Answer(text.into())
    }

    /// `None` for a word that is none of OK, NO and BAD.
    pub fn condition(&self) -> Option<Kind> {
        match words(&self.0).0.to_ascii_uppercase().as_slice() {
            b"OK" => Some(Kind::Ok),
            b"NO" => Some(Kind::No),
            b"BAD" => Some(Kind::Bad),
            _ => None,
        }
    }

    pub fn is_ok(&self) -> bool {
        self.condition() == Some(Kind::Ok)
    }

    /// `OK text`
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }

    /// What follows the condition: `[CODE x] text`.
    pub fn remark(&self) -> String {
        String::from_utf8_lossy(words(&self.0).1).into_owned()
    }

    /// The line under a tag, with its line end.
    pub fn tagged(&self, tag: &str) -> Vec<u8> {
        [tag.as_bytes(), b" ", &self.0, b"\r\n"].concat()
    }

    /// The response code that it carries.
    pub fn code(&self) -> Option<Heard> {
        Heard::read(words(&self.0).1)
    }
}

/// What the backend said.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Untagged responses to copy: whole lines, or a part of one (see [`Wire::between_responses`]).
    Untagged(Bytes),
    /// A `+ …` line with its line end: the literal may go out, or the dialogue goes on.
    Continuation(Bytes),
    /// A `* BYE …` line with its line end.
    Bye(Bytes),
    /// The end of a command.
    Done(Id, Answer),
}

/// The same for those who read responses instead of copying them.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// A line with its end, and the size of the literal that it announces. A response ends with a line that announces none.
    Line(Bytes, Option<u64>),
    /// Bytes of a literal, and how many of it follow.
    Data(Bytes, u64),
    Continuation(Bytes),
    Bye(Bytes),
    Done(Id, Answer),
}

/// A command without its answer.
#[derive(Debug)]
struct Open {
    id: Id,
    /// The tag under which the client knows it; none for a command of our own.
    client: Option<Box<str>>,
}

/// How far the command that is being sent has gone.
#[derive(Debug, Default)]
enum Up {
    /// Nothing is being sent.
    #[default]
    Rest,
    /// Within a line; its last bytes, which may announce a literal.
    Text { id: Id, dialogue: bool, tail: Vec<u8> },
    /// The backend must ask for a literal first.
    Asked { id: Id, dialogue: bool, size: u64 },
    /// So much of a literal is owed.
    Literal { id: Id, dialogue: bool, rest: u64 },
    /// Until its answer, lines may be said that are no commands.
    Dialogue { id: Id },
}

/// The owner of a connection's state.
#[derive(Debug)]
pub struct Wire {
    /// Begins each tag.
    secret: String,
    next: u64,
    open: VecDeque<Open>,
    up: Up,
    down: Scanner,
    /// It said BYE, or something that was not asked for.
    over: bool,
    /// Where the mailbox has moved, and as much of the state as has come.
    moving: Moved,
    moved: Option<Moved>,
}

/// What a backend has said of a mailbox that it has given away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moved {
    pub server: String,
    /// For XADOPT.
    pub state: String,
}

impl Wire {
    /// `secret`: 80 bits that nobody else knows.
    pub fn new(secret: [u8; 10]) -> Wire {
        let secret = secret.iter().fold("M".to_owned(), |mut text, byte| {
            let _ = write!(text, "{byte:02X}");
            text
        });
        Wire {
            secret,
            next: 0,
            open: VecDeque::new(),
            up: Up::Rest,
            down: Scanner::default(),
            over: false,
            moving: Moved::default(),
            moved: None,
        }
    }

    /// Begins a command: its tag and a blank. `client` is the tag by which the client knows it.
    pub fn begin(&mut self, client: Option<&str>, out: &mut BytesMut) -> Result<Id, OutOfStep> {
        self.open_as(client, false, out)
    }

    /// The same for a command that becomes a dialogue (IDLE, AUTHENTICATE): see [`Wire::say`].
    pub fn begin_dialogue(&mut self, out: &mut BytesMut) -> Result<Id, OutOfStep> {
        self.open_as(None, true, out)
    }

    fn open_as(&mut self, client: Option<&str>, dialogue: bool, out: &mut BytesMut) -> Result<Id, OutOfStep> {
        if !matches!(self.up, Up::Rest) {
            return Err(OutOfStep::Busy);
        }
        let id = Id(self.next);
        self.next += 1;
        out.extend_from_slice(format!("{}{} ", self.secret, id.0).as_bytes());
        self.open.push_back(Open { id, client: client.map(Into::into) });
        self.up = Up::Text { id, dialogue, tail: Vec::new() };
        Ok(id)
    }

    /// A whole command of our own, without tag and line end.
    pub fn command(&mut self, text: &str, out: &mut BytesMut) -> Result<Id, OutOfStep> {
        let id = self.begin(None, out)?;
        self.send(text.as_bytes(), out)?;
        self.send(b"\r\n", out)?;
        Ok(id)
    }

    /// Bytes of the command that was begun, cut anywhere: text, literals as they are announced, the line end.
    pub fn send(&mut self, mut bytes: &[u8], out: &mut BytesMut) -> Result<(), OutOfStep> {
        while !bytes.is_empty() {
            let taken = self.take(bytes)?;
            let (now, later) = bytes.split_at_checked(taken).ok_or(OutOfStep::Beyond)?;
            out.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// How many of the bytes belong together, with the state after them.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, OutOfStep> {
        match &mut self.up {
            Up::Rest | Up::Asked { .. } | Up::Dialogue { .. } => Err(OutOfStep::Beyond),
            Up::Literal { id, dialogue, rest } => {
                let taken = bytes.len().min(usize::try_from(*rest).unwrap_or(usize::MAX));
                *rest -= taken as u64;
                if *rest == 0 {
                    self.up = Up::Text { id: *id, dialogue: *dialogue, tail: Vec::new() };
                }
                Ok(taken)
            }
            Up::Text { id, dialogue, tail } => {
                let Some(end) = bytes.iter().position(|&b| b == b'\n') else {
                    tail.extend_from_slice(
                        bytes.get(bytes.len().saturating_sub(HEADER_MAX)..).unwrap_or_default(),
                    );
                    tail.drain(..tail.len().saturating_sub(HEADER_MAX));
                    return Ok(bytes.len());
                };
                tail.extend_from_slice(
                    bytes.get((end + 1).saturating_sub(HEADER_MAX)..=end).unwrap_or_default(),
                );
                let (id, dialogue) = (*id, *dialogue);
                self.up = match literal_at_end(tail) {
                    Some(literal) if literal.sync => Up::Asked { id, dialogue, size: literal.size },
                    Some(literal) if literal.size > 0 => Up::Literal { id, dialogue, rest: literal.size },
                    Some(_) => Up::Text { id, dialogue, tail: Vec::new() },
                    None if dialogue => Up::Dialogue { id },
                    None => Up::Rest,
                };
                Ok(end + 1)
            }
        }
    }

    /// A line within a dialogue; the line end is added.
    pub fn say(&mut self, line: &str, out: &mut BytesMut) -> Result<(), OutOfStep> {
        if !matches!(self.up, Up::Dialogue { .. }) || line.contains(['\r', '\n']) {
            return Err(OutOfStep::Beyond);
        }
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Whether a literal was announced that the backend has not asked for yet.
    pub fn is_asked(&self) -> bool {
        matches!(self.up, Up::Asked { .. })
    }

    /// What the backend said next, consumed from `input`; `None` when more bytes are needed.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Event>, OutOfStep> {
        loop {
            let reply = self.down.next(input, self.secret.as_bytes()).inspect_err(|_| self.over = true)?;
            return Ok(Some(match reply {
                None => return Ok(None),
                Some(Reply::Untagged(bytes)) => Event::Untagged(bytes),
                Some(Reply::Quoting(before)) => Event::Untagged(self.quoted(&before, input)?),
                Some(Reply::Continuation(line)) => {
                    self.continued()?;
                    Event::Continuation(line)
                }
                Some(Reply::Bye(line)) => {
                    self.over = true;
                    Event::Bye(line)
                }
                Some(Reply::Moved(line)) => {
                    self.has_moved(&line)?;
                    continue;
                }
                Some(Reply::Tagged(line)) => {
                    let (id, answer) = self.answered(&line)?;
                    Event::Done(id, answer)
                }
            }));
        }
    }

    /// The same, one line or one run of a literal at a time.
    pub fn part(&mut self, input: &mut BytesMut) -> Result<Option<Part>, OutOfStep> {
        loop {
            let begins = self.down.at_line_start();
            let piece = self.down.piece(input).inspect_err(|_| self.over = true)?;
            return Ok(Some(match piece {
                None => return Ok(None),
                Some(Piece::Line(line, literal)) if begins => {
                    Part::Line(self.with_clients_tag(line)?, literal)
                }
                Some(Piece::Line(line, literal)) => Part::Line(line, literal),
                Some(Piece::Data(bytes, rest)) => Part::Data(bytes, rest),
                Some(Piece::Continuation(line)) => {
                    self.continued()?;
                    Part::Continuation(line)
                }
                Some(Piece::Bye(line)) => {
                    self.over = true;
                    Part::Bye(line)
                }
                Some(Piece::Moved(line)) => {
                    self.has_moved(&line)?;
                    continue;
                }
                Some(Piece::Tagged(line)) => {
                    let (id, answer) = self.answered(&line)?;
                    Part::Done(id, answer)
                }
            }));
        }
    }

    /// What the backend has said when it gave the selected mailbox away (`* OK [XMOVED server …] …`), once and whole. It is among no
    /// events: clients must not see it.
    pub fn take_moved(&mut self) -> Option<Moved> {
        self.moved.take()
    }

    fn has_moved(&mut self, line: &[u8]) -> Result<(), OutOfStep> {
        let (server, part) =
            code::moved(line).ok_or(OutOfStep::Malformed).inspect_err(|_| self.over = true)?;
        let (text, whole) = match part {
            StatePart::More(text) => (text, false),
            StatePart::Last(text) => (text, true),
        };
        if self.moving.state.len().saturating_add(text.len()) > MOVED_STATE {
            self.over = true;
            return Err(OutOfStep::Endless);
        }
        self.moving.state.push_str(&text);
        self.moving.server = server;
        if whole {
            self.moved = Some(std::mem::take(&mut self.moving));
        }
        Ok(())
    }

    /// The beginning of a line that quotes a tag of ours, with the client's in its place. Of a command of our own no tag is shown: no client
    /// may know what ours are made of.
    fn quoted(&mut self, before: &[u8], input: &mut BytesMut) -> Result<Bytes, OutOfStep> {
        let tag = input.get(self.secret.len()..).unwrap_or_default();
        let digits = tag.iter().position(|b| !b.is_ascii_digit()).unwrap_or(tag.len());
        let number = tag.get(..digits).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let open = number.and_then(|number| self.open.iter().find(|open| open.id == Id(number)));
        let Some(open) = open else {
            self.over = true;
            return Err(OutOfStep::Unasked);
        };
        let client = open.client.as_deref();
        input.advance(self.secret.len() + digits);
        // A code ends with its bracket (RFC 9585 section 4), so that such a tag cannot stand in it.
        if client.is_none_or(|client| client.contains(']'))
            && let Some(code) = before.strip_suffix(b"[INPROGRESS (\"")
        {
            input.advance(input.first().map_or(0, |byte| usize::from(*byte == b'"')));
            return Ok([code, b"[INPROGRESS (NIL"].concat().into());
        }
        Ok([before, client.unwrap_or_default().as_bytes()].concat().into())
    }

    /// The same for a whole line.
    fn with_clients_tag(&mut self, line: Bytes) -> Result<Bytes, OutOfStep> {
        let Some((before, quoted)) =
            tag_quoted_at(&line, self.secret.as_bytes()).and_then(|at| line.split_at_checked(at))
        else {
            return Ok(line);
        };
        let mut rest = BytesMut::from(quoted);
        let begin = self.quoted(before, &mut rest)?;
        Ok([&begin[..], &rest[..]].concat().into())
    }

    fn continued(&mut self) -> Result<(), OutOfStep> {
        match self.up {
            Up::Asked { id, dialogue, size: 0 } => self.up = Up::Text { id, dialogue, tail: Vec::new() },
            Up::Asked { id, dialogue, size } => self.up = Up::Literal { id, dialogue, rest: size },
            Up::Dialogue { .. } => {}
            Up::Rest | Up::Text { .. } | Up::Literal { .. } => {
                self.over = true;
                return Err(OutOfStep::Unasked);
            }
        }
        Ok(())
    }

    fn answered(&mut self, line: &Bytes) -> Result<(Id, Answer), OutOfStep> {
        let (tag, text) = words(line);
        let number = tag.strip_prefix(self.secret.as_bytes());
        let number = number.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).map(Id);
        let at = number.and_then(|id| self.open.iter().position(|open| open.id == id));
        let Some(open) = at.and_then(|at| self.open.remove(at)) else {
            self.over = true;
            return Err(OutOfStep::Unasked);
        };
        match self.up {
            // It is refused before its literal was sent, or the dialogue is over.
            Up::Asked { id, .. } | Up::Dialogue { id } if id == open.id => self.up = Up::Rest,
            _ => {}
        }
        Ok((open.id, Answer(line.slice_ref(text))))
    }

    /// Whether all that was handed out so far ends at a response's end, so that lines of others may follow.
    pub fn between_responses(&self) -> bool {
        self.down.at_line_start()
    }

    /// Whether every command has had its answer, no literal is owed, and no response has only begun. `unread` is what
    /// was read and not yet given to [`Wire::next`].
    pub fn is_at_rest(&self, unread: &[u8]) -> bool {
        self.open.is_empty()
            && matches!(self.up, Up::Rest)
            && self.down.at_line_start()
            && !self.over
            && self.moved.is_none()
            && self.moving == Moved::default()
            && unread.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "M00010203040506070809";

    fn wire() -> (Wire, BytesMut) {
        (Wire::new([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), BytesMut::new())
    }

    /// Everything that the wire makes of what the backend says.
    fn hear(wire: &mut Wire, text: &str) -> Result<Vec<Event>, OutOfStep> {
        let (mut input, mut events) = (BytesMut::from(text.replace('$', SECRET).as_str()), Vec::new());
        while let Some(event) = wire.next(&mut input)? {
            events.push(event);
        }
        Ok(events)
    }

    #[test]
    fn a_command_is_open_until_its_own_answer() {
        let (mut wire, mut out) = wire();
        let first = wire.command("NOOP", &mut out).unwrap();
        let second = wire.begin(Some("a1"), &mut out).unwrap();
        assert_eq!(wire.command("NOOP", &mut out), Err(OutOfStep::Busy), "a command within a command");
        wire.send(b"SELECT x\r\n", &mut out).unwrap();
        assert_eq!(out, format!("{SECRET}0 NOOP\r\n{SECRET}1 SELECT x\r\n"));
        assert_eq!(
            hear(&mut wire, "$1 OK [READ-WRITE] done\r\n").unwrap(),
            [Event::Done(second, Answer::new("OK [READ-WRITE] done"))]
        );
        assert!(!wire.is_at_rest(b""));
        assert_eq!(hear(&mut wire, "$0 OK\r\n").unwrap(), [Event::Done(first, Answer::new("OK"))]);
        assert!(wire.is_at_rest(b"") && !wire.is_at_rest(b"*"));
        assert_eq!(hear(&mut wire, "$0 OK\r\n"), Err(OutOfStep::Unasked), "the same answer twice");
        assert!(!wire.is_at_rest(b""));
    }

    #[test]
    fn a_tag_of_somebody_elses_answers_nothing() {
        for tag in ["a1", "PROXY0", "", "$", "$1", "$0x", "$00000000000000000000000001"] {
            let (mut wire, mut out) = wire();
            wire.command("NOOP", &mut out).unwrap();
            assert_eq!(hear(&mut wire, &format!("{tag} OK done\r\n")), Err(OutOfStep::Unasked), "{tag}");
            assert!(!wire.is_at_rest(b""));
        }
    }

    #[test]
    fn a_literal_is_owed_to_its_last_byte_wherever_it_is_cut() {
        for cut in 0..40 {
            let (mut wire, mut out) = wire();
            wire.begin(None, &mut out).unwrap();
            let text = b"APPEND x ~{7+}\r\na1 OK\r\n {0+}\r\n {3+}\r\nabc\r\n";
            let (first, second) = text.split_at(cut);
            wire.send(first, &mut out).unwrap();
            assert!(matches!(hear(&mut wire, "+ x\r\n"), Err(OutOfStep::Unasked)) && !wire.is_at_rest(b""));
            wire.send(second, &mut out).unwrap();
            assert_eq!(wire.send(b"x", &mut out), Err(OutOfStep::Beyond), "cut {cut}");
            assert!(matches!(wire.up, Up::Rest));
        }
    }

    #[test]
    fn a_literal_that_waits_goes_out_when_it_is_asked_for_or_never() {
        let (mut wire, mut out) = wire();
        let id = wire.begin(Some("a"), &mut out).unwrap();
        wire.send(b"APPEND x {3}\r\n", &mut out).unwrap();
        assert!(wire.is_asked());
        assert_eq!(wire.send(b"abc", &mut out), Err(OutOfStep::Beyond), "not yet");
        assert_eq!(hear(&mut wire, "+ go\r\n").unwrap(), [Event::Continuation("+ go\r\n".into())]);
        wire.send(b"abc\r\n", &mut out).unwrap();
        assert_eq!(hear(&mut wire, "$0 OK\r\n").unwrap(), [Event::Done(id, Answer::new("OK"))]);
        let id = wire.begin(Some("b"), &mut out).unwrap();
        wire.send(b"APPEND x {3}\r\n", &mut out).unwrap();
        assert_eq!(hear(&mut wire, "$1 NO full\r\n").unwrap(), [Event::Done(id, Answer::new("NO full"))]);
        assert!(wire.is_at_rest(b""), "refused: the literal is never sent");
    }

    #[test]
    fn an_answer_that_comes_too_early_leaves_the_rest_owed() {
        let (mut wire, mut out) = wire();
        wire.begin(Some("a"), &mut out).unwrap();
        wire.send(b"APPEND x {3+}\r\na", &mut out).unwrap();
        assert_eq!(hear(&mut wire, "$0 NO full\r\n").unwrap().len(), 1);
        assert!(!wire.is_at_rest(b""));
        wire.send(b"bc\r\n", &mut out).unwrap();
        assert!(wire.is_at_rest(b""));
    }

    #[test]
    fn a_dialogue_takes_lines_until_it_is_answered() {
        let (mut wire, mut out) = wire();
        let id = wire.begin_dialogue(&mut out).unwrap();
        wire.send(b"IDLE\r\n", &mut out).unwrap();
        assert_eq!(wire.command("NOOP", &mut out), Err(OutOfStep::Busy));
        hear(&mut wire, "+ idling\r\n* 1 EXISTS\r\n").unwrap();
        wire.say("DONE", &mut out).unwrap();
        assert_eq!(wire.say("a\r\nb", &mut out), Err(OutOfStep::Beyond));
        assert_eq!(hear(&mut wire, "$0 OK\r\n").unwrap(), [Event::Done(id, Answer::new("OK"))]);
        assert!(wire.is_at_rest(b""));
    }

    /// What is passed on of untagged responses.
    fn told(wire: &mut Wire, said: &str) -> String {
        let bytes = |event| match event {
            Event::Untagged(bytes) => bytes.to_vec(),
            other => panic!("{other:?}"),
        };
        let told = hear(wire, said).unwrap().into_iter().flat_map(bytes).collect();
        String::from_utf8(told).unwrap()
    }

    #[test]
    fn the_clients_tag_stands_where_a_response_quotes_it() {
        let (mut wire, mut out) = wire();
        wire.begin(Some("c-1"), &mut out).unwrap();
        wire.send(b"SEARCH RETURN (COUNT) ALL\r\n", &mut out).unwrap();
        assert_eq!(
            told(&mut wire, "* ESEARCH (TAG \"$0\") COUNT 3\r\n"),
            "* ESEARCH (TAG \"c-1\") COUNT 3\r\n"
        );
        wire.command("NOOP", &mut out).unwrap();
        // Line by line, as those read them who look at responses.
        let mut input =
            BytesMut::from("* ESEARCH (TAG \"$1\") COUNT 3\r\n".replace('$', &wire.secret).as_str());
        let part = wire.part(&mut input).unwrap();
        assert_eq!(part, Some(Part::Line("* ESEARCH (TAG \"\") COUNT 3\r\n".into(), None)));
        let unasked = "* ESEARCH (TAG \"$1\") COUNT 3\r\n* OK [INPROGRESS (\"$1\" 5 10)] x\r\n* UIDBATCHES (TAG \"$1\") 1:2\r\n";
        assert_eq!(
            told(&mut wire, unasked),
            "* ESEARCH (TAG \"\") COUNT 3\r\n* OK [INPROGRESS (NIL 5 10)] x\r\n* UIDBATCHES (TAG \"\") 1:2\r\n"
        );
        assert_eq!(hear(&mut wire, "* ESEARCH (TAG \"$7\") COUNT 3\r\n"), Err(OutOfStep::Unasked));
    }

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = Answer::new("OK [APPENDUID 38505 3955] Completed");
        let code = Heard::AppendUid { uidvalidity: 38505, uids: "3955".to_owned() };
        assert_eq!((answer.is_ok(), answer.code()), (true, Some(code)));
        assert_eq!(answer.tagged("x"), b"x OK [APPENDUID 38505 3955] Completed\r\n");
        assert_eq!(Answer::new("no").condition(), Some(Kind::No));
        assert_eq!(Answer::new("").condition(), None);
    }
}
