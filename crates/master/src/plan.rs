//! The node as configured: both files read and every `cmd=` resolved, or every mistake told at once.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use config::cyrus::{CyrusConf, Listen, Place, Proto, When};
use config::imapd::{Imapd, Role};
use config::ports::Ports;
use config::{Problem, Problems};

use crate::arguments;
use crate::program::{Command, Program, Resolver};
use crate::roles::Roles;

/// One process of ours: a program and the imapd.conf that it reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey {
    pub program: PathBuf,
    pub conf: PathBuf,
}

/// Which files to read, and where programs are.
#[derive(Debug, Clone)]
pub struct Sources {
    pub cyrus_conf: PathBuf,
    pub imapd_conf: PathBuf,
    pub resolver: Resolver,
}

/// Everything that cyrus.conf asks for, ready to be carried out.
#[derive(Debug)]
pub struct Plan {
    pub imapd: Imapd,
    pub start: Vec<Start>,
    pub services: Vec<Service>,
    pub events: Vec<Event>,
    pub daemons: Vec<Daemon>,
    /// What is left out, or odd, but does not stop the node.
    pub warnings: Vec<Problem>,
    /// The `configdirectory` of each imapd.conf that a line names with `-C`.
    pub directories: Vec<PathBuf>,
}

/// A line of START.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    pub name: String,
    pub command: Command,
}

/// What makes a service the same one after a reload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    pub name: String,
    /// `listen=` and `proto=`, as text.
    pub place: String,
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A line of SERVICES.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub key: ServiceKey,
    pub listen: Listen,
    pub proto: Proto,
    pub command: Command,
    /// The imapd.conf that the program reads.
    pub conf: PathBuf,
    /// Workers kept ready; for our programs: above 0 means started at boot.
    pub prefork: u32,
    /// None: no limit.
    pub maxchild: Option<u32>,
    pub maxfds: Option<u64>,
    /// Forks per second; 0: no limit.
    pub maxforkrate: u32,
    pub babysit: bool,
}

impl Service {
    /// The process that serves it, for our programs; none for those that speak Cyrus's protocol.
    pub fn group(&self) -> Option<GroupKey> {
        match &self.command.program {
            Program::Ours(path) => Some(GroupKey { program: path.clone(), conf: self.conf.clone() }),
            Program::Foreign(_) | Program::Absent(_) => None,
        }
    }

    /// The executable.
    pub fn path(&self) -> &Path {
        self.command.path().unwrap_or(Path::new(""))
    }

    /// True when it is to run before anybody connects.
    pub fn at_boot(&self) -> bool {
        self.prefork > 0 && self.maxchild != Some(0)
    }
}

/// A line of EVENTS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub name: String,
    pub command: Command,
    pub when: When,
}

/// A line of DAEMON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    pub name: String,
    pub command: Command,
    pub maxfds: Option<u64>,
    /// Starts per second.
    pub maxforkrate: u32,
    /// Started in order before the services, ended in reverse order after them.
    pub wait: bool,
}

impl Plan {
    /// Reads both files.
    ///
    /// # Errors
    /// Every mistake in either, and every program of SERVICES and DAEMON that cannot be run.
    pub fn read(sources: &Sources) -> Result<Self, Problems> {
        Plan::examine(sources).map_err(|wrong| wrong.problems)
    }

    /// As [`Plan::read`], with what is odd beside what is wrong.
    ///
    /// # Errors
    /// As [`Plan::read`].
    pub fn examine(sources: &Sources) -> Result<Self, Wrong> {
        let mut problems = Problems::default();
        let (imapd, found) = Imapd::examine(&sources.imapd_conf, "master");
        let doubtful = doubts(&imapd);
        let imapd = Some(imapd).filter(|_| found.is_empty());
        problems.0.extend(found.0);
        let (cyrus, found) = CyrusConf::examine(&sources.cyrus_conf);
        problems.0.extend(found.0);
        // The lines of cyrus.conf are looked at even where imapd.conf is wrong, so that all mistakes are told.
        let drawn = Builder::new(sources, imapd.clone(), doubtful, &mut problems).build(cyrus);
        match imapd {
            Some(imapd) if problems.is_empty() => Ok(drawn.with(imapd)),
            _ => Err(Wrong { problems, warnings: drawn.warnings }),
        }
    }
}

