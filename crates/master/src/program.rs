//! What a `cmd=` runs here: Cyrus's names to this project's programs, and everything else to what is on disk.
//!
//! 1. Wrappers are looked through: `nice -n 19 …`, `/usr/sbin/cyrus NAME …`.
//! 2. The last component of the path decides, whatever the directory: `/usr/lib/cyrus/bin/imapd` in a file written for Cyrus
//!    means what `imapd` means.
//! 3. A name of ours, or one that Cyrus has and we serve, is our program, in the directory of master's own executable first.
//! 4. A name of Cyrus's that works on Cyrus's own mailbox list has no counterpart: it is reported and not run, even where Cyrus
//!    is installed beside us.
//! 5. Anything else is a foreign program: as given when absolute, else from master's directory or Cyrus's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A `cmd=` made ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub program: Program,
    /// The last path component of the program as written: `imapd` of `/usr/lib/cyrus/bin/imapd -s`.
    pub written: String,
    /// The words after the program.
    pub args: Vec<String>,
    /// From a `nice` in front.
    pub nice: i32,
}

/// Who the program belongs to, which decides how it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// This project's: sockets by LISTEN_FDS, one process for all lines of it.
    Ours(PathBuf),
    /// Anybody else's: Cyrus's protocol on descriptors 3 and 4.
    Foreign(PathBuf),
    /// Cyrus has it and this project does not. The text says so.
    Absent(String),
}

/// Why a `cmd=` cannot be run at all.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ResolveError {
    #[error("expected a program and its arguments, not nothing")]
    Empty,
    #[error("{name}: no such program here, nor in {}", places.join(", "))]
    Missing { name: String, places: Vec<String> },
    #[error("{}: {why}", path.display())]
    Unusable { path: PathBuf, why: String },
    #[error("{0}: expected a program after it")]
    BareWrapper(String),
}

/// Where programs are looked for.
#[derive(Debug, Clone)]
pub struct Resolver {
    /// Directories of our programs, in order.
    pub ours: Vec<PathBuf>,
    /// Directories of other programs, in order.
    pub foreign: Vec<PathBuf>,
}

impl Resolver {
    /// The directory of master's own executable first; then where packages put things.
    pub fn installed(executable: &Path) -> Self {
        let own = executable.parent().unwrap_or(Path::new("/")).to_owned();
        let beside = own.parent().map(|prefix| prefix.join("lib/murder"));
        let ours: Vec<PathBuf> =
            [own].into_iter().chain(beside).chain([PathBuf::from("/usr/lib/murder")]).collect();
        let foreign =
            ours.iter().take(1).cloned().chain(CYRUS_DIRECTORIES.iter().map(PathBuf::from)).collect();
        Self { ours, foreign }
    }

    /// Resolves the words of a `cmd=`. `frontend` tells whether Cyrus's server names mean the proxies.
    pub fn resolve(&self, cmd: &[String], frontend: bool) -> Result<Command, ResolveError> {
        let words: Vec<&str> = cmd.iter().map(String::as_str).collect();
        let Unwrapped { words, nice, by_cyrus } = unwrap(&words)?;
        let (first, args) = words.split_first().ok_or(ResolveError::Empty)?;
        let full = if by_cyrus { self.full_name(first) } else { (*first).to_owned() };
        let (first, written) = (full.as_str(), last_component(&full).to_owned());
        // Before Cyrus 2.3.8 this was the tool that forgets old duplicates; cyr_expire has the option.
        let prunes = written == "ctl_deliver" && args.iter().any(|word| word.starts_with("-E"));
        let meant = if prunes { "cyr_expire" } else { written.as_str() };
        let program = match ours(meant, frontend) {
            Some(name) => match self.find_ours(name) {
                Some(path) => Program::Ours(path),
                None if OPTIONAL.contains(&name) => {
                    Program::Absent(format!("{written} ({name}) is not installed here"))
                }
                None => return Err(missing(name, &self.ours)),
            },
            None if NO_COUNTERPART.contains(&written.as_str()) => {
                Program::Absent(format!("{written} has no counterpart in this murder"))
            }
            None => self.find_foreign(first, &written)?,
        };
        Ok(Command { program, written, args: args.iter().map(|word| (*word).to_owned()).collect(), nice })
    }

