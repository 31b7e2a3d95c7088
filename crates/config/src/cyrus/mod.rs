//! cyrus.conf: what `master` starts, and where it listens.
//!
//! ```text
//! file ──lines / toml──▶ raw entries with places ──entries──▶ Start, Service, Event, Daemon
//! ```
//!
//! A wrong line, a missing `cmd` or `listen` and a name used twice are errors, all told at once. What Cyrus lets pass
//! with a log line (a number that is none, an unknown protocol) is a warning.

pub mod convert;
mod cron;
mod entries;
mod lines;
mod toml;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use cron::{Cron, Moment};

use crate::imapd::Imapd;
use crate::{Problem, Problems};

/// A whole cyrus.conf, each section in the file's order.
#[derive(Debug, Clone)]
pub struct CyrusConf {
    pub path: PathBuf,
    pub start: Vec<Start>,
    pub services: Vec<Service>,
    pub events: Vec<Event>,
    pub daemons: Vec<Daemon>,
    pub warnings: Vec<Problem>,
}

/// Where an entry stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: Arc<Path>,
    pub line: u32,
}

/// Run once to completion before anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    pub name: String,
    /// The program and its arguments: `cmd` cut at blanks. Never empty.
    pub cmd: Vec<String>,
    pub place: Place,
}

/// A program behind listening sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    pub cmd: Vec<String>,
    pub listen: Listen,
    pub proto: Proto,
    /// Whether the program runs before its first client: `prefork` idle workers in Cyrus.
    pub prefork: u32,
    /// Most clients at a time; `None` is no limit, `Some(0)` none at all.
    pub maxchild: Option<u32>,
    /// Soft limit of open files; 0 leaves it alone.
    pub maxfds: u32,
    /// Starts per second; 0 is no limit.
    pub maxforkrate: u32,
    pub babysit: bool,
    pub place: Place,
}

/// Run at times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub name: String,
    pub cmd: Vec<String>,
    pub when: When,
    pub place: Place,
}

/// Kept running, without a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    pub name: String,
    pub cmd: Vec<String>,
    pub maxfds: u32,
    /// Starts per second; 0 is no limit.
    pub maxforkrate: u32,
    /// Started before the services, one by one, each saying `ok` first.
    pub wait: bool,
    pub place: Place,
}

/// What a service listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    Unix(PathBuf),
    /// `host` is `None` for all addresses; `port` is a number or a service's name.
    Inet {
        host: Option<String>,
        port: String,
    },
}

/// Transport and address family of a listener; a Unix socket is a stream with a `Tcp*`, else datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proto {
    Tcp,
    Tcp4,
    Tcp6,
    Udp,
    Udp4,
    Udp6,
}

/// When an event runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// Once, at start.
    Once,
    /// At start and then every so many minutes.
    Period { minutes: u32 },
    /// Daily at this local time.
    At { hour: u8, minute: u8 },
    /// At the minutes that five crontab fields name.
    Cron(Cron),
}

impl Service {
    /// Whether a flag stands among the arguments, alone (`-s`) or with others (`-sa`).
    pub fn has_flag(&self, flag: char) -> bool {
        self.cmd.iter().skip(1).any(|word| {
            word.strip_prefix('-').is_some_and(|letters| !letters.starts_with('-') && letters.contains(flag))
        })
    }

    /// What is doubtful of it together with the imapd.conf that its program reads.
    pub fn doubt(&self, imapd: &Imapd) -> Option<Problem> {
        let is_reached = matches!(self.listen, Listen::Inet { .. });
        let believes_all = imapd.for_service(&self.name).proxy_protocol_addresses.is_empty();
        (self.has_flag('H') && is_reached && believes_all).then(|| {
            let message = "-H: whoever connects may say in a PROXY header which address he has, for logs, limits and address lists: \
                           set proxy_protocol_addresses to the load balancers";
            Problem::new(&self.place.file, self.place.line, &self.name, message)
        })
    }
}

