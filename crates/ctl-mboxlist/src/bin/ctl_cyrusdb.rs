//! `ctl_cyrusdb`: checks the node's lists before its daemons start (`-r`), and dumps them (`-c`).

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ctl_mboxlist::{checkpoint, recover, start};

#[derive(Debug, Parser)]
#[command(disable_help_flag = true)]
struct Flags {
    #[arg(short = 'C', long = "config", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    #[arg(
        short = 'r',
        long = "recover",
        conflicts_with = "checkpoint",
        required_unless_present = "checkpoint"
    )]
    recover: bool,
    #[arg(short = 'c', long = "checkpoint")]
    checkpoint: bool,
    /// No clean-up: there is none to leave out.
    #[arg(short = 'x', long = "no-cleanup", requires = "recover")]
    no_cleanup: bool,
    /// Free the names that this server has reserved
    #[arg(long, value_name = "SERVER", requires = "recover")]
    reservations: Option<String>,
}

const USAGE: &str = "\
ctl_cyrusdb [-C <altconfig>] -c
ctl_cyrusdb [-C <altconfig>] -r [-x]
ctl_cyrusdb [-C <altconfig>] -r --reservations <server>
";

fn main() -> ExitCode {
    let Ok(flags) = Flags::try_parse() else {
        eprint!("{USAGE}");
        return ExitCode::from(255);
    };
    start::run("ctl_cyrusdb", &flags.config, async |imapd| match (flags.checkpoint, flags.reservations) {
        (true, _) => checkpoint::run(&imapd).await,
        (false, Some(server)) => recover::reservations(&imapd, &server).await,
        (false, None) => recover::run(&imapd).await,
    })
}
