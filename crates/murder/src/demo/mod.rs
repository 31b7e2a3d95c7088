//! `murder demo`: a whole murder on this host, with one command.
//!
//! Builds the topology, starts the four `master`s, walks one message through LMTP, IMAP and POP3 of the frontend, says
//! how to connect with any client, and runs until it is told to stop. What it starts is what an admin runs: the files of
//! `etc/` with this host's ports and directories.

mod report;
mod tour;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use crate::cluster::{Cluster, ClusterError, Options, PortChoice, Topology};

/// Starts a whole murder on this host, shows a message passing through it, and runs until Ctrl-C.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Directory for configuration, mail and logs; kept, and used again by a second run. Default: a new temporary one, removed at the end.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// First port of the first node; each node takes a block of 100.
    #[arg(long, value_name = "PORT")]
    base_port: Option<u16>,
    /// Topology file (TOML): nodes, users, ports. Default: one frontend, two backends, three users.
    #[arg(long, value_name = "FILE")]
    topology: Option<PathBuf>,
    /// Stop after the tour; exit status 0 if every step went well.
    #[arg(long)]
    once: bool,
}

#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("{step}: {cause}")]
    Step { step: String, cause: io::Error },
    #[error("stopped")]
    Interrupted,
}

/// Prints each step with its time, and notices when the user wants to stop.
#[derive(Debug)]
struct Steps {
    interrupt: Receiver<()>,
}

impl Steps {
    fn run<T, E>(&self, what: &str, step: impl FnOnce() -> Result<T, E>) -> Result<T, DemoError>
    where
        DemoError: From<StepFailed<E>>,
    {
        if self.interrupt.try_recv().is_ok() {
            return Err(DemoError::Interrupted);
        }
        let began = Instant::now();
        let result = step();
        let mark = if result.is_ok() { "ok" } else { "FAILED" };
        service::say!("  {:>6} ms  {mark:<6}  {what}", began.elapsed().as_millis());
        let _ = io::stdout().flush();
        result.map_err(|cause| DemoError::from(StepFailed { step: what.to_owned(), cause }))
    }
}

struct StepFailed<E> {
    step: String,
    cause: E,
}

impl From<StepFailed<io::Error>> for DemoError {
    fn from(failed: StepFailed<io::Error>) -> Self {
        DemoError::Step { step: failed.step, cause: failed.cause }
    }
}

impl From<StepFailed<ClusterError>> for DemoError {
    fn from(failed: StepFailed<ClusterError>) -> Self {
        DemoError::Cluster(failed.cause)
    }
}

/// Runs the demo to its end. 0 when the tour went well (and the user stopped it), else 1.
pub fn run(args: &Args) -> ExitCode {
    let steps = Steps { interrupt: interrupts() };
    let kept = args.dir.is_some();
    let dir = args.dir.clone().unwrap_or_else(temporary_dir);
    let outcome = demonstrate(args, &steps, &dir);
    let code = match outcome {
        Ok(()) | Err(DemoError::Interrupted) => ExitCode::SUCCESS,
        Err(error) => {
            service::complain!("murder demo: {error}");
            if !kept && dir.exists() {
                service::complain!("murder demo: what was written stays in {}", dir.display());
            }
            return ExitCode::FAILURE;
        }
    };
    if !kept {
        let _ = std::fs::remove_dir_all(&dir);
    }
    code
}

fn demonstrate(args: &Args, steps: &Steps, dir: &std::path::Path) -> Result<(), DemoError> {
    let topology = match &args.topology {
        Some(path) => Topology::read(path)?,
        None => Topology::default_demo(),
    };
    let programs =
        std::env::current_exe().ok().and_then(|exe| exe.parent().map(PathBuf::from)).unwrap_or_default();
    let options = Options {
        dir: dir.to_owned(),
        programs,
        ports: PortChoice::Blocks { base: args.base_port },
        ready_within: Duration::from_secs(30),
    };
    service::say!("A murder in {}\n", dir.display());
    let mut cluster = steps
        .run("write configuration, certificates and passwords", || Cluster::prepare(topology, &options))?;
    let names: Vec<String> = cluster.nodes.iter().map(|node| node.short().to_owned()).collect();
    steps.run(&format!("start {} and wait until each is ready", names.join(", ")), || cluster.start())?;
    tour::run(steps, &cluster)?;
    steps.run("write demo.json", || report::write_json(&cluster))?;
    service::say!("\n{}", report::text(&cluster));
    if !args.once {
        service::say!("Ctrl-C stops everything.");
        let _ = io::stdout().flush();
        let _ = steps.interrupt.recv();
    }
    let killed = cluster.stop();
    if !killed.is_empty() {
        service::complain!("murder demo: had to kill {}", killed.join(", "));
    }
    service::say!("All nodes have ended.");
    Ok(())
}

/// A message for SIGINT and for SIGTERM.
fn interrupts() -> Receiver<()> {
    let (sender, receiver) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    std::thread::spawn(move || {
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut int), Ok(mut term)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            loop {
                tokio::select! {
                    _ = int.recv() => {}
                    _ = term.recv() => {}
                }
                if sender.send(()).is_err() {
                    return;
                }
            }
        });
    });
    receiver
}

fn temporary_dir() -> PathBuf {
    let mut bytes = [0; 8];
    let _ = getrandom::fill(&mut bytes);
    std::env::temp_dir().join(format!("murder-demo-{:016x}", u64::from_ne_bytes(bytes)))
}

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Exit status:
  0   it ran, and was stopped
  1   a step failed; the message and the logs in --dir say which

Examples:
  murder demo                          until Ctrl-C
  murder demo --once                   only the tour
  murder demo --dir /tmp/murder        kept for a second run";
