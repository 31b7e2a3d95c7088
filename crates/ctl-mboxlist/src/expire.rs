//! The command line of `cyr_expire`.

use std::path::PathBuf;

use clap::Parser;

use crate::age;

/// End delayed deletes, expunged messages and the memory of deliveries
#[derive(Parser)]
#[command(name = "cyr_expire", version, after_help = AFTER_HELP)]
pub struct Options {
    /// The configuration
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    pub config: PathBuf,
    /// Mailboxes deleted longer ago than this go for good (days, or like 1d12h)
    #[arg(short = 'D', value_name = "AGE", value_parser = age::parse)]
    pub deleted: Option<u64>,
    /// Deliveries older than this are forgotten; and messages of mailboxes with an `expire` annotation go, by its days or duration
    #[arg(short = 'E', value_name = "AGE", value_parser = age::parse)]
    pub delivered: Option<u64>,
    /// Messages expunged longer ago than this go for good
    #[arg(short = 'X', value_name = "AGE", value_parser = age::parse)]
    pub expunged: Option<u64>,
    /// Pass over `expire` annotations
    #[arg(short = 'a')]
    pub no_annotations: bool,
    /// Only mailboxes whose internal names begin so
    #[arg(short = 'p', value_name = "PREFIX")]
    pub prefix: Option<String>,
    /// Keywords that no message has any longer come free
    #[arg(short = 't')]
    pub keywords: bool,
    /// Only this user's mailboxes
    #[arg(short = 'u', value_name = "USER")]
    pub user: Option<String>,
    /// Say what was done
    #[arg(short = 'v', action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Exit status:
  0   done
  1   a mailbox failed, or the backend does not run
  78  the configuration is wrong

Examples:
  cyr_expire -E 3 -D 7 -X 7            in EVENTS of cyrus.conf
  cyr_expire -X 0 -u fred -v";
