//! Connections from a proxy to its backends, authenticated as `proxy_authname` on behalf of a user.
//!
//! 1. [`Upstream::imap`], [`Upstream::pop3`], [`Upstream::sieve`], [`Upstream::nntp`] and [`Upstream::lmtp`] ask the server's circuit breaker, resolve its name,
//!    connect within `client_timeout`, read the greeting and the capabilities, raise TLS where that is needed, log in
//!    by SASL, and compress where `proxy_compress` asks for it. What comes out is a [`Connection`]: a stream, what was
//!    learnt on it, and its [`wire`].
//! 2. The [`wire`] is the one owner of what is under way on a connection: every byte that goes out or comes in passes
//!    through it. It does no input or output.
//! 3. [`Pool`] keeps LMTP connections between deliveries. No connection that acted for a user is used for another.
//! 4. A server that timed out costs nobody else a wait: its [`breaker`] refuses at once, and a probe in the background
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
pub mod limits;
mod pool;
mod sasl;
mod scripts;
mod tls;
pub mod wire;

pub use ask::Answer;
pub use capability::Capabilities;
pub use connect::{Proto, Upstream};
pub use dialog::Connection;
pub use error::{Error, Objection};
pub use pool::{Pool, Pooled};
pub use scripts::{Listed, Scripts};
