//! The command line.

use std::path::{Path, PathBuf};

use clap::Parser;

/// Starts and supervises the programs of a murder's node.
///
/// It reads cyrus.conf, runs START to its end, opens all sockets of SERVICES, becomes the cyrus user, and keeps services and
/// daemons running. SIGHUP rereads the configuration; SIGTERM stops the node in order.
#[derive(Debug, Clone, Parser)]
#[command(name = "master", version, disable_version_flag = true, after_help = AFTER_HELP)]
pub struct Options {
    /// Read this imapd.conf, and let the programs that name none read it too
    #[arg(short = 'C', value_name = "FILE", default_value = "/etc/imapd.conf", hide_default_value = true)]
    pub imapd_conf: PathBuf,
    /// Read this cyrus.conf
    #[arg(short = 'M', value_name = "FILE", default_value = "/etc/cyrus.conf")]
    pub cyrus_conf: PathBuf,
    /// Check both files, print every problem, and exit: 0 when there is none, else 78
    #[arg(short = 't')]
    pub check: bool,
    /// Go into the background, once the pid file is locked
    #[arg(short = 'd', conflicts_with = "debug")]
    pub background: bool,
    /// Debugging: log more, and to standard error in any case
    #[arg(short = 'D')]
    pub debug: bool,
    /// Length of each socket's queue of connections that wait to be accepted
    #[arg(short = 'l', value_name = "BACKLOG", default_value_t = 1024, value_parser = clap::value_parser!(i32).range(1..=65535))]
    pub backlog: i32,
    /// Append standard output and standard error, and the log, to this file
    #[arg(short = 'L', value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Write the process id to this file [default: master_pid_file of imapd.conf]
    #[arg(short = 'p', value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Create this file when the node is ready [default: master_ready_file of imapd.conf]
    #[arg(short = 'r', value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Accepted for Cyrus's sake and without effect: ended children need no sweeps here
    #[arg(short = 'j', value_name = "SWEEPS")]
    pub janitor: Option<u32>,
    /// Log more; repeat for still more
    #[arg(short = 'v', action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Print the version and exit
    #[arg(short = 'V', long = "version", action = clap::ArgAction::Version)]
    pub version: Option<bool>,
}

impl Options {
    /// The imapd.conf to pass on to programs: only when one was named, since they know the default themselves.
    pub fn conf_for_children(&self) -> Option<PathBuf> {
        (self.imapd_conf != Path::new(DEFAULT_IMAPD_CONF)).then(|| self.imapd_conf.clone())
    }

    /// Makes file names independent of the working directory, which `-d` changes, and adds CYRUS_VERBOSE.
    pub fn settled(mut self) -> std::io::Result<Self> {
        self.imapd_conf = std::path::absolute(&self.imapd_conf)?;
        self.cyrus_conf = std::path::absolute(&self.cyrus_conf)?;
        for path in [&mut self.log_file, &mut self.pid_file, &mut self.ready_file].into_iter().flatten() {
            *path = std::path::absolute(&path)?;
        }
        let inherited: u8 =
            std::env::var("CYRUS_VERBOSE").ok().and_then(|value| value.parse().ok()).unwrap_or(0);
        self.verbose = self.verbose.max(inherited);
        Ok(self)
    }
}

const DEFAULT_IMAPD_CONF: &str = "/etc/imapd.conf";
/// What `--help` ends with; master(8) says the same.
const AFTER_HELP: &str = "\
Exit status:
  0   it was told to stop, and did so in order; with -t: no mistakes
  1   ctl_cyrusdb -r of START failed, or the user cannot be become
  71  the pid file is locked, or the system refuses something
  78  the configuration is wrong

Examples:
  master -t                            both files are looked at, nothing is started
  master -D -C ./imapd.conf -M ./cyrus.conf
  systemctl reload murder              after a change: SIGHUP";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_manual_page_has_every_option_and_no_other() {
        let page = include_str!("../../../docs/man/master.8");
        let told: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(".It Fl ")).collect();
        let told: std::collections::BTreeSet<char> =
            told.iter().filter_map(|words| words.chars().next()).collect();
        let known = Options::command().get_arguments().filter_map(clap::Arg::get_short).collect();
        assert_eq!(told, known);
    }

    #[test]
    fn the_options_of_cyrus_are_all_understood() {
        Options::command().debug_assert();
        let words = "master -C i -M c -l 64 -p p -r r -j 4 -d -L log -v -v";
        let options = Options::try_parse_from(words.split(' ')).unwrap().settled().unwrap();
        assert_eq!((options.backlog, options.verbose, options.background), (64, 2, true));
        assert!(options.conf_for_children().unwrap().is_absolute());
        assert!(Options::try_parse_from(["master", "-d", "-D"]).is_err());
        assert_eq!(Options::try_parse_from(["master"]).unwrap().conf_for_children(), None);
    }
}
