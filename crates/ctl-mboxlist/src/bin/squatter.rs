//! `squatter`: brings the index of the text of messages up to date.

use std::process::ExitCode;

use backend::control::{self, Answer, Request};
use clap::Parser;
use ctl_mboxlist::squatter::Options;
use ctl_mboxlist::{lists::Failure, nodes, start};
use protocol::namespace::View;
use store::Which;

fn main() -> ExitCode {
    let options = Options::parse();
    start::run("squatter", &options.config, async |imapd| {
        if options.rolling || !nodes::keeps_mail(&imapd) {
            // The backend does it; or this is a frontend, whose cyrus.conf has the line of a backend's.
            return Ok(());
        }
        let namespace = service::names::namespace(&imapd);
        let view = View { userid: "cyrus", admin: true, utf8: false };
        let separator = namespace.separator();
        let internal = |name: &String| {
            let name = if options.users { format!("user{separator}{name}") } else { name.clone() };
            let name = namespace.internal(&name, &view).map_err(|e| Failure::Said(format!("{name}: {e}")))?;
            Ok(name.to_string())
        };
        let names = options.mailboxes.iter().map(internal).collect::<Result<Vec<_>, Failure>>()?;
        let which = Which { names, recursive: options.recursive || options.users, find: false };
        match control::ask(&imapd, Request::Index(which)).await.map_err(Failure::Said)? {
            Answer::Indexed(done) => {
                if options.verbose > 0 {
                    service::say!("Indexed {} mailboxes", done.mailboxes);
                }
                done.failed.iter().for_each(|line| service::say!("{line}"));
                match done.failed.len() {
                    0 => Ok(()),
                    n => Err(Failure::Said(format!("{n} mailboxes could not be indexed"))),
                }
            }
            Answer::Failed(why) => Err(Failure::Said(why)),
            _ => Err(Failure::Said("the backend answered something else".into())),
        }
    })
}
