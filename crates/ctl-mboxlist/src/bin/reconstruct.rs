//! `reconstruct`: makes indexes agree with the message files, and the list with the spool.

use std::path::PathBuf;
use std::process::ExitCode;

use backend::control::{self, Answer, Request};
use backend::store::Which;
use clap::Parser;
use ctl_mboxlist::{lists::Failure, start};
use protocol::namespace::View;

/// Make mailboxes agree with what lies on the spool
#[derive(Parser)]
#[command(name = "reconstruct", version)]
struct Options {
    /// The configuration
    #[arg(short = 'C', default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// The mailboxes below, too
    #[arg(short = 'r')]
    recursive: bool,
    /// Take mailboxes of the spool into the list that it does not have
    #[arg(short = 'f')]
    find: bool,
    /// Mailboxes, as an admin names them; none: all
    mailboxes: Vec<String>,
}

fn main() -> ExitCode {
    let Options { config, recursive, find, mailboxes } = Options::parse();
    start::run("reconstruct", &config, async |imapd| {
        let namespace = service::names::namespace(&imapd);
        let view = View { userid: "cyrus", admin: true };
        let internal = |name: &String| {
            let name = namespace.internal(name, &view).map_err(|e| Failure::Said(format!("{name}: {e}")))?;
            Ok(name.to_string())
        };
        let names = mailboxes.iter().map(internal).collect::<Result<Vec<_>, Failure>>()?;
        match control::ask(&imapd, Request::Reconstruct(Which { names, recursive, find })).await {
            Ok(Answer::Reconstructed(done)) => {
                done.lines.iter().for_each(|line| println!("{line}"));
                match done.failed {
                    0 => Ok(()),
                    n => Err(Failure::Said(format!("{n} mailboxes could not be reconstructed"))),
                }
            }
            Ok(Answer::Failed(why)) | Err(why) => Err(Failure::Said(why)),
            Ok(Answer::Expired(_)) => Err(Failure::Said("the backend answered something else".into())),
        }
    })
}
