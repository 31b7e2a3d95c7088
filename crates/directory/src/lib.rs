//! The murder's list of mailboxes, for whoever needs it: asked for, followed, looked up, and served to this host.
//!
//! ```text
//! client::dial ── connection, greeting, TLS, login ──▶ client::Client      one question, one answer (backends, tools)
//!                                                └──▶ replica::Replica    follows a stream into a mailboxes::List
//! lookup::Lookup ── where a mailbox is, and how sure that is: what the proxies ask a Replica
//! serve::Server ── serves a List to those who may ask: on the Unix socket beside it, and whom `mupdate` lets in
//! ```

pub mod client;
pub mod lookup;
mod meter;
mod proxy;
pub mod replica;
pub mod serve;
