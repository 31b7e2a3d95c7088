//! `murder remove SERVER`: the murder forgets a backend that has nothing any more.

use std::path::PathBuf;
use std::process::ExitCode;

use config::imapd::Imapd;
use directory::client::Client;
use mailboxes::Cordons;
use moves::journal::Role;
use moves::order::Shown;
use protocol::location::ServerName;
use service::{complain, say};
use upstream::Upstream;

use super::talk;
use crate::node;

/// Has the murder forget a backend that is empty; refuses, and says why, while anything of it is left
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The imapd.conf of the MUPDATE master, or of a node that may change its list and log in at the backends
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// Only say whether it could be
    #[arg(long)]
    dry_run: bool,
    /// The backend, as its mailboxes were listed
    server: String,
}

/// 0 when it is forgotten (or could be, with --dry-run), 1 when something is left of it.
pub fn run(args: &Args) -> ExitCode {
    node::with_node(&args.config, async |imapd| match remove(args, &imapd).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(objections) => {
            objections.iter().for_each(|why| complain!("murder remove: {why}"));
            ExitCode::FAILURE
        }
    })
}

async fn remove(args: &Args, imapd: &Imapd) -> Result<(), Vec<String>> {
    let server = &args.server;
    let name = ServerName::parse(server).map_err(|error| vec![error.to_string()])?;
    let mut master = node::master(imapd).await.map_err(|why| vec![why])?;
    let all = master.list(Some(&format!("{server}!"))).await.map_err(|error| vec![error.to_string()])?;
    let mut objections = Vec::new();
    if !all.is_empty() {
        let active = all.iter().filter(|(_, entry)| entry.is_active()).count();
        objections.push(format!(
            "the master lists {active} mailboxes of {server}, and {} reservations: murder drain {server}, or murder forget {server} where it is dead",
            all.len() - active
        ));
    }
    if imapd.lists_server(server) {
        objections
            .push(format!("{server} stands in serverlist or defaultserver of {}", args.config.display()));
    }
    let upstream = Upstream::new(imapd);
    let mut others = crate::node::other_servers(imapd).await;
    others.extend(crate::cordon::known(imapd, &mut master).await.map_err(|why| vec![why])?);
    others.insert(server.clone());
    let cordons = master.cordons().await.map_err(|error| vec![error.to_string()])?;
    for other in &others {
        if other == &imapd.servername {
            continue;
        }
        match talk::moves_of(&upstream, other, false).await {
            Ok(moves) => objections.extend(left(other, server, &moves.unwrap_or_default())),
            // It was removed before: nothing is listed there, and nothing comes to be.
            Err(_) if other != server && is_removed(&mut master, &cordons, other).await? => {}
            Err(why) => objections.push(format!("{other} does not say what it keeps: {why}")),
        }
    }
    if !objections.is_empty() {
        return Err(objections);
    }
    if args.dry_run {
        say!("nothing is left of {server}");
        return Ok(());
    }
    if !master.greeting().has("SERVERS") {
        say!("{server} is forgotten: take it out of serverlist on all frontends, and stop it");
        return Ok(());
    }
    // Nobody knows what stands in the serverlist of every frontend.
    master.cordon(&name, true).await.map_err(|error| vec![error.to_string()])?;
    say!(
        "{server} is forgotten: stop it, and take it out of serverlist on all frontends. It stays cordoned, so that none of them places anything there meanwhile; then: murder uncordon {server}"
    );
    Ok(())
}

/// Whether nothing is listed of a cordoned server.
async fn is_removed(master: &mut Client, cordons: &Cordons, server: &str) -> Result<bool, Vec<String>> {
    let cordoned = ServerName::parse(server).is_ok_and(|name| cordons.contains_key(&name));
    let listed = master.list(Some(&format!("{server}!"))).await.map_err(|error| vec![error.to_string()])?;
    Ok(cordoned && listed.is_empty())
}

/// What moves leave of a server to others, or of others to it.
fn left(at: &str, server: &str, moves: &[Shown]) -> Option<String> {
    let concerns = |shown: &&Shown| match &shown.record.role {
        // What it gave is the other's own.
        Role::Source { to, .. } => at == server || to == server,
        Role::Destination { from, .. } => at == server || from == server,
    };
    let of: Vec<&Shown> = moves.iter().filter(concerns).collect();
    let kept = of.iter().filter(|shown| shown.record.is_kept()).count();
    let (first, open) = (of.first()?, of.len() - kept);
    let what = match (kept, open) {
        (kept, 0) => {
            format!("{kept} copies that moves left (murder moves --confirm ID, or wait for move_keep)")
        }
        (0, open) => format!("{open} moves that are not over"),
        (kept, open) => format!("{kept} copies that moves left, and {open} moves that are not over"),
    };
    Some(format!("{at} has {what}, the first of {}", first.record.root))
}

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
It refuses while the master lists anything of the server (deleted mailboxes that are kept, and reservations, too), while a copy that a move
left lies there or a move to or from it is not over, while a backend does not answer, and while this node's serverlist or defaultserver has it.
The server stays cordoned: other frontends may have it in serverlist still. When none has, murder uncordon makes an end of that.

Exit status:
  0   it is forgotten, or could be
  1   something is left of it: each message says what
  78  the configuration is wrong

Examples:
  murder drain be1.example.org && murder remove --dry-run be1.example.org
  murder remove be1.example.org";
