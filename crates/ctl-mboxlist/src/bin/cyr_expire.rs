//! `cyr_expire`: ends delayed deletes, expunged messages, and the memory of deliveries.

use std::path::PathBuf;
use std::process::ExitCode;

use backend::control::{self, Answer, Request};
use backend::store::Ages;
use clap::Parser;
use ctl_mboxlist::{age, lists::Failure, start};

/// End delayed deletes, expunged messages and the memory of deliveries
#[derive(Parser)]
#[command(name = "cyr_expire", version)]
struct Options {
    /// The configuration
    #[arg(short = 'C', default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// Mailboxes deleted longer ago than this go for good (days, or like 1d12h)
    #[arg(short = 'D', value_parser = age::parse)]
    deleted: Option<u64>,
    /// Deliveries older than this are forgotten; and messages of mailboxes with an `expire` annotation go, by its days
    #[arg(short = 'E', value_parser = age::parse)]
    delivered: Option<u64>,
    /// Messages expunged longer ago than this go for good
    #[arg(short = 'X', value_parser = age::parse)]
    expunged: Option<u64>,
    /// Pass over `expire` annotations
    #[arg(short = 'a')]
    no_annotations: bool,
    /// Only mailboxes whose internal names begin so
    #[arg(short = 'p')]
    prefix: Option<String>,
    /// Only this user's mailboxes
    #[arg(short = 'u')]
    user: Option<String>,
    /// Say what was done
    #[arg(short = 'v', action = clap::ArgAction::Count)]
    verbose: u8,
}

fn main() -> ExitCode {
    let Options { config, deleted, delivered, expunged, no_annotations, prefix, user, verbose } =
        Options::parse();
    if deleted.is_none() && delivered.is_none() && expunged.is_none() {
        eprintln!("cyr_expire: one of -D, -E and -X is needed");
        return ExitCode::from(64);
    }
    let ages = Ages { deleted, delivered, expunged, no_annotations, prefix, user };
    start::run("cyr_expire", &config, async |imapd| {
        match control::ask(&imapd, Request::Expire(ages)).await.map_err(Failure::Said)? {
            Answer::Expired(done) if verbose > 0 => {
                println!(
                    "Expired {} and expunged {} out of {} mailboxes",
                    done.expired, done.expunged, done.mailboxes
                );
                println!("Removed {} deleted mailboxes", done.deleted);
                println!("Forgot {} deliveries", done.deliveries);
                failed(done.failed)
            }
            Answer::Expired(done) => failed(done.failed),
            Answer::Failed(why) => Err(Failure::Said(why)),
            Answer::Reconstructed(_) => Err(Failure::Said("the backend answered something else".into())),
        }
    })
}

fn failed(mailboxes: u64) -> Result<(), Failure> {
    match mailboxes {
        0 => Ok(()),
        n => Err(Failure::Said(format!("{n} mailboxes could not be treated; the log says why"))),
    }
}
