//! From the command line to the main loop, in the order that Cyrus's documentation promises.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use config::imapd::Imapd;
use logs::Verbosity;
use supervision::notify::{Notifier, NotifySocket};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::child::{self, Children, Surroundings, end_in_words, is_failure};
use crate::events::Schedule;
use crate::limits::{TAKEOVER, WAKES};
use crate::listen::Opening;
use crate::log;
use crate::options::Options;
use crate::os::{self, Handover, HeldHangups, User};
use crate::pidfile::{PidFile, PidFileError};
use crate::plan::{Plan, Sources, Start};
use crate::privilege::{self, PrivilegeError};
use crate::program::{Program, Resolver};
use crate::ready::ReadyFile;
use crate::services::Services;
use crate::supervisor::{Inputs, Supervisor};

/// Why master did not come up.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    #[error("{0}")]
    Config(#[from] config::Problems),
    #[error("{0}")]
    Privilege(#[from] PrivilegeError),
    #[error("{0}")]
    PidFile(#[from] PidFileError),
    #[error("can't run startup: {name} ({cmd}) {how}")]
    Start { name: String, cmd: String, how: String },
    #[error("daemon {name}: {why}")]
    Daemon { name: String, why: crate::daemon::WaitError },
    #[error("cannot listen, and master_bind_errors_fatal is set: {0}")]
    Bind(String),
    #[error("{} is closed to {user}, as whom the node runs: chown -R {user} {}", .directory.display(), .directory.display())]
    Closed { directory: PathBuf, user: String },
    #[error("{doing}: {cause}")]
    Io { doing: String, cause: io::Error },
}

impl BootError {
    fn exit_status(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Daemon { .. } => config::EX_CONFIG,
            Self::Privilege(_) | Self::Start { .. } => 1,
            Self::Closed { .. } => EX_NOPERM,
            Self::PidFile(_) | Self::Bind(_) | Self::Io { .. } => EX_OSERR,
        }
    }
}

/// `-t`: says everything that is wrong or odd with the configuration, and nothing else.
pub fn check(options: &Options) -> ExitCode {
    let sources = match sources(options) {
        Ok(sources) => sources,
        Err(error) => {
            put(&mut io::stdout(), &error);
            return ExitCode::from(error.exit_status());
        }
    };
    let (warnings, wrong) = match Plan::examine(&sources) {
        Ok(plan) => (plan.warnings, privilege::target_user(&plan.imapd).err().map(|error| error.to_string())),
        Err(wrong) => (wrong.warnings, Some(wrong.problems.to_string())),
    };
    warnings.iter().for_each(|warning| put(&mut io::stdout(), &format_args!("warning: {warning}")));
    match wrong {
        Some(wrong) => {
            put(&mut io::stdout(), &wrong);
            ExitCode::from(config::EX_CONFIG)
        }
        None => {
            let (cyrus, imapd) = (options.cyrus_conf.display(), options.imapd_conf.display());
            put(&mut io::stdout(), &format_args!("{cyrus} and {imapd}: no errors"));
            ExitCode::SUCCESS
        }
    }
}

/// A line for whoever is there to read it: `master -t | head` ends as `master -t` does.
pub fn put(out: &mut impl io::Write, line: &impl fmt::Display) {
    let _ = writeln!(out, "{line}");
}

/// Runs a node to its end.
pub fn run(options: &Options) -> ExitCode {
    let handover = if options.background { os::detach().map(Some) } else { Ok(None) };
    let outcome = handover
        .map_err(|cause| BootError::Io { doing: "going into the background".to_owned(), cause })
        .and_then(|handover| boot(options, handover));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error}");
            ExitCode::from(error.exit_status())
        }
    }
}