    /// What Debian's wrapper runs for a name: that program, or the one that is called so after `cyr_` or `ctl_`.
    fn full_name(&self, name: &str) -> String {
        let known = |name: &str| {
            OWN_NAMES.contains(&name)
                || ours(name, false).is_some()
                || NO_COUNTERPART.contains(&name)
                || self.foreign.iter().any(|directory| directory.join(name).exists())
        };
        let names = [name.to_owned(), format!("cyr_{name}"), format!("ctl_{name}")];
        match names.iter().find(|name| known(name)) {
            Some(found) => found.clone(),
            None if name == "check" => "chk_cyrus".to_owned(),
            None => name.to_owned(),
        }
    }

    fn find_ours(&self, name: &str) -> Option<PathBuf> {
        self.ours.iter().map(|directory| directory.join(name)).find(|path| check_executable(path).is_ok())
    }

    fn find_foreign(&self, first: &str, written: &str) -> Result<Program, ResolveError> {
        if first.starts_with('/') {
            let path = PathBuf::from(first);
            return match check_executable(&path) {
                Ok(()) => Ok(Program::Foreign(path)),
                Err(_) if MAY_BE_MISSING.contains(&written) => Ok(not_installed(written)),
                Err(why) => Err(ResolveError::Unusable { path, why }),
            };
        }
        let existing = self.foreign.iter().map(|directory| directory.join(first)).find(|path| path.exists());
        match existing {
            Some(path) => match check_executable(&path) {
                Ok(()) => Ok(Program::Foreign(path)),
                Err(why) => Err(ResolveError::Unusable { path, why }),
            },
            None if MAY_BE_MISSING.contains(&written) => Ok(not_installed(written)),
            None => Err(missing(first, &self.foreign)),
        }
    }
}

impl Command {
    /// The executable, when there is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.program {
            Program::Ours(path) | Program::Foreign(path) => Some(path),
            Program::Absent(_) => None,
        }
    }
}

/// The program of ours that a name means.
fn ours(name: &str, frontend: bool) -> Option<&'static str> {
    if let Some(own) = OWN_NAMES.iter().find(|own| **own == name) {
        return Some(own);
    }
    Some(match (name, frontend) {
        ("proxyd", _) | ("imapd" | "imap", true) => "imapproxy",
        ("pop3proxyd", _) | ("pop3d", true) => "pop3proxy",
        ("lmtpproxyd", _) | ("lmtpd", true) => "lmtpproxy",
        ("timsieved", true) => "sieveproxy",
        ("nntpd", true) => "nntpproxy",
        ("imapd" | "imap" | "pop3d" | "lmtpd" | "timsieved" | "nntpd", false) => "backend",
        _ => return None,
    })
}

/// What is left of a `cmd=` without the wrappers in front.
struct Unwrapped<'a, 'b> {
    words: &'b [&'a str],
    /// What `nice` adds.
    nice: i32,
    /// Debian's `cyrus` stood there, which completes names.
    by_cyrus: bool,
}

/// Strips `nice` and Debian's `cyrus` from the front.
fn unwrap<'a, 'b>(words: &'b [&'a str]) -> Result<Unwrapped<'a, 'b>, ResolveError> {
    let mut rest = Unwrapped { words, nice: 0, by_cyrus: false };
    while let Some((first, after)) = rest.words.split_first() {
        match last_component(first) {
            "nice" => {
                let (added, after) = nice_options(after);
                rest.nice = rest.nice.saturating_add(added).clamp(-20, 19);
                rest.words = after;
            }
            "cyrus" => (rest.words, rest.by_cyrus) = (after, true),
            _ => return Ok(rest),
        }
        if rest.words.is_empty() {
            return Err(ResolveError::BareWrapper((*first).to_owned()));
        }
    }
    Ok(rest)
}

/// `-n N`, `-nN`, `-N`, `--adjustment=N`; without any, nice adds 10.
fn nice_options<'a, 'b>(words: &'b [&'a str]) -> (i32, &'b [&'a str]) {
    match words {
        ["-n" | "--adjustment", value, rest @ ..] => (value.parse().unwrap_or(10), rest),
        [first, rest @ ..] if first.starts_with('-') => {
            let value = first.trim_start_matches("--adjustment=").trim_start_matches("-n");
            let value = if value == *first { first.trim_start_matches('-') } else { value };
            (value.parse().unwrap_or(10), rest)
        }
        rest => (10, rest),
    }
}

