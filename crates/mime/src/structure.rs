//! The parts of a message, and where they lie in it.

use super::{Encoding, content::Content, date::SentDate, envelope::Envelope, scan};

/// Raw bytes of a header value, as they stand in the message without line ends; not always UTF-8.
pub type Raw = Box<[u8]>;

/// Bytes of a message: offset from its first byte, and length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: u32,
    pub len: u32,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Span {
        let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span { start: clamp(start), len: clamp(end.saturating_sub(start)) }
    }

    pub fn end(&self) -> u32 {
        self.start.saturating_add(self.len)
    }

    /// The bytes of `message` that this span names; empty where the message is shorter than the one that was parsed.
    pub fn of<'m>(&self, message: &'m [u8]) -> &'m [u8] {
        let end = (self.end() as usize).min(message.len());
        message.get(self.start as usize..end).unwrap_or_default()
    }
}

/// The structure of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    /// Bytes of the whole message (RFC822.SIZE).
    pub size: u32,
    pub envelope: Envelope,
    /// When the Date field says that it was sent, for SENTBEFORE, SENTON, SENTSINCE and SORT.
    pub sent: Option<SentDate>,
    /// The message itself as a part; its header is the message's header.
    pub root: Part,
}

/// One body part, or a whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The header with the blank line that ends it, if one does.
    pub header: Span,
    /// The body, without the line end that belongs to the boundary after it. A multipart that ends with the line of its own
    /// boundary, and a message of nothing but an empty header, keep theirs.
    pub body: Span,
    /// Line ends in the body.
    pub lines: u32,
    pub content: Content,
    pub kind: Kind,
}

/// What is inside a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Leaf,
    Multipart(Vec<Part>),
    /// message/rfc822: the message inside, whose header and body are spans of the outer message too.
    Message(Box<Inner>),
}

/// A message inside a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inner {
    pub envelope: Envelope,
    pub part: Part,
}

impl Structure {
    /// Reads the structure of `message`. Never fails: what is not MIME is text/plain. Bytes beyond 4 GiB are ignored.
    pub fn parse(message: &[u8]) -> Structure {
        let message = message.get(..u32::MAX as usize).unwrap_or(message);
        let root = scan::scan(message);
        let head = root.header.of(message);
        let envelope = Envelope::parse(head);
        let sent = envelope.date.as_deref().and_then(SentDate::parse);
        Structure { size: message.len() as u32, envelope, sent, root }
    }

    /// Addresses, parts and parameters, of which printing takes its time; not counted beyond a thousand.
    pub fn weight(&self) -> usize {
        self.envelope.weight() + self.root.weight(1000)
    }

    /// Bytes of the message's header with its blank line.
    pub fn header_size(&self) -> u32 {
        self.root.header.len
    }
}

impl Part {
    /// What undoes its transfer encoding. A message or a multipart has none but the identity (RFC 2045 section 6.4), whatever its
    /// header says: its bytes are what they are.
    pub fn transfer_encoding(&self) -> Encoding {
        match self.kind {
            Kind::Leaf => self.content.transfer_encoding(),
            Kind::Multipart(_) | Kind::Message(_) => Encoding::Identity,
        }
    }

    /// Its own and those below, up to `most`.
    fn weight(&self, most: usize) -> usize {
        let own = 1 + self.content.parameters.len() + self.content.language.len();
        let disposition = self.content.disposition.as_ref().map_or(0, |shown| shown.parameters.len());
        let below = match &self.kind {
            Kind::Leaf => 0,
            Kind::Multipart(parts) => parts.iter().fold(0, |sum, part| match sum < most {
                true => sum + part.weight(most - sum),
                false => sum,
            }),
            Kind::Message(inner) => inner.envelope.weight() + inner.part.weight(most),
        };
        own + disposition + below
    }
}
