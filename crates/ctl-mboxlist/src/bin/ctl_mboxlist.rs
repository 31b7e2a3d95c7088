//! `ctl_mboxlist`: dump, undump, synchronise and verify a node's list of mailboxes.

use std::path::Path;
use std::process::ExitCode;

use ctl_mboxlist::dump::{self, Wanted};
use ctl_mboxlist::lists::Failure;
use ctl_mboxlist::options::{Action, Options, USAGE};
use ctl_mboxlist::{start, sync, verify};

fn main() -> ExitCode {
    let Options { config, filename, action } = match Options::parse(std::env::args_os()) {
        Ok(options) => options,
        Err(message) => {
            service::complain_part!("{message}{}{USAGE}", if message.is_empty() { "" } else { "\n" });
            return ExitCode::FAILURE;
        }
    };
    start::run("ctl_mboxlist", &config, async |imapd| {
        let other: Option<&Path> = filename.as_deref();
        match action {
            Action::Dump { remove, intermediaries, partition } => {
                dump::run(&imapd, other, &Wanted { intermediaries, partition }, remove).await
            }
            Action::Undump { legacy } => {
                let text =
                    std::io::read_to_string(std::io::stdin()).map_err(Failure::io("standard input"))?;
                dump::undump(&imapd, other, &text, legacy).await
            }
            Action::Sync { authoritative, warn_only, interactive, accept } => {
                sync::run(&imapd, other, sync::How { authoritative, warn_only, interactive, accept }).await
            }
            Action::Verify => verify::run(&imapd, other).await,
        }
    })
}