fn last_component(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn missing(name: &str, places: &[PathBuf]) -> ResolveError {
    ResolveError::Missing {
        name: name.to_owned(),
        places: places.iter().map(|place| place.display().to_string()).collect(),
    }
}

fn not_installed(name: &str) -> Program {
    Program::Absent(format!("{name} is not installed here, and this murder works without it"))
}

/// A regular file that somebody may execute; else what it is instead.
fn check_executable(path: &Path) -> Result<(), String> {
    let found = fs::metadata(path).map_err(|error| error.to_string())?;
    if !found.is_file() {
        return Err("not a regular file".to_owned());
    }
    if found.permissions().mode() & 0o111 == 0 {
        return Err("not executable".to_owned());
    }
    Ok(())
}

/// Programs of this project under their own names.
const OWN_NAMES: &[&str] = &[
    "mupdate",
    "imapproxy",
    "pop3proxy",
    "lmtpproxy",
    "sieveproxy",
    "nntpproxy",
    "backend",
    "ctl_mboxlist",
    "ctl_cyrusdb",
    "mupdatetest",
    "murder",
    "cyr_expire",
    "reconstruct",
    "sievec",
    "sieved",
    "squatter",
];

/// Those of them without which a node is still whole.
const OPTIONAL: &[&str] = &[
    "sieveproxy",
    "nntpproxy",
    "cyr_expire",
    "reconstruct",
    "sievec",
    "sieved",
    "squatter",
    "murder",
    "mupdatetest",
];

/// Cyrus's programs that work on Cyrus's own mailbox list or spool, or that have nothing to do here.
const NO_COUNTERPART: &[&str] = &[
    "arbitron",
    "backupd",
    "calalarmd",
    "chk_cyrus",
    "ctl_backups",
    "ctl_conversationsdb",
    "ctl_deliver",
    "ctl_zoneinfo",
    "cvt_cyrusdb",
    "cyr_dbtool",
    "cyr_virusscan",
    "deliver",
    "fud",
    "httpd",
    "idled",
    "ipurge",
    "mbexamine",
    "mbpath",
    "promstatsd",
    "quota",
    "smmapd",
    "sync_client",
    "sync_reset",
    "sync_server",
    "tls_prune",
    "unexpunge",
];

/// Foreign programs that stand in many a cyrus.conf and that a node can do without.
const MAY_BE_MISSING: &[&str] =
    &["fetchnews", "masssievec", "notifyd", "ptdump", "ptexpire", "ptloader", "saslauthd"];

/// Where distributions put Cyrus's programs; the administrator's tools last.
const CYRUS_DIRECTORIES: &[&str] = &[
    "/usr/lib/cyrus/bin",
    "/usr/libexec/cyrus-imapd",
    "/usr/lib/cyrus-imapd",
    "/usr/cyrus/libexec",
    "/usr/cyrus/bin",
    "/usr/local/cyrus/libexec",
    "/usr/local/cyrus/bin",
    "/usr/sbin",
    "/usr/local/sbin",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(programs: &[&str]) -> (tempfile::TempDir, Resolver) {
        let directory = tempfile::tempdir().unwrap();
        for name in programs {
            let path = directory.path().join(name);
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let places = vec![directory.path().to_owned()];
        (directory, Resolver { ours: places.clone(), foreign: places })
    }

    fn words(cmd: &str) -> Vec<String> {
        cmd.split_whitespace().map(str::to_owned).collect()
    }

    const ALL: &[&str] = &[
        "mupdate",
        "imapproxy",
        "pop3proxy",
        "lmtpproxy",
        "sieveproxy",
        "nntpproxy",
        "backend",
        "ctl_cyrusdb",
        "cyr_expire",
        "own",
    ];

    #[test]
    fn cyrus_names_mean_the_proxies_on_a_frontend_and_the_store_elsewhere() {
        let (directory, resolver) = resolver(ALL);
        let table = [
            ("imapd -s", "imapproxy", "backend"),
            ("/usr/lib/cyrus/bin/imapd", "imapproxy", "backend"),
            ("pop3d -k", "pop3proxy", "backend"),
            ("lmtpd -a", "lmtpproxy", "backend"),
            ("timsieved", "sieveproxy", "backend"),
            ("nntpd -r", "nntpproxy", "backend"),
            ("proxyd", "imapproxy", "imapproxy"),
            ("pop3proxyd", "pop3proxy", "pop3proxy"),
            ("lmtpproxyd", "lmtpproxy", "lmtpproxy"),
            ("mupdate -m", "mupdate", "mupdate"),
            ("/usr/sbin/cyrus ctl_cyrusdb -r", "ctl_cyrusdb", "ctl_cyrusdb"),
            ("/usr/bin/nice -n 19 /usr/sbin/cyrus cyr_expire -E 3", "cyr_expire", "cyr_expire"),
            ("/usr/sbin/cyrus expire -E 3", "cyr_expire", "cyr_expire"),
            ("ctl_deliver -E 3", "cyr_expire", "cyr_expire"),
            ("cyrus cyrusdb -r", "ctl_cyrusdb", "ctl_cyrusdb"),
        ];
        for (cmd, on_frontend, elsewhere) in table {
            for (frontend, name) in [(true, on_frontend), (false, elsewhere)] {
                let command = resolver.resolve(&words(cmd), frontend).unwrap();
                assert_eq!(command.program, Program::Ours(directory.path().join(name)), "{cmd} {frontend}");
            }
        }
    }

    #[test]
    fn wrappers_are_looked_through_and_niceness_is_kept() {
        let (_directory, resolver) = resolver(ALL);
        for (cmd, nice) in [
            ("nice own x", 10),
            ("nice -n 19 own x", 19),
            ("nice -19 own x", 19),
            ("nice -n19 own x", 19),
            ("nice --adjustment=5 own x", 5),
            ("own x", 0),
        ] {
            let command = resolver.resolve(&words(cmd), false).unwrap();
            assert_eq!(
                (command.nice, command.written.as_str(), command.args.as_slice()),
                (nice, "own", &["x".to_owned()][..])
            );
        }
        assert_eq!(
            resolver.resolve(&words("nice -n 19"), false),
            Err(ResolveError::BareWrapper("nice".into()))
        );
        assert_eq!(resolver.resolve(&words("  "), false), Err(ResolveError::Empty));
    }

    #[test]
    fn what_cyrus_has_and_we_do_not_is_absent_and_what_nobody_has_is_an_error() {
        let (_directory, resolver) = resolver(ALL);
        for cmd in [
            "tls_prune",
            "/usr/sbin/cyrus squatter -i",
            "cyrus unexpunge -l",
            "notifyd",
            "/nowhere/notifyd",
            "cyrus idled",
            "cyrus check",
            "cyrus deliver",
        ] {
            let command = resolver.resolve(&words(cmd), true).unwrap();
            assert!(matches!(command.program, Program::Absent(_)), "{cmd}");
        }
        // An installation without the optional program of a frontend.
        let (_without, older) = self::resolver(&["backend"]);
        for optional in ["timsieved", "nntpd"] {
            let program = older.resolve(&words(optional), true).unwrap().program;
            assert!(matches!(program, Program::Absent(_)), "{optional}");
        }
        assert!(matches!(resolver.resolve(&words("expire -E 3"), true), Err(ResolveError::Missing { .. })));
        assert!(matches!(resolver.resolve(&words("mystery -x"), true), Err(ResolveError::Missing { .. })));
        assert!(matches!(
            resolver.resolve(&words("/nowhere/mystery"), true),
            Err(ResolveError::Unusable { .. })
        ));
        assert!(matches!(resolver.resolve(&words("/tmp"), true), Err(ResolveError::Unusable { .. })));
        let (_empty, nothing) = self::resolver(&[]);
        assert!(matches!(nothing.resolve(&words("imapd"), false), Err(ResolveError::Missing { .. })));
    }

    #[test]
    fn a_program_on_disk_is_foreign() {
        let (directory, resolver) = resolver(&["own", "notifyd"]);
        let own = resolver.resolve(&words("own -C /etc/other.conf"), true).unwrap();
        assert_eq!(own.program, Program::Foreign(directory.path().join("own")));
        let notifyd = resolver.resolve(&words("/usr/bin/env"), true).unwrap();
        assert_eq!(notifyd.program, Program::Foreign("/usr/bin/env".into()));
    }
}
