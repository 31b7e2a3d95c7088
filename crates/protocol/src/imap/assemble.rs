//! From bytes to commands: [`Framer`]'s pieces joined into whole frames, but for the messages of APPEND and of replication, which
//! are handed out as they come.
//!
//! Contract: append what was read to a buffer and call [`Assembler::next`] until it gives `None`. After
//! [`Assembled::Append`] or [`Assembled::Upload`] the caller either takes the message ([`Assembled::Data`], then
//! [`Assembled::Tail`], which may announce the next one) or gives the command up with [`Assembler::skip`].
//!
//! A command of replication is cut as one whoever sends it, so that one who may not send it loses nothing but the command.

use bytes::{Bytes, BytesMut};

use super::command::append::{ARGUMENTS, Append, Step};
use super::{Bad, Limits, Tag};
use crate::frame::{self, FrameError, Framer, Literal, Piece};
use crate::sync;

/// Cuts a client's bytes into commands.
#[derive(Debug)]
pub struct Assembler {
    framer: Framer,
    bounds: Bounds,
    /// Bytes of a line of a command that is not replication's.
    line: usize,
    held: BytesMut,
    /// Literals in it that are arguments of an APPEND.
    arguments: usize,
    /// The command is one of replication, and may have file literals.
    files: bool,
    mode: Mode,
}

/// What a client can make the server hold for one command.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub words: Limits,
    /// `maxliteral`: bytes of one literal that is not a message.
    pub literal: u64,
    /// Bytes of a whole command with its literals.
    pub command: usize,
    /// Bytes of a literal for which the client does not wait (`literalminus`: 4096).
    pub unasked: u64,
    /// Bytes of a command of replication, without its messages, for those who may send one; none: as any command.
    pub replication: Option<usize>,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assembled {
    /// One whole command, literals in their place.
    Command(Bytes),
    /// The client waits for a continuation before it sends this literal.
    Continue(Literal),
    /// A command that was cut to its true end because it breaks a bound or the grammar of APPEND.
    Bad(Bad),
    /// An APPEND or REPLACE up to its first literal that is a message's; if `literal.sync`, the client waits. None: it has no
    /// such literal, and is whole.
    Append { append: Append, literal: Option<Literal> },
    /// One whole command of replication, literals in their place, that has no messages: [`sync::Command::parse`].
    Replication { tag: Option<Tag>, text: Bytes },
    /// A SYNCAPPLY MESSAGE up to its first message, or why it is none. The client sends it unasked.
    Upload { tag: Option<Tag>, file: Result<sync::File, sync::Code>, literal: Literal },
    /// Bytes of the message, and how many are still to come.
    Data { bytes: Bytes, rest: u64 },
    /// What stands behind a message; with a literal, another message may follow.
    Tail { text: Bytes, literal: Option<Literal> },
    /// The end of a command that was given up.
    Skipped,
}

#[derive(Debug)]
enum Mode {
    Collect,
    Stream,
    Skip(Option<Bad>),
}

impl Assembler {
    pub fn new(lines: frame::Limits, bounds: Bounds) -> Assembler {
        let line = lines.line.max(bounds.replication.unwrap_or(0));
        Assembler {
            framer: Framer::new(frame::Limits { line, ..lines }),
            bounds,
            line: lines.line,
            held: BytesMut::new(),
            arguments: 0,
            files: false,
            mode: Mode::Collect,
        }
    }

    /// What the bytes in `buf` amount to; `None` when more are needed.
    pub fn next(&mut self, buf: &mut BytesMut) -> Result<Option<Assembled>, FrameError> {
        while let Some(piece) = self.framer.next(buf)? {
            let assembled = match piece {
                Piece::Line(text) => match self.file(&text) {
                    Some(literal) => {
                        self.framer.follow(literal.size);
                        self.header(text, literal)
                    }
                    None => Some(self.line(text)),
                },
                Piece::Header { text, literal } => self.header(text, literal),
                Piece::Data { bytes, rest } => match self.mode {
                    Mode::Stream => Some(Assembled::Data { bytes, rest }),
                    _ => {
                        self.held.extend_from_slice(&bytes);
                        None
                    }
                },
                Piece::Overlong { start, literal } => {
                    let start = if self.held.is_empty() { start } else { self.held.split().freeze() };
                    self.poison(bad(&start, "Line too long"), literal)
                }
            };
            if assembled.is_some() {
                return Ok(assembled);
            }
        }
        Ok(None)
    }

