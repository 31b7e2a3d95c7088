//! Logs: to standard error, to syslog (`/dev/log`) or to the journal.
//!
//! `log_target`, and before it `MURDER_LOG`, chooses one of `stderr`, `syslog`, `journald`; unset: the journal when
//! standard error leads there, syslog when it is `/dev/null`, as under a detached master, else standard error. `RUST_LOG`
//! filters as usual; unset: information, or debug messages with `debug: yes`. A line is the message, its fields, and the
//! session in which it was said:
//!
//! ```text
//! 2026-01-02T03:04:05Z imap[4711] info: opened mailbox=user.fred session=backend-4711-1b2c
//! ```
//!
//! What is said in a session stands under the name of its service, after `syslog_prefix`, as in Cyrus, where each service
//! is a process: `cyrus/imaps[4711]`. All else stands under the program's. Lines of [`LOGIN_TARGET`] end where Cyrus's do:
//! fail2ban's expressions match whole lines.
//!
//! What a peer sends goes into lines: a field is cut at [`FIELD`] bytes and a line at [`LINE`], control characters become
//! blanks, here and for every line, so that no caller has to think of it.

use std::fmt::{self, Write as _};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use config::imapd::{Imapd, LogTarget};
use time::OffsetDateTime;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, reload};

use crate::limits::{FIELD, LINE, WORD};

/// Changes the level while running (`debug` on SIGHUP).
#[derive(Clone, Debug)]
pub struct Verbosity {
    handle: Option<reload::Handle<EnvFilter, tracing_subscriber::Registry>>,
    debug: Arc<AtomicBool>,
}

impl Verbosity {
    /// Debug messages or not, unless RUST_LOG decides.
    pub fn set_debug(&self, debug: bool) {
        self.debug.store(debug, Ordering::Relaxed);
        if let (Some(handle), Err(_)) = (&self.handle, std::env::var("RUST_LOG")) {
            let _ = handle.reload(filter(debug));
        }
    }

    /// Debug messages on, or off again; true: on.
    pub fn toggle_debug(&self) -> bool {
        let debug = !self.debug.load(Ordering::Relaxed);
        self.set_debug(debug);
        debug
    }
}

/// Starts logging for the whole process; a second call changes nothing.
///
/// `asked` is what the command line asks for: it goes before `MURDER_LOG`, and that before `log_target`. Where there is no
/// configuration, since it has a mistake, the defaults are used.
pub fn start(program: &str, imapd: Option<&Imapd>, asked: Option<LogTarget>, debug: bool) -> Verbosity {
    let (filter, handle) = reload::Layer::new(filter(debug));
    let debug = Arc::new(AtomicBool::new(debug));
    let prefix = imapd.and_then(|imapd| imapd.syslog_prefix.as_deref());
    let layer = Lines {
        program: program.to_owned(),
        prefix: prefix.map(|prefix| format!("{prefix}/")).unwrap_or_default(),
        facility: imapd.map_or(MAIL, Imapd::facility),
        sink: Sink::choose(asked, imapd.map_or(LogTarget::Auto, |imapd| imapd.log_target)),
    };
    match tracing_subscriber::registry().with(filter).with(layer).try_init() {
        Ok(()) => Verbosity { handle: Some(handle), debug },
        Err(_) => Verbosity { handle: None, debug },
    }
}

/// Starts logging for a command that an operator gives: on a terminal what it says on standard output and error is
/// enough, so that there only warnings are logged.
pub fn start_tool(ident: &str, debug: bool) {
    use std::io::IsTerminal;
    let asked = std::env::var_os("MURDER_LOG").is_some() || debug;
    let quiet = io::stderr().is_terminal() && !asked;
    let filter = match (quiet, EnvFilter::try_from_default_env()) {
        (true, Err(_)) => EnvFilter::new("warn"),
        _ => filter(debug),
    };
    let sink = Sink::choose(None, LogTarget::Auto);
    let layer = Lines { program: ident.to_owned(), prefix: String::new(), facility: MAIL, sink };
    // A second start in one process changes nothing.
    let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
}

fn filter(debug: bool) -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| match debug {
        true => EnvFilter::new("debug,rustls=info,hyper=info,sled=info"),
        false => EnvFilter::new("info,sled=warn"),
    })
}

/// Where lines go.
enum Sink {
    Stderr,
    Syslog(UnixDatagram),
    Journal(UnixDatagram),
    #[cfg(any(test, feature = "capture"))]
    Kept(std::sync::mpsc::Sender<String>),
}

