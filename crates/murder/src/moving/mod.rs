//! `murder move`: mailboxes go to another backend; `murder moves`: all moves of all backends, and words about them.
//!
//! The backend that has the mailbox does the work, and goes on whoever goes away: one of ours takes an order into its queue, one of Cyrus's
//! is asked by XFER.

pub mod moves_cmd;
pub mod plan;
pub mod rebalance;
pub mod remove;
pub mod spread;
pub mod table;
pub mod talk;
pub mod wishes;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use config::imapd::Imapd;
use mailboxes::Entry;
use moves::MoveId;
use moves::journal::Role;
use moves::order::{Order, Plan, Shown};
use moves::source::Phase;
use protocol::name::MailboxName;
use protocol::namespace::View;
use service::{complain, say, say_part};
use upstream::Upstream;

use crate::node;
use talk::quoted;

/// Moves a user or a shared mailbox to another backend while mail flows; sessions go on
#[derive(Debug, clap::Args)]
#[command(name = "move", after_help = AFTER_HELP)]
pub struct Args {
    /// The imapd.conf of the MUPDATE master, or of a node that may log in there and at the backends
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// Only show what would move, and whether there is room
    #[arg(long)]
    dry_run: bool,
    /// Take the mailboxes below a shared one along
    #[arg(long)]
    tree: bool,
    /// Do not wait for its end
    #[arg(long)]
    queue: bool,
    #[command(flatten)]
    wishes: wishes::Args,
    /// A user, or a mailbox as an admin names it
    mailbox: String,
    /// The backend that takes it, and the partition there if it is not the one of the same name
    #[arg(value_name = "SERVER[!PARTITION]")]
    server: String,
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
    if entry.server() == server && partition.is_none_or(|p| entry.location.partition() == Some(p)) {
        return Err(format!("it is there already: {}", entry.location.as_str()));
    }
    let upstream = Upstream::new(imapd);
    let asked = Order::Plan {
        root: name.to_string(),
        to: server.to_owned(),
        partition: partition.map(str::to_owned),
        tree: args.tree,
    };
    let plan = talk::plan(&upstream, entry.server(), &asked).await?;
    say_part!("{}", text(&name, &entry, &tree, args, plan.as_ref()));
    match &plan {
        _ if args.dry_run => {
            let trouble = plan.and_then(|plan| plan.trouble);
            trouble.map_or(Ok(()), Err)
        }
        Some(_) => {
            let id = MoveId::new().map_err(|error| error.to_string())?;
            let wishes = moves::wishes::Wishes { tree: args.tree, ..args.wishes.wishes() };
            let queue = args.queue || args.wishes.waits();
            let order = Order::Move {
                id: id.clone(),
                root: name.to_string(),
                to: server.to_owned(),
                partition: partition.map(str::to_owned),
                wishes,
                patient: queue,
            };
            let told = talk::order(&upstream, entry.server(), &order).await?;
            // Somebody may have asked for the same before.
            let id = MoveId::parse(&told).unwrap_or(id);
            if queue {
                say!("{name} is queued on {} as {}", entry.server(), table::short(&id));
                return Ok(());
            }
            let shown = follow(&upstream, entry.server(), &name, &id).await?;
            let pause =
                shown.record.pause.map_or(String::new(), |ms| format!("; changes waited for {ms} ms"));
            say!("{name} is on {}{pause}", args.server);
            Ok(())
        }
        None if args.tree || args.queue || !args.wishes.is_empty() => {
            Err(format!("{} has no queue of moves: only a plain move can be asked of it", entry.server()))
        }
        None => {
            by_xfer(&upstream, (&name, &namespace.external(&name, &admin)), &entry, server, partition).await
        }
    }
}

/// As Cyrus is asked.
async fn by_xfer(
    upstream: &Upstream,
    (name, external): (&MailboxName, &str),
    entry: &Entry,
    server: &str,
    partition: Option<&str>,
) -> Result<(), String> {
    let words = [Some(external), Some(server), partition];
    let words: Vec<String> = words.into_iter().flatten().map(quoted).collect();
    let told = |line: &str| say!("{}", line.trim_start_matches("* ").trim_start_matches("OK "));
    let command = format!("XFER {}", words.join(" "));
    let answer = upstream.ask_at_length(entry.server(), &command, told).await;
    match answer {
        Ok(result) if result.starts_with("OK ") => {
            say!("{name} is on {server}");
            Ok(())
        }
        Ok(result) => Err(format!("{}: {result}", entry.server())),
        Err(error) => Err(format!("{error}: whether it has moved, murder moves shows")),
    }
}

