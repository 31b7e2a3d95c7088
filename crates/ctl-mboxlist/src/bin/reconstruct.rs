//! `reconstruct`: makes indexes agree with the message files, and the list with the spool.

use std::process::ExitCode;

use backend::control::{self, Answer, Request};
use clap::Parser;
use ctl_mboxlist::reconstruct::Options;
use ctl_mboxlist::{lists::Failure, nodes, start};
use protocol::namespace::View;
use store::Which;

fn main() -> ExitCode {
    let Options { config, recursive, find, mailboxes } = Options::parse();
    start::run("reconstruct", &config, async |imapd| {
        if !nodes::keeps_mail(&imapd) {
            return Err(Failure::Said("no partition-NAME is set: this node keeps no mail".into()));
        }
        let namespace = service::names::namespace(&imapd);
        let view = View { userid: "cyrus", admin: true, utf8: false };
        let internal = |name: &String| {
            let name = namespace.internal(name, &view).map_err(|e| Failure::Said(format!("{name}: {e}")))?;
            Ok(name.to_string())
        };
        let names = mailboxes.iter().map(internal).collect::<Result<Vec<_>, Failure>>()?;
        match control::ask(&imapd, Request::Reconstruct(Which { names, recursive, find })).await {
            Ok(Answer::Reconstructed(done)) => {
                done.lines.iter().for_each(|line| service::say!("{line}"));
                match done.failed {
                    0 => Ok(()),
                    n => Err(Failure::Said(format!("{n} mailboxes could not be reconstructed"))),
                }
            }
            Ok(Answer::Failed(why)) | Err(why) => Err(Failure::Said(why)),
            Ok(Answer::Expired(_) | Answer::Indexed(_)) => {
                Err(Failure::Said("the backend answered something else".into()))
            }
        }
    })
}
