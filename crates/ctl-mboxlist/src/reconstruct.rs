//! The command line of `reconstruct`.

use std::path::PathBuf;

use clap::Parser;

/// Make mailboxes agree with what lies on the spool
#[derive(Parser)]
#[command(name = "reconstruct", version)]
pub struct Options {
    /// The configuration
    #[arg(short = 'C', default_value = "/etc/imapd.conf")]
    pub config: PathBuf,
    /// The mailboxes below, too
    #[arg(short = 'r')]
    pub recursive: bool,
    /// Take mailboxes of the spool into the list that it does not have
    #[arg(short = 'f')]
    pub find: bool,
    /// Mailboxes, as an admin names them; none: all
    pub mailboxes: Vec<String>,
}
