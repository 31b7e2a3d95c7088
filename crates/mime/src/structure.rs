//! The parts of a message, and where they lie in it.

use super::{Encoding, content::Content, date::SentDate, envelope::Envelope, span::Span};

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
