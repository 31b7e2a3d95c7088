//! A message as scripts see it.

mod address;

pub use address::Address;

use std::sync::OnceLock;

/// One message. All recipients' runs share it, on several threads; what is decoded is decoded once.
pub trait Message: Sync {
    /// Bytes, with header.
    fn size(&self) -> u64;

    /// The whole message.
    fn raw(&self) -> &[u8];

    /// What stands after the blank line.
    fn body(&self) -> &[u8];

    /// The fields of the header in their order.
    fn fields(&self) -> &[Field];
}

/// A field of a header.
#[derive(Debug, Clone)]
pub struct Field {
    name: Box<str>,
    /// Unfolded, without blanks at both ends.
    value: Box<str>,
    decoded: OnceLock<Box<str>>,
    addresses: OnceLock<Vec<Address>>,
}

impl Field {
    pub fn new(name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Field {
        Field { name: name.into(), value: value.into(), decoded: OnceLock::new(), addresses: OnceLock::new() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Without regard to case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// As it stands in the message, unfolded, without blanks at both ends.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The same with its encoded words as text (RFC 2047).
    pub fn text(&self) -> &str {
        self.decoded.get_or_init(|| self.value.clone())
    }

    /// The addresses in it (RFC 5322 section 3.4), without names of groups.
    pub fn addresses(&self) -> &[Address] {
        self.addresses.get_or_init(|| vec![Address::bare(self.value.clone())])
    }
}

/// A header as `addheader` and `deleteheader` have left it.
#[derive(Debug, Clone, Default)]
pub struct Edits {
    fields: Vec<Field>,
}

impl Edits {
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }
}

impl PartialEq for Edits {
    fn eq(&self, other: &Edits) -> bool {
        let fields = |edits: &Edits| -> Vec<(String, String)> {
            edits.fields.iter().map(|field| (field.name().to_owned(), field.value().to_owned())).collect()
        };
        fields(self) == fields(other)
    }
}

impl Eq for Edits {}
