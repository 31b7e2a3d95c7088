//! The frontend's LMTP: takes a message once and passes it to the backends of its recipients, all at the same time, in
//! one transaction of the client with a reply for each recipient.
//!
//! ```text
//! lmtp::serve ─ RCPT ─▶ route: address → mailbox → list → backend      (no list, no proof: 451 4.4.3)
//!             ─ DATA ─▶ deliver: a group per backend ─▶ transaction ─ upstream::Pool ─▶ backends
//! ```
//!
//! A recipient without an INBOX who is to get one is handed in to a backend that makes it ([`newcomer`]).
//!
//! It queues nothing: when the client has its replies, the message is on the backends or was refused.

pub mod deliver;
pub mod limits;
pub mod newcomer;
pub mod route;
mod serve;
pub mod transaction;

pub use serve::{run, serve};

/// Takes mail by LMTP and passes it to the backends of its recipients
#[derive(Debug, clap::Parser)]
#[command(name = "lmtpproxy", version, after_help = service::run::AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    pub arguments: service::Arguments,
}
