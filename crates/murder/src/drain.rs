//! `murder drain`: the node's readiness endpoint fails, so that a load balancer sends new clients elsewhere; those that are on stay.
//! `murder drain SERVER` moves all mailboxes of a backend to others.
//!
//! The state is a file, `{configdirectory}/msg/drain`: it outlives a restart, and anybody can see it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use config::imapd::Imapd;
use rustix::process::{
    Flock, FlockType, Pid, PidfdFlags, Signal, fcntl_getlk, pidfd_open, pidfd_send_signal,
};

use upstream::Upstream;

use crate::forget::is_named;
use crate::moving::{plan, spread, table, talk, wishes};
use crate::{node, who};

/// Has load balancers send new clients elsewhere: /readyz fails, and everything goes on; with a server: moves all of its mailboxes to others
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The node's imapd.conf
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// Take clients again
    #[arg(long, conflicts_with_all = ["wait", "stop"])]
    end: bool,
    /// Wait until no client is on, for so many seconds at most
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    /// Then stop the node, whoever is still on
    #[arg(long)]
    stop: bool,
    /// Of a server: the backends that take its mailboxes. Default: all that are not cordoned, by their room
    #[arg(long, value_name = "SERVER", requires = "server", value_delimiter = ',')]
    to: Vec<String>,
    /// Of a server: only show the plan
    #[arg(long, requires = "server")]
    dry_run: bool,
    /// Of a server: do not ask
    #[arg(long, requires = "server")]
    yes: bool,
    #[command(flatten)]
    wishes: wishes::Args,
    /// A backend that is to be emptied, as its mailboxes are listed; without it, this node wants no new clients
    #[arg(conflicts_with_all = ["end", "wait", "stop"])]
    server: Option<String>,
}

