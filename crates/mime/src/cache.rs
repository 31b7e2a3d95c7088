//! The compact form of a structure in a mailbox's cache: a version byte, the fields, a CRC-32 of all before it.
//!
//! Numbers are LEB128; strings and lists carry their length first, an absent string the length 0 and a present one its
//! length plus one. A span's start is written as the distance from the start before it, since parts follow each other.
//! A reader that meets another version, a wrong checksum or a length that cannot be parses the message anew.

use super::{
    Address, Content, Disposition, Envelope, Inner, Kind, MAX_DEPTH, Parameter, Part, Raw, SentDate, Span,
    Structure,
};

/// Why cached bytes are no structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CacheError {
    #[error("cached structure has version {0}, not {VERSION}")]
    Version(u8),
    #[error("cached structure is damaged (checksum)")]
    Checksum,
    #[error("cached structure is damaged")]
    Damaged,
}

/// Grows with each change of the form below.
const VERSION: u8 = 1;

impl Structure {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer { out: vec![VERSION], last: 0 };
        out.number(self.size);
        match self.sent {
            None => out.out.push(0),
            Some(sent) => {
                out.out.push(1);
                out.out.extend_from_slice(&sent.epoch.to_le_bytes());
                out.out.extend_from_slice(&sent.zone_minutes.to_le_bytes());
            }
        }
        out.envelope(&self.envelope);
        out.part(&self.root);
        let sum = crc32fast::hash(&out.out);
        out.out.extend_from_slice(&sum.to_le_bytes());
        out.out
    }

    pub fn decode(bytes: &[u8]) -> Result<Structure, CacheError> {
        let (body, sum) = bytes.split_last_chunk::<4>().ok_or(CacheError::Damaged)?;
        match body.first() {
            Some(&VERSION) => {}
            Some(&other) => return Err(CacheError::Version(other)),
            None => return Err(CacheError::Damaged),
        }
        if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
            return Err(CacheError::Checksum);
        }
        let mut reader = Reader { rest: body.get(1..).unwrap_or_default(), last: 0, size: 0 };
        reader.structure().filter(|_| reader.rest.is_empty()).ok_or(CacheError::Damaged)
    }
}

struct Writer {
    out: Vec<u8>,
    last: u32,
}

impl Writer {
    fn number(&mut self, mut number: u32) {
        while number >= 0x80 {
            self.out.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }

    fn string(&mut self, text: &[u8]) {
        self.number(text.len() as u32);
        self.out.extend_from_slice(text);
    }

    fn option(&mut self, text: &Option<Raw>) {
        match text {
            None => self.number(0),
            Some(text) => {
                self.number(text.len() as u32 + 1);
                self.out.extend_from_slice(text);
            }
        }
    }

    fn list<T>(&mut self, list: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.number(list.len() as u32);
        list.iter().for_each(|item| each(self, item));
    }

    fn span(&mut self, span: Span) {
        self.number(span.start.wrapping_sub(self.last));
        self.number(span.len);
        self.last = span.start;
    }

    fn envelope(&mut self, envelope: &Envelope) {
        for text in [&envelope.date, &envelope.subject, &envelope.in_reply_to, &envelope.message_id] {
            self.option(text);
        }
        let Envelope { from, sender_field, reply_to_field, to, cc, bcc, .. } = envelope;
        for list in [from, sender_field, reply_to_field, to, cc, bcc] {
            self.list(list, |out, address| {
                let Address { name, route, mailbox, host } = address;
                [name, route, mailbox, host].into_iter().for_each(|text| out.option(text));
            });
        }
    }

    fn part(&mut self, part: &Part) {
        self.span(part.header);
        self.span(part.body);
        self.number(part.lines);
        self.content(&part.content);
        match &part.kind {
            Kind::Leaf => self.out.push(0),
            Kind::Multipart(parts) => {
                self.out.push(1);
                self.list(parts, Writer::part);
            }
            Kind::Message(inner) => {
                self.out.push(2);
                self.envelope(&inner.envelope);
                self.part(&inner.part);
            }
        }
    }

    fn content(&mut self, content: &Content) {
        self.string(&content.media);
        self.string(&content.subtype);
        self.parameters(&content.parameters);
        for text in [&content.id, &content.description, &content.encoding, &content.md5, &content.location] {
            self.option(text);
        }
        match &content.disposition {
            None => self.out.push(0),
            Some(disposition) => {
                self.out.push(1);
                self.string(&disposition.kind);
                self.parameters(&disposition.parameters);
            }
        }
        self.list(&content.language, |out, tag| out.string(tag));
    }

    fn parameters(&mut self, list: &[Parameter]) {
        self.list(list, |out, parameter| {
            out.string(&parameter.name);
            out.string(&parameter.value);
        });
    }
}

struct Reader<'b> {
    rest: &'b [u8],
    last: u32,
    size: u32,
}

