//! How a test compares what a message has with the keys that a script gives: RFC 5228 section 2.7.
//!
//! A test takes its tags with [`MatchTags::take`], makes a [`Matcher`] of them and its keys, and gives that its values:
//!
//! ```text
//! :comparator "i;octet" :matches  ─▶ MatchTags ─┐
//!                ["a*", "${x}"]   ─▶ keys ──────┴▶ Matcher ── search(values) ─▶ none, or what the wildcards stand for
//! ```
//!
//! - [`Comparator`] as what two texts are compared (RFC 4790, RFC 5051), [`Kind`] the match type, [`Relation`] RFC 5231;
//! - [`Key`] one key, ready to be compared; `wildcard.rs` `:matches`, in time that grows with the text and never with the number of its
//!   stars; `ere.rs` the regular expressions of POSIX as the crate `regex` writes them;
//! - [`AddressPart`], [`Select`] and [`MimeView`] which texts are the values.

mod comparator;
mod ere;
mod key;
mod matcher;
mod mime;
mod part;
mod relation;
mod select;
mod tags;
mod wildcard;

pub use self::mime::MimeView;
pub use comparator::Comparator;
pub use key::{BadKey, Key};
pub use matcher::Matcher;
pub use part::AddressPart;
pub use relation::Relation;
pub use select::{Index, Select};
pub use tags::{Kind, MatchTags};

#[cfg(test)]
mod tests;
