//! From the first line of a daemon's `main` to its exit code, in the same order for every daemon.
//!
//! 1. take what was inherited (before anything else opens a file descriptor)
//! 2. imapd.conf; started as root it becomes the owner of configdirectory
//! 3. logging; all mistakes of imapd.conf are printed, and no port is served (exit 78)
//! 4. file limits, core dumps off; the daemon's own directory, for this instance alone (exit 75)
//! 5. listeners with their certificates
//! 6. the daemon's body, which calls [`Context::serve`]; meanwhile SIGHUP reloads, SIGTERM (or the end of the
//!    supervisor) drains

use std::fmt::Display;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use config::Problems;
use config::imapd::Imapd;
use logs::{self, Verbosity};
use supervision::control::{self, Changes};
use supervision::listeners::Entry;
use supervision::notify::Notifier;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use crate::context::{Context, StartError};
use crate::copies;
use crate::inherit::{self, Inherited};
use crate::limits::{GRACE, THREADS};
use crate::listen::Socket;
use crate::process::{self, DirectoryLock, LockError};
use crate::{desk, metrics};

/// What every daemon takes on its command line; flatten it into the daemon's own arguments.
///
/// Our `master` gives a daemon the words of its first SERVICES line; the flags that act on one listener are read
/// from there by [`crate::listen::Listener::has_flag`], and only have to be known here.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The configuration file
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf")]
    pub config: PathBuf,
    /// Listen here, when nobody passes sockets: the entry's name, then an address or the path of a UNIX socket
    #[arg(long, value_name = "NAME=ADDRESS")]
    pub listen: Vec<String>,
    /// TLS from the first byte on the listener
    #[arg(short = 's')]
    pub tls: bool,
    /// Clients of the listener need not log in (LMTP)
    #[arg(short = 'a')]
    pub preauthenticated: bool,
    /// A load balancer says in a PROXY header who the client is
    #[arg(short = 'H')]
    pub haproxy: bool,
    /// Readers only on the listener: no articles are taken from other servers (NNTP)
    #[arg(short = 'r')]
    pub readers: bool,
    /// Other servers only on the listener, which offer articles (NNTP)
    #[arg(short = 'f')]
    pub feeders: bool,
    #[arg(short = 'k', hide = true)]
    pub kpop: bool,
    #[arg(short = 'N', hide = true)]
    pub no_plain: bool,
    #[arg(short = 'q', hide = true)]
    pub ignore_quota: bool,
    #[arg(short = 'D', hide = true)]
    pub debugger: bool,
    #[arg(short = 'X', hide = true)]
    pub standard_io: bool,
    #[arg(short = 'p', hide = true, value_name = "SSF")]
    pub strength: Option<u32>,
    #[arg(short = 'U', hide = true, value_name = "USES")]
    pub uses: Option<i64>,
    #[arg(short = 'T', hide = true, value_name = "SECONDS")]
    pub reuse: Option<i64>,
}

/// A daemon that is to run.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name in logs, and of its directory.
    pub name: &'static str,
    pub arguments: Arguments,
    /// It owns what cannot be owned twice: copies that a Cyrus master starts hand their sockets to the first. Copies of
    /// other daemons have a directory each.
    pub alone: bool,
}

/// Why a body ended early.
#[derive(Debug)]
pub struct Exit {
    pub code: u8,
    pub message: String,
}

impl Exit {
    pub fn new(code: u8, message: impl Display) -> Exit {
        Exit { code, message: message.to_string() }
    }

    /// The configuration does not allow it.
    pub fn config(message: impl Display) -> Exit {
        Exit::new(78, message)
    }
}

impl<E: std::error::Error> From<E> for Exit {
    /// May be different the next time: the supervisor tries again.
    fn from(error: E) -> Exit {
        Exit::new(75, error)
    }
}

/// What `--help` and the manual page of a daemon end with.
pub const AFTER_HELP: &str = "\
Exit status:
  0   it was told to stop, and did so in order
  2   wrong use
  75  it may be different the next time: another instance runs, a disk failed; master starts it again
  78  the configuration is wrong

Examples:
  In cyrus.conf, and then: systemctl reload murder
  By hand, for a look, as the cyrus user: PROGRAM -C /etc/imapd.conf --listen NAME=127.0.0.1:PORT";

