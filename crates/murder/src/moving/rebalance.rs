//! `murder rebalance`: some users move, so that no backend is much fuller than the others.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use config::imapd::Imapd;
use config::imapd::kind::{Kind, Value};
use service::{complain, say, say_part};
use upstream::Upstream;

use super::plan::{self, By};
use super::{spread, table, talk, wishes};
use crate::forget::is_named;
use crate::node;
use crate::who::now;

/// Moves the fewest and coldest users from the fullest backends to the emptiest: shows the plan first
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The imapd.conf of the MUPDATE master, or of a node that may change its list and log in at the backends
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// What is made alike
    #[arg(long, value_enum, default_value = "bytes")]
    by: By,
    /// By how much a backend may be above the mean
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = percent)]
    tolerance: f64,
    /// Move no more than so much in all; K, M and G are understood
    #[arg(long, value_name = "BYTES", value_parser = size)]
    max_bytes: Option<u64>,
    /// Only show the plan
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    wishes: wishes::Args,
}

/// 0 when all have moved, or nothing needs to; 1 when some stay, or nothing was done.
pub fn run(args: &Args) -> ExitCode {
    node::with_node(&args.config, async |imapd| match rebalance(args, &imapd).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            complain!("murder rebalance: {why}");
            ExitCode::FAILURE
        }
    })
}

async fn rebalance(args: &Args, imapd: &Imapd) -> Result<bool, String> {
    let mut master = node::master(imapd).await?;
    let servers = spread::targets(imapd, &mut master, &[], None).await?;
    let (upstream, mut sizes) = (Upstream::new(imapd), BTreeMap::new());
    for server in &servers {
        let shown = format!("{} of {} free", table::bytes(server.free), table::bytes(server.total));
        match talk::sizes(&upstream, &server.name).await? {
            Some(of) => {
                say!("{}: {} users and shared mailboxes, {shown}", server.name, of.len());
                sizes.insert(server.name.clone(), of);
            }
            None => say!("{}: {shown}; it has no queue of moves: nothing goes from it", server.name),
        }
    }
    let steps = plan::alike(&servers, sizes, args.by, args.tolerance, args.max_bytes, now());
    if steps.is_empty() {
        say!("nothing is to be moved");
        return Ok(true);
    }
    say_part!("{}", spread::text(&steps));
    for step in steps.iter().take(SHOWN) {
        say!("  {} {} -> {}, {}", step.size.root, step.from, step.to, table::bytes(step.size.bytes));
    }
    if args.dry_run {
        return Ok(true);
    }
    if !args.yes && !is_named("rebalance") {
        return Err("the word that was typed is not rebalance: nothing is moved".to_owned());
    }
    spread::carry_out(imapd, &spread::name("rebalance"), &steps, &args.wishes.wishes()).await
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').parse::<f64>().map_err(|error| error.to_string())?;
    if (0.0..=100.0).contains(&number) { Ok(number / 100.0) } else { Err("is no part of 100".to_owned()) }
}

fn size(text: &str) -> Result<u64, String> {
    match Kind::BYTES.read(text)?.0 {
        Value::Bytes(n) => u64::try_from(n).map_err(|error| error.to_string()),
        _ => Err("is no size".to_owned()),
    }
}

/// Moves that a plan names.
const SHOWN: usize = 50;

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Nobody is moved onto a cordoned backend, or one that would be more than nine tenths full; a user goes with everything. Of those that would
help most, who has had no mail for longest goes first.

Exit status:
  0   done, shown, or nothing was to be done
  1   some stay where they are, or nothing was done: the message says why
  78  the configuration is wrong

Examples:
  murder rebalance --dry-run
  murder rebalance --max-bytes 500G --at 22:00-06:00
  murder rebalance --by users --tolerance 10% --yes";
