//! `murder cordon SERVER`, `murder uncordon SERVER`: a backend gets no new mailboxes, or gets them again.
//!
//! The MUPDATE master keeps it beside its list, and frontends of ours hear of it within milliseconds.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use config::imapd::Imapd;
use directory::client::Client;
use protocol::location::ServerName;
use serde_json::Value;
use service::{complain, say};

use crate::node;

/// Has frontends place no new mailboxes and no new users on a backend; what is there stays, and is served as ever
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The imapd.conf of the MUPDATE master, or of a node that may change its list
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// The backend, as its mailboxes are listed
    server: String,
}

/// Has frontends place new mailboxes on a backend again
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP_OF_UNCORDON)]
pub struct EndArgs {
    /// The imapd.conf of the MUPDATE master, or of a node that may change its list
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// The backend, as its mailboxes are listed
    server: String,
}

/// 0 when it is so, 1 when nothing was changed.
pub fn run(args: &Args) -> ExitCode {
    node::with_node(&args.config, async |imapd| {
        ended("cordon", &args.server, set(&imapd, &args.server, true).await)
    })
}

/// As [`run`].
pub fn end(args: &EndArgs) -> ExitCode {
    node::with_node(&args.config, async |imapd| {
        ended("uncordon", &args.server, set(&imapd, &args.server, false).await)
    })
}

fn ended(command: &str, server: &str, done: Result<(), String>) -> ExitCode {
    match done {
        Ok(()) if command == "cordon" => {
            say!("{server} gets no new mailboxes until murder uncordon {server}");
            ExitCode::SUCCESS
        }
        Ok(()) => {
            say!("{server} gets new mailboxes");
            ExitCode::SUCCESS
        }
        Err(why) => {
            complain!("murder {command}: {why}: nothing is changed");
            ExitCode::FAILURE
        }
    }
}

pub(crate) async fn set(imapd: &Imapd, server: &str, cordoned: bool) -> Result<(), String> {
    let name = ServerName::parse(server).map_err(|error| error.to_string())?;
    let mut master = node::master(imapd).await?;
    if !master.greeting().has("SERVERS") {
        return Err(
            "the MUPDATE master is Cyrus's, or an older one of ours: it keeps no such word".to_owned()
        );
    }
    let known = known(imapd, &mut master).await?;
    if cordoned && !known.contains(server) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        return Err(format!("no backend is called {server}; there are {}", known.join(", ")));
    }
    master.cordon(&name, cordoned).await.map_err(|error| error.to_string())
}

/// Who is a backend, as far as anybody knows: who has mailboxes, who was heard of, who is in `serverlist`.
pub(crate) async fn known(imapd: &Imapd, master: &mut Client) -> Result<BTreeSet<String>, String> {
    let status = master.status().await.map_err(|error| error.to_string())?;
    if status["role"] != "master" {
        return Err(
            "this list is not the MUPDATE master's: name its imapd.conf, or mupdate_server".to_owned()
        );
    }
    let names = |value: &Value| {
        let names = value.as_object().into_iter().flatten().map(|(name, _)| name.clone());
        names.collect::<Vec<String>>()
    };
    let mut known: BTreeSet<String> = names(&status["servers"]).into_iter().collect();
    known.extend(names(&status["seen"]));
    known.extend(names(&status["cordoned"]));
    known.extend(imapd.serverlist.iter().cloned());
    known.extend(imapd.defaultserver.clone());
    Ok(known)
}

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Exit status:
  0   frontends place nothing there any more
  1   nothing was changed: the message says why
  78  the configuration is wrong

Examples:
  murder cordon be1.example.org
  murder status                      shows who is cordoned, and since when
  murder uncordon be1.example.org";

/// What `--help` and the manual page end with.
const AFTER_HELP_OF_UNCORDON: &str = "\
Exit status:
  0   frontends place new mailboxes there again
  1   nothing was changed: the message says why
  78  the configuration is wrong

Examples:
  murder uncordon be1.example.org";
