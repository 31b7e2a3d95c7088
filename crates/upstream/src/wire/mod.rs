//! What is under way on a connection to a backend, one owner for each protocol, without input or output.
//!
//! A *wire* is given every byte that goes to the backend and every byte that comes from it. So it knows at any moment
//! which commands wait for their answer, how much of a literal or a message is still owed, and whether an answer has
//! been read to its end. Nobody else decides whether a connection is at rest.
//!
//! Contract, the same for all:
//!
//! * Up: `begin`/`command`, then `send` and its like. Each checks its bytes against what may be sent now and appends
//!   them to `out`; what does not fit is [`OutOfStep`], and nothing is appended.
//! * Down: append what was read to `input`, call `next` until it gives `None`. What nobody asked for is [`OutOfStep`].
//! * After [`OutOfStep`] the connection must be closed: nobody knows any longer whose the next byte is.

pub mod imap;
pub mod lmtp;
pub mod nntp;
pub mod pop3;
mod scan;
pub mod sieve;

use bytes::BytesMut;

/// A byte that cannot stand where it stands: sent by us beyond the end of a command, or by the backend without being
/// asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutOfStep {
    #[error("an answer that was not asked for")]
    Unasked,
    #[error("a line without end")]
    Endless,
    #[error("not an answer of the protocol")]
    Malformed,
    #[error("a command while another is not sent to its end")]
    Busy,
    #[error("bytes beyond the end of a command")]
    Beyond,
}

/// A line of a command, which must be no more than one.
fn line(text: &str, out: &mut BytesMut) -> Result<(), OutOfStep> {
    if text.contains(['\r', '\n']) {
        return Err(OutOfStep::Beyond);
    }
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
    Ok(())
}
