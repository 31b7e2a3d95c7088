//! The frontend's news (NNTP): one server with the groups of all backends.
//!
//! ```text
//! client ─ line ─▶ session ─┬ login, CAPABILITIES, DATE …        answered here
//!                           ├ map: group → mailbox → list → who has it, what the user may
//!                           ├ cmd/: the current group's backend, or all that have groups which the user reads
//!                           │         └▶ links: server → connection, made when it is needed, as the user
//!        ◀── answer: lines of one backend after another, in pieces, sifted ◀──┘
//! ```
//!
//! One command is done at a time, so that answers come in the order of the questions however they were sent. Nothing is collected:
//! lines pass in pieces, and an article that is posted lies in a file while several backends need it.
//!
//! A backend's connection has no state that would be lost with it: what is selected, and which article is the current one, is known
//! here and made so there ([`links`]). So a group that moves goes on under the same numbers.

mod answer;
mod cmd;
mod front;
mod gone;
pub mod limits;
mod link;
mod links;
mod login;
mod map;
mod serve;

pub use serve::{run, serve};

/// Serves news from the groups of all backends
#[derive(Debug, clap::Parser)]
#[command(name = "nntpproxy", version, after_help = service::run::AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    pub arguments: service::Arguments,
}
