//! What holds for each connection, whatever is spoken on it.

use std::time::Duration;

bounds::table! {
    "transport", "A connection, whatever is spoken on it";
    /// Bytes read ahead, where a session sets no other bound.
    pub(crate) INPUT: usize = 256 * 1024, Bytes, "chosen: more than any line";
    /// How long a peer may take to accept anything, where a session sets no other bound.
    pub(crate) WRITE: Duration = Duration::from_secs(300), Time, "chosen: a peer on a slow line takes something in that time";
    /// How long a TLS handshake may take after STARTTLS.
    pub(crate) HANDSHAKE: Duration = Duration::from_secs(30), Time, "chosen: some round trips of a slow line";
    /// Bytes read at a time.
    pub(crate) CHUNK: usize = 8 * 1024, Bytes, "chosen: on the stack, so that an idle session keeps no buffer";
    /// Bytes read at a time below TLS while much comes.
    pub(crate) LARGE_READ: usize = 64 * 1024, Bytes, "chosen: four records of TLS";
    /// A buffer that grew beyond this is given back after use.
    pub(crate) KEPT: usize = 64 * 1024, Bytes, "chosen: memory of an idle session";
    /// How long connecting and logging in to another server may take.
    pub(crate) CLIENT_TIMEOUT: Duration = Duration::from_secs(1), Time Least "client_timeout", "chosen: never nothing";
    /// How long a peer may take to let us close a connection.
    pub(crate) CLOSING: Duration = Duration::from_secs(5), Time, "chosen: some round trips of a slow line";
    /// How long a peer may take to notice that we have closed.
    pub(crate) LINGER: Duration = Duration::from_secs(1), Time, "chosen: a round trip of a slow line";
}