impl CyrusConf {
    /// Reads cyrus.conf, or cyrus.toml if that is the file's extension. A file under the directory of the
    /// environment's CYRUS_PREFIX goes before the one given.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn load(path: &Path) -> Result<CyrusConf, Problems> {
        let (conf, problems) = CyrusConf::examine(path);
        problems.or(conf)
    }

    /// As [`CyrusConf::load`], but gives the entries that are right beside everything that is wrong: a check can then
    /// look at the programs of those too.
    pub fn examine(path: &Path) -> (CyrusConf, Problems) {
        let path = crate::imapd::prefixed(path);
        match crate::read_text(&path) {
            Ok(text) => CyrusConf::examine_text(&path, &text),
            Err(error) => {
                let (empty, _) = CyrusConf::examine_text(&path, "");
                (empty, Problems::of_file(&path, format!("cannot read: {error}")))
            }
        }
    }

    /// As [`CyrusConf::load`], from text that would stand in the file `path`.
    pub fn parse(path: &Path, text: &str) -> Result<CyrusConf, Problems> {
        let (conf, problems) = CyrusConf::examine_text(path, text);
        problems.or(conf)
    }

    fn examine_text(path: &Path, text: &str) -> (CyrusConf, Problems) {
        let mut problems = Problems::default();
        let file: Arc<Path> = Arc::from(path);
        let items = match crate::imapd::toml::is_toml(path) {
            true => toml::read(&file, text, &mut problems),
            false => lines::read(&file, text, &mut problems),
        };
        let raw = items.into_iter().filter_map(|item| match item {
            Item::Entry(raw) => Some(raw),
            Item::Comment(_) => None,
        });
        entries::build(&file, raw.collect(), problems)
    }
}

impl Listen {
    /// Takes a `listen` value apart: a path, `port`, `host:port` or `[address]:port`.
    pub fn parse(text: &str) -> Result<Listen, String> {
        if text.starts_with('/') {
            // sun_path of Linux has 108 bytes with its NUL.
            return match text.len() < 108 {
                true => Ok(Listen::Unix(PathBuf::from(text))),
                false => Err(format!("the path of a socket has at most 107 bytes, not {}", text.len())),
            };
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => match rest.split_once("]:") {
                Some((host, port)) => (Some(host), port),
                None => return Err(format!("'{text}' has no port")),
            },
            None => match text.rsplit_once(':') {
                Some((host, port)) => (Some(host), port),
                None => (None, text),
            },
        };
        if port.is_empty() {
            return Err(format!("'{text}' has no port"));
        }
        if port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_err() {
            return Err(format!("{port} is not a port: the most is 65535"));
        }
        let host = host.filter(|host| !host.is_empty() && *host != "*").map(str::to_owned);
        Ok(Listen::Inet { host, port: port.to_owned() })
    }
}

impl Proto {
    pub const WORDS: &'static [&'static str] = &["tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"];

    pub fn from_word(word: &str) -> Option<Proto> {
        Some(match word {
            "tcp" => Proto::Tcp,
            "tcp4" => Proto::Tcp4,
            "tcp6" => Proto::Tcp6,
            "udp" => Proto::Udp,
            "udp4" => Proto::Udp4,
            "udp6" => Proto::Udp6,
            _ => return None,
        })
    }

    pub fn is_udp(self) -> bool {
        matches!(self, Proto::Udp | Proto::Udp4 | Proto::Udp6)
    }
}

/// A section of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Start,
    Services,
    Events,
    Daemon,
}

impl Section {
    fn from_word(word: &str) -> Option<Section> {
        Some(match word.to_ascii_uppercase().as_str() {
            "START" => Section::Start,
            "SERVICES" => Section::Services,
            "EVENTS" => Section::Events,
            "DAEMON" => Section::Daemon,
            _ => return None,
        })
    }

    fn word(self) -> &'static str {
        match self {
            Section::Start => "START",
            Section::Services => "SERVICES",
            Section::Events => "EVENTS",
            Section::Daemon => "DAEMON",
        }
    }
}

/// What a file consists of, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// A comment, with its `#`, or an empty line.
    Comment(String),
    Entry(Raw),
}

/// An entry as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raw {
    section: Section,
    name: String,
    /// In the order of the file; the first of several with one key counts.
    args: Vec<(String, String)>,
    line: u32,
}

impl Raw {
    fn get(&self, key: &str) -> Option<&str> {
        self.args.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}
