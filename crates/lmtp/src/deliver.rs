//! What a server must be able to do with mail.

use std::future::Future;
use std::path::Path;

use protocol::lmtp::command::{Mail, Rcpt};
use protocol::lmtp::refusal::{Refusal, Verdict};

use crate::Message;

/// Takes the mail of one connection. It remembers the recipients that it accepted, until [`Deliver::reset`].
pub trait Deliver: Send {
    /// Whether the message may go to this recipient. An accepted one gets a verdict from the next `deliver`.
    fn recipient(&mut self, mail: &Mail, rcpt: Rcpt) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Where a message too large for memory is spooled. The backend names a directory on the recipients' partition, so
    /// that the file itself can become the message.
    fn spool_directory(&self) -> &Path;

    /// Delivers to all accepted recipients; a verdict for each, in the order in which they were accepted. `Delivered`
    /// says that the message is on disk.
    fn deliver(&mut self, envelope: Envelope, message: Message) -> impl Future<Output = Vec<Verdict>> + Send;

    /// Forgets the recipients.
    fn reset(&mut self);
}

/// What is known of a message beside its bytes.
#[derive(Debug, Clone)]
pub struct Envelope {
    pub mail: Mail,
    /// The session that took it; also in its X-Cyrus-Session-Id.
    pub session_id: String,
}
