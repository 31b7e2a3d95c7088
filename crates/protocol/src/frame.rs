//! Cuts a byte stream into lines and literals, and knows nothing of any grammar.
//!
//! IMAP, MUPDATE and ManageSieve share one lexical frame: text lines, where a line ending in `{n}` or `{n+}` is
//! followed by `n` bytes of anything, after which the text goes on (RFC 3501 section 4.3, RFC 7888, RFC 3656
//! section 2). Finding the true end of a command needs nothing more, so a broken command can be skipped without ever
//! mistaking a literal for a command.
//!
//! [`Framer`] hands out [`Piece`]s as they arrive: a proxy copies them. [`Collector`] joins them into whole commands:
//! a server parses those. Neither answers a synchronising literal itself; the caller sends the continuation.

use bytes::{Buf, Bytes, BytesMut};

/// One run of the stream, raw: the pieces of a stream joined together are the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text with its line end, no literal after it: the command (or response) ends here.
    Line(Bytes),
    /// Text with its line end, whose last word announces a literal. [`Piece::Data`] follows, unless its size is 0.
    Header { text: Bytes, literal: Literal },
    /// A run of a literal's bytes, with the number of bytes still to come. After 0 the text goes on.
    Data { bytes: Bytes, rest: u64 },
    /// A line beyond the limit, skipped up to its true end. `start` holds its first bytes (the tag, usually);
    /// a literal that the line announced is handed out like any other.
    Overlong { start: Bytes, literal: Option<Literal> },
}

/// A literal's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literal {
    /// Bytes that follow.
    pub size: u64,
    /// `{n}`: the sender waits for a continuation. `{n+}` and `{n-}` do not wait.
    pub sync: bool,
    /// `~{n}`: the bytes may hold NUL (RFC 3516).
    pub binary: bool,
}

/// Bounds on what one peer can make us hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of text in one line, without literals.
    pub line: usize,
    /// Bytes of an overlong line, or of a literal that a [`Collector`] does not want, that are skipped before the
    /// stream is given up.
    pub skip: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { line: 128 * 1024, skip: 16 * 1024 * 1024 }
    }
}

/// The stream cannot be followed any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A line went on beyond even the bound for skipping.
    #[error("a line without end")]
    Endless,
    /// A literal that is not wanted, and that the peer sends unasked, is beyond that bound.
    #[error("literal of {0} bytes too long")]
    Literal(u64),
}

/// Cuts bytes into [`Piece`]s.
///
/// Contract: append what was read to a buffer, call [`Framer::next`] until it gives `None`, read more.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    state: State,
}

#[derive(Debug)]
enum State {
    /// In text; the first `scanned` bytes of the buffer hold no line end.
    Text { scanned: usize },
    /// In a literal, with so many bytes to come.
    Data { rest: u64 },
    /// In a literal that nobody wants.
    Discard { rest: u64 },
    /// In an overlong line: `tail` keeps its last bytes, where a literal's header would stand.
    Skip { start: Bytes, tail: Vec<u8>, skipped: usize },
}

impl Framer {
    pub fn new(limits: Limits) -> Self {
        Framer { limits, state: State::Text { scanned: 0 } }
    }

