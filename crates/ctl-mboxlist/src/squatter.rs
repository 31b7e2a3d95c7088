//! The command line of `squatter`.

use std::path::PathBuf;

use clap::{ArgAction, Parser};

/// Bring the index of the text of messages up to date
#[derive(Parser)]
#[command(name = "squatter", version, after_help = AFTER_HELP)]
pub struct Options {
    /// The configuration
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    pub config: PathBuf,
    /// The mailboxes below, too
    #[arg(short = 'r')]
    pub recursive: bool,
    /// The names are users: all their mailboxes
    #[arg(short = 'u')]
    pub users: bool,
    /// Does nothing: the backend follows its mailboxes by itself
    #[arg(short = 'R')]
    pub rolling: bool,
    /// Show how many mailboxes there were
    #[arg(short = 'v', action = ArgAction::Count)]
    pub verbose: u8,
    /// Accepted for Cyrus's sake: only what changed is ever indexed
    #[arg(short = 'i')]
    pub incremental: bool,
    /// The same, with Cyrus's margin in seconds
    #[arg(short = 's', value_name = "SECONDS", num_args = 0..=1, require_equals = true)]
    pub skip: Option<Option<u32>>,
    /// Accepted for Cyrus's sake: mailboxes are not chosen by annotations
    #[arg(short = 'a')]
    pub annotated: bool,
    /// Accepted for Cyrus's sake: names are written in one way
    #[arg(short = 'N')]
    pub internal: bool,
    /// Accepted for Cyrus's sake, with -R
    #[arg(short = 'n', value_name = "CHANNEL")]
    pub channel: Option<String>,
    /// The same
    #[arg(short = 'd')]
    pub foreground: bool,
    /// Accepted for Cyrus's sake: the work has the lowest priority anyhow
    #[arg(short = 'S', value_name = "SECONDS")]
    pub pause: Option<u32>,
    /// Mailboxes, as an admin names them; none: all
    pub mailboxes: Vec<String>,
}

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
A backend indexes its mailboxes by itself, when some hundred messages have come, or were searched through without an index. This
does it at once, for all mailboxes with some dozen messages or more. Without search_engine, or with none, there is nothing to do.

Exit status:
  0   done
  1   a mailbox failed, or there is none of that name
  78  the configuration is wrong

Examples:
  squatter                             after a migration
  squatter -r user/fred";
