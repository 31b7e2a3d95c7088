//! The form in which a mailbox's cache keeps what is known of a message: its structure, and the texts that FETCH shows, as IMAP
//! prints them, so that a FETCH copies bytes.
//!
//! ```text
//! version    2
//! then some  tag (a byte), length, that many bytes:
//!   1        the structure
//!   2, 3, 4  ENVELOPE, BODYSTRUCTURE, BODY as they are printed; absent where they are long (PRINTED)
//!   5        the References field, unfolded; no longer written, and read where 7 is not there
//!   6        what SORT compares (keys.rs)
//!   7        what THREAD goes by (keys.rs)
//!   8        the preview
//!   9        the fields that SEARCH has keys for (fields.rs); absent where they are long
//!   10       From and References as they stand, of an article of a news server: one with Newsgroups (news.rs)
//! ```
//!
//! A tag that is not known is passed over, so that another text can be added without another version. Numbers are LEB128;
//! strings and lists carry their length first, an absent string the length 0 and a present one its length plus one. A
//! span's start is written as the distance from the start before it, since parts follow each other.
//!
//! Version 1 was the structure alone and a CRC-32 of all before it. It is read as it stands. What has a later version, or
//! is damaged, is refused: the message has it all. The frame round it in the file has a checksum.

use std::convert::Infallible;
use std::ops::Range;

use bytes::Bytes;

use super::fields;
use super::keys::{sort_section, thread_section};
use super::news::{self, Overview};
use super::values::{Reader, Writer};
use super::{Fields, SearchField, SortKeys, Span, Structure, ThreadKeys};

/// Why cached bytes are not what is known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CacheError {
    #[error("cached structure has version {0}, and {VERSION} is the last one that is known here")]
    Version(u8),
    #[error("cached structure is damaged (checksum)")]
    Checksum,
    #[error("cached structure is damaged")]
    Damaged,
}

/// What is known of a message, in its cached form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached {
    bytes: Bytes,
    /// By tag, less one; where the bytes have it. A FETCH moves thousands of these: they are kept small.
    sections: [Option<Range<u32>>; SECTIONS],
}

/// What FETCH shows of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Envelope,
    BodyStructure,
    Body,
}

impl Shown {
    const ALL: [Shown; 3] = [Shown::Envelope, Shown::BodyStructure, Shown::Body];

    fn tag(self) -> u8 {
        match self {
            Shown::Envelope => 2,
            Shown::BodyStructure => 3,
            Shown::Body => 4,
        }
    }

    /// Appends the text to `out`.
    pub fn print(self, structure: &Structure, out: &mut Vec<u8>) {
        match self {
            Shown::Envelope => structure.write_envelope(out),
            Shown::BodyStructure => structure.write_bodystructure(out, true),
            Shown::Body => structure.write_bodystructure(out, false),
        }
    }
}

impl Cached {
    /// Of a message whose structure is this.
    pub fn new(structure: &Structure, message: &[u8]) -> Cached {
        let header = structure.root.header.of(message);
        let mut bytes = Cached::printed(structure, &fields(structure));
        put_keys(&mut bytes, structure, &references(header));
        let read = |span: Span| Ok::<_, Infallible>(Bytes::copy_from_slice(span.of(message)));
        let Ok(preview) = structure.preview(read);
        put_section(&mut bytes, PREVIEW, preview.as_bytes());
        if let Some(section) = fields::section(header) {
            put_section(&mut bytes, SEARCHED, &section);
        }
        if let Some(section) = news::section(header) {
            put_section(&mut bytes, NEWS, &section);
        }
        Cached::found(bytes)
    }

    /// Reads what [`Cached::bytes`] gave, whichever version it had.
    pub fn read(bytes: Bytes) -> Result<Cached, CacheError> {
        match bytes.first() {
            Some(&VERSION) => {
                let mut cached = Cached { bytes, sections: Default::default() };
                cached.find().ok_or(CacheError::Damaged)?;
                Ok(cached)
            }
            Some(&BARE) => Cached::of_bare(&bytes),
            Some(&other) => Err(CacheError::Version(other)),
            None => Err(CacheError::Damaged),
        }
    }

    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// As IMAP prints it; none where it is too long to be kept printed.
    pub fn text(&self, shown: Shown) -> Option<&[u8]> {
        self.section(shown.tag())
    }

    /// Whether all texts are kept.
    pub fn is_printed(&self) -> bool {
        Shown::ALL.into_iter().all(|shown| self.text(shown).is_some())
    }

    pub fn structure(&self) -> Result<Structure, CacheError> {
        let mut reader = Reader::new(self.section(STRUCTURE).unwrap_or_default());
        reader.structure().filter(|_| reader.rest.is_empty()).ok_or(CacheError::Damaged)
    }

