//! `murder drain`: the node's readiness endpoint fails, so that a load balancer sends new clients elsewhere; those that are on stay.
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

use crate::{node, who};

/// Has load balancers send new clients elsewhere: /readyz fails, and everything goes on
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
}

/// 0, or 1 when clients are still on after the wait, or something failed.
pub fn run(args: &Args) -> ExitCode {
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

/// How often clients are counted.
const LOOK: Duration = Duration::from_secs(1);

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Exit status:
  0   done; with --wait: nobody is on any more
  1   somebody is still on after the wait, or something failed
  78  the configuration is wrong

Examples:
  murder drain --wait 600 && systemctl stop murder
  murder drain --wait 600 --stop
  murder drain --end                   when the node is back";