    /// The next piece in `buf`, consumed from it; `None` when more bytes are needed.
    pub fn next(&mut self, buf: &mut BytesMut) -> Result<Option<Piece>, FrameError> {
        loop {
            match &mut self.state {
                State::Text { scanned } => {
                    let from = (*scanned).min(buf.len());
                    let end = buf.get(from..).and_then(|rest| rest.iter().position(|&b| b == b'\n'));
                    match end {
                        Some(at) if from + at < self.limits.line => {
                            let text = buf.split_to(from + at + 1).freeze();
                            return Ok(Some(self.text(text)));
                        }
                        None if buf.len() < self.limits.line => {
                            *scanned = buf.len();
                            return Ok(None);
                        }
                        _ => {
                            let kept = buf.len().min(OVERLONG_START).min(self.limits.line);
                            let start = Bytes::copy_from_slice(&buf[..kept]);
                            self.state = State::Skip { start, tail: Vec::new(), skipped: 0 };
                        }
                    }
                }
                State::Data { rest } => {
                    if buf.is_empty() {
                        return Ok(None);
                    }
                    let take = buf.len().min(usize::try_from(*rest).unwrap_or(usize::MAX));
                    let bytes = buf.split_to(take).freeze();
                    let rest = *rest - take as u64;
                    self.state = if rest == 0 { State::Text { scanned: 0 } } else { State::Data { rest } };
                    return Ok(Some(Piece::Data { bytes, rest }));
                }
                State::Discard { rest } => {
                    let take = buf.len().min(usize::try_from(*rest).unwrap_or(usize::MAX));
                    buf.advance(take);
                    *rest -= take as u64;
                    if *rest > 0 {
                        return Ok(None);
                    }
                    self.state = State::Text { scanned: 0 };
                }
                State::Skip { .. } => return self.skip(buf),
            }
        }
    }

    /// Gives up the literal that was just announced. A synchronising one is never sent, so a new command begins;
    /// the bytes of a non-synchronising one are discarded and the text after it goes on.
    pub fn refuse(&mut self, literal: Literal) {
        self.state = match self.state {
            State::Data { rest } if !literal.sync => State::Discard { rest },
            _ => State::Text { scanned: 0 },
        };
    }

    /// The line that was just handed out announces so many bytes, by a grammar of its own: they follow as a literal's do.
    pub fn follow(&mut self, size: u64) {
        self.state = behind_header(size);
    }

    /// Whether the next bytes belong to a literal.
    pub fn in_literal(&self) -> bool {
        matches!(self.state, State::Data { .. } | State::Discard { .. })
    }

    fn text(&mut self, text: Bytes) -> Piece {
        match literal_at_end(&text) {
            Some(literal) => {
                self.state = after_header(literal);
                Piece::Header { text, literal }
            }
            None => {
                self.state = State::Text { scanned: 0 };
                Piece::Line(text)
            }
        }
    }

    fn skip(&mut self, buf: &mut BytesMut) -> Result<Option<Piece>, FrameError> {
        let State::Skip { start, tail, skipped } = &mut self.state else { return Ok(None) };
        let end = buf.iter().position(|&b| b == b'\n');
        let take = end.map_or(buf.len(), |at| at + 1);
        *skipped = skipped.saturating_add(take);
        if *skipped > self.limits.skip {
            return Err(FrameError::Endless);
        }
        let run = buf.split_to(take);
        tail.extend_from_slice(&run[run.len().saturating_sub(HEADER_MAX)..]);
        let excess = tail.len().saturating_sub(HEADER_MAX);
        tail.drain(..excess);
        if end.is_none() {
            return Ok(None);
        }
        let literal = literal_at_end(tail);
        let start = start.clone();
        self.state = literal.map_or(State::Text { scanned: 0 }, after_header);
        Ok(Some(Piece::Overlong { start, literal }))
    }
}

/// A whole command, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collected {
    /// The raw bytes of one command, literals in their place, with the last line end.
    Command(Bytes),
    /// The sender waits for a continuation (`+ …`) before it sends the literal.
    Continue(Literal),
    /// The command was skipped to its true end. `start` holds its first bytes (the tag, usually).
    Poisoned { start: Bytes, why: Poison },
}

/// Why a command was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Poison {
    #[error("line too long")]
    Line,
    #[error("literal of {0} bytes too long")]
    Literal(u64),
    #[error("command too long")]
    Command,
}

/// Joins pieces into whole commands, within bounds: one literal, and a command with all its literals.
#[derive(Debug)]
pub struct Collector {
    framer: Framer,
    literal: u64,
    command: usize,
    held: BytesMut,
    poisoned: Option<(Bytes, Poison)>,
    /// Whether a synchronising literal is waited for.
    continues: bool,
}