/// Runs a daemon to its end.
pub fn run<F, Fut>(program: Program, body: F) -> ExitCode
where
    F: FnOnce(Context) -> Fut,
    Fut: Future<Output = Result<(), Exit>>,
{
    let words: Vec<String> = std::env::args().skip(1).collect();
    // Before the runtime and the log open file descriptors of their own.
    let inherited = inherit::take(&words);
    let imapd = Imapd::load(&program.arguments.config, program.name);
    // Before there are threads, which would stay root: what is written below belongs to the cyrus user.
    if let Ok(imapd) = &imapd
        && let Err(error) = files::become_owner(Path::new(&imapd.configdirectory))
    {
        crate::complain!("{}: {error}", program.name);
        return ExitCode::from(75);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            crate::complain!("{}: cannot start: {error}", program.name);
            return ExitCode::from(71);
        }
    };
    let code = runtime.block_on(async {
        let inherited = match inherited {
            Ok(inherited) => inherited,
            Err(error) => return complain(program.name, &StartError::from(error)),
        };
        match start(&program, imapd, inherited) {
            Ok(Started::Daemon(context, verbosity, lifeline)) => {
                supervise(context, verbosity, lifeline, body).await
            }
            Ok(Started::Copy(directory, sockets)) => stay(program.name, &directory, sockets).await,
            Err(error) => complain(program.name, &error),
        }
    });
    // Sessions that were cut may sit in blocking work; they get no further.
    runtime.shutdown_timeout(THREADS);
    ExitCode::from(code)
}

/// What -v of the supervisor passes on.
fn is_verbose() -> bool {
    std::env::var("CYRUS_VERBOSE").is_ok_and(|count| count.parse().is_ok_and(|count: u32| count > 0))
}

fn complain(program: &str, error: &StartError) -> u8 {
    for line in error.to_string().lines() {
        crate::complain!("{program}: {line}");
        error!("{line}");
    }
    error.exit_code()
}

enum Started {
    Daemon(Context, Verbosity, Option<OwnedFd>),
    /// The daemon runs already: its directory, and what it is to listen on as well.
    Copy(PathBuf, Vec<(Entry, OwnedFd)>),
}

fn start(
    program: &Program,
    imapd: Result<Imapd, Problems>,
    inherited: Inherited,
) -> Result<Started, StartError> {
    let Inherited { sockets, cyrus_status, lifeline, control: changes } = inherited;
    let foreign_master = cyrus_status.is_some();
    let imapd = imapd?;
    let verbosity = logs::start(program.name, Some(&imapd), None, imapd.debug || is_verbose());
    // Our master, where there is one, has said it already.
    if lifeline.is_none() {
        imapd.warnings().iter().cloned().chain(imapd.without_effect()).for_each(|doubt| warn!("{doubt}"));
    }
    process::apply();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(imapd.umask & 0o777));
    let directory = imapd.program_directory(program.name);
    let directory = match (foreign_master, program.alone) {
        (false, _) => DirectoryLock::take(&directory)?,
        (true, false) => DirectoryLock::take_slot(&directory)?,
        (true, true) => match DirectoryLock::take(&directory) {
            Err(LockError::Held { .. }) => return Ok(Started::Copy(directory, sockets)),
            taken => taken?,
        },
    };
    let mut opened = Vec::new();
    for (entry, fd) in sockets {
        let socket = inherit::socket(fd)
            .map_err(|why| StartError::Other(format!("listener {}: {why}", entry.name)))?;
        opened.push((entry, socket));
    }
    if opened.is_empty() {
        for wanted in &program.arguments.listen {
            opened.push(by_hand(wanted, &program.arguments)?);
        }
    }
    let context =
        Context::assemble(program.name, imapd, opened, directory, Notifier::from_environment(cyrus_status))?;
    if let Some(changes) = changes {
        context.set_control(
            Changes::new(changes)
                .map_err(|why| StartError::Other(format!("{}: {why}", control::VARIABLE)))?,
        );
    }
    if foreign_master && program.alone {
        let host = copies::Host::bind(context.directory());
        context.set_copies(host.map_err(|why| StartError::Other(format!("copies: {why}")))?);
    }
    serve_metrics(&context, program.name);
    Ok(Started::Daemon(context, verbosity, lifeline))
}

fn serve_metrics(context: &Context, program: &'static str) {
    let Some(handle) = metrics::install(program) else { return };
    let vitals = std::sync::Arc::new(crate::vitals::Vitals::new(context.clone()));
    let desk = desk::Desk { metrics: handle, sessions: context.sessions().clone(), vitals };
    if let Err(why) = desk::serve(&context.file(desk::SOCKET), desk, context.shutdown()) {
        // Paths of UNIX sockets are short; nothing else depends on this one.
        warn!("{}: no metrics: {why}", context.file(desk::SOCKET).display());
    }
}

