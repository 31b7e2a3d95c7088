//! What mails look like that a script causes, and what gets no answer. Pure: the caller gives the time and the chance.
//!
//! - [`redirect`] the message itself, sent on (RFC 5228, section 4.2);
//! - [`vacation`] an answer, and what is never answered (RFC 5230, RFC 3834);
//! - [`notify`] a mail to whoever wants to know (RFC 5435, RFC 5436);
//! - [`refuse`] a report that a message was refused (RFC 5429, RFC 8098);
//! - [`text`] fields and bodies, as all of them write them.

pub mod notify;
pub mod redirect;
pub mod refuse;
pub mod text;
pub mod vacation;

/// What each mail bears of the moment and the place of its making.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// For the Date field (RFC 5322, section 3.3).
    pub date: &'a str,
    /// Without brackets; unique.
    pub message_id: &'a str,
}

/// The mark of what was sent by a script.
const ACTION: &str = "X-Sieve-Action";
