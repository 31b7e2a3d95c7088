//! The frontend's POP3: a client logs in here, and is then connected through to the backend that has its INBOX.
//!
//! ```text
//! client ─ USER/PASS, AUTH ─▶ session ─ locate: INBOX → list → backend ─▶ upstream::connect (as the user)
//!        ◀═══════════ service::pipe: bytes, both ways, unread ═══════════▶ backend
//! ```
//!
//! Who has no INBOX yet, and is to get one, is connected to a backend that makes it ([`open`]).
//!
//! Everything after the login is the backend's business: the maildrop's lock, UIDL, deletions.

pub mod limits;
pub mod locate;
mod open;
mod serve;
pub mod session;

pub use serve::{run, serve};

/// Logs POP3 clients in and connects them to the backends of their mail
#[derive(Debug, clap::Parser)]
#[command(name = "pop3proxy", version, after_help = service::run::AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    pub arguments: service::Arguments,
}
