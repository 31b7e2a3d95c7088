//! The frontend's ManageSieve: a client logs in here, and is then connected through, or referred, to the backend of its INBOX,
//! where its scripts are.
//!
//! ```text
//! client ─ AUTHENTICATE ─▶ managesieve::Client ─ front: INBOX → list → backend ┬─▶ upstream::sieve (as the user)
//!        ◀═════════ service::pipe: bytes, both ways, unread ═══════════════════╡        sieve_allowreferrals: no
//!        ◀───────── BYE (REFERRAL "sieve://backend") with the next command ────┘                              yes
//! ```

mod front;
pub mod limits;
mod serve;

pub use serve::{run, serve};

/// Logs ManageSieve clients in and connects them to the backends of their scripts
#[derive(Debug, clap::Parser)]
#[command(name = "sieveproxy", version, after_help = service::run::AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    pub arguments: service::Arguments,
}