fn boot(options: &Options, handover: Option<Handover>) -> Result<(), BootError> {
    let began = Instant::now();
    let hangups = HeldHangups::hold();
    os::without_huge_pages();
    // Standard error still reaches the terminal: what is wrong with the configuration is said there.
    let prepared = sources(options).and_then(|sources| {
        let plan = Plan::read(&sources)?;
        let user = privilege::target_user(&plan.imapd)?;
        prepare_directories(Path::new(&plan.imapd.configdirectory), &plan.imapd.proc_path, user.as_ref())
            .map_err(doing("preparing configdirectory"))?;
        for directory in &plan.directories {
            prepare(directory, 0o750, user.as_ref()).map_err(doing("preparing a configdirectory"))?;
        }
        let pid_file = PidFile::take_over(
            &options.pid_file.clone().unwrap_or_else(|| plan.imapd.master_pid_file.clone().into()),
        )?;
        Ok((sources, plan, user, pid_file))
    });
    let (sources, plan, user, pid_file) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            if let Some(handover) = handover {
                put(&mut io::stderr(), &format_args!("master: {error}"));
                handover.finish(error.exit_status());
            }
            let _ = log::start(options, None);
            return Err(error);
        }
    };
    let log = log::start(options, Some(&plan.imapd)).map_err(|cause| {
        // There is no log to say it in.
        put(&mut io::stderr(), &format_args!("master: starting the log: {cause}"));
        BootError::Io { doing: "starting the log".to_owned(), cause }
    })?;
    if let Some(handover) = handover {
        handover.finish(0);
    }
    info!("process started");
    plan.warnings.iter().for_each(|warning| warn!("{warning}"));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(doing("starting"))?;
    runtime.block_on(serve(options, log, Prepared { sources, plan, user, pid_file, began, hangups }))
}

/// What there is before the first line of START.
struct Prepared {
    sources: Sources,
    plan: Plan,
    user: Option<User>,
    pid_file: PidFile,
    began: Instant,
    hangups: HeldHangups,
}

async fn serve(options: &Options, log: Verbosity, prepared: Prepared) -> Result<(), BootError> {
    let Prepared { sources, mut plan, user, pid_file, began, hangups } = prepared;
    let directory = PathBuf::from(&plan.imapd.configdirectory);
    let (wake, wakes) = mpsc::channel(WAKES);
    let mut surroundings = Surroundings {
        notify: String::new(),
        conf: options.conf_for_children(),
        verbose: options.verbose,
        wake,
        processes: PathBuf::from(&plan.imapd.proc_path),
    };
    run_start(&surroundings, std::mem::take(&mut plan.start), user.as_ref())?;
    let opening = Opening {
        backlog: options.backlog,
        patience: TAKEOVER,
        marking: plan.imapd.qosmarking.octet(),
        owner: user.as_ref().map(|user| (user.uid, user.gid)),
    };
    let mut services = Services::default();
    let failed = services.apply(std::mem::take(&mut plan.services), opening);
    if let Some(first) = failed.first().filter(|_| plan.imapd.master_bind_errors_fatal) {
        return Err(BootError::Bind(first.to_string()));
    }
    if let Some(user) = &user {
        privilege::drop_to(user)?;
    }
    must_be_writable(&directory, user.as_ref())?;
    if options.background {
        change_directory(&directory).map_err(doing("changing to configdirectory"))?;
    }
    let notify =
        NotifySocket::open(&directory.join("murder/master")).map_err(doing("opening the notify socket"))?;
    notify.name().clone_into(&mut surroundings.notify);
    let inputs = Inputs::new(wakes, notify).map_err(doing("installing signal handlers"))?;
    drop(hangups);
    let children = Children::new(surroundings).map_err(doing("opening the lifeline"))?;
    let ready_file = ready_path(options, &plan.imapd);
    let mut supervisor = Supervisor {
        sources,
        opening,
        children,
        services,
        groups: Default::default(),
        pools: Default::default(),
        retired: Vec::new(),
        daemons: Vec::new(),
        events: Schedule::default(),
        above: Notifier::from_environment(None),
        pid_file,
        ready_file: ReadyFile::new(ready_file),
        began,
        imapd: plan.imapd.clone(),
        log,
        page: None,
        stopping: false,
    };
    supervisor.apply(plan);
    supervisor.start_waiting_daemons()?;
    supervisor.run(inputs).await;
    Ok(())
}

impl Supervisor {
    /// DAEMON lines with `wait=y`, one after the other.
    fn start_waiting_daemons(&mut self) -> Result<(), BootError> {
        for daemon in self.daemons.iter_mut().filter(|daemon| daemon.waits()) {
            if let Err(why) = daemon.start_and_wait(&mut self.children, Instant::now()) {
                let name = daemon.name().to_owned();
                self.children.pids(|_| true).into_iter().for_each(|pid| self.children.kill(pid));
                return Err(BootError::Daemon { name, why });
            }
        }
        Ok(())
    }
}

