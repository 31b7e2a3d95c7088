//! `murder moves`: all moves of all backends, and what an operator has done about one.

use std::path::PathBuf;
use std::process::ExitCode;

use config::imapd::Imapd;
use moves::MoveId;
use moves::journal::Role;
use moves::order::{Order, Shown};
use moves::wishes::Wishes;
use protocol::name::MailboxName;
use service::{complain, say, say_part};
use upstream::Upstream;

use super::{table, talk};
use crate::node;
use crate::who::now;

/// Shows the moves of all backends: under way, waiting and why, and copies that are kept; has one stop, go on, or go back
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The node's imapd.conf
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// Print JSON: an object of backends, each with its moves
    #[arg(long)]
    json: bool,
    /// Those that are over, too
    #[arg(long)]
    all: bool,
    /// Show them again and again, until none goes on or waits
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    #[command(flatten)]
    word: Word,
}

/// What is to be done about one.
#[derive(Debug, clap::Args)]
#[group(id = "word", multiple = false)]
struct Word {
    /// A move that is not decided waits until it is resumed
    #[arg(long, value_name = "ID")]
    stop: Option<String>,
    /// A stopped move goes on
    #[arg(long, value_name = "ID")]
    resume: Option<String>,
    /// A move that is not decided is given up
    #[arg(long, value_name = "ID")]
    cancel: Option<String>,
    /// The copy that a move left is removed now, if the other backend is proven to have the mailboxes
    #[arg(long, value_name = "ID")]
    confirm: Option<String>,
    /// The copy of a mailbox that was deleted since is removed: it is the last one
    #[arg(long, value_name = "ID")]
    discard: Option<String>,
    /// Move back where the copy is kept
    #[arg(long, value_name = "USER")]
    undo: Option<String>,
    /// The source is lost: what has come of a move is the mailbox, as of its last round
    #[arg(long, value_name = "ID")]
    adopt: Option<String>,
    /// The destination is lost: the copy that is kept is the mailbox, as of when it went
    #[arg(long, value_name = "ID")]
    restore_kept: Option<String>,
}

/// 0, or 1 when a backend could not be asked or something could not be done.
pub fn run(args: &Args) -> ExitCode {
    node::with_node(&args.config, async |imapd| match word(args, &imapd).await {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(why)) => {
            complain!("murder moves: {why}");
            ExitCode::FAILURE
        }
        None => list(args, &imapd).await,
    })
}

