//! The MIME structure of a message: what FETCH, SEARCH, POP3's TOP and the index cache need to know about its bytes.
//!
//! [`Structure::parse`] reads a message once, line by line, and keeps for each part where its header and its body lie
//! ([`Span`]s inside the message), how many lines the body has, and the fields that ENVELOPE and BODYSTRUCTURE show,
//! raw as they stand in the message (encoded words and RFC 2231 parameters are the client's to decode). From then on
//! a FETCH of the envelope or structure reads no message, and a FETCH of a section reads only the bytes of that section:
//!
//! - [`scan`] bytes → tree of parts; [`content`], [`address`], [`envelope`], [`date`] the fields of a header;
//! - [`section`] the numbers of BODY\[1.2.MIME] → a span; [`header`] picks fields for HEADER.FIELDS;
//! - [`render`] the IMAP syntax of ENVELOPE, BODY and BODYSTRUCTURE (RFC 3501 section 7.4.2);
//! - [`words`] header values as text, with their encoded words; [`subject`], [`ids`], [`fold`], [`keys`] what SORT and THREAD compare;
//! - [`preview`] the beginning of its text; [`binary`] what cannot be stored as it comes;
//! - [`search`] text for SEARCH, decoded and made comparable; [`fields`] what the cache keeps of it;
//! - [`cache`] the compact form in a mailbox's cache, with what FETCH shows as IMAP prints it.
//!
//! Hostile input costs linear time and bounded memory: parts, nesting, parameters and addresses are limited, and what
//! lies beyond a limit is taken as plain content of the part that holds it.

mod address;
mod binary;
mod cache;
mod content;
mod date;
mod decode;
mod envelope;
mod fields;
mod fold;
mod header;
mod ids;
mod keys;
mod news;
mod preview;
mod render;
mod scan;
mod search;
mod section;
mod span;
mod structure;
mod subject;
#[cfg(test)]
mod tests;
mod values;
mod words;

pub use address::Address;
pub use binary::{Unfit, without_binary};
pub use cache::{CacheError, Cached, Shown};
pub use content::{Content, Disposition, Encoding, Parameter};
pub use date::SentDate;
pub use decode::{decode_transfer, knows_charset, to_utf8};
pub use envelope::Envelope;
pub use fields::SearchField;
pub use fold::casemap;
pub use header::{Field, Fields, pick_fields};
pub use ids::message_ids;
pub use keys::{Ids, SortKeys, ThreadKeys};
pub use news::Overview;
pub use render::write_nstring;
pub use search::{SEARCH_FORM, field_text, searched};
pub use section::What;
pub use span::{Raw, Span};
pub use structure::{Inner, Kind, Part, Structure};
pub use subject::BaseSubject;
pub use words::{decoded_text, header_text};

/// Nested parts beyond this depth are content of the part that holds them.
pub const MAX_DEPTH: usize = 50;
/// A message is cut into this many parts at most.
pub const MAX_PARTS: usize = 5000;
/// Parameters of one Content-Type or Content-Disposition field.
pub const MAX_PARAMETERS: usize = 200;
/// Addresses of one address field.
pub const MAX_ADDRESSES: usize = 10_000;