impl Sink {
    fn choose(asked: Option<LogTarget>, target: LogTarget) -> Sink {
        let environment = || std::env::var("MURDER_LOG").ok().and_then(|word| LogTarget::from_word(&word));
        // Not connected: a log daemon that is restarted gets the next line. Not blocking: one that hangs loses lines,
        // and stops nobody.
        let datagram = || {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            io::Result::Ok(socket)
        };
        let found = match asked.or_else(environment).unwrap_or(target) {
            LogTarget::Auto if stderr_is_journal() => LogTarget::Journald,
            LogTarget::Auto if stderr_is_null() => LogTarget::Syslog,
            other => other,
        };
        match found {
            LogTarget::Syslog => datagram().map_or(Sink::Stderr, Sink::Syslog),
            LogTarget::Journald => datagram().map_or(Sink::Stderr, Sink::Journal),
            LogTarget::Stderr | LogTarget::Auto => Sink::Stderr,
        }
    }

    fn send(&self, ident: &str, facility: u8, level: Level, line: &str) {
        let pid = std::process::id();
        match self {
            Sink::Stderr => {
                let time = timestamp(SystemTime::now());
                let level = level.as_str().to_ascii_lowercase();
                // One write, so that lines of several processes do not mix. A closed stderr is nobody's loss.
                let _ = io::Write::write_all(
                    &mut io::stderr().lock(),
                    format!("{time} {ident}[{pid}] {level}: {line}\n").as_bytes(),
                );
            }
            Sink::Syslog(socket) => {
                let priority = facility << 3 | severity(level);
                let _ = socket.send_to(
                    format!("<{priority}>{ident}[{pid}]: {line}").as_bytes(),
                    place("MURDER_SYSLOG", SYSLOG),
                );
            }
            Sink::Journal(socket) => {
                // A line break would begin another field; lines have none (see `clean`).
                let fields = format!(
                    "PRIORITY={}\nSYSLOG_FACILITY={facility}\nSYSLOG_IDENTIFIER={ident}\nSYSLOG_PID={pid}\nMESSAGE={line}\n",
                    severity(level)
                );
                let _ = socket.send_to(fields.as_bytes(), place("MURDER_JOURNAL", JOURNAL));
            }
            #[cfg(any(test, feature = "capture"))]
            Sink::Kept(lines) => drop(lines.send(line.to_owned())),
        }
    }
}

/// A log daemon's socket; the environment may name another one.
fn place(variable: &str, usual: &str) -> std::ffi::OsString {
    std::env::var_os(variable).unwrap_or_else(|| usual.into())
}

/// systemd says in `JOURNAL_STREAM` which stream leads to the journal: `device:inode`.
fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let own = rustix::fs::fstat(io::stderr()).map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    own.is_ok_and(|own| own == stream)
}

fn stderr_is_null() -> bool {
    let null = std::fs::metadata("/dev/null").map(|meta| meta.rdev());
    match (std::fs::metadata("/dev/stderr"), null) {
        (Ok(stderr), Ok(null)) => stderr.file_type().is_char_device() && stderr.rdev() == null,
        _ => false,
    }
}

fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// UTC, to the millisecond.
fn timestamp(now: SystemTime) -> String {
    let now = OffsetDateTime::from(now);
    let (year, month, day) = (now.year(), u8::from(now.month()), now.day());
    let (hour, minute, second, millisecond) = now.to_hms_milli();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

/// The layer that makes lines.
struct Lines {
    program: String,
    prefix: String,
    facility: u8,
    sink: Sink,
}

/// What a span adds to its lines: ` session=…`, and the service that they are said by.
struct SpanText {
    text: String,
    service: Option<String>,
    session: Option<String>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(SpanText {
            text: fields.rest,
            service: fields.service,
            session: fields.session,
        });
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut line = fields.message;
        line.push_str(&fields.rest);
        if let Some(session) = &fields.session {
            let _ = write!(line, " session={session}");
        }
        let mut name = self.program.clone();
        for span in context.event_scope(event).into_iter().flatten() {
            let extensions = span.extensions();
            let Some(SpanText { text, service, session }) = extensions.get::<SpanText>() else { continue };
            let of_login = event.metadata().target() == LOGIN_TARGET;
            match session {
                Some(session) if of_login && line.starts_with("login: ") => {
                    let _ = write!(line, " SESSIONID=<{session}>");
                }
                Some(session) if !of_login => {
                    let _ = write!(line, " session={session}");
                }
                _ => {}
            }
            if !of_login {
                line.push_str(text);
            }
            if let Some(service) = service {
                name.clone_from(service);
            }
        }
        let ident = format!("{}{name}", self.prefix);
        self.sink.send(&ident, self.facility, *event.metadata().level(), &clean(line));
    }
}

