//! A MIME part of a message: its header, its type, and its text once decoded.

use std::borrow::Cow;
use std::sync::OnceLock;

use mime::{Content, Encoding, Kind, Part, Span, Structure, decode_transfer, knows_charset, to_utf8};

use super::Field;
use crate::limits;

/// One part. What is decoded is decoded once.
#[derive(Debug)]
pub struct PartView {
    /// How many parts are around it.
    pub depth: usize,
    /// `type/subtype` in lower case.
    pub media: Box<str>,
    pub content: Content,
    header: Span,
    body: Span,
    encoding: Encoding,
    kind: PartKind,
    fields: OnceLock<Vec<Field>>,
    text: OnceLock<Box<str>>,
}

#[derive(Debug)]
enum PartKind {
    Leaf,
    /// What stands before its first part and behind its last one.
    Multipart {
        prologue: Span,
        epilogue: Span,
    },
    /// message/rfc822: the header of the message in it.
    Message(Span),
}

impl PartView {
    /// All parts of a message.
    pub(super) fn all(message: &[u8]) -> Vec<PartView> {
        let structure = Structure::parse(message);
        let mut views = Vec::new();
        let mut open = vec![(0, &structure.root)];
        while let Some((depth, part)) = open.pop() {
            match &part.kind {
                Kind::Leaf => {}
                Kind::Multipart(parts) => open.extend(parts.iter().rev().map(|part| (depth + 1, part))),
                Kind::Message(inner) => open.push((depth + 1, &inner.part)),
            }
            views.push(PartView::new(depth, part, message));
        }
        views
    }

    fn new(depth: usize, part: &Part, message: &[u8]) -> PartView {
        let word = |raw: &[u8]| String::from_utf8_lossy(raw).to_ascii_lowercase();
        let kind = match &part.kind {
            Kind::Leaf => PartKind::Leaf,
            Kind::Multipart(parts) => around(part, parts, message),
            Kind::Message(inner) => PartKind::Message(inner.part.header),
        };
        PartView {
            depth,
            media: format!("{}/{}", word(&part.content.media), word(&part.content.subtype)).into(),
            content: part.content.clone(),
            header: part.header,
            body: part.body,
            encoding: part.transfer_encoding(),
            kind,
            fields: OnceLock::new(),
            text: OnceLock::new(),
        }
    }

    pub fn is_multipart(&self) -> bool {
        matches!(self.kind, PartKind::Multipart { .. })
    }

    /// Whether it is a text, in a transfer encoding and a charset that are known.
    pub fn is_readable_text(&self) -> bool {
        let charset = self.content.parameter("CHARSET").unwrap_or_default();
        self.content.is_text() && self.encoding != Encoding::Unknown && knows_charset(charset)
    }

    /// The fields of its own header.
    pub fn fields(&self, message: &[u8]) -> &[Field] {
        self.fields.get_or_init(|| Field::all(self.header.of(message), limits::PART_FIELDS))
    }

    /// Without its transfer encoding, and a text in UTF-8. Of a multipart the prologue and the epilogue, of a message the header of the
    /// message in it: RFC 5173 section 5.2.
    pub fn text(&self, message: &[u8]) -> &str {
        self.text.get_or_init(|| self.decoded(message).into())
    }

    fn decoded(&self, message: &[u8]) -> String {
        match self.kind {
            PartKind::Leaf => self.leaf(message),
            PartKind::Multipart { prologue, epilogue } => {
                let text = [prologue.of(message), epilogue.of(message)].concat();
                to_utf8(text.get(..ENCODED).unwrap_or(&text), b"")
            }
            PartKind::Message(header) => to_utf8(header.of(message), b""),
        }
    }

    fn leaf(&self, message: &[u8]) -> String {
        let body = self.body.of(message);
        let body = body.get(..ENCODED).unwrap_or(body);
        let bytes = decode_transfer(body, self.encoding);
        let charset = match self.content.is_text() {
            true => self.content.parameter("CHARSET").unwrap_or_default(),
            false => b"",
        };
        match (bytes, charset) {
            (Cow::Owned(bytes), b"" | b"us-ascii" | b"utf-8") => {
                String::from_utf8(bytes).unwrap_or_else(|error| to_utf8(error.as_bytes(), charset))
            }
            (bytes, charset) => to_utf8(&bytes, charset),
        }
    }
}

/// Bytes that hold as much text as is ever compared, in any encoding.
const ENCODED: usize = 3 * limits::MATCH;

/// Where the prologue and the epilogue of a multipart are, without the lines of its boundary.
fn around(part: &Part, parts: &[Part], message: &[u8]) -> PartKind {
    let body = part.body.of(message);
    let start = part.body.start as usize;
    let span = |from: usize, to: usize| Span::new(start + from, start + to);
    let boundary = part.content.parameter("BOUNDARY").map(|boundary| boundary.trim_ascii_end());
    let Some(boundary) = boundary.filter(|boundary| !boundary.is_empty()) else {
        return PartKind::Multipart { prologue: part.body, epilogue: span(0, 0) };
    };
    let marker = [b"--".as_slice(), boundary].concat();
    let place = |at: u32| (at as usize).saturating_sub(start).min(body.len());
    let first = parts.first().map_or(body.len(), |part| place(part.header.start));
    let last = parts.last().map_or(body.len(), |part| place(part.header.end().max(part.body.end())));
    let before = body.get(..first).unwrap_or_default();
    let prologue = span(0, find_line(before, &marker).unwrap_or(first));
    let after = body.get(last..).unwrap_or_default();
    let closing = find_line(after, &marker).map(|at| last + at);
    let epilogue = closing.and_then(|at| {
        let line = body.get(at..)?.iter().position(|&byte| byte == b'\n')?;
        Some(span(at + line + 1, body.len()))
    });
    PartKind::Multipart { prologue, epilogue: epilogue.unwrap_or(span(0, 0)) }
}

/// Where the first line begins that starts with `marker`.
fn find_line(text: &[u8], marker: &[u8]) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        if line.starts_with(marker) {
            return Some(at);
        }
        at += line.len();
    }
    None
}
