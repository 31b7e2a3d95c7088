//! MUPDATE: the daemon (master and slave), the client library, and the replica that slaves and proxies hold.
//!
//! ```text
//! client::dial ── connection, greeting, TLS, login ──▶ client::Client      one question, one answer (backends, tools)
//!                                                └──▶ replica::Replica    follows a stream into a mailboxes::List
//! server::Server ── serves a List to MUPDATE clients: on TCP, and on the Unix socket beside every list
//! ```

pub mod client;
pub mod daemon;
mod kick;
mod meter;
pub mod replica;
pub mod server;
pub mod tester;