/// 0, or 1 when clients are still on after the wait, or something failed.
pub fn run(args: &Args) -> ExitCode {
    if let Some(server) = &args.server {
        return node::with_node(&args.config, async |imapd| match empty_server(args, &imapd, server).await {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(why) => {
                service::complain!("murder drain: {why}");
                ExitCode::FAILURE
            }
        });
    }
    if !args.wishes.is_empty() {
        service::complain!(
            "murder drain: --rate, --at and --keep are of a server's mailboxes: name the server"
        );
        return ExitCode::from(2);
    }
    node::with_node(&args.config, async |imapd| match drain(args, &imapd).await {
        Ok(empty) => {
            if empty {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            service::complain!("murder drain: {error}");
            ExitCode::FAILURE
        }
    })
}

/// Moves everything of a backend to others. False: something stays.
async fn empty_server(args: &Args, imapd: &Imapd, server: &str) -> Result<bool, String> {
    let mut master = node::master(imapd).await?;
    let all = master.list(Some(&format!("{server}!"))).await.map_err(|error| error.to_string())?;
    if all.is_empty() {
        return Err(format!("the master lists nothing of {server}"));
    }
    let upstream = Upstream::new(imapd);
    let sizes = talk::sizes(&upstream, server).await?;
    let sizes =
        sizes.ok_or_else(|| format!("{server} has no queue of moves: use murder move for each user"))?;
    let targets = spread::targets(imapd, &mut master, &args.to, Some(server)).await?;
    let (steps, stay) = plan::empty(server, sizes, &targets);
    service::say_part!("{}", spread::text(&steps));
    for size in stay.iter().take(SHOWN) {
        service::say!("{} stays: no backend has room for its {}", size.root, table::bytes(size.bytes));
    }
    let go: usize = steps.iter().map(|step| step.size.mailboxes).sum();
    service::say!(
        "the master lists {} mailboxes of {server}; {go} go, with what is deleted and kept of their users",
        all.len()
    );
    if args.dry_run {
        return Ok(stay.is_empty());
    }
    if !args.yes && !is_named(server) {
        return Err("the name that was typed is another one: nothing is moved".to_owned());
    }
    match crate::cordon::set(imapd, server, true).await {
        Ok(()) => service::say!("{server} is cordoned: it gets no new mailboxes"),
        Err(why) => return Err(format!("it cannot be cordoned: {why}")),
    }
    let name = spread::name(&format!("drain {server}"));
    let moved = spread::carry_out(imapd, &name, &steps, &args.wishes.wishes()).await?;
    let left = master.list(Some(&format!("{server}!"))).await.map_err(|error| error.to_string())?;
    for (name, entry) in left.iter().take(SHOWN) {
        service::say!("{name} is left: {}", if entry.is_active() { "active" } else { "reserved" });
    }
    service::say!("{} mailboxes are left on {server}", left.len());
    Ok(moved && left.is_empty())
}

async fn drain(args: &Args, imapd: &Imapd) -> io::Result<bool> {
    let file = Path::new(&imapd.configdirectory).join(node::DRAIN);
    if args.end {
        return files::remove(&file).map(|_| true).map_err(|error| named(&file, error));
    }
    if let Some(directory) = file.parent() {
        files::directory(directory, 0o755, None).map_err(|error| named(directory, error))?;
    }
    files::replace(&file, 0o644, b"draining\n").map_err(|error| named(&file, error))?;
    if imapd.status_listen.is_none() {
        service::complain!(
            "murder drain: status_listen is not set: nobody sees that this node wants no clients"
        );
    }
    let mut empty = true;
    if let Some(seconds) = args.wait {
        empty = emptied(imapd, Duration::from_secs(seconds)).await;
    }
    if args.stop {
        stop(imapd)?;
    }
    Ok(empty)
}

/// Waits for the clients to go; false when some are still on at the end.
async fn emptied(imapd: &Imapd, within: Duration) -> bool {
    let until = Instant::now() + within;
    let mut told = None;
    loop {
        let left = who::clients(imapd);
        if told != Some(left) {
            service::say!("{left} clients are on");
            told = Some(left);
        }
        if left == 0 || Instant::now() >= until {
            return left == 0;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn stop(imapd: &Imapd) -> io::Result<()> {
    let file = Path::new(&imapd.master_pid_file);
    let pid = terminate_holder(file).map_err(|error| named(file, error))?;
    service::say!("master (pid {}) stops the node", pid.as_raw_nonzero());
    Ok(())
}

/// Sends SIGTERM to the process that has the pid file locked. What is written in the file may be of another day, and the number
/// somebody else's by now.
fn terminate_holder(file: &Path) -> io::Result<Pid> {
    let file = files::open(file)?;
    let holder = || {
        let found = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock))?;
        let none = || io::Error::new(io::ErrorKind::NotFound, "no master holds its lock: none is running");
        found.and_then(|lock| lock.pid).ok_or_else(none)
    };
    let pid = holder()?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    // It is the same one still, which the descriptor means whatever happens from here on.
    if holder()? != pid {
        return Err(io::Error::other("another master takes over: ask again"));
    }
    pidfd_send_signal(&process, Signal::TERM)?;
    Ok(pid)
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Mailboxes that are named.
const SHOWN: usize = 20;
/// How often clients are counted.
const LOOK: Duration = Duration::from_secs(1);

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
A server's mailboxes: it is cordoned, each user and shared mailbox is queued there and moves to a backend that has room, and the command waits.
The moves go on though it ends; asked for again, it joins what is under way.

Exit status:
  0   done; with --wait: nobody is on any more; of a server: nothing is left on it
  1   somebody is still on after the wait, something is left on the server, or something failed
  78  the configuration is wrong

Examples:
  murder drain --wait 600 && systemctl stop murder
  murder drain --wait 600 --stop
  murder drain --end                   when the node is back
  murder drain be1.example.org --dry-run
  murder drain be1.example.org --to be2.example.org,be3.example.org --at 22:00-06:00";