    /// What SORT compares; none where an earlier version left it out ([`Cached::with_keys`]).
    pub fn sort_keys(&self) -> Option<SortKeys<'_>> {
        SortKeys::read(self.section(SORT)?)
    }

    /// What THREAD goes by; none where an earlier version left it out ([`Cached::with_keys`]).
    pub fn thread_keys(&self) -> Option<ThreadKeys<'_>> {
        ThreadKeys::read(self.section(THREAD)?)
    }

    /// The beginning of the message's text (RFC 8970), UTF-8; none where an earlier version left it out.
    pub fn preview(&self) -> Option<&[u8]> {
        self.section(PREVIEW)
    }

    /// With its preview ([`Structure::preview`]), unless it has one.
    pub fn with_preview(self, preview: &str) -> Cached {
        if self.preview().is_some() {
            return self;
        }
        let mut bytes = Vec::from(self.bytes);
        put_section(&mut bytes, PREVIEW, preview.as_bytes());
        Cached::found(bytes)
    }

    /// A header field as SEARCH compares it ([`searched`](super::searched)), a line for each time that it is there. None where
    /// the header has to be read.
    pub fn searched(&self, field: SearchField) -> Option<&str> {
        field.read(self.section(SEARCHED)?)
    }

    /// What an overview shows that ENVELOPE does not have word for word; none where the header has to be read.
    pub fn overview(&self) -> Option<Overview<'_>> {
        Overview::read(self.section(NEWS)?)
    }

    /// Whether it has what SORT and THREAD need.
    pub fn has_keys(&self) -> bool {
        self.sort_keys().is_some() && self.thread_keys().is_some()
    }

    /// Whether the message's header is needed for the keys that are left out: the first version did not keep its references.
    pub fn needs_header(&self) -> bool {
        self.thread_keys().is_none() && self.section(REFERENCES).is_none()
    }

    /// With what an earlier version left out of what SORT and THREAD need. `structure`: its own; `header`: the message's,
    /// where it is needed.
    pub fn with_keys(self, structure: &Structure, header: &[u8]) -> Cached {
        if self.has_keys() {
            return self;
        }
        let kept = self.section(REFERENCES).map(<[u8]>::to_vec);
        let mut bytes = Vec::from(self.bytes);
        put_keys(&mut bytes, structure, &kept.unwrap_or_else(|| references(header)));
        Cached::found(bytes)
    }

    fn section(&self, tag: u8) -> Option<&[u8]> {
        let range = self.sections.get(usize::from(tag.checked_sub(1)?))?.as_ref()?;
        self.bytes.get(range.start as usize..range.end as usize)
    }

    /// Notes where the sections are.
    fn find(&mut self) -> Option<()> {
        let mut reader = Reader::new(self.bytes.get(1..)?);
        while !reader.rest.is_empty() {
            let (tag, len) = (reader.byte()?, reader.number()? as usize);
            let start = self.bytes.len() - reader.rest.len();
            reader.rest = reader.rest.get(len..)?;
            if let Some(section) = self.sections.get_mut(usize::from(tag).wrapping_sub(1)) {
                *section = Some(u32::try_from(start).ok()?..u32::try_from(start + len).ok()?);
            }
        }
        Some(())
    }

    /// Of what version 1 kept.
    fn of_bare(bytes: &[u8]) -> Result<Cached, CacheError> {
        let (body, sum) = bytes.split_last_chunk::<4>().ok_or(CacheError::Damaged)?;
        if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
            return Err(CacheError::Checksum);
        }
        let fields = body.get(1..).unwrap_or_default();
        let mut reader = Reader::new(fields);
        let structure = reader.structure().filter(|_| reader.rest.is_empty()).ok_or(CacheError::Damaged)?;
        Ok(Cached::found(Cached::printed(&structure, fields)))
    }

    /// The structure, and what FETCH shows of it.
    fn printed(structure: &Structure, fields: &[u8]) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        put_section(&mut bytes, STRUCTURE, fields);
        if structure.weight() <= PRINTED {
            let mut text = Vec::new();
            for shown in Shown::ALL {
                text.clear();
                shown.print(structure, &mut text);
                if text.len() <= PRINTED_BYTES {
                    put_section(&mut bytes, shown.tag(), &text);
                }
            }
        }
        bytes
    }

    fn found(bytes: Vec<u8>) -> Cached {
        let mut cached = Cached { bytes: bytes.into(), sections: Default::default() };
        // It finds what was just put there.
        let _ = cached.find();
        cached
    }
}

/// The structure, as it stands in its section.
fn fields(structure: &Structure) -> Vec<u8> {
    let mut out = Writer::new(Vec::new());
    out.number(structure.size);
    match structure.sent {
        None => out.out.push(0),
        Some(sent) => {
            out.out.push(1);
            out.out.extend_from_slice(&sent.epoch.to_le_bytes());
            out.out.extend_from_slice(&sent.zone_minutes.to_le_bytes());
        }
    }
    out.envelope(&structure.envelope);
    out.part(&structure.root);
    out.out
}

/// What SORT and THREAD need.
fn put_keys(out: &mut Vec<u8>, structure: &Structure, references: &[u8]) {
    put_section(out, SORT, &sort_section(structure));
    put_section(out, THREAD, &thread_section(structure, references));
}

fn put_section(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    let mut writer = Writer::new(std::mem::take(out));
    writer.out.push(tag);
    writer.string(bytes);
    *out = writer.out;
}

/// The value of a header's References field.
fn references(header: &[u8]) -> Vec<u8> {
    Fields::first(header, "references").map(|field| field.unfolded()).unwrap_or_default()
}

/// Grows where a section gets another meaning. The bare structure of the first version is read too.
const VERSION: u8 = 2;
const BARE: u8 = 1;

const SECTIONS: usize = 10;
const STRUCTURE: u8 = 1;
const REFERENCES: u8 = 5;
const SORT: u8 = 6;
const THREAD: u8 = 7;
const PREVIEW: u8 = 8;
const SEARCHED: u8 = 9;
const NEWS: u8 = 10;

/// Addresses, parts and parameters of a structure whose texts are kept, and bytes of each text.
const PRINTED: usize = 256;
const PRINTED_BYTES: usize = 16 << 10;

/// What the cache keeps of a message, as it is read back.
#[cfg(test)]
pub(crate) fn cached(message: &str) -> Cached {
    let structure = Structure::parse(message.as_bytes());
    Cached::read(Cached::new(&structure, message.as_bytes()).bytes().clone()).unwrap()
}