fn by_hand(wanted: &str, arguments: &Arguments) -> Result<(Entry, Socket), StartError> {
    let (name, address) = wanted
        .split_once('=')
        .ok_or_else(|| StartError::Other(format!("--listen {wanted}: not NAME=ADDRESS")))?;
    let mut args = Vec::new();
    if arguments.tls || matches!(name, "imaps" | "pop3s") {
        args.push("-s".to_owned());
    }
    if arguments.preauthenticated {
        args.push("-a".to_owned());
    }
    let entry =
        Entry { name: name.to_owned(), args, maxchild: -1, address: address.to_owned(), ..Entry::default() };
    let socket =
        Socket::bind(address).map_err(|why| StartError::Other(format!("--listen {wanted}: {why}")))?;
    Ok((entry, socket))
}

/// The life of a copy: until its master ends it, or the first copy is gone.
async fn stay(program: &str, directory: &Path, sockets: Vec<(Entry, OwnedFd)>) -> u8 {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return complain(program, &StartError::Other(format!("signals: {error}"))),
    };
    let mut staying = std::pin::pin!(copies::stay(directory, sockets));
    loop {
        tokio::select! {
            () = &mut staying => return 75,
            name = signals.next() => match name {
                // The first copy reads the settings for all.
                "SIGHUP" => {}
                _ => return 0,
            },
        }
    }
}

async fn supervise<F, Fut>(context: Context, verbosity: Verbosity, lifeline: Option<OwnedFd>, body: F) -> u8
where
    F: FnOnce(Context) -> Fut,
    Fut: Future<Output = Result<(), Exit>>,
{
    let signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return complain(context.program(), &StartError::Other(format!("signals: {error}"))),
    };
    tokio::spawn(signals.follow(context.clone(), verbosity));
    if let Some(lifeline) = lifeline {
        tokio::spawn(watch_lifeline(lifeline, context.clone()));
    }
    info!(listeners = context.listeners().len(), "started");
    let stop = context.shutdown();
    let too_long = async {
        stop.cancelled().await;
        // The drain itself is bounded; this is for a body that does not end after it.
        tokio::time::sleep(context.imapd().drain_timeout + GRACE).await;
    };
    tokio::select! {
        result = body(context.clone()) => match result {
            Ok(()) => {
                context.stop();
                info!("ended");
                0
            }
            Err(exit) => {
                context.stop();
                crate::complain!("{}: {}", context.program(), exit.message);
                error!("{}", exit.message);
                exit.code
            }
        },
        () = too_long => {
            warn!("ended by force: not everything stopped in time");
            0
        }
    }
}

struct Signals {
    terminate: Signal,
    quit: Signal,
    interrupt: Signal,
    hangup: Signal,
    debug: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            debug: signal(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.quit.recv() => "SIGQUIT",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.hangup.recv() => "SIGHUP",
            _ = self.debug.recv() => "SIGUSR1",
        }
    }

    async fn follow(mut self, context: Context, verbosity: Verbosity) {
        loop {
            let name = self.next().await;
            if name == "SIGHUP" {
                hang_up(context.clone(), &verbosity).await;
            } else if name == "SIGUSR1" {
                let on = verbosity.toggle_debug();
                info!("SIGUSR1: debug messages are {}", if on { "on" } else { "off" });
            } else if context.shutdown().is_cancelled() {
                context.stop_at_once();
            } else {
                info!("{name}: finishing what runs");
                context.stop();
            }
        }
    }
}

async fn hang_up(context: Context, verbosity: &Verbosity) {
    let reloading = context.clone();
    match tokio::task::spawn_blocking(move || reloading.reload()).await {
        Ok(Ok(())) => verbosity.set_debug(context.imapd().debug || is_verbose()),
        Ok(Err(problems)) => {
            for line in problems.to_string().lines() {
                error!("reload: {line}");
            }
            error!("reload: the old settings stay");
        }
        Err(error) => error!("reload: {error}"),
    }
}

/// Ends the daemon when the supervisor's end of the pipe closes.
async fn watch_lifeline(lifeline: OwnedFd, context: Context) {
    let Ok(mut pipe) = pipe::Receiver::from_owned_fd(lifeline) else { return };
    let mut byte = [0; 16];
    loop {
        match pipe.read(&mut byte).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    warn!("the supervisor is gone: ending");
    context.stop_at_once();
}
