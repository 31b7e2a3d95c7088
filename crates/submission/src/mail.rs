//! A mail with its envelope.

use bytes::Bytes;

/// A mail to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Envelope sender, without brackets; empty: `<>`.
    pub from: String,
    pub to: Vec<To>,
    /// On whose behalf (RFC 4954, section 5): told only to a server that nobody listens to.
    pub user: Option<String>,
    /// What a report of failure returns.
    pub ret: Option<Ret>,
    /// By when it must be there.
    pub by: Option<By>,
    /// Header and body; lines end with CRLF.
    pub message: Bytes,
}

/// One recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct To {
    /// Without brackets.
    pub address: String,
    /// When the sender hears of it: `NEVER`, or some of SUCCESS, FAILURE, DELAY, with commas between (RFC 3461, section 4.1).
    pub notify: Option<String>,
}

/// What a report has of the message (RFC 3461, section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ret {
    Full,
    Headers,
}

/// DELIVERBY (RFC 2852, section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct By {
    /// Seconds from now; not positive only with [`ByMode::Notify`].
    pub seconds: i64,
    pub mode: ByMode,
    pub trace: bool,
}

/// What happens to a message that comes too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByMode {
    /// It is delivered all the same, and the sender is told.
    Notify,
    /// It goes back.
    Return,
}

impl Mail {
    /// A mail to one address, about which nobody wants to hear.
    pub fn new(from: &str, to: &str, message: impl Into<Bytes>) -> Mail {
        let to = vec![To { address: to.to_owned(), notify: None }];
        Mail { from: from.to_owned(), to, user: None, ret: None, by: None, message: message.into() }
    }
}
