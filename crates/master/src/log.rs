//! Where log lines go: the file of `-L`, standard error in the foreground (which systemd's journal reads), syslog in the
//! background.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;

use config::imapd::Imapd;
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
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        redirect(&file)?;
    } else if options.background {
        redirect(&null)?;
    }
    let debug = options.debug || options.verbose > 0;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level(debug)));
    let (filter, handle) = reload::Layer::new(filter);
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_ansi(false);
    let syslog = if options.background && options.log_file.is_none() { Syslog::connect(imapd) } else { None };
    let registry = tracing_subscriber::registry().with(filter);
    let started = match syslog {
        Some(syslog) => registry.with(lines.without_time().with_level(false).with_writer(syslog)).try_init(),
        // The journal puts its own time on each line.
        None if std::env::var_os("JOURNAL_STREAM").is_some() => {
            registry.with(lines.without_time().with_writer(io::stderr)).try_init()
        }
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

/// The local syslog daemon's socket.
#[derive(Debug)]
struct Syslog {
    socket: UnixDatagram,
    facility: u8,
    ident: String,
}

impl Syslog {
    fn connect(imapd: Option<&Imapd>) -> Option<Self> {
        let prefix = imapd.and_then(|imapd| imapd.syslog_prefix.as_deref());
        let socket = UnixDatagram::unbound().ok()?;
        socket.connect("/dev/log").ok()?;
        // A stuck syslog daemon must not stop the node.
        socket.set_nonblocking(true).ok()?;
        Some(Self {
            socket,
            facility: imapd.map_or(MAIL, Imapd::facility),
            ident: prefix.map_or_else(|| "master".to_owned(), |prefix| format!("{prefix}/master")),
        })
    }
}

/// One log line on its way to syslog.
#[derive(Debug)]
struct Line<'a> {
    syslog: &'a Syslog,
    severity: u8,
}

impl Write for Line<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(text);
        let Syslog { socket, facility, ident } = self.syslog;
        let priority = facility * 8 + self.severity;
        let message = format!("<{priority}>{ident}[{}]: {}", std::process::id(), line.trim_end());
        let _ = socket.send(message.as_bytes());
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Syslog {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { syslog: self, severity: 6 }
    }

    fn make_writer_for(&'a self, meta: &tracing::Metadata<'_>) -> Line<'a> {
        let severity = match *meta.level() {
            tracing::Level::ERROR => 3,
            tracing::Level::WARN => 4,
            tracing::Level::INFO => 6,
            tracing::Level::DEBUG | tracing::Level::TRACE => 7,
        };
        Line { syslog: self, severity }
    }
}

/// The facility where nothing else is said.
const MAIL: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_carries_facility_severity_and_name() {
        let (socket, other) = UnixDatagram::pair().unwrap();
        let syslog = Syslog { socket, facility: 22, ident: "cyrus/master".to_owned() };
        Line { syslog: &syslog, severity: 6 }.write_all(b"process started\n").unwrap();
        let mut message = [0; 200];
        let length = other.recv(&mut message).unwrap();
        let expected = format!("<182>cyrus/master[{}]: process started", std::process::id());
        assert_eq!(String::from_utf8_lossy(&message[..length]), expected);
    }
}
