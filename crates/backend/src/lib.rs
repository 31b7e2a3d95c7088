//! The store of a murder: mailboxes, messages and the services that read and fill them.

mod clearance;
pub mod control;
pub mod daemon;
pub mod imap;
pub mod lmtp;
pub mod mime;
pub mod pop3;
mod resync;
pub mod store;

/// The store of a murder: IMAP, POP3 and LMTP
#[derive(Debug, clap::Parser)]
#[command(name = "backend", version, after_help = service::run::AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    pub arguments: service::Arguments,
}