/// `chatty`: a line for each command of a client. Its first word only, since passwords may follow.
pub fn chat(chatty: bool, line: &[u8]) {
    if chatty {
        let word = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        let word: String = String::from_utf8_lossy(word).chars().take(WORD).collect();
        tracing::info!(command = word, "command");
    }
}

/// Nothing from outside may begin a new line, colour a terminal, or turn the direction of what follows; nor is a line
/// longer than [`LINE`].
fn clean(mut line: String) -> String {
    cut(&mut line, LINE);
    let unfit = |c: char| c.is_control() || UNSEEN.contains(&c);
    if line.contains(unfit) {
        line = line.chars().map(|c| if unfit(c) { ' ' } else { c }).collect();
    }
    line
}

/// Shortens a text to so many bytes, with a mark at its end.
fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(boundary(text, most));
        text.push_str(CUT);
    }
}

/// The last boundary between characters at or before `at`.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
    service: Option<String>,
    session: Option<String>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let short = |most: usize| {
            let mut text = Bounded { text: String::new(), most };
            // Formatting ends with an error where the text is full.
            let _ = write!(text, "{value:?}");
            let Bounded { mut text, .. } = text;
            cut(&mut text, most);
            text
        };
        match field.name() {
            "message" => self.message.push_str(&short(LINE)),
            "service" => self.service = Some(short(FIELD)),
            "session" => self.session = Some(short(FIELD)),
            name if self.rest.len() < LINE => {
                let _ = write!(self.rest, " {name}={}", short(FIELD));
            }
            _ => {}
        }
    }
}

/// Takes a little more than `most` bytes, by which [`cut`] sees that there was more, and forgets the rest: what a peer sent
/// may be megabytes.
struct Bounded {
    text: String,
    most: usize,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        // A character has four bytes at most.
        let room = (self.most + 4).saturating_sub(self.text.len());
        let taken = boundary(piece, room);
        self.text.push_str(piece.get(..taken).unwrap_or_default());
        if taken < piece.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

const CUT: &str = "...";
/// Characters that are no control characters and break or turn lines all the same: separators of lines and paragraphs,
/// and the marks of direction.
const UNSEEN: &[char] = &[
    '\u{2028}', '\u{2029}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}',
    '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

/// Log lines of this target carry no session suffix, so that fail2ban's expressions match their end.
pub const LOGIN_TARGET: &str = "murder::login";

const SYSLOG: &str = "/dev/log";
const JOURNAL: &str = "/run/systemd/journal/socket";
const MAIL: u8 = 2;

/// The lines that `say` makes.
#[cfg(any(test, feature = "capture"))]
pub fn logged(say: impl FnOnce()) -> Vec<String> {
    let (sink, lines) = std::sync::mpsc::channel();
    let (program, prefix) = ("imap".to_owned(), String::new());
    let layer = Lines { program, prefix, facility: MAIL, sink: Sink::Kept(sink) };
    // One that stays and wants everything: else what another test says for the first time, while nobody listens to it, may be noted
    // as wanted by nobody, just when we begin to listen.
    static EVERYTHING: std::sync::LazyLock<tracing::Dispatch> =
        std::sync::LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));
    std::sync::LazyLock::force(&EVERYTHING);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), say);
    lines.iter().collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_right() {
        let at = |seconds| timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(1_735_689_599), "2024-12-31T23:59:59.000Z");
    }

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(clean("badlogin: x\r\nlogin: y\u{1b}[1m".into()), "badlogin: x  login: y [1m");
        assert_eq!(clean("bob\u{202e}nimda\u{2028}x\u{9b}".into()), "bob nimda x ");
    }

    #[test]
    fn whatever_a_peer_sends_a_line_is_a_few_kilobytes_without_control_characters() {
        let huge = "\u{e4}\r\n\u{1b}".repeat(500_000);
        let lines = logged(|| {
            let span = tracing::info_span!("session", session = %huge, service = %"imap", client = %huge);
            let _in = span.enter();
            tracing::info!(acl = %huge, name = huge, debug = ?huge, "{huge}");
            tracing::info!(acl = %huge, "entry changed");
        });
        assert_eq!(lines.len(), 2);
        for line in &lines {
            assert!((1000..5000).contains(&line.len()), "{}", line.len());
            assert!(!line.contains(char::is_control), "{line}");
        }
        assert!(lines[1].contains("entry changed acl=\u{e4}"), "what is short is told beside what is long");
    }
}
