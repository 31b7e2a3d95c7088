//! The text of a message for SEARCH: UTF-8, decoded; comparison and case are the searcher's.

use super::words::header_text;
use super::{Kind, Part, Structure, decode_transfer, to_utf8};
use mail_parser::decoders::html::html_to_text;

impl Structure {
    /// The texts of the body (SEARCH BODY): text parts, and the headers and texts of messages inside.
    pub fn body_texts(&self, message: &[u8]) -> Vec<String> {
        let mut texts = Vec::new();
        self.root.texts(message, &mut texts);
        texts
    }

    /// The message's own header, decoded, a line for each field (SEARCH TEXT looks there too).
    pub fn header_lines(&self, message: &[u8]) -> String {
        header_lines(self.root.header.of(message))
    }
}

impl Part {
    /// The text of a text part, decoded; HTML without its markup. None for other parts.
    pub fn text(&self, message: &[u8]) -> Option<String> {
        if !self.content.is_text() || !matches!(self.kind, Kind::Leaf) {
            return None;
        }
        let bytes = decode_transfer(self.body.of(message), self.content.transfer_encoding());
        let text = to_utf8(&bytes, self.content.parameter("CHARSET").unwrap_or_default());
        Some(if *self.content.subtype == *b"HTML" { html_to_text(&text) } else { text })
    }

    fn texts(&self, message: &[u8], texts: &mut Vec<String>) {
        match &self.kind {
            Kind::Leaf => texts.extend(self.text(message)),
            Kind::Multipart(parts) => parts.iter().for_each(|part| part.texts(message, texts)),
            Kind::Message(inner) => {
                texts.push(header_lines(inner.part.header.of(message)));
                inner.part.texts(message, texts);
            }
        }
    }
}

/// All fields of a header, decoded, a line each.
fn header_lines(header: &[u8]) -> String {
    let mut out = String::new();
    for field in super::Fields::new(header) {
        out.push_str(&String::from_utf8_lossy(field.name));
        out.push_str(": ");
        out.push_str(&header_text(field.value));
        out.push('\n');
    }
    out
}
