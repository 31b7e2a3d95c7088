//! What a server must be able to do with mail.

use std::future::Future;

use protocol::lmtp::command::{Mail, Rcpt};
use protocol::lmtp::refusal::{Refusal, Verdict};

/// Takes the mail of one connection. It remembers the recipients that it accepted, until [`Deliver::reset`].
pub trait Deliver: Send {
    /// Where a message lies until it is whole.
    type Incoming: Incoming;

    /// Whether the message may go to this recipient. An accepted one gets a verdict from the next `deliver`.
    fn recipient(&mut self, mail: &Mail, rcpt: Rcpt) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Begins to take in a message for the accepted recipients. `size`: what the client announced, bytes.
    fn begin(&mut self, size: Option<u64>) -> impl Future<Output = Result<Self::Incoming, Refusal>> + Send;

    /// Delivers a whole message to all accepted recipients; a verdict for each, in the order in which they were
    /// accepted. `Delivered` says that the message is on disk.
    fn deliver(
        &mut self,
        envelope: Envelope,
        message: Self::Incoming,
    ) -> impl Future<Output = Vec<Verdict>> + Send;

    /// Forgets the recipients.
    fn reset(&mut self);
}

/// A message on its way in. Dropped, it leaves nothing behind.
pub trait Incoming: Send {
    /// Takes more bytes.
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// What is known of a message beside its bytes.
#[derive(Debug, Clone)]
pub struct Envelope {
    pub mail: Mail,
    /// The session that took it; also in its X-Cyrus-Session-Id.
    pub session_id: String,
    /// The header holds bytes beyond ASCII: a message with SMTPUTF8 may.
    pub utf8_header: bool,
}