impl Reader<'_> {
    fn structure(&mut self) -> Option<Structure> {
        self.size = self.number()?;
        let sent = match self.byte()? {
            0 => None,
            1 => Some(SentDate {
                epoch: i64::from_le_bytes(self.array()?),
                zone_minutes: i16::from_le_bytes(self.array()?),
            }),
            _ => return None,
        };
        Some(Structure { size: self.size, envelope: self.envelope()?, sent, root: self.part(0)? })
    }

    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*array)
    }

    fn number(&mut self) -> Option<u32> {
        let mut number = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(number).ok();
            }
        }
        None
    }

    fn take(&mut self, len: u32) -> Option<Raw> {
        let (text, rest) = self.rest.split_at_checked(len as usize)?;
        self.rest = rest;
        Some(text.into())
    }

    fn string(&mut self) -> Option<Raw> {
        let len = self.number()?;
        self.take(len)
    }

    fn option(&mut self) -> Option<Option<Raw>> {
        match self.number()? {
            0 => Some(None),
            len => Some(Some(self.take(len - 1)?)),
        }
    }

    /// The items take at least a byte each, so that the count cannot ask for more memory than there are bytes.
    fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        (0..count).map(|_| each(self)).collect()
    }

    fn span(&mut self) -> Option<Span> {
        let start = self.number()?.wrapping_add(self.last);
        let len = self.number()?;
        self.last = start;
        (start.checked_add(len)? <= self.size).then_some(Span { start, len })
    }

    fn envelope(&mut self) -> Option<Envelope> {
        Some(Envelope {
            date: self.option()?,
            subject: self.option()?,
            in_reply_to: self.option()?,
            message_id: self.option()?,
            from: self.addresses()?,
            sender_field: self.addresses()?,
            reply_to_field: self.addresses()?,
            to: self.addresses()?,
            cc: self.addresses()?,
            bcc: self.addresses()?,
        })
    }

    fn addresses(&mut self) -> Option<Vec<Address>> {
        self.list(|from| {
            Some(Address {
                name: from.option()?,
                route: from.option()?,
                mailbox: from.option()?,
                host: from.option()?,
            })
        })
    }

    fn part(&mut self, depth: usize) -> Option<Part> {
        if depth > MAX_DEPTH {
            return None;
        }
        let (header, body, lines, content) = (self.span()?, self.span()?, self.number()?, self.content()?);
        let kind = match self.byte()? {
            0 => Kind::Leaf,
            1 => Kind::Multipart(self.list(|from| from.part(depth + 1))?),
            2 => Kind::Message(Box::new(Inner { envelope: self.envelope()?, part: self.part(depth + 1)? })),
            _ => return None,
        };
        Some(Part { header, body, lines, content, kind })
    }

    fn content(&mut self) -> Option<Content> {
        Some(Content {
            media: self.string()?,
            subtype: self.string()?,
            parameters: self.parameters()?,
            id: self.option()?,
            description: self.option()?,
            encoding: self.option()?,
            md5: self.option()?,
            location: self.option()?,
            disposition: match self.byte()? {
                0 => None,
                1 => Some(Disposition { kind: self.string()?, parameters: self.parameters()? }),
                _ => return None,
            },
            language: self.list(Reader::string)?,
        })
    }

    fn parameters(&mut self) -> Option<Vec<Parameter>> {
        self.list(|from| Some(Parameter { name: from.string()?, value: from.string()? }))
    }
}
