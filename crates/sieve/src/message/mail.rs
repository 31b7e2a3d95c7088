//! The view over the bytes of a message.

use std::sync::OnceLock;

use super::{Field, Message, PartView};
use crate::limits;

/// A message that is read once, whatever many runs look at it.
#[derive(Debug)]
pub struct Mail<B> {
    bytes: B,
    fields: Vec<Field>,
    /// Where the body begins.
    body: usize,
    parts: OnceLock<Vec<PartView>>,
}

impl<B: AsRef<[u8]>> Mail<B> {
    pub fn new(bytes: B) -> Mail<B> {
        let raw = bytes.as_ref();
        let fields = Field::all(raw, limits::FIELDS);
        let end = fields.last().map_or(0, Field::end);
        let rest = raw.get(end..).unwrap_or_default();
        let blank = [&b"\r\n"[..], b"\n", b"\r"].into_iter().find(|blank| rest.starts_with(blank));
        let body = end + blank.map_or(0, <[u8]>::len);
        Mail { bytes, fields, body, parts: OnceLock::new() }
    }

    pub fn into_bytes(self) -> B {
        self.bytes
    }
}

impl<B: AsRef<[u8]> + Sync> Message for Mail<B> {
    fn raw(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    fn body(&self) -> &[u8] {
        self.raw().get(self.body..).unwrap_or_default()
    }

    fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn parts(&self) -> &[PartView] {
        self.parts.get_or_init(|| PartView::all(self.raw()))
    }
}