impl Collector {
    /// `literal`: bytes of one literal; `command`: bytes of a whole command with its literals.
    pub fn new(limits: Limits, literal: u64, command: usize) -> Self {
        let (framer, held) = (Framer::new(limits), BytesMut::new());
        Collector { framer, literal, command, held, poisoned: None, continues: true }
    }

    /// For protocols without continuations: the bytes of each literal follow at once, however it is written.
    pub fn without_continuation(self) -> Self {
        Collector { continues: false, ..self }
    }

    /// The next command in `buf`; `None` when more bytes are needed.
    pub fn next(&mut self, buf: &mut BytesMut) -> Result<Option<Collected>, FrameError> {
        while let Some(piece) = self.framer.next(buf)? {
            match piece {
                Piece::Line(text) => {
                    if let Some((start, why)) = self.poisoned.take() {
                        return Ok(Some(Collected::Poisoned { start, why }));
                    }
                    if self.held.is_empty() {
                        return Ok(Some(Collected::Command(text)));
                    }
                    self.held.extend_from_slice(&text);
                    return Ok(Some(Collected::Command(std::mem::take(&mut self.held).freeze())));
                }
                Piece::Header { text, literal } => {
                    let literal = self.as_sent(literal);
                    if let Some(collected) = self.header(text, literal)? {
                        return Ok(Some(collected));
                    }
                }
                Piece::Data { bytes, .. } => {
                    if self.poisoned.is_none() {
                        self.held.extend_from_slice(&bytes);
                    }
                }
                Piece::Overlong { start, literal } => {
                    let literal = literal.map(|literal| self.as_sent(literal));
                    let start = if self.held.is_empty() { start } else { self.start() };
                    self.held.clear();
                    let (start, why) = self.poisoned.take().unwrap_or((start, Poison::Line));
                    match literal {
                        Some(literal) if !literal.sync => {
                            self.refuse(literal)?;
                            self.poisoned = Some((start, why));
                        }
                        Some(literal) => {
                            self.refuse(literal)?;
                            return Ok(Some(Collected::Poisoned { start, why }));
                        }
                        None => return Ok(Some(Collected::Poisoned { start, why })),
                    }
                }
            }
        }
        Ok(None)
    }

    fn header(&mut self, text: Bytes, literal: Literal) -> Result<Option<Collected>, FrameError> {
        if self.poisoned.is_none() {
            self.held.extend_from_slice(&text);
            let why = if literal.size > self.literal {
                Some(Poison::Literal(literal.size))
            } else if self.held.len() as u64 + literal.size > self.command as u64 {
                Some(Poison::Command)
            } else {
                None
            };
            match why {
                None if literal.sync => return Ok(Some(Collected::Continue(literal))),
                None => return Ok(None),
                Some(why) => {
                    self.poisoned = Some((self.start(), why));
                    self.held.clear();
                }
            }
        }
        self.refuse(literal)?;
        if !literal.sync {
            return Ok(None);
        }
        Ok(self.poisoned.take().map(|(start, why)| Collected::Poisoned { start, why }))
    }

    fn as_sent(&self, literal: Literal) -> Literal {
        Literal { sync: literal.sync && self.continues, ..literal }
    }

    fn refuse(&mut self, literal: Literal) -> Result<(), FrameError> {
        if !literal.sync && literal.size > self.framer.limits.skip as u64 {
            return Err(FrameError::Literal(literal.size));
        }
        self.framer.refuse(literal);
        Ok(())
    }

    fn start(&self) -> Bytes {
        Bytes::copy_from_slice(&self.held[..self.held.len().min(OVERLONG_START)])
    }
}

