//! One pass over the lines of a message: where its parts begin and end. RFC 2046 section 5.1.
//!
//! All open boundaries are kept on a stack and each line that begins with `--` is compared with them from the innermost
//! out, so that an unclosed inner part ends where an outer boundary says so, and no line is read twice.

use super::content::Content;
use super::envelope::Envelope;
use super::header::{is_blank, line_length};
use super::{Inner, Kind, MAX_DEPTH, MAX_PARTS, Part, SentDate, Span, Structure};

impl Structure {
    /// Reads the structure of `message`. Never fails: what is not MIME is text/plain. Bytes beyond 4 GiB are ignored.
    pub fn parse(message: &[u8]) -> Structure {
        let message = message.get(..u32::MAX as usize).unwrap_or(message);
        let root = scan(message);
        let head = root.header.of(message);
        let envelope = Envelope::parse(head);
        let sent = envelope.date.as_deref().and_then(SentDate::parse);
        Structure { size: message.len() as u32, envelope, sent, root }
    }
}

/// The message as a tree of parts.
pub(super) fn scan(message: &[u8]) -> Part {
    let mut scanner = Scanner { message, at: Mark::default(), open: Vec::new(), parts: 0, met: None };
    scanner.entity(0, Digest::No).0
}

struct Scanner<'m> {
    message: &'m [u8],
    at: Mark,
    open: Vec<Vec<u8>>,
    parts: usize,
    met: Option<Met>,
}

/// A place between two bytes of the message.
#[derive(Clone, Copy, Default)]
struct Mark {
    at: usize,
    /// Line ends before it.
    lines: u32,
}

/// A boundary line that was read and waits for the part that it belongs to.
#[derive(Clone, Copy)]
struct Met {
    /// Its place in the stack of open boundaries.
    level: usize,
    closing: bool,
    /// Where the line starts.
    start: Mark,
}

/// Whether a part without a Content-Type is a message, as the parts of multipart/digest are.
#[derive(Clone, Copy, PartialEq)]
enum Digest {
    Yes,
    No,
}

impl Scanner<'_> {
    /// A part, and where it ends.
    fn entity(&mut self, depth: usize, digest: Digest) -> (Part, Mark) {
        self.parts += 1;
        let (begin, start) = (self.at, self.header());
        let header = Span::new(begin.at, start.at);
        let mut content = Content::parse(header.of(self.message), digest == Digest::Yes);
        let deep = depth >= MAX_DEPTH || self.parts >= MAX_PARTS;
        if deep && content.is_multipart() {
            // Nobody looks for its parts: it is one text.
            content.become_text();
        }
        let (kind, end) = if !deep && content.is_multipart() {
            self.multipart(&content, depth, start)
        } else if !deep && content.is_message() {
            self.message(depth, start)
        } else {
            (Kind::Leaf, self.content(start))
        };
        let body = Span::new(start.at, end.at);
        (Part { header, body, lines: end.lines.saturating_sub(start.lines), content, kind }, end)
    }

    /// Reads a header with its blank line; where it ends. One that a boundary cuts short has no blank line, and its last line
    /// end belongs to the boundary.
    fn header(&mut self) -> Mark {
        let start = self.at;
        while let Some(line) = self.line() {
            if is_blank(line) {
                break;
            }
        }
        self.end(start)
    }

    /// Reads on to the next boundary of any open level, or the end of the message; where the content ends that began at `start`.
    fn content(&mut self, start: Mark) -> Mark {
        while self.line().is_some() {}
        self.end(start)
    }

    /// Before the line end that belongs to the boundary that was met. Where nothing is before the boundary, none does.
    fn end(&self, start: Mark) -> Mark {
        let Some(Met { start: boundary, .. }) = self.met else { return self.at };
        let text = self.message.get(start.at..boundary.at).unwrap_or_default();
        let cut = if text.ends_with(b"\r\n") { 2 } else { usize::from(text.ends_with(b"\n")) };
        match cut {
            0 => Mark { at: start.at.max(boundary.at), ..boundary },
            _ => Mark { at: boundary.at - cut, lines: boundary.lines.saturating_sub(1) },
        }
    }

    fn message(&mut self, depth: usize, start: Mark) -> (Kind, Mark) {
        if self.met.is_some() {
            // A boundary ended it within its header.
            return (
                Kind::Message(Box::new(Inner { envelope: Envelope::default(), part: nothing(start) })),
                start,
            );
        }
        let (part, end) = self.entity(depth + 1, Digest::No);
        let envelope = Envelope::parse(part.header.of(self.message));
        (Kind::Message(Box::new(Inner { envelope, part })), end)
    }

    /// A multipart without a boundary, or of which none is found, has one part: an empty text.
    fn multipart(&mut self, content: &Content, depth: usize, start: Mark) -> (Kind, Mark) {
        let Some(boundary) = content.boundary().filter(|_| self.met.is_none()) else {
            let end = self.content(start);
            return (Kind::Multipart(vec![nothing(end)]), end);
        };
        let digest = if content.subtype.eq_ignore_ascii_case(b"digest") { Digest::Yes } else { Digest::No };
        let level = self.open.len();
        self.open.push(boundary);
        let mut end = self.content(start);
        let mut parts = Vec::new();
        while matches!(self.met, Some(met) if met.level == level && !met.closing) {
            self.met = None;
            if self.parts >= MAX_PARTS {
                end = self.content(self.at);
                continue;
            }
            let part;
            (part, end) = self.entity(depth + 1, digest);
            parts.push(part);
        }
        self.open.truncate(level);
        if matches!(self.met, Some(met) if met.level == level) {
            self.met = None;
            end = self.content(self.at);
        }
        if parts.is_empty() {
            parts.push(nothing(end));
        }
        (Kind::Multipart(parts), end)
    }

    /// The next line; none at the end of the message or when a boundary has been met.
    fn line(&mut self) -> Option<&[u8]> {
        let rest = self.message.get(self.at.at..)?;
        if rest.is_empty() || self.met.is_some() {
            return None;
        }
        let line = rest.get(..line_length(rest))?;
        let start = self.at;
        self.at = Mark { at: start.at + line.len(), lines: start.lines + u32::from(line.ends_with(b"\n")) };
        if let Some((level, closing)) = self.boundary(line) {
            self.met = Some(Met { level, closing, start });
            return None;
        }
        Some(line)
    }

    /// The open boundary that a line is, and whether it closes it. What follows after a blank is padding, whatever it is: senders
    /// and other servers take it so.
    fn boundary(&self, line: &[u8]) -> Option<(usize, bool)> {
        let text = line.strip_prefix(b"--")?;
        self.open.iter().enumerate().rev().find_map(|(level, boundary)| {
            let rest = text.strip_prefix(boundary.as_slice())?;
            match rest.first() {
                None | Some(b' ' | b'\t' | b'\r' | b'\n') => Some((level, false)),
                _ => rest.starts_with(b"--").then_some((level, true)),
            }
        })
    }
}

/// An empty text, for which nothing stands in the message.
fn nothing(at: Mark) -> Part {
    let nothing = Span::new(at.at, at.at);
    Part { header: nothing, body: nothing, lines: 0, content: Content::parse(b"", false), kind: Kind::Leaf }
}
