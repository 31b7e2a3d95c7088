//! Connections from a proxy to its backends, authenticated as `proxy_authname` on behalf of a user.
//!
//! 1. [`Upstream::connect`] asks the server's circuit breaker, resolves its name, connects within `client_timeout`,
//!    reads the greeting and the capabilities, raises TLS where that is needed, logs in by SASL, and compresses where
//!    `proxy_compress` asks for it. What comes out is a [`Connection`]: a stream and what was learnt on it.
//! 2. [`Pool`] keeps connections between uses: LMTP ones as they are, IMAP ones where the backend can be told to
//!    forget the user (UNAUTHENTICATE, RFC 8437).
//! 3. A server that timed out costs nobody else a wait: its [`breaker`] refuses at once, and a probe in the background
//!    finds out when it is back.
//!
//! The dialogues are in [`handshake`], one file per protocol.

mod ask;
mod breaker;
mod capability;
mod connect;
mod dialog;
mod error;
mod handshake;
mod pool;
mod sasl;

pub use ask::Answer;
pub use capability::Capabilities;
pub use connect::{Connection, Proto, Upstream};
pub use error::Error;
pub use pool::{Pool, Pooled, Ticket};
