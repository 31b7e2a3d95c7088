//! `murder move`: mailboxes go to another backend; `murder moves`: all moves of all backends, as their journals have them.
//!
//! The backend that has the mailbox does the work: it is asked by XFER, as an admin, and goes on whoever goes away.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use config::imapd::Imapd;
use mailboxes::Entry;
use moves::destination;
use moves::journal::{Record, Role};
use moves::source::Phase;
use protocol::name::MailboxName;
use protocol::namespace::View;
use service::{complain, say, say_part};
use upstream::Upstream;

use crate::node;
use crate::who::{age, now};

/// Moves a user or a shared mailbox to another backend while mail flows; sessions go on
#[derive(Debug, clap::Args)]
#[command(name = "move", after_help = AFTER_HELP)]
pub struct Args {
    /// The imapd.conf of the MUPDATE master, or of a node that may log in there and at the backends
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// Only show what would move
    #[arg(long)]
    dry_run: bool,
    /// A user, or a mailbox as an admin names it
    mailbox: String,
    /// The backend that takes it, and the partition there if it is not the one of the same name
    #[arg(value_name = "SERVER[!PARTITION]")]
    server: String,
}

/// Shows the moves of all backends: under way, waiting and why, and copies that are kept
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP_OF_MOVES)]
pub struct ListArgs {
    /// The node's imapd.conf
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// Print JSON: an object of backends, each with its journals
    #[arg(long)]
    json: bool,
    /// Those that are over, too
    #[arg(long)]
    all: bool,
}

/// 0 when it has moved (or was shown, with --dry-run), 1 when it stays where it was or nobody knows.
pub fn run(args: &Args) -> ExitCode {
    node::with_node(&args.config, async |imapd| match go(args, &imapd).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain!("murder move: {why}");
            ExitCode::FAILURE
        }
    })
}

async fn go(args: &Args, imapd: &Imapd) -> Result<(), String> {
    let (server, partition) = match args.server.split_once('!') {
        Some((server, partition)) => (server, Some(partition)),
        None => (args.server.as_str(), None),
    };
    let namespace = service::names::namespace(imapd);
    let admin = View { userid: "", admin: true, utf8: false };
    // Typed in a terminal.
    let name = namespace
        .internal(&args.mailbox, &View { utf8: true, ..admin })
        .map_err(|error| error.to_string())?;
    let mut master = node::master(imapd).await?;
    let mut found = None;
    for name in [Ok(name), namespace.inbox(&args.mailbox)].into_iter().flatten() {
        if let Some(entry) = master.find(&name).await.map_err(|error| error.to_string())? {
            found = Some((name, entry));
            break;
        }
    }
    let (name, entry) =
        found.ok_or_else(|| format!("the master lists no {}, and no such user", args.mailbox))?;
    if !entry.is_active() {
        return Err(format!("{name} is reserved: it is being made, or moved"));
    }
    let tree = tree(&mut master, &name).await?;
    say_part!("{}", plan(&name, &entry, &tree, &args.server));
    if entry.server() == server && partition.is_none_or(|p| entry.location.partition() == Some(p)) {
        return Err(format!("it is there already: {}", entry.location.as_str()));
    }
    if args.dry_run {
        return Ok(());
    }
    let external = namespace.external(&name, &admin);
    let words = [Some(external.as_str()), Some(server), partition];
    let words: Vec<String> = words.into_iter().flatten().map(quoted).collect();
    let told = |line: &str| say!("{}", line.trim_start_matches("* ").trim_start_matches("OK "));
    let command = format!("XFER {}", words.join(" "));
    let answer = Upstream::new(imapd).ask_at_length(entry.server(), &command, told).await;
    match answer {
        Ok(result) if result.starts_with("OK ") => {
            say!("{name} is on {}", args.server);
            Ok(())
        }
        Ok(result) => Err(format!("{}: {result}", entry.server())),
        Err(error) => Err(format!("{error}: whether it has moved, murder moves shows")),
    }
}

/// What goes with a user's INBOX.
async fn tree(
    master: &mut directory::client::Client,
    root: &MailboxName,
) -> Result<Vec<(MailboxName, Entry)>, String> {
    if !root.is_inbox() {
        return Ok(Vec::new());
    }
    let prefix = format!("{root}.");
    let all = master.list(None).await.map_err(|error| error.to_string())?;
    Ok(all.into_iter().filter(|(name, _)| name.as_str().starts_with(&prefix)).collect())
}

fn plan(root: &MailboxName, entry: &Entry, tree: &[(MailboxName, Entry)], to: &str) -> String {
    let mut out = format!("{root}: {} -> {to}\n", entry.location.as_str());
    let (with, elsewhere): (Vec<_>, Vec<_>) =
        tree.iter().partition(|(_, other)| other.server() == entry.server());
    if !with.is_empty() {
        let _ = writeln!(out, "  with {} mailboxes below it", with.len());
    }
    for (name, other) in elsewhere {
        let _ = writeln!(out, "  {name} stays on {}", other.server());
    }
    out
}

fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

/// 0, or 1 when a backend could not be asked.
pub fn list(args: &ListArgs) -> ExitCode {
    node::with_node(&args.config, async |imapd| {
        let (moves, complete) = all_moves(&imapd, args.all).await;
        match args.json {
            true => say!("{}", serde_json::to_string_pretty(&moves).unwrap_or_default()),
            false => say_part!("{}", table(&moves, now())),
        }
        if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
}

/// By backend. False: one could not be asked.
async fn all_moves(imapd: &Imapd, over: bool) -> (BTreeMap<String, Vec<Record>>, bool) {
    let (upstream, mut moves, mut complete) = (Upstream::new(imapd), BTreeMap::new(), true);
    for server in node::other_servers(imapd).await {
        let told = match upstream.server_entry(&server, "/shared/vendor/murder/moves").await {
            Ok(Some(told)) => serde_json::from_str::<Vec<Record>>(&told).map_err(|error| error.to_string()),
            // One of Cyrus has none.
            Ok(None) => continue,
            Err(error) => Err(error.to_string()),
        };
        match told {
            Ok(mut records) => {
                records.retain(|record| over || !is_over(record));
                moves.insert(server, records);
            }
            Err(why) => {
                complete = false;
                complain!("murder moves: {server}: {why}");
            }
        }
    }
    (moves, complete)
}

/// Nothing is left of it but the journal.
fn is_over(record: &Record) -> bool {
    match &record.role {
        Role::Source { phase, .. } => *phase == Phase::Aborted,
        Role::Destination { phase, .. } => {
            matches!(phase, destination::Phase::Done | destination::Phase::Aborted)
        }
    }
}

fn table(moves: &BTreeMap<String, Vec<Record>>, now: u64) -> String {
    let mut out =
        String::from("MAILBOX                  FROM -> TO                     STATE       SINCE     SENT\n");
    let mut count = 0usize;
    for (server, records) in moves {
        for record in records {
            count += 1;
            let (way, state, sent) = match &record.role {
                Role::Source { phase, to, messages, bytes, .. } => {
                    let sent = format!("{messages} messages, {} kB", bytes / 1000);
                    (format!("{server} -> {to}"), format!("{phase:?}"), sent)
                }
                Role::Destination { phase, from, .. } => {
                    (format!("{from} -> {server}"), format!("{phase:?}"), String::from("(comes in)"))
                }
            };
            let _ = writeln!(
                out,
                "{:<24} {way:<30} {:<11} {:<9} {sent}",
                record.root,
                state.to_lowercase(),
                age(now.saturating_sub(record.started)),
            );
            if let Some(why) = &record.why {
                let _ = writeln!(out, "    {why}");
            }
        }
    }
    let _ = writeln!(out, "{count} moves");
    out
}

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
What goes: the mailbox, of a user all of them with subscriptions, seen states, annotations, quotas and what is deleted but kept. Mail that
comes meanwhile, and clients that are on, go after it. The copy that was there stays hidden.

Exit status:
  0   it has moved, or was shown
  1   it stays where it is, or whether it has moved is not known: the message says which
  78  the configuration is wrong

Examples:
  murder move fred be2.example.org
  murder move shared/lists be2.example.org!archive
  murder move --dry-run fred be2.example.org";

/// What `--help` and the manual page end with.
const AFTER_HELP_OF_MOVES: &str = "\
States:
  queued, copying       mail goes over; changes are made where the mailbox was
  switching             the MUPDATE master's word is waited for: changes wait, reading goes on
  switched              it is decided, and being finished
  kept                  the copy that stays where the mailbox was
  incoming, prepared    the same as seen by the backend that takes it

Exit status:
  0   shown
  1   a backend could not be asked
  78  the configuration is wrong

Examples:
  murder moves
  murder moves --all --json";

#[cfg(test)]
mod tests {
    use protocol::location::Location;

    use super::*;

    #[test]
    fn a_plan_says_what_goes_and_what_stays() {
        let entry = |at: &str| Entry::active(Location::parse(at).unwrap(), "fred\tlrs\t");
        let named = |name: &str, at: &str| (MailboxName::parse(name).unwrap(), entry(at));
        let tree = [named("user.fred.a", "be1!default"), named("user.fred.b", "be3!default")];
        let root = MailboxName::parse("user.fred").unwrap();
        assert_eq!(
            plan(&root, &entry("be1!default"), &tree, "be2!fast"),
            "user.fred: be1!default -> be2!fast\n  with 1 mailboxes below it\n  user.fred.b stays on be3\n"
        );
        assert_eq!(quoted("a \"b\" \\c"), "\"a \\\"b\\\" \\\\c\"");
    }
}
