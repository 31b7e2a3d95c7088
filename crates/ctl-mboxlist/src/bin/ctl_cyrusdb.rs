//! `ctl_cyrusdb`: checks the node's lists before its daemons start (`-r`), and dumps them (`-c`).

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use ctl_mboxlist::cyrusdb::Flags;
use ctl_mboxlist::{checkpoint, recover, start};

const USAGE: &str = "\
ctl_cyrusdb [-C <altconfig>] -c
ctl_cyrusdb [-C <altconfig>] -r [-x]
ctl_cyrusdb [-C <altconfig>] -r --reservations <server>
";

fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            error.exit()
        }
        Err(_) => {
            service::complain_part!("{USAGE}");
            return ExitCode::from(255);
        }
    };
    start::run("ctl_cyrusdb", &flags.config, async |imapd| match (flags.checkpoint, flags.reservations) {
        (true, _) => checkpoint::run(&imapd).await,
        (false, Some(server)) => recover::reservations(&imapd, &server).await,
        (false, None) => recover::run(&imapd).await,
    })
}
