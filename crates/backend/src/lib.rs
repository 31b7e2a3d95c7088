//! The daemon of a node with mail: IMAP, POP3, LMTP, ManageSieve and NNTP on the store.

mod clearance;
pub mod control;
pub mod daemon;
pub mod imap;
pub mod limits;
pub mod lmtp;
pub mod moving;
pub mod nntp;
mod partitions;
pub mod pop3;
mod resync;
mod timsieved;
pub mod transit;

/// The store of a murder: IMAP, POP3, LMTP, ManageSieve and NNTP
#[derive(Debug, clap::Parser)]
#[command(name = "backend", version, after_help = service::run::AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    pub arguments: service::Arguments,
}
