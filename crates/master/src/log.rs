//! Where log lines go: the file of `-L`; with `-D` standard error; else what `log_target` says, and before it `MURDER_LOG`.
//! Unset: the journal where standard error leads there, syslog in the background, else standard error.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;

use config::imapd::{Imapd, LogTarget};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use tracing::info;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::options::Options;

/// The log, once it is started: how much it says can change.
#[derive(Debug)]
pub struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    debug: bool,
}

impl Log {
    /// Debug messages on, or off again.
    pub fn toggle_debug(&mut self) {
        self.debug = !self.debug;
        if self.filter.reload(EnvFilter::new(level(self.debug))).is_ok() {
            info!("debug messages are {}", if self.debug { "on" } else { "off" });
        }
    }
}

fn level(debug: bool) -> &'static str {
    if debug { "debug" } else { "info" }
}

/// Points the standard descriptors where they belong, and starts logging.
///
/// There is no configuration to follow where it has a mistake.
pub fn start(options: &Options, imapd: Option<&Imapd>) -> io::Result<Log> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    if let Some(path) = &options.log_file {
        let named = |cause: io::Error| io::Error::new(cause.kind(), format!("{}: {cause}", path.display()));
        redirect(&files::append(path, 0o640).map_err(named)?)?;
    } else if options.background {
        redirect(&null)?;
    }
    let debug = options.debug || options.verbose > 0;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level(debug)));
    let (filter, handle) = reload::Layer::new(filter);
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_ansi(false);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match Daemon::choose(options, imapd) {
        Some(daemon) => registry.with(lines.without_time().with_level(false).with_writer(daemon)).try_init(),
        None => registry.with(lines.with_writer(io::stderr)).try_init(),
    };
    started.map_err(io::Error::other)?;
    Ok(Log { filter: handle, debug })
}

fn redirect(file: &File) -> io::Result<()> {
    dup2_stdout(file)?;
    dup2_stderr(file)?;
    Ok(())
}

/// A log daemon of this host. Not connected to, so that one that is restarted gets the next line; and not waited for: one that
/// hangs loses lines, and stops nobody.
#[derive(Debug)]
struct Daemon {
    socket: UnixDatagram,
    place: OsString,
    is_journal: bool,
    facility: u8,
    ident: String,
}

impl Daemon {
    /// None: lines go to standard error.
    fn choose(options: &Options, imapd: Option<&Imapd>) -> Option<Daemon> {
        if options.log_file.is_some() || options.debug {
            return None;
        }
        let asked = std::env::var("MURDER_LOG").ok().and_then(|word| LogTarget::from_word(&word));
        let target = asked.or(imapd.map(|imapd| imapd.log_target)).unwrap_or(LogTarget::Auto);
        let is_journal = match target {
            LogTarget::Stderr => return None,
            LogTarget::Journald => true,
            LogTarget::Syslog => false,
            LogTarget::Auto if stderr_is_journal() => true,
            LogTarget::Auto if options.background => false,
            LogTarget::Auto => return None,
        };
        Daemon::open(is_journal, imapd).ok()
    }

    fn open(is_journal: bool, imapd: Option<&Imapd>) -> io::Result<Daemon> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let (variable, usual) =
            if is_journal { ("MURDER_JOURNAL", JOURNAL) } else { ("MURDER_SYSLOG", SYSLOG) };
        let prefix = imapd.and_then(|imapd| imapd.syslog_prefix.as_deref());
        Ok(Daemon {
            socket,
            place: std::env::var_os(variable).unwrap_or_else(|| usual.into()),
            is_journal,
            facility: imapd.map_or(MAIL, Imapd::facility),
            ident: prefix.map_or_else(|| "master".to_owned(), |prefix| format!("{prefix}/master")),
        })
    }

    /// One line as the daemon wants it.
    fn message(&self, severity: u8, line: &str) -> String {
        let Daemon { facility, ident, .. } = self;
        // A line break would begin another field.
        let line = line.trim_end().replace(char::is_control, " ");
        let pid = std::process::id();
        match self.is_journal {
            true => format!(
                "PRIORITY={severity}\nSYSLOG_FACILITY={facility}\nSYSLOG_IDENTIFIER={ident}\nSYSLOG_PID={pid}\nMESSAGE={line}\n"
            ),
            false => format!("<{}>{ident}[{pid}]: {line}", facility << 3 | severity),
        }
    }
}

/// systemd says in `JOURNAL_STREAM` which stream leads to the journal: `device:inode`.
fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let own = rustix::fs::fstat(io::stderr()).map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    own.is_ok_and(|own| own == stream)
}

/// One log line on its way.
#[derive(Debug)]
struct Line<'a> {
    daemon: &'a Daemon,
    severity: u8,
}

impl Write for Line<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let message = self.daemon.message(self.severity, &String::from_utf8_lossy(text));
        let _ = self.daemon.socket.send_to(message.as_bytes(), &self.daemon.place);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Daemon {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { daemon: self, severity: 6 }
    }

    fn make_writer_for(&'a self, meta: &tracing::Metadata<'_>) -> Line<'a> {
        let severity = match *meta.level() {
            tracing::Level::ERROR => 3,
            tracing::Level::WARN => 4,
            tracing::Level::INFO => 6,
            tracing::Level::DEBUG | tracing::Level::TRACE => 7,
        };
        Line { daemon: self, severity }
    }
}

const SYSLOG: &str = "/dev/log";
const JOURNAL: &str = "/run/systemd/journal/socket";
/// The facility where nothing else is said.
const MAIL: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_carries_facility_severity_and_name() {
        let daemon = |is_journal| Daemon {
            facility: 22,
            ident: "cyrus/master".to_owned(),
            ..Daemon::open(is_journal, None).unwrap()
        };
        let pid = std::process::id();
        assert_eq!(
            daemon(false).message(6, "process started\n"),
            format!("<182>cyrus/master[{pid}]: process started")
        );
        let expected = format!(
            "PRIORITY=3\nSYSLOG_FACILITY=22\nSYSLOG_IDENTIFIER=cyrus/master\nSYSLOG_PID={pid}\nMESSAGE=a b\n"
        );
        assert_eq!(daemon(true).message(3, "a\nb\n"), expected);
    }
}