    /// Gives up the command whose literal was just announced. True if the client's next bytes are a new command
    /// (it waits for a continuation that it will not get); else [`Assembled::Skipped`] comes at the command's end.
    pub fn skip(&mut self, literal: Literal) -> bool {
        self.framer.refuse(literal);
        self.mode = if literal.sync { Mode::Collect } else { Mode::Skip(None) };
        literal.sync
    }

    /// Whether nothing of a command has come yet.
    pub fn is_idle(&self) -> bool {
        self.held.is_empty() && matches!(self.mode, Mode::Collect) && !self.framer.in_literal()
    }

    /// The message that a line of text announces, where the command is one of replication.
    fn file(&self, text: &[u8]) -> Option<Literal> {
        let begins = match (&self.mode, self.held.is_empty()) {
            (Mode::Collect, true) => sync::Command::begins(text),
            _ => self.files,
        };
        let file = sync::File::at_end(text).filter(|_| begins)?;
        Some(Literal { size: file.size, sync: false, binary: true })
    }

    /// How long a command may be, of which this is the beginning, and whether it is one of replication.
    fn room(&self, start: &[u8]) -> (usize, bool) {
        match sync::Command::begins(start) {
            true => (self.bounds.replication.unwrap_or(self.bounds.command), true),
            false => (self.bounds.command, false),
        }
    }

    fn line(&mut self, text: Bytes) -> Assembled {
        self.files = false;
        match std::mem::replace(&mut self.mode, Mode::Collect) {
            Mode::Collect => {
                self.arguments = 0;
                let last = text.len();
                let text = match self.held.is_empty() {
                    true => text,
                    false => {
                        self.held.extend_from_slice(&text);
                        self.held.split().freeze()
                    }
                };
                let (room, is_replication) = self.room(&text);
                if is_replication && text.len() > room {
                    Assembled::Bad(bad(&text, "Command too long"))
                } else if !is_replication && last > self.line {
                    Assembled::Bad(bad(&text, "Line too long"))
                } else if is_replication {
                    Assembled::Replication { tag: Tag::of(&text), text }
                } else if Append::begins(&text) {
                    whole_append(&text, self.bounds.words)
                } else {
                    Assembled::Command(text)
                }
            }
            Mode::Stream => Assembled::Tail { text, literal: None },
            Mode::Skip(bad) => ended(bad),
        }
    }

    fn header(&mut self, text: Bytes, literal: Literal) -> Option<Assembled> {
        match std::mem::replace(&mut self.mode, Mode::Collect) {
            Mode::Stream => {
                self.mode = Mode::Stream;
                return Some(Assembled::Tail { text, literal: Some(literal) });
            }
            Mode::Skip(bad) => return self.poison_with(bad, Some(literal)),
            Mode::Collect => {}
        }
        let last = text.len();
        self.held.extend_from_slice(&text);
        let (room, is_replication) = self.room(&self.held);
        if is_replication {
            return self.header_of_replication(room, literal);
        }
        if last > self.line {
            let bad = bad(&self.held, "Line too long");
            return self.poison(bad, Some(literal));
        }
        if !literal.sync && literal.size > self.bounds.unasked {
            let bad = bad(&self.held, "Non-synchronizing literal too large");
            return self.poison(Bad { oversized: true, ..bad }, Some(literal));
        }
        if Append::begins(&self.held) {
            match Append::step(&self.held, self.bounds.words) {
                Ok(Step::Append(append)) => {
                    self.held.clear();
                    self.arguments = 0;
                    self.mode = Mode::Stream;
                    return Some(Assembled::Append { append, literal: Some(literal) });
                }
                Ok(Step::Argument) if self.arguments < ARGUMENTS => self.arguments += 1,
                Ok(Step::Argument) => {
                    let bad = bad(&self.held, "Too many literals");
                    return self.poison(bad, Some(literal));
                }
                Err(bad) => return self.poison(bad, Some(literal)),
            }
        }
        let why = if literal.size > self.bounds.literal {
            "Literal too large"
        } else if (self.held.len() as u64).saturating_add(literal.size) > room as u64 {
            "Command too long"
        } else {
            return literal.sync.then_some(Assembled::Continue(literal));
        };
        let bad = bad(&self.held, why);
        self.poison(bad, Some(literal))
    }