/// Files that no node can be made of.
#[derive(Debug)]
pub struct Wrong {
    pub problems: Problems,
    pub warnings: Vec<Problem>,
}

/// A plan that has no imapd.conf yet.
#[derive(Debug, Default)]
struct Drawn {
    start: Vec<Start>,
    services: Vec<Service>,
    events: Vec<Event>,
    daemons: Vec<Daemon>,
    warnings: Vec<Problem>,
    directories: Vec<PathBuf>,
}

impl Drawn {
    fn with(self, imapd: Imapd) -> Plan {
        Plan {
            imapd,
            start: self.start,
            services: self.services,
            events: self.events,
            daemons: self.daemons,
            warnings: self.warnings,
            directories: self.directories,
        }
    }
}

struct Builder<'a> {
    sources: &'a Sources,
    problems: &'a mut Problems,
    drawn: Drawn,
    /// Each imapd.conf that a line reads; none where it is wrong.
    confs: HashMap<PathBuf, Option<Imapd>>,
    roles: Roles,
}

impl<'a> Builder<'a> {
    fn new(
        sources: &'a Sources,
        imapd: Option<Imapd>,
        warnings: Vec<Problem>,
        problems: &'a mut Problems,
    ) -> Self {
        let drawn = Drawn { warnings, ..Drawn::default() };
        let confs = HashMap::from([(sources.imapd_conf.clone(), imapd)]);
        Self { sources, problems, drawn, confs, roles: Roles::default() }
    }

    fn build(mut self, cyrus: CyrusConf) -> Drawn {
        self.drawn.warnings.extend(cyrus.warnings);
        for line in cyrus.start {
            if let Some((command, _)) = self.command(&line.name, &line.cmd, &line.place, Absence::Odd) {
                self.drawn.start.push(Start { name: line.name, command });
            }
        }
        for line in cyrus.services {
            self.service(line);
        }
        for line in cyrus.events {
            if let Some((command, _)) = self.command(&line.name, &line.cmd, &line.place, Absence::Odd) {
                self.drawn.events.push(Event { name: line.name, command, when: line.when });
            }
        }
        for line in cyrus.daemons {
            if let Some((command, _)) = self.command(&line.name, &line.cmd, &line.place, Absence::Wrong) {
                self.drawn.daemons.push(Daemon {
                    name: line.name,
                    command,
                    maxfds: limit(line.maxfds),
                    maxforkrate: line.maxforkrate,
                    wait: line.wait,
                });
            }
        }
        let objections = self.roles.check(&self.confs);
        self.problems.0.extend(objections.wrong);
        for (name, problem) in objections.skipped {
            self.drawn.services.retain(|service| service.key.name != name);
            self.drawn.warnings.push(problem);
        }
        self.drawn
    }

    fn service(&mut self, line: config::cyrus::Service) {
        let Some((mut command, conf)) = self.command(&line.name, &line.cmd, &line.place, Absence::Wrong)
        else {
            return;
        };
        for message in arguments::fit(&mut command) {
            self.drawn.warnings.push(Problem::new(&line.place.file, line.place.line, &line.name, message));
        }
        if let Listen::Inet { port, .. } = &line.listen
            && Ports::read().find(port, if line.proto.is_udp() { "udp" } else { "tcp" }).is_none()
        {
            let message = format!(
                "listen: no port is known for '{port}' (a number, or a name in /etc/services): nothing listens there"
            );
            self.drawn.warnings.push(Problem::new(&line.place.file, line.place.line, &line.name, message));
        }
        if line.proto.is_udp() && matches!(command.program, Program::Ours(_)) {
            let message = format!("{} is not served over udp: the line is skipped", command.written);
            self.drawn.warnings.push(Problem::new(&line.place.file, line.place.line, line.name, message));
            return;
        }
        if let (Program::Ours(_), Some(Some(imapd))) = (&command.program, self.confs.get(&conf)) {
            self.drawn.warnings.extend(line.doubt(imapd));
        }
        self.roles.note(&line.name, &command, &conf, &line.place);
        let place = format!("{} {:?}", listen_text(&line.listen), line.proto);
        let is_ours = matches!(command.program, Program::Ours(_));
        self.drawn.services.push(Service {
            key: ServiceKey { name: line.name, place },
            listen: line.listen,
            proto: line.proto,
            command,
            conf,
            prefork: line.prefork,
            maxchild: line.maxchild,
            // A process of ours serves many clients, where the file means one with a worker of its own.
            maxfds: limit(line.maxfds).filter(|_| !is_ours),
            maxforkrate: line.maxforkrate,
            babysit: line.babysit,
        });
    }