/// The text without its line end: CRLF, or a bare LF as Cyrus accepts everywhere.
pub fn trim_line(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The literal that a line (with or without its line end) announces.
pub fn literal_at_end(line: &[u8]) -> Option<Literal> {
    let inside = trim_line(line).strip_suffix(b"}")?;
    let open = inside.iter().rposition(|&b| b == b'{')?;
    let digits = inside.get(open + 1..)?;
    let (digits, sync) = match digits.split_last()? {
        (b'+' | b'-', digits) => (digits, false),
        _ => (digits, true),
    };
    if digits.is_empty() || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(Literal { size, sync, binary: open > 0 && inside.get(open - 1) == Some(&b'~') })
}

fn after_header(literal: Literal) -> State {
    behind_header(literal.size)
}

fn behind_header(size: u64) -> State {
    if size == 0 { State::Text { scanned: 0 } } else { State::Data { rest: size } }
}

/// How much of an overlong command is kept, to answer it by its tag.
const OVERLONG_START: usize = 256;
/// The longest literal header with its line end: `~{` 19 digits `+}` CR LF.
pub const HEADER_MAX: usize = 25;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces(framer: &mut Framer, input: &[u8], chunk: usize) -> Vec<Piece> {
        let (mut buf, mut out) = (BytesMut::new(), Vec::new());
        for run in input.chunks(chunk.max(1)) {
            buf.extend_from_slice(run);
            while let Some(piece) = framer.next(&mut buf).unwrap() {
                out.push(piece);
            }
        }
        out
    }

    fn commands(input: &[u8], chunk: usize, limits: Limits) -> Vec<Collected> {
        let mut collector = Collector::new(limits, 64, 256);
        let (mut buf, mut out) = (BytesMut::new(), Vec::new());
        for run in input.chunks(chunk) {
            buf.extend_from_slice(run);
            while let Some(c) = collector.next(&mut buf).unwrap() {
                out.push(c);
            }
        }
        out
    }

    #[test]
    fn a_command_with_literals_is_collected_whole() {
        let input = b"a LOGIN {3+}\r\nbob {4}\r\npass\r\nb NOOP\n";
        for chunk in 1..input.len() {
            let got = commands(input, chunk, Limits::default());
            assert_eq!(got.len(), 3, "chunk {chunk}");
            assert!(matches!(got[0], Collected::Continue(Literal { size: 4, sync: true, .. })));
            assert_eq!(
                got[1],
                Collected::Command(Bytes::from_static(b"a LOGIN {3+}\r\nbob {4}\r\npass\r\n"))
            );
            assert_eq!(got[2], Collected::Command(Bytes::from_static(b"b NOOP\n")));
        }
    }

    #[test]
    fn an_oversize_literal_is_skipped_to_the_true_end_of_its_command() {
        let mut input = b"a X {70+}\r\n".to_vec();
        input.extend_from_slice(&[b'\n'; 70]);
        input.extend_from_slice(b" more\r\nb NOOP\r\n");
        let got = commands(&input, 7, Limits::default());
        assert_eq!(got.len(), 2);
        assert!(
            matches!(&got[0], Collected::Poisoned { start, why: Poison::Literal(70) } if start.starts_with(b"a X"))
        );
        assert_eq!(got[1], Collected::Command(Bytes::from_static(b"b NOOP\r\n")));
    }

    #[test]
    fn a_refused_synchronising_literal_is_never_sent() {
        let got = commands(b"a X {70}\r\nb NOOP\r\n", 5, Limits::default());
        assert!(matches!(&got[0], Collected::Poisoned { why: Poison::Literal(70), .. }));
        assert_eq!(got[1], Collected::Command(Bytes::from_static(b"b NOOP\r\n")));
    }

    #[test]
    fn an_overlong_line_is_cut_to_its_end_with_its_literal() {
        let mut input = b"tag ".to_vec();
        input.extend_from_slice(&[b'x'; 500]);
        input.extend_from_slice(b" {5+}\r\nb A\r\n\r\nc NOOP\r\n");
        for chunk in [1, 3, 100, 1000] {
            let got = commands(&input, chunk, Limits { line: 40, skip: 1000 });
            assert_eq!(got.len(), 2, "{got:?}");
            assert!(
                matches!(&got[0], Collected::Poisoned { start, why: Poison::Line } if start.starts_with(b"tag "))
            );
            assert_eq!(got[1], Collected::Command(Bytes::from_static(b"c NOOP\r\n")));
        }
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        let mut framer = Framer::new(Limits { line: 10, skip: 100 });
        let mut buf = BytesMut::from(&[b'x'; 200][..]);
        assert_eq!(framer.next(&mut buf), Err(FrameError::Endless));
    }

    #[test]
    fn a_literal_that_would_take_for_ever_to_skip_is_given_up() {
        let mut collector = Collector::new(Limits { line: 40, skip: 1000 }, 70, 200);
        let mut buf = BytesMut::from(&b"a X {1000+}\r\n"[..]);
        assert_eq!(collector.next(&mut buf), Ok(None));
        let mut collector = Collector::new(Limits { line: 40, skip: 1000 }, 70, 200);
        let mut buf = BytesMut::from(&b"a X {1001+}\r\n"[..]);
        assert_eq!(collector.next(&mut buf), Err(FrameError::Literal(1001)));
        // one that waits for our word is refused, and never comes
        let got = commands(b"a X {99999999999}\r\nb NOOP\r\n", 5, Limits::default());
        assert!(matches!(&got[0], Collected::Poisoned { why: Poison::Literal(99_999_999_999), .. }));
    }

    #[test]
    fn literal_headers() {
        assert_eq!(literal_at_end(b"x {12+}\r\n"), Some(Literal { size: 12, sync: false, binary: false }));
        assert_eq!(literal_at_end(b"x ~{0}\n"), Some(Literal { size: 0, sync: true, binary: true }));
        for not in [
            &b"x {}\r\n"[..],
            b"x {-}\r\n",
            b"{99999999999999999999}\r\n",
            b"x {1} \r\n",
            b"}\r\n",
            b"{1 2}\r\n",
        ] {
            assert_eq!(literal_at_end(not), None, "{not:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_joined_are_the_stream(input in proptest::collection::vec(any::<u8>(), 0..300), chunk in 1usize..40) {
            let mut framer = Framer::new(Limits::default());
            let mut joined = Vec::new();
            for piece in pieces(&mut framer, &input, chunk) {
                match piece {
                    Piece::Line(b) | Piece::Header { text: b, .. } | Piece::Data { bytes: b, .. } => joined.extend_from_slice(&b),
                    Piece::Overlong { .. } => prop_assert!(false),
                }
            }
            prop_assert!(input.starts_with(&joined));
        }

        #[test]
        fn collecting_never_depends_on_chunks(input in "[a-c {}0-3+\r\n]{0,120}", chunk in 1usize..20) {
            let limits = Limits { line: 30, skip: 10_000 };
            prop_assert_eq!(commands(input.as_bytes(), chunk, limits), commands(input.as_bytes(), 1000, limits));
        }
    }

    #[test]
    fn where_nothing_is_continued_a_literal_is_taken_to_its_end_however_it_is_written() {
        let bound = Limits { line: 64, skip: 32 };
        let mut collector = Collector::new(bound, 8, 64).without_continuation();
        let mut input = BytesMut::from("a {3}\r\nb\r\n\r\nc {9}\r\n123456789\r\nd\r\n");
        let mut next = || collector.next(&mut input);
        assert_eq!(next(), Ok(Some(Collected::Command(Bytes::from("a {3}\r\nb\r\n\r\n")))));
        assert!(matches!(next(), Ok(Some(Collected::Poisoned { why: Poison::Literal(9), .. }))));
        assert_eq!(next(), Ok(Some(Collected::Command(Bytes::from("d\r\n")))));
        let mut input = BytesMut::from("e {33}\r\n");
        assert_eq!(collector.next(&mut input), Err(FrameError::Literal(33)));
    }
}