async fn list(args: &Args, imapd: &Imapd) -> ExitCode {
    loop {
        let (moves, complete) = talk::all(imapd, args.all).await;
        match args.json {
            true => say!("{}", serde_json::to_string_pretty(&moves).unwrap_or_default()),
            false => say_part!("{}", table::table(&moves, now())),
        }
        let goes_on = |shown: &Shown| shown.record.is_busy() && !shown.record.wishes.stopped;
        if !args.watch || complete && !moves.values().flatten().any(goes_on) {
            return if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        tokio::time::sleep(WATCH).await;
        say!("");
    }
}

/// None: nothing is to be done but to look.
async fn word(args: &Args, imapd: &Imapd) -> Option<Result<(), String>> {
    let word = &args.word;
    let (named, order): (&str, fn(MoveId) -> Order) = if let Some(id) = &word.stop {
        (id, |id| Order::Stop { id })
    } else if let Some(id) = &word.resume {
        (id, |id| Order::Resume { id })
    } else if let Some(id) = &word.cancel {
        (id, |id| Order::Cancel { id })
    } else if let Some(id) = &word.confirm {
        (id, |id| Order::Confirm { id })
    } else if let Some(id) = &word.discard {
        (id, |id| Order::Discard { id })
    } else if let Some(id) = &word.restore_kept {
        (id, |id| Order::Restore { id })
    } else if let Some(id) = &word.adopt {
        (id, |id| Order::Adopt { id })
    } else {
        return match &word.undo {
            Some(user) => Some(undo(imapd, user).await),
            None => None,
        };
    };
    Some(tell(imapd, named, order).await)
}

/// Tells the backend that has the move's journal on the right side.
async fn tell(imapd: &Imapd, named: &str, order: fn(MoveId) -> Order) -> Result<(), String> {
    let (moves, _) = talk::all(imapd, true).await;
    let arrives = |shown: &Shown| matches!(shown.record.role, Role::Destination { .. });
    let example = MoveId::parse("0").map_err(|error| error.to_string())?;
    let of_destination = matches!(order(example), Order::Adopt { .. });
    let fits = |shown: &&Shown| {
        arrives(shown) == of_destination
            && (shown.record.id.as_str().starts_with(named) || shown.record.root == named)
    };
    let all: Vec<(&String, &Shown)> = moves
        .iter()
        .flat_map(|(server, all)| all.iter().filter(fits).map(move |shown| (server, shown)))
        .collect();
    let (server, shown) = match all.as_slice() {
        [one] => *one,
        [] => return Err(format!("{named}: no backend that answers has such a move")),
        many => return Err(format!("{named}: {} moves are meant: write more of the id", many.len())),
    };
    talk::order(&Upstream::new(imapd), server, &order(shown.record.id.clone())).await?;
    say!("{} {}: done on {server}", table::short(&shown.record.id), shown.record.root);
    Ok(())
}

/// Moves back what moved, to where a copy of it is kept.
async fn undo(imapd: &Imapd, named: &str) -> Result<(), String> {
    let namespace = service::names::namespace(imapd);
    let admin = protocol::namespace::View { userid: "", admin: true, utf8: true };
    let names: Vec<MailboxName> =
        [namespace.internal(named, &admin), namespace.inbox(named)].into_iter().flatten().collect();
    let (moves, _) = talk::all(imapd, false).await;
    let kept = moves.iter().flat_map(|(server, all)| all.iter().map(move |shown| (server, shown)));
    let kept = kept.filter(|(_, shown)| {
        shown.record.is_kept() && names.iter().any(|name| name.as_str() == shown.record.root)
    });
    let (server, shown) = kept
        .max_by_key(|(_, shown)| shown.record.started)
        .ok_or_else(|| format!("{named}: no backend that answers keeps a copy of it"))?;
    let name = MailboxName::parse(&shown.record.root).map_err(|error| error.to_string())?;
    let mut master = node::master(imapd).await?;
    let entry = master.find(&name).await.map_err(|error| error.to_string())?;
    let entry = entry.ok_or_else(|| format!("the master lists no {name}"))?;
    if entry.server() == server {
        return Err(format!("{name} is on {server} already"));
    }
    let order = Order::Move {
        id: MoveId::new().map_err(|error| error.to_string())?,
        root: name.to_string(),
        to: server.clone(),
        partition: shown.record.items.first().map(|item| item.partition.clone()),
        wishes: Wishes { tree: shown.record.wishes.tree, ..Wishes::default() },
        patient: false,
    };
    let upstream = Upstream::new(imapd);
    say!("{name}: {} -> {server}", entry.location.as_str());
    let id = talk::order(&upstream, entry.server(), &order).await?;
    let id = MoveId::parse(&id).map_err(|error| error.to_string())?;
    let shown = super::follow(&upstream, entry.server(), &name, &id).await?;
    let pause = shown.record.pause.map_or(String::new(), |ms| format!("; changes waited for {ms} ms"));
    say!("{name} is on {server}{pause}");
    Ok(())
}

/// How often they are shown.
const WATCH: std::time::Duration = std::time::Duration::from_secs(2);

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
States:
  queued                its turn has not come: the line below says what it waits for
  stopped               it waits for murder moves --resume
  copying               mail goes over; changes are made where the mailbox was
  switching             the MUPDATE master's word is waited for: changes wait, reading goes on
  switched              it is decided, and being finished
  kept                  the copy that stays where the mailbox was, for move_keep
  incoming, prepared    the same as seen by the backend that takes it
  done, aborted         it is over (--all); shown for 30 days

An ID may be cut short, or be the name of the mailbox where one move alone has it.

Exit status:
  0   shown, or done
  1   a backend could not be asked, or it was not done
  78  the configuration is wrong

Examples:
  murder moves
  murder moves --watch
  murder moves --all --json
  murder moves --stop 4f9a1c20
  murder moves --undo fred
  murder moves --confirm 4f9a1c20      removes the copy that is kept, with proof that the other backend has it
  murder moves --restore-kept 4f9a1c20 takes it back where the other backend's disk is lost";