    /// The command of a line and the imapd.conf that it reads. None where it cannot or need not be run, which is then told.
    fn command(
        &mut self,
        name: &str,
        cmd: &[String],
        place: &Place,
        absence: Absence,
    ) -> Option<(Command, PathBuf)> {
        let sources = self.sources;
        let conf = config_file(cmd).map_or_else(|| sources.imapd_conf.clone(), PathBuf::from);
        let frontend = self.is_frontend(&conf, name, place);
        let command = match sources.resolver.resolve(cmd, frontend) {
            Ok(command) => command,
            Err(error) => {
                let problem = Problem::new(&place.file, place.line, name, error.to_string());
                match absence {
                    Absence::Wrong => self.problems.0.push(problem),
                    Absence::Odd => self.drawn.warnings.push(problem),
                }
                return None;
            }
        };
        if let Program::Absent(why) = &command.program {
            let message = format!("{why}: the line is skipped");
            self.drawn.warnings.push(Problem::new(&place.file, place.line, name, message));
            return None;
        }
        Some((command, conf))
    }

    /// `name` and `place`: the line that reads the file.
    fn is_frontend(&mut self, conf: &Path, name: &str, place: &Place) -> bool {
        if !self.confs.contains_key(conf) {
            let (imapd, found) = Imapd::examine(conf, "master");
            self.drawn.warnings.extend(doubts(&imapd));
            if !found.is_empty() {
                let message = format!("-C {}: that file is wrong", conf.display());
                self.problems.0.push(Problem::new(&place.file, place.line, name, message));
            }
            let imapd = Some(imapd).filter(|_| found.is_empty());
            self.problems.0.extend(found.0);
            if let Some(imapd) = &imapd {
                self.drawn.directories.push(PathBuf::from(&imapd.configdirectory));
            }
            self.confs.insert(conf.to_owned(), imapd);
        }
        self.confs.get(conf).is_some_and(|imapd| imapd.as_ref().is_some_and(is_frontend))
    }
}

/// What is worth a line in the log about an imapd.conf that is right.
fn doubts(imapd: &Imapd) -> Vec<Problem> {
    imapd.warnings().iter().cloned().chain(imapd.without_effect()).collect()
}

/// What it means that a line's program does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absence {
    /// SERVICES and DAEMON: the node would not be what the file says.
    Wrong,
    /// START and EVENTS: Cyrus notices only when it tries, and goes on.
    Odd,
}

fn is_frontend(imapd: &Imapd) -> bool {
    imapd.role() == Role::Frontend || imapd.is_unified()
}

/// The value of the last `-C` of a `cmd=`.
pub fn config_file(words: &[String]) -> Option<&str> {
    let mut words = words.iter();
    let mut found = None;
    while let Some(word) = words.next() {
        if word == "-C" {
            found = words.next().map(String::as_str);
        } else if let Some(path) = word.strip_prefix("-C") {
            found = Some(path);
        }
    }
    found
}

fn listen_text(listen: &Listen) -> String {
    match listen {
        Listen::Unix(path) => path.display().to_string(),
        Listen::Inet { host: None, port } => port.clone(),
        Listen::Inet { host: Some(host), port } => format!("[{host}]:{port}"),
    }
}

/// 0 leaves the limit alone.
fn limit(maxfds: u32) -> Option<u64> {
    (maxfds > 0).then_some(u64::from(maxfds))
}
