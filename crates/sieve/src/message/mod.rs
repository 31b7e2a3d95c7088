//! A message as scripts see it.
//!
//! - [`Message`] what a run asks of it; [`Mail`] the view over its bytes that all recipients' runs share;
//! - [`Field`] a field of its header; [`Edits`] the header as one run has edited it (RFC 5293);
//! - [`Address`] what of an address is compared;
//! - [`PartView`] a MIME part, with what it says once decoded.

mod address;
mod edits;
mod field;
mod mail;
mod part;

pub use address::Address;
pub use edits::Edits;
pub use field::{Field, Origin};
pub use mail::Mail;
pub use part::PartView;

/// One message. All recipients' runs share it, on several threads; what is decoded is decoded once.
pub trait Message: Sync {
    /// The whole message.
    fn raw(&self) -> &[u8];

    /// What stands after the blank line.
    fn body(&self) -> &[u8];

    /// The fields of the header in their order. A line that is no field has an empty name.
    fn fields(&self) -> &[Field];

    /// Its MIME parts in the order in which they stand in it, each before those in it; the message itself is the first. They are read
    /// when they are first asked for.
    fn parts(&self) -> &[PartView];

    /// Bytes, with header.
    fn size(&self) -> u64 {
        self.raw().len() as u64
    }
}

#[cfg(test)]
mod tests;
