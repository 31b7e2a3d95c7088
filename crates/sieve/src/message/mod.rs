//! A message as scripts see it.
//!
//! - [`Message`] what a run asks of it; [`Mail`] the view over its bytes that all recipients' runs share;
//! - [`Field`] a field of its header; [`Edits`] the header as one run has edited it (RFC 5293);
//! - [`Address`] and [`AddressPart`] (RFC 5228 section 2.7.4, RFC 5233);
//! - [`parts`] its MIME parts, and what they say once decoded.

mod address;
mod edits;
mod field;
mod mail;
pub mod parts;

pub use address::{Address, AddressPart};
pub use edits::Edits;
pub use field::{Field, Origin};
pub use mail::Mail;

/// One message. All recipients' runs share it, on several threads; what is decoded is decoded once.
pub trait Message: Sync {
    /// The whole message.
    fn raw(&self) -> &[u8];

    /// What stands after the blank line.
    fn body(&self) -> &[u8];

    /// The fields of the header in their order. A line that is no field has an empty name.
    fn fields(&self) -> &[Field];

    /// Its MIME structure, read when it is first asked for.
    fn structure(&self) -> &mime::Structure;

    /// Bytes, with header.
    fn size(&self) -> u64 {
        self.raw().len() as u64
    }
}

#[cfg(test)]
mod tests;
