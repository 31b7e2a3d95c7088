//! One pass over the lines of a message: where its parts begin and end. RFC 2046 section 5.1.
//!
//! All open boundaries are kept on a stack and each line that begins with `--` is compared with them from the innermost
//! out, so that an unclosed inner part ends where an outer boundary says so, and no line is read twice.

use super::content::Content;
use super::envelope::Envelope;
use super::header::{is_blank, line_length};
use super::{Inner, Kind, MAX_DEPTH, MAX_PARTS, Part, Span};

/// The message as a tree of parts.
pub(super) fn scan(message: &[u8]) -> Part {
    let mut scanner = Scanner { message, at: 0, open: Vec::new(), parts: 0, met: None };
    scanner.entity(0, Digest::No)
}

struct Scanner<'m> {
    message: &'m [u8],
    at: usize,
    open: Vec<Vec<u8>>,
    parts: usize,
    met: Option<Met>,
}

/// A boundary line that was read and waits for the part that it belongs to.
#[derive(Clone, Copy)]
struct Met {
    /// Its place in the stack of open boundaries.
    level: usize,
    closing: bool,
    /// Where the line starts.
    at: usize,
}

/// Whether a part without a Content-Type is a message, as the parts of multipart/digest are.
#[derive(Clone, Copy, PartialEq)]
enum Digest {
    Yes,
    No,
}

impl Scanner<'_> {
    fn entity(&mut self, depth: usize, digest: Digest) -> Part {
        self.parts += 1;
        let header = self.header();
        let head = header.of(self.message);
        let mut content = Content::parse(head, digest == Digest::Yes);
        let deep = depth >= MAX_DEPTH || self.parts >= MAX_PARTS;
        if content.is_multipart() && (deep || content.boundary().is_none()) {
            // Nothing tells its parts: it is one text.
            content.become_text();
        }
        let start = header.end() as usize;
        let kind = if deep || self.met.is_some() {
            self.skip_content();
            Kind::Leaf
        } else if content.is_multipart() {
            self.multipart(&content, depth)
        } else if content.is_message() {
            let part = self.entity(depth + 1, Digest::No);
            Kind::Message(Box::new(Inner { envelope: Envelope::parse(part.header.of(self.message)), part }))
        } else {
            self.skip_content();
            Kind::Leaf
        };
        let end = self.content_end(start);
        let body = Span::new(start, end);
        let lines = body.of(self.message).iter().filter(|&&b| b == b'\n').count() as u32;
        Part { header, body, lines, content, kind }
    }

    /// The header with its blank line; one that a boundary cuts short has none.
    fn header(&mut self) -> Span {
        let start = self.at;
        while let Some((from, to)) = self.line() {
            if is_blank(&self.message[from..to]) {
                break;
            }
        }
        Span::new(start, self.met.map_or(self.at, |met| met.at))
    }

    fn multipart(&mut self, content: &Content, depth: usize) -> Kind {
        let boundary = content.boundary().unwrap_or_default();
        let digest = if content.subtype.eq_ignore_ascii_case(b"digest") { Digest::Yes } else { Digest::No };
        let level = self.open.len();
        self.open.push(boundary);
        self.skip_content();
        let mut parts = Vec::new();
        while matches!(self.met, Some(met) if met.level == level && !met.closing) {
            self.met = None;
            if self.parts >= MAX_PARTS {
                self.skip_content();
                continue;
            }
            parts.push(self.entity(depth + 1, digest));
        }
        self.open.truncate(level);
        if matches!(self.met, Some(met) if met.level == level) {
            self.met = None;
            self.skip_content();
        }
        if parts.is_empty() {
            // The grammar of BODYSTRUCTURE wants one.
            let nothing = Span::new(self.at, self.at);
            let content = Content::parse(b"", false);
            parts.push(Part { header: nothing, body: nothing, lines: 0, content, kind: Kind::Leaf });
        }
        Kind::Multipart(parts)
    }

    /// Reads on to the next boundary of any open level, or the end.
    fn skip_content(&mut self) {
        while self.line().is_some() {}
    }

    /// Where the content that began at `start` ends: before the line end that belongs to the boundary.
    fn content_end(&self, start: usize) -> usize {
        let Some(met) = self.met else { return self.at };
        let text = &self.message[start.min(met.at)..met.at];
        let cut = if text.ends_with(b"\r\n") { 2 } else { usize::from(text.ends_with(b"\n")) };
        met.at.max(start) - cut
    }

    /// The next line, as offsets; none at the end of the message or when a boundary has been met.
    fn line(&mut self) -> Option<(usize, usize)> {
        let rest = self.message.get(self.at..)?;
        if rest.is_empty() || self.met.is_some() {
            return None;
        }
        let (from, to) = (self.at, self.at + line_length(rest));
        self.at = to;
        if let Some((level, closing)) = self.boundary(&self.message[from..to]) {
            self.met = Some(Met { level, closing, at: from });
            return None;
        }
        Some((from, to))
    }

    fn boundary(&self, line: &[u8]) -> Option<(usize, bool)> {
        let text = line.strip_prefix(b"--")?;
        self.open.iter().enumerate().rev().find_map(|(level, boundary)| {
            match text.strip_prefix(boundary.as_slice())?.trim_ascii_end() {
                b"" => Some((level, false)),
                rest if rest.starts_with(b"--") => Some((level, true)),
                _ => None,
            }
        })
    }
}