    /// The same of a command of replication. A message's bytes are handed out; any other literal is collected.
    fn header_of_replication(&mut self, room: usize, literal: Literal) -> Option<Assembled> {
        self.files = true;
        if sync::File::at_end(&self.held).is_some() {
            let text = self.held.split().freeze();
            self.mode = Mode::Stream;
            let (tag, file) = (Tag::of(&text), sync::Command::upload(&text));
            return Some(Assembled::Upload { tag, file, literal });
        }
        if (self.held.len() as u64).saturating_add(literal.size) > room as u64 {
            let bad = bad(&self.held, "Command too long");
            return self.poison(bad, Some(literal));
        }
        literal.sync.then_some(Assembled::Continue(literal))
    }

    fn poison(&mut self, bad: Bad, literal: Option<Literal>) -> Option<Assembled> {
        let earlier = match std::mem::replace(&mut self.mode, Mode::Collect) {
            Mode::Skip(earlier) => earlier,
            _ => Some(bad),
        };
        self.poison_with(earlier, literal)
    }

    fn poison_with(&mut self, bad: Option<Bad>, literal: Option<Literal>) -> Option<Assembled> {
        self.held.clear();
        self.arguments = 0;
        let Some(literal) = literal else { return Some(ended(bad)) };
        if self.skip(literal) {
            return Some(ended(bad));
        }
        self.mode = Mode::Skip(bad);
        None
    }
}

/// An APPEND that ends with this text, without bytes of a message behind it.
fn whole_append(text: &[u8], words: Limits) -> Assembled {
    match Append::step(text, words) {
        Ok(Step::Append(append)) if append.run.place.is_end() => Assembled::Append { append, literal: None },
        // It ends in what looks like a literal's header, and is none.
        Ok(_) => Assembled::Bad(bad(text, "Invalid message literal in Append")),
        Err(bad) => Assembled::Bad(bad),
    }
}

fn ended(bad: Option<Bad>) -> Assembled {
    bad.map_or(Assembled::Skipped, Assembled::Bad)
}

