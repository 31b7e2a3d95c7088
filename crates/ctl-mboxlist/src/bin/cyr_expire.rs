//! `cyr_expire`: ends delayed deletes, expunged messages, and the memory of deliveries.

use std::process::ExitCode;

use backend::control::{self, Answer, Request};
use clap::Parser;
use ctl_mboxlist::{expire::Options, lists::Failure, nodes, start};
use store::Ages;

fn main() -> ExitCode {
    let Options { config, deleted, delivered, expunged, no_annotations, prefix, keywords, user, verbose } =
        Options::parse();
    if deleted.is_none() && delivered.is_none() && expunged.is_none() && !keywords {
        service::complain!("cyr_expire: one of -D, -E, -X and -t is needed");
        return ExitCode::from(64);
    }
    let ages = Ages { deleted, delivered, expunged, no_annotations, prefix, keywords, user };
    start::run("cyr_expire", &config, async |imapd| {
        if !nodes::keeps_mail(&imapd) {
            // As with Cyrus on a frontend: its cyrus.conf may well have the line of a backend's.
            return Ok(());
        }
        match control::ask(&imapd, Request::Expire(ages)).await.map_err(Failure::Said)? {
            Answer::Expired(done) if verbose > 0 => {
                service::say!(
                    "Expired {} and expunged {} out of {} mailboxes",
                    done.expired,
                    done.expunged,
                    done.mailboxes
                );
                service::say!("Removed {} deleted mailboxes", done.deleted);
                service::say!("Forgot {} deliveries", done.deliveries);
                service::say!("Freed {} keywords", done.keywords);
                failed(done.failed)
            }
            Answer::Expired(done) => failed(done.failed),
            Answer::Failed(why) => Err(Failure::Said(why)),
            Answer::Reconstructed(_) | Answer::Indexed(_) => {
                Err(Failure::Said("the backend answered something else".into()))
            }
        }
    })
}

fn failed(mailboxes: u64) -> Result<(), Failure> {
    match mailboxes {
        0 => Ok(()),
        n => Err(Failure::Said(format!("{n} mailboxes could not be treated; the log says why"))),
    }
}
