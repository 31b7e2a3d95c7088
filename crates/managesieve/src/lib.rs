//! The ManageSieve server that a frontend and the store share (RFC 5804): greeting, TLS, SASL, and the checking of scripts.
//!
//! ```text
//! client ─▶ Client: frames ─▶ protocol's session ─▶ here: CAPABILITY, STARTTLS, AUTHENTICATE, NOOP, CHECKSCRIPT, LOGOUT
//!                                                └▶ Host: whoever has the scripts, once somebody has logged in
//! ```
//!
//! On the store the [`Host`] has the scripts of a user whose INBOX is there; on a frontend it connects the client through to that
//! server, or refers it there.

mod check;
mod client;
mod host;
pub mod limits;

use transport::stream::Stream;
use transport::wire::{Bounds, Wire};

pub use check::Accepted;
pub use client::{Client, leave};
pub use host::{Answer, Host, Welcome};

/// A client's connection, with room for what is read ahead.
pub fn wire(stream: Stream) -> Wire {
    Wire::new(stream, Bounds { input: limits::INPUT, ..Bounds::default() })
}
