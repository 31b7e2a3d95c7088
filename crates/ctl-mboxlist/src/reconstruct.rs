//! The command line of `reconstruct`.

use std::path::PathBuf;

use clap::Parser;

/// Make mailboxes agree with what lies on the spool
#[derive(Parser)]
#[command(name = "reconstruct", version, after_help = AFTER_HELP)]
pub struct Options {
    /// The configuration
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
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

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Exit status:
  0   done
  1   a mailbox failed, or there is none of that name
  78  the configuration is wrong

Examples:
  reconstruct -r user/fred
  reconstruct -f                       takes into the list what the spool has

What is not in the spool:
  Subscriptions, and seen states of shared mailboxes, are in murder/backend/users below configdirectory. Where that is lost,
  reconstruct -f and the backend's log say so; restore it from a backup.";
