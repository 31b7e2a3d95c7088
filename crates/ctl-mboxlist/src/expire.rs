//! The command line of `cyr_expire`.

use std::path::PathBuf;

use clap::Parser;

use crate::age;

/// End delayed deletes, expunged messages and the memory of deliveries
#[derive(Parser)]
#[command(name = "cyr_expire", version)]
pub struct Options {
    /// The configuration
    #[arg(short = 'C', default_value = "/etc/imapd.conf")]
    pub config: PathBuf,
    /// Mailboxes deleted longer ago than this go for good (days, or like 1d12h)
    #[arg(short = 'D', value_parser = age::parse)]
    pub deleted: Option<u64>,
    /// Deliveries older than this are forgotten; and messages of mailboxes with an `expire` annotation go, by its days
    #[arg(short = 'E', value_parser = age::parse)]
    pub delivered: Option<u64>,
    /// Messages expunged longer ago than this go for good
    #[arg(short = 'X', value_parser = age::parse)]
    pub expunged: Option<u64>,
    /// Pass over `expire` annotations
    #[arg(short = 'a')]
    pub no_annotations: bool,
    /// Only mailboxes whose internal names begin so
    #[arg(short = 'p')]
    pub prefix: Option<String>,
    /// Only this user's mailboxes
    #[arg(short = 'u')]
    pub user: Option<String>,
    /// Say what was done
    #[arg(short = 'v', action = clap::ArgAction::Count)]
    pub verbose: u8,
}
