//! One field of a header.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use mime::Fields;

use super::Address;

/// A field of a header. Copies share what it says.
#[derive(Clone, Debug)]
pub struct Field(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: Box<str>,
    value: Box<str>,
    decoded: OnceLock<Box<str>>,
    addresses: OnceLock<Vec<Address>>,
    origin: Origin,
}

/// Where a field comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// These bytes of the message.
    Message(Range<usize>),
    /// A script; these are its lines, encoded and folded, with the line end.
    Script(Box<[u8]>),
}

impl Field {
    /// The fields of a header that `message` begins with. Behind so many, what is left of the header is one without name and value.
    pub fn all(message: &[u8], most: usize) -> Vec<Field> {
        let (mut found, mut at) = (Vec::new(), 0);
        let mut fields = Fields::new(message);
        for field in fields.by_ref().take(most) {
            let start = at;
            at += field.raw.len();
            let name = mime::to_utf8(field.name, b"");
            let value = mime::to_utf8(&field.unfolded(), b"");
            found.push(Field::with(name, value, Origin::Message(start..at)));
        }
        let rest: usize = fields.map(|field| field.raw.len()).sum();
        if rest > 0 {
            found.push(Field::with(String::new(), String::new(), Origin::Message(at..at + rest)));
        }
        found
    }

    /// A field that a script adds. Its value is encoded where it is not ASCII (RFC 2047) and folded.
    pub fn added(name: &str, value: &str) -> Field {
        let raw = super::encode::lines(name, value);
        Field::with(name.to_owned(), value.trim_ascii().to_owned(), Origin::Script(raw.into()))
    }

    fn with(name: String, value: String, origin: Origin) -> Field {
        Field(Arc::new(Inner {
            name: name.into(),
            value: value.into(),
            decoded: OnceLock::new(),
            addresses: OnceLock::new(),
            origin,
        }))
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Without regard to case. What is no field has no name.
    pub fn is(&self, name: &str) -> bool {
        !name.is_empty() && self.0.name.eq_ignore_ascii_case(name)
    }

    /// As it stands in the message, unfolded, without blanks at both ends. Bytes that are no UTF-8 are read as Windows-1252.
    pub fn value(&self) -> &str {
        &self.0.value
    }

    /// The same with its encoded words as text (RFC 2047).
    pub fn text(&self) -> &str {
        let inner = &*self.0;
        inner.decoded.get_or_init(|| mime::decoded_text(inner.value.as_bytes()).into())
    }

    /// The addresses in it (RFC 5322 section 3.4).
    pub fn addresses(&self) -> &[Address] {
        self.0.addresses.get_or_init(|| Address::list(&self.0.value))
    }

    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// Where it ends in the message.
    pub(super) fn end(&self) -> usize {
        match &self.0.origin {
            Origin::Message(place) => place.end,
            Origin::Script(_) => 0,
        }
    }
}

/// Two are equal if they are written alike.
impl PartialEq for Field {
    fn eq(&self, other: &Field) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || self.0.name == other.0.name && self.0.value == other.0.value && self.0.origin == other.0.origin
    }
}

impl Eq for Field {}
