//! The command line of `ctl_mboxlist`: exactly one of `-d -u -m -v`, each with its own further flags.

use std::path::PathBuf;

use clap::Parser;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub config: PathBuf,
    /// Another list than the node's own: the folder of a sled database.
    pub filename: Option<PathBuf>,
    pub action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Dump {
        /// Remove each dumped entry from the list.
        remove: bool,
        intermediaries: bool,
        partition: Option<String>,
    },
    Undump {
        legacy: bool,
    },
    Sync {
        authoritative: bool,
        warn_only: bool,
        interactive: bool,
        /// Carry out what the mass-delete guard would hold.
        accept: bool,
    },
    Verify,
}

// As `getopt` has them; what goes together is checked afterwards.
/// Dumps, restores, synchronises and verifies a node's list of mailboxes; exactly one of -d, -u, -m and -v
#[derive(Debug, Parser)]
#[command(name = "ctl_mboxlist", version, after_help = AFTER_HELP)]
pub struct Flags {
    /// The node's imapd.conf
    #[arg(short = 'C', long = "config", value_name = "FILE", default_value = "/etc/imapd.conf")]
    config: PathBuf,
    /// Another list than the node's own: the folder of a database
    #[arg(short = 'f', long = "filename", value_name = "FOLDER")]
    filename: Option<PathBuf>,
    /// Print the list as JSON
    #[arg(short = 'd', long = "dump")]
    dump: bool,
    /// Put the entries of a dump on standard input into the list
    #[arg(short = 'u', long = "undump")]
    undump: bool,
    /// Bring this backend and the MUPDATE master in step
    #[arg(short = 'm', long = "sync-mupdate")]
    sync: bool,
    /// Compare the list with what is on disk
    #[arg(short = 'v', long = "verify")]
    verify: bool,
    /// With -d: remove each dumped entry from the list
    #[arg(short = 'x', long = "remove-dumped")]
    remove: bool,
    /// With -d: entries that only stand between others, too
    #[arg(short = 'y', long = "include-intermediaries")]
    intermediaries: bool,
    /// With -d: entries of this partition only
    #[arg(short = 'p', long = "partition", value_name = "NAME")]
    partition: Option<String>,
    /// With -u: the dump is in the tab-separated format of Cyrus before 3.2
    #[arg(short = 'L', long = "legacy")]
    legacy: bool,
    /// With -m: this backend is right where both claim a mailbox
    #[arg(short = 'a', long = "authoritative")]
    authoritative: bool,
    /// With -m: only show what would be done
    #[arg(short = 'w', long = "warn-only")]
    warn_only: bool,
    /// With -m: ask before mailboxes are deleted
    #[arg(short = 'i', long = "interactive")]
    interactive: bool,
    /// With -m: delete even more than a fifth of the mailboxes
    #[arg(long = "accept-mass-delete")]
    accept: bool,
}

pub const USAGE: &str = "\
DUMP:
  ctl_mboxlist [-C <alt_config>] -d [-x] [-y] [-p partition] [-f filename]
UNDUMP:
  ctl_mboxlist [-C <alt_config>] -u [-f filename] [-L]    [< mboxlist.dump]
MUPDATE populate:
  ctl_mboxlist [-C <alt_config>] -m [-a] [-w] [-i] [-f filename] [--accept-mass-delete]
VERIFY:
  ctl_mboxlist [-C <alt_config>] -v [-f filename]
";

impl Options {
    /// Reads the command line, program name first.
    ///
    /// # Errors
    /// Wrong use: the caller prints [`USAGE`]. The text says what is wrong, if more than that is.
    pub fn parse(words: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Options, String> {
        let flags = Flags::try_parse_from(words).map_err(|error| match error.kind() {
            clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion => error.exit(),
            clap::error::ErrorKind::UnknownArgument => {
                error.to_string().lines().next().unwrap_or("").to_owned()
            }
            _ => String::new(),
        })?;
        let modes = [flags.dump, flags.undump, flags.sync, flags.verify].iter().filter(|mode| **mode).count();
        let of_dump = flags.remove || flags.intermediaries || flags.partition.is_some();
        let of_sync = flags.authoritative || flags.warn_only || flags.interactive || flags.accept;
        let astray = (of_dump && !flags.dump) || (of_sync && !flags.sync) || (flags.legacy && !flags.undump);
        if modes != 1 || astray {
            return Err(String::new());
        }
        let action = match (flags.dump, flags.undump, flags.sync) {
            (true, ..) => Action::Dump {
                remove: flags.remove,
                intermediaries: flags.intermediaries,
                partition: flags.partition,
            },
            (_, true, _) => Action::Undump { legacy: flags.legacy },
            (_, _, true) => Action::Sync {
                authoritative: flags.authoritative,
                warn_only: flags.warn_only,
                interactive: flags.interactive,
                accept: flags.accept,
            },
            _ => Action::Verify,
        };
        Ok(Options { config: flags.config, filename: flags.filename, action })
    }
}

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Exit status:
  0   done
  1   it was not, or the words do not go together
  78  the configuration is wrong

Examples:
  ctl_mboxlist -d > list.json
  ctl_mboxlist -u < list.json          puts these entries into the list; others stay
  ctl_mboxlist -mw                     what -m would do
  ctl_mboxlist -m";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Action, String> {
        Options::parse(line.split_whitespace().map(Into::into)).map(|options| options.action)
    }

    #[test]
    fn flags_that_do_not_go_together_are_wrong_use() {
        for line in [
            "x",
            "x -d -u",
            "x -m -v",
            "x -a",
            "x -w -d",
            "x -p default -u",
            "x -x",
            "x -y -m",
            "x -L -m",
            "x -L",
            "x -i -v",
            "x -r",
            "x -c",
            "x -d -f a -f b",
            "x -d more",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn flags_are_read_short_joined_and_long() {
        let sync = |authoritative, warn_only| {
            Ok(Action::Sync { authoritative, warn_only, interactive: false, accept: false })
        };
        assert_eq!(parse("x -mw"), sync(false, true));
        assert_eq!(parse("x -m -a"), sync(true, false));
        assert_eq!(parse("x --sync-mupdate --authoritative --warn-only"), sync(true, true));
        assert_eq!(parse("x -uL"), Ok(Action::Undump { legacy: true }));
        assert_eq!(
            parse("x -dxyp fast"),
            Ok(Action::Dump { remove: true, intermediaries: true, partition: Some("fast".into()) })
        );
        let options = Options::parse(["x", "-C", "/c", "-v", "-f", "/l"].map(Into::into)).unwrap();
        assert_eq!((options.config.as_path(), options.filename), ("/c".as_ref(), Some("/l".into())));
    }
}
