//! The command line of `ctl_cyrusdb`.

use std::path::PathBuf;

use clap::Parser;

/// Checks the node's lists before its daemons start, or dumps them
#[derive(Debug, Parser)]
#[command(name = "ctl_cyrusdb", version, after_help = AFTER_HELP)]
pub struct Flags {
    /// The node's imapd.conf
    #[arg(short = 'C', long = "config", value_name = "FILE", default_value = "/etc/imapd.conf")]
    pub config: PathBuf,
    /// Check every list, and set aside what cannot be opened
    #[arg(
        short = 'r',
        long = "recover",
        conflicts_with = "checkpoint",
        required_unless_present = "checkpoint"
    )]
    pub recover: bool,
    /// Dump every list to db.backup1, the dump before it to db.backup2
    #[arg(short = 'c', long = "checkpoint")]
    pub checkpoint: bool,
    /// Accepted for Cyrus's sake: there is no clean-up to leave out
    #[arg(short = 'x', long = "no-cleanup", requires = "recover")]
    pub no_cleanup: bool,
    /// Free the names that this server has reserved
    #[arg(long, value_name = "SERVER", requires = "recover")]
    pub reservations: Option<String>,
}

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Exit status:
  0   done
  1   a list could not be opened or dumped
  78  the configuration is wrong

Examples:
  ctl_cyrusdb -r                       in START of cyrus.conf
  ctl_cyrusdb -c                       in EVENTS
  ctl_cyrusdb -r --reservations be1.example.org";
