//! Numbers, texts and structures as the sections of a cached frame hold them.

use super::{
    Address, Content, Disposition, Envelope, Inner, Kind, MAX_DEPTH, Parameter, Part, Raw, SentDate, Span,
    Structure,
};

pub(super) struct Writer {
    pub(super) out: Vec<u8>,
    last: u32,
}

impl Writer {
    pub(super) fn new(out: Vec<u8>) -> Writer {
        Writer { out, last: 0 }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(super) fn number(&mut self, mut number: u32) {
        while number >= 0x80 {
            self.out.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }

    pub(super) fn string(&mut self, text: &[u8]) {
        self.number(text.len() as u32);
        self.out.extend_from_slice(text);
    }

    pub(super) fn option(&mut self, text: &Option<Raw>) {
        match text {
            None => self.number(0),
            Some(text) => {
                self.number(text.len() as u32 + 1);
                self.out.extend_from_slice(text);
            }
        }
    }

    pub(super) fn list<T>(&mut self, list: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.number(list.len() as u32);
        list.iter().for_each(|item| each(self, item));
    }

    pub(super) fn span(&mut self, span: Span) {
        self.number(span.start.wrapping_sub(self.last));
        self.number(span.len);
        self.last = span.start;
    }

    pub(super) fn envelope(&mut self, envelope: &Envelope) {
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

    pub(super) fn part(&mut self, part: &Part) {
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

    pub(super) fn content(&mut self, content: &Content) {
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

    pub(super) fn parameters(&mut self, list: &[Parameter]) {
        self.list(list, |out, parameter| {
            out.string(&parameter.name);
            out.string(&parameter.value);
        });
    }
}

pub(super) struct Reader<'b> {
    pub(super) rest: &'b [u8],
    last: u32,
    size: u32,
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Reader<'b> {
        Reader { rest: bytes, last: 0, size: 0 }
    }

    pub(super) fn rest(&self) -> &'b [u8] {
        self.rest
    }

    pub(super) fn structure(&mut self) -> Option<Structure> {
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

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*array)
    }

    pub(super) fn number(&mut self) -> Option<u32> {
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

    pub(super) fn slice(&mut self) -> Option<&'b [u8]> {
        let len = self.number()?;
        self.cut(len)
    }

    pub(super) fn cut(&mut self, len: u32) -> Option<&'b [u8]> {
        let (text, rest) = self.rest.split_at_checked(len as usize)?;
        self.rest = rest;
        Some(text)
    }

    pub(super) fn take(&mut self, len: u32) -> Option<Raw> {
        self.cut(len).map(Raw::from)
    }

    pub(super) fn string(&mut self) -> Option<Raw> {
        let len = self.number()?;
        self.take(len)
    }

    pub(super) fn option(&mut self) -> Option<Option<Raw>> {
        match self.number()? {
            0 => Some(None),
            len => Some(Some(self.take(len - 1)?)),
        }
    }

    /// The items take at least a byte each, so that the count cannot ask for more memory than there are bytes.
    pub(super) fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        (0..count).map(|_| each(self)).collect()
    }

    pub(super) fn span(&mut self) -> Option<Span> {
        let start = self.number()?.wrapping_add(self.last);
        let len = self.number()?;
        self.last = start;
        (start.checked_add(len)? <= self.size).then_some(Span { start, len })
    }

    pub(super) fn envelope(&mut self) -> Option<Envelope> {
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

    pub(super) fn addresses(&mut self) -> Option<Vec<Address>> {
        self.list(|from| {
            Some(Address {
                name: from.option()?,
                route: from.option()?,
                mailbox: from.option()?,
                host: from.option()?,
            })
        })
    }

    pub(super) fn part(&mut self, depth: usize) -> Option<Part> {
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

    pub(super) fn content(&mut self) -> Option<Content> {
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

    pub(super) fn parameters(&mut self) -> Option<Vec<Parameter>> {
        self.list(|from| Some(Parameter { name: from.string()?, value: from.string()? }))
    }
}
