//! A header that a script has edited: RFC 5293.

use super::{Field, Message, Origin};

/// A header as `addheader` and `deleteheader` have left it. It is a list of fields, so that the message itself stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    fields: Vec<Field>,
    /// Bytes of the fields that scripts added, deleted ones too.
    added: usize,
}

impl Edits {
    /// The header of `message` before any edit.
    pub fn new(message: &dyn Message) -> Edits {
        Edits { fields: message.fields().to_vec(), added: 0 }
    }

    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Bytes of all fields that were ever added.
    pub fn added(&self) -> usize {
        self.added
    }

    /// Puts a field before all others, or behind them.
    pub fn add(&mut self, field: Field, last: bool) {
        if let Origin::Script(raw) = field.origin() {
            self.added += raw.len();
        }
        let at = if last { self.fields.len() } else { 0 };
        self.fields.insert(at, field);
    }

    /// Keeps the fields of which `keep` is true, by their place in the list.
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let mut at = 0..;
        self.fields.retain(|_| at.next().is_none_or(&mut keep));
    }

    /// The message with this header: what is stored and sent. What was not edited is there byte by byte.
    pub fn apply(&self, message: &dyn Message) -> Vec<u8> {
        let (raw, body) = (message.raw(), message.body());
        let mut out = Vec::with_capacity(raw.len() + self.added);
        for field in &self.fields {
            match field.origin() {
                Origin::Message(place) => {
                    out.extend_from_slice(raw.get(place.clone()).unwrap_or_default());
                    // A message that ends within its header.
                    if !out.ends_with(b"\n") {
                        out.extend_from_slice(b"\r\n");
                    }
                }
                Origin::Script(lines) => out.extend_from_slice(lines),
            }
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body);
        out
    }
}