/// Runs START in order. A failing line does not stop the node, unless it is the recovery of the database; in Cyrus any does. A
/// node whose other preparations failed, such as telling a MUPDATE master that is down, serves what it can.
fn run_start(surroundings: &Surroundings, lines: Vec<Start>, user: Option<&User>) -> Result<(), BootError> {
    for line in lines {
        let is_ours = matches!(line.command.program, Program::Ours(_));
        // Ours would leave files behind that only root can read; foreign ones become the cyrus user by themselves.
        let user = user.filter(|_| is_ours);
        let began = Instant::now();
        let outcome = child::run_to_completion(surroundings, &line.command, user);
        let (failed, how) = match outcome {
            Ok(status) => (is_failure(status), end_in_words(status)),
            Err(cause) => (true, format!("could not be started: {cause}")),
        };
        let cmd = std::iter::once(line.command.written.clone())
            .chain(line.command.args.clone())
            .collect::<Vec<_>>()
            .join(" ");
        if !failed {
            info!("start {} ({cmd}) {how} after {} ms", line.name, began.elapsed().as_millis());
        } else if is_recovery(&line) {
            return Err(BootError::Start { name: line.name, cmd, how });
        } else {
            error!("start {} ({cmd}) {how}: going on without it", line.name);
        }
    }
    Ok(())
}

/// `ctl_cyrusdb -r`: without it nothing may open the databases.
fn is_recovery(line: &Start) -> bool {
    line.command.written == "ctl_cyrusdb" && line.command.args.iter().any(|word| word == "-r")
}

fn sources(options: &Options) -> Result<Sources, BootError> {
    let executable = std::env::current_exe().map_err(doing("finding the own executable"))?;
    Ok(Sources {
        cyrus_conf: options.cyrus_conf.clone(),
        imapd_conf: options.imapd_conf.clone(),
        resolver: Resolver::installed(&executable),
    })
}

fn ready_path(options: &Options, imapd: &Imapd) -> PathBuf {
    options.ready_file.clone().unwrap_or_else(|| imapd.master_ready_file.clone().into())
}

/// Makes the directories that a node needs before anything else runs, for the user who will own them. Whoever may connect to
/// `socket` may deliver: that is the user's group.
fn prepare_directories(configdirectory: &Path, processes: &str, user: Option<&User>) -> io::Result<()> {
    prepare(configdirectory, 0o750, user)?;
    let below = [("socket", 0o750), ("murder", 0o755), ("murder/master", 0o755)]
        .map(|(name, mode)| (configdirectory.join(name), mode));
    for (path, mode) in below.into_iter().chain([(PathBuf::from(processes), 0o755)]) {
        // Without the directory itself nothing works; without these something does.
        let _ = prepare(&path, mode, user);
    }
    Ok(())
}

fn prepare(directory: &Path, mode: u32, user: Option<&User>) -> io::Result<()> {
    if directory.exists() {
        return Ok(());
    }
    files::directory(directory, mode, user.map(|user| (user.uid, user.gid)))
}

/// Where core dumps go, when there is such a place.
fn change_directory(configdirectory: &Path) -> io::Result<()> {
    let cores = configdirectory.join("cores");
    std::env::set_current_dir(if cores.is_dir() { cores.as_path() } else { configdirectory })
}

/// A daemon that may not write there fails again and again, which looks like its own fault.
fn must_be_writable(configdirectory: &Path, user: Option<&User>) -> Result<(), BootError> {
    let wanted = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    match rustix::fs::access(configdirectory, wanted) {
        Err(rustix::io::Errno::ACCESS) => Err(BootError::Closed {
            directory: configdirectory.to_owned(),
            user: user.map_or_else(
                || format!("user {}", rustix::process::getuid().as_raw()),
                |user| user.name.clone(),
            ),
        }),
        _ => Ok(()),
    }
}

fn doing(what: &str) -> impl FnOnce(io::Error) -> BootError + use<'_> {
    move |cause| BootError::Io { doing: what.to_owned(), cause }
}

const EX_OSERR: u8 = 71;
const EX_NOPERM: u8 = 77;