/// Tells how far a move is until it is decided, which is how it ended.
pub(crate) async fn follow(
    upstream: &Upstream,
    server: &str,
    name: &MailboxName,
    id: &MoveId,
) -> Result<Shown, String> {
    let (mut told, mut silent) = (String::new(), 0);
    loop {
        let shown = match talk::one(upstream, server, id.as_str()).await {
            Ok(shown) => shown,
            // It may start anew: the move goes on then.
            Err(why) if silent >= SILENT => {
                return Err(format!("{why}: whether it has moved, murder moves shows"));
            }
            Err(_) => {
                silent += 1;
                tokio::time::sleep(LOOK).await;
                continue;
            }
        };
        silent = 0;
        let Some(shown) = shown else { return Err("the backend knows nothing of it any more".to_owned()) };
        let Role::Source { phase, .. } = &shown.record.role else {
            return Err("the backend has another move of this id".to_owned());
        };
        match phase {
            Phase::Queued if shown.record.wishes.stopped => {
                return Err("stopped by an operator: it stays queued".to_owned());
            }
            Phase::Queued | Phase::Copying | Phase::Switching => {}
            Phase::Switched | Phase::Kept => return Ok(shown),
            Phase::Aborted => {
                let why = shown.record.why.clone();
                return Err(why.unwrap_or_else(|| "the move was given up".to_owned()));
            }
        }
        let now = format!("{name}: {}", table::progress(&shown));
        if now != told {
            say!("{now}");
            told = now;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What lies below.
async fn tree(
    master: &mut directory::client::Client,
    root: &MailboxName,
) -> Result<Vec<(MailboxName, Entry)>, String> {
    let prefix = format!("{root}.");
    let all = master.list(None).await.map_err(|error| error.to_string())?;
    Ok(all.into_iter().filter(|(name, _)| name.as_str().starts_with(&prefix)).collect())
}

fn text(
    root: &MailboxName,
    entry: &Entry,
    tree: &[(MailboxName, Entry)],
    args: &Args,
    plan: Option<&Plan>,
) -> String {
    let mut out = format!("{root}: {} -> {}\n", entry.location.as_str(), args.server);
    let goes = root.is_inbox() || args.tree;
    let (with, elsewhere): (Vec<_>, Vec<_>) =
        tree.iter().partition(|(_, other)| goes && other.server() == entry.server());
    match plan {
        Some(plan) => {
            let bytes = table::bytes(plan.bytes);
            let _ = writeln!(out, "  {} mailboxes, {} messages, {bytes}", plan.mailboxes, plan.messages);
            if plan.roots > 0 {
                let _ = writeln!(out, "  {} quota roots with their limits", plan.roots);
            }
            if let Some(above) = &plan.above {
                let _ = writeln!(out, "  the quota root {above} stays: what moves counts to it no more");
            }
            if let Some(free) = plan.free {
                let _ = writeln!(out, "  {} are free on {} there", table::bytes(free), plan.partition);
            }
        }
        None if !with.is_empty() => {
            let _ = writeln!(out, "  with {} mailboxes below it", with.len());
        }
        None => {}
    }
    for (name, other) in elsewhere.iter().take(STAYS) {
        let _ = writeln!(out, "  {name} stays on {}", other.server());
    }
    if elsewhere.len() > STAYS {
        let _ = writeln!(out, "  and {} more below it stay where they are", elsewhere.len() - STAYS);
    }
    out
}

/// How often it is looked how far a move is.
const LOOK: std::time::Duration = std::time::Duration::from_secs(1);
/// How many looks in a row may have no answer.
const SILENT: u32 = 60;
/// Mailboxes of which it is said that they stay.
const STAYS: usize = 20;

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
What goes: the mailbox, of a user all of them with subscriptions, seen states, annotations, quotas and what is deleted but kept. Mail that
comes meanwhile, and clients that are on, go after it. The copy that was there stays hidden.

A move that the other backend has no time for now waits in the queue of the one that has the mailbox (move_parallel); with --queue or --at this
command does not wait for it. It goes on though this command ends, and after restarts.

Exit status:
  0   it has moved, is queued, or was shown and can be
  1   it stays where it is, or whether it has moved is not known: the message says which
  78  the configuration is wrong

Examples:
  murder move fred be2.example.org
  murder move shared/lists be2.example.org!archive --tree
  murder move --dry-run fred be2.example.org
  murder move fred be2.example.org --queue --rate 50M --at 22:00-06:00 --keep 14d";

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
        let args = Args {
            config: PathBuf::new(),
            dry_run: true,
            tree: false,
            queue: false,
            wishes: wishes::Args::default(),
            mailbox: "fred".to_owned(),
            server: "be2!fast".to_owned(),
        };
        assert_eq!(
            text(&root, &entry("be1!default"), &tree, &args, None),
            "user.fred: be1!default -> be2!fast\n  with 1 mailboxes below it\n  user.fred.b stays on be3\n"
        );
        let plan = Plan {
            mailboxes: 2,
            messages: 1000,
            bytes: 4_100_000,
            partition: "fast".to_owned(),
            free: Some(3_100_000_000),
            roots: 1,
            above: None,
            trouble: None,
        };
        assert_eq!(
            text(&root, &entry("be1!default"), &tree, &args, Some(&plan)),
            "user.fred: be1!default -> be2!fast\n  2 mailboxes, 1000 messages, 4.1 MB\n  1 quota roots with their limits\n  \
             3.1 GB are free on fast there\n  user.fred.b stays on be3\n"
        );
        let shared = MailboxName::parse("lists").unwrap();
        let below = [named("lists.a", "be1!default")];
        let stays = text(&shared, &entry("be1!default"), &below, &args, None);
        assert_eq!(stays, "lists: be1!default -> be2!fast\n  lists.a stays on be1\n");
        assert_eq!(talk::quoted("a \"b\" \\c"), "\"a \\\"b\\\" \\\\c\"");
    }
}