fn bad(start: &[u8], why: &str) -> Bad {
    Bad { tag: Tag::of(start), text: why.to_owned(), foreign: false, oversized: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assemble(input: &[u8], chunk: usize) -> Vec<String> {
        assemble_of(input, chunk, None)
    }

    fn assemble_of(input: &[u8], chunk: usize, replication: Option<usize>) -> Vec<String> {
        let bounds =
            Bounds { words: Limits::default(), literal: 20, command: 100, unasked: u64::MAX, replication };
        let mut assembler = Assembler::new(frame::Limits { line: 60, skip: 10_000 }, bounds);
        let (mut buf, mut out, mut message) = (BytesMut::new(), Vec::new(), Vec::new());
        for run in input.chunks(chunk) {
            buf.extend_from_slice(run);
            while let Some(assembled) = assembler.next(&mut buf).unwrap() {
                out.push(match assembled {
                    Assembled::Command(text) => format!("command {}", text.len()),
                    Assembled::Continue(literal) => format!("continue {}", literal.size),
                    Assembled::Bad(bad) => format!("bad {:?} {}", bad.tag.map(|t| t.to_string()), bad.text),
                    Assembled::Append { append, literal } => {
                        format!("append {} {:?}", append.mailbox, literal.map(|l| l.size))
                    }
                    Assembled::Data { bytes, rest } => {
                        message.extend_from_slice(&bytes);
                        if rest > 0 {
                            continue;
                        }
                        format!("data {}", String::from_utf8(std::mem::take(&mut message)).unwrap())
                    }
                    Assembled::Tail { literal, .. } => format!("tail {:?}", literal.map(|l| l.size)),
                    Assembled::Skipped => "skipped".to_owned(),
                    Assembled::Replication { tag, text } => format!("sync {} {}", tag.unwrap(), text.len()),
                    Assembled::Upload { tag, file, literal } => {
                        let file = file.map(|file| file.size);
                        format!("upload {} {file:?} {}", tag.unwrap(), literal.size)
                    }
                });
            }
        }
        out
    }

    #[test]
    fn messages_are_handed_out_and_all_else_is_collected() {
        let input =
            b"a LOGIN {3}\r\nbob x\r\nb APPEND {5+}\r\nINBOX {3}\r\nabc (\\Seen) {2+}\r\nde\r\nc NOOP\r\n";
        for chunk in [1, 2, 7, 1000] {
            assert_eq!(
                assemble(input, chunk),
                [
                    "continue 3",
                    "command 20",
                    "append INBOX Some(3)",
                    "data abc",
                    "tail Some(2)",
                    "data de",
                    "tail None",
                    "command 8"
                ]
            );
        }
    }

    #[test]
    fn an_append_of_urls_alone_has_no_literal() {
        let input = b"a APPEND {1+}\r\nx CATENATE (URL {4+}\r\n/;UI URL v)\r\nb REPLACE 1 x CATENATE (URL v)\r\nc APPEND x {9\r\n";
        for chunk in [1, 5, 1000] {
            assert_eq!(
                assemble(input, chunk),
                ["append x None", "append x None", "bad Some(\"c\") Invalid message literal in Append"]
            );
        }
    }

    #[test]
    fn literals_that_are_arguments_are_bounded_in_number() {
        let bounds = Bounds {
            words: Limits::default(),
            literal: 20,
            command: 100_000,
            unasked: u64::MAX,
            replication: None,
        };
        let mut assembler = Assembler::new(frame::Limits { line: 6000, skip: 10_000 }, bounds);
        let urls = |n: usize| format!("a APPEND x CATENATE (URL v{})\r\n", " URL {1+}\r\nu".repeat(n));
        for (count, fits) in [(ARGUMENTS, true), (ARGUMENTS + 1, false), (ARGUMENTS, true)] {
            let mut buf = BytesMut::from(urls(count).as_bytes());
            let assembled = assembler.next(&mut buf).unwrap();
            assert_eq!(matches!(assembled, Some(Assembled::Append { .. })), fits, "{count}");
        }
    }

    #[test]
    fn a_broken_append_is_cut_to_its_true_end() {
        let input = b"a APPEND x (\\Foo) {9+}\r\nb LOGOUT\n {3+}\r\nxyz\r\nc NOOP\r\n";
        for chunk in [1, 5, 1000] {
            assert_eq!(
                assemble(input, chunk),
                ["bad Some(\"a\") Invalid system flag in Append", "command 8"]
            );
        }
        assert_eq!(
            assemble(b"a APPEND x (\\Foo) {9}\r\nc NOOP\r\n", 3),
            ["bad Some(\"a\") Invalid system flag in Append", "command 8"]
        );
    }

    #[test]
    fn bounds_are_kept() {
        let mut input = b"a SELECT {50+}\r\n".to_vec();
        input.extend_from_slice(&[b'\n'; 50]);
        input.extend_from_slice(b"\r\nb NOOP\r\nc SELECT ");
        input.extend_from_slice(&[b'x'; 200]);
        input.extend_from_slice(b"\r\nd NOOP\r\n");
        for chunk in [1, 9, 1000] {
            assert_eq!(
                assemble(&input, chunk),
                [
                    "bad Some(\"a\") Literal too large",
                    "command 8",
                    "bad Some(\"c\") Line too long",
                    "command 8"
                ]
            );
        }
    }

    const GUID: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn messages_of_replication_are_handed_out_and_its_other_literals_collected() {
        let file = |size: usize| format!("%{{default {GUID} {size}}}\r\n");
        let input = format!(
            "a SYNCAPPLY MESSAGE ({}hello {}\r\nb NOOP\n {}xy)\r\nb SYNCGET USER {{5+}}\r\nalice\r\nc NOOP\r\n",
            file(5),
            file(9),
            file(2),
        );
        for chunk in [1, 7, 1000] {
            let tail = "tail Some(9)";
            assert_eq!(
                assemble_of(input.as_bytes(), chunk, Some(200)),
                [
                    "upload a Ok(5) 5",
                    "data hello",
                    tail,
                    "data \r\nb NOOP\n",
                    "tail Some(2)",
                    "data xy",
                    "tail None",
                    "sync b 28",
                    "command 8"
                ]
            );
        }
    }

    #[test]
    fn only_replication_has_messages_at_the_end_of_a_line() {
        let input = format!("a X %{{p {GUID} 8}}\r\nb NOOP\r\n");
        assert_eq!(assemble_of(input.as_bytes(), 9, Some(200)), ["command 53", "command 8"]);
        let input = format!("a SYNCAPPLY FROG (%{{default {GUID} 8}}\r\nb NOOP\r\n)\r\nc NOOP\r\n");
        assert_eq!(assemble_of(input.as_bytes(), 9, Some(200))[0], "upload a Err(BadParameters) 8");
    }

    #[test]
    fn a_message_that_nobody_takes_is_passed_over_with_its_command() {
        let bounds =
            Bounds { words: Limits::default(), literal: 20, command: 100, unasked: 3, replication: None };
        let mut assembler = Assembler::new(frame::Limits { line: 90, skip: 10_000 }, bounds);
        let file = format!("%{{default {GUID} 8}}\r\nb NOOP\r\n");
        let mut buf = BytesMut::from(format!("a SYNCAPPLY MESSAGE ({file} {file})\r\nc NOOP\r\n").as_bytes());
        let Ok(Some(Assembled::Upload { literal, .. })) = assembler.next(&mut buf) else { panic!() };
        assert!(!assembler.skip(literal));
        assert_eq!(assembler.next(&mut buf), Ok(Some(Assembled::Skipped)));
        assert_eq!(assembler.next(&mut buf), Ok(Some(Assembled::Command(Bytes::from_static(b"c NOOP\r\n")))));
    }

    #[test]
    fn whoever_replicates_sends_longer_lines_of_that_alone() {
        let long = |command: &str| format!("{command} ({})\r\nb NOOP\r\n", "user.a ".repeat(20));
        let sync = long("a SYNCGET MAILBOXES");
        assert_eq!(assemble_of(sync.as_bytes(), 9, Some(500)), ["sync a 164", "command 8"]);
        assert_eq!(
            assemble_of(sync.as_bytes(), 9, Some(100)),
            ["bad Some(\"a\") Line too long", "command 8"]
        );
        assert_eq!(assemble(sync.as_bytes(), 9), ["bad Some(\"a\") Line too long", "command 8"]);
        let other = long("a SELECT");
        assert_eq!(
            assemble_of(other.as_bytes(), 9, Some(500)),
            ["bad Some(\"a\") Line too long", "command 8"]
        );
        let literals =
            format!("a SYNCGET MAILBOXES ({})\r\n", " {90+}\r\n".to_owned() + &"x".repeat(90)).repeat(2);
        assert_eq!(assemble_of(literals.as_bytes(), 9, Some(200)), ["sync a 122", "sync a 122"]);
        assert_eq!(assemble(literals.as_bytes(), 9), ["bad Some(\"a\") Command too long"; 2]);
    }
}
