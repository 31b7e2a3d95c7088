//! ENVELOPE, BODY and BODYSTRUCTURE as IMAP prints them: RFC 3501 sections 7.4.2 and 9.
//!
//! Strings are printed quoted where they can be, and as literals where they hold 8-bit bytes or are long.

use super::{Address, Content, Disposition, Envelope, Kind, Parameter, Part, Structure};

impl Structure {
    /// Appends the parenthesised list after `ENVELOPE `.
    pub fn write_envelope(&self, out: &mut Vec<u8>) {
        self.envelope.write(out);
    }

    /// Appends the list after `BODY ` (`extended` false) or `BODYSTRUCTURE ` (true).
    pub fn write_bodystructure(&self, out: &mut Vec<u8>, extended: bool) {
        self.root.write(out, extended);
    }
}

impl Envelope {
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'(');
        write_nstring(out, self.date.as_deref());
        out.push(b' ');
        write_nstring(out, self.subject.as_deref());
        for list in [&self.from, self.sender(), self.reply_to(), &self.to, &self.cc, &self.bcc] {
            out.push(b' ');
            addresses(out, list);
        }
        out.push(b' ');
        write_nstring(out, self.in_reply_to.as_deref());
        out.push(b' ');
        write_nstring(out, self.message_id.as_deref());
        out.push(b')');
    }
}

impl Part {
    fn write(&self, out: &mut Vec<u8>, extended: bool) {
        out.push(b'(');
        match &self.kind {
            Kind::Multipart(parts) => {
                if parts.is_empty() {
                    // The grammar wants at least one part.
                    out.extend_from_slice(EMPTY_PART);
                }
                parts.iter().for_each(|part| part.write(out, extended));
                out.push(b' ');
                write_string(out, &self.content.subtype);
                if extended {
                    out.push(b' ');
                    parameters(out, &self.content.parameters);
                    disposition_to_location(out, &self.content);
                }
            }
            Kind::Leaf | Kind::Message(_) => self.write_single(out, extended),
        }
        out.push(b')');
    }

    fn write_single(&self, out: &mut Vec<u8>, extended: bool) {
        let content = &self.content;
        write_string(out, &content.media);
        out.push(b' ');
        write_string(out, &content.subtype);
        out.push(b' ');
        parameters(out, &content.parameters);
        out.push(b' ');
        write_nstring(out, content.id.as_deref());
        out.push(b' ');
        write_nstring(out, content.description.as_deref());
        out.push(b' ');
        write_string(out, content.encoding.as_deref().unwrap_or(b"7BIT"));
        out.extend_from_slice(format!(" {}", self.body.len).as_bytes());
        match &self.kind {
            Kind::Message(inner) => {
                out.push(b' ');
                inner.envelope.write(out);
                out.push(b' ');
                inner.part.write(out, extended);
                out.extend_from_slice(format!(" {}", self.lines).as_bytes());
            }
            // A message below the depth limit was not looked into: an empty one keeps the grammar.
            Kind::Leaf if content.is_message() => {
                out.push(b' ');
                Envelope::default().write(out);
                out.push(b' ');
                out.extend_from_slice(EMPTY_PART);
                out.extend_from_slice(format!(" {}", self.lines).as_bytes());
            }
            _ if content.is_text() => out.extend_from_slice(format!(" {}", self.lines).as_bytes()),
            _ => {}
        }
        if extended {
            out.push(b' ');
            write_nstring(out, content.md5.as_deref());
            disposition_to_location(out, content);
        }
    }
}

/// An nstring: NIL, quoted, or a literal.
pub fn write_nstring(out: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        None => out.extend_from_slice(b"NIL"),
        Some(text) => write_string(out, text),
    }
}

const EMPTY_PART: &[u8] = br#"("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 0 0)"#;

/// Longer strings are literals: some clients have small buffers for quoted ones.
const MAX_QUOTED: usize = 1024;

fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    let quotable = text.len() <= MAX_QUOTED && text.iter().all(|&b| (b' '..0x7f).contains(&b) || b == b'\t');
    if !quotable {
        out.extend_from_slice(format!("{{{}}}\r\n", text.len()).as_bytes());
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

fn addresses(out: &mut Vec<u8>, list: &[Address]) {
    if list.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    out.push(b'(');
    for address in list {
        out.push(b'(');
        write_nstring(out, address.name.as_deref());
        for field in [&address.route, &address.mailbox, &address.host] {
            out.push(b' ');
            write_nstring(out, field.as_deref());
        }
        out.push(b')');
    }
    out.push(b')');
}

fn parameters(out: &mut Vec<u8>, list: &[Parameter]) {
    if list.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    for (at, parameter) in list.iter().enumerate() {
        out.push(if at == 0 { b'(' } else { b' ' });
        write_string(out, &parameter.name);
        out.push(b' ');
        write_string(out, &parameter.value);
    }
    out.push(b')');
}

/// The extension data that multiparts and single parts share.
fn disposition_to_location(out: &mut Vec<u8>, content: &Content) {
    out.push(b' ');
    match &content.disposition {
        None => out.extend_from_slice(b"NIL"),
        Some(Disposition { kind, parameters: list }) => {
            out.push(b'(');
            write_string(out, kind);
            out.push(b' ');
            parameters(out, list);
            out.push(b')');
        }
    }
    out.push(b' ');
    match content.language.as_slice() {
        [] => out.extend_from_slice(b"NIL"),
        several => {
            for (at, tag) in several.iter().enumerate() {
                out.push(if at == 0 { b'(' } else { b' ' });
                write_string(out, tag);
            }
            out.push(b')');
        }
    }
    out.push(b' ');
    write_nstring(out, content.location.as_deref());
}
