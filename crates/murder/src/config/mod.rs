//! `murder config`: what the configuration files can say, whether they are right, and their two forms.

pub(crate) mod check;
mod convert;
mod list;
mod man;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Lists options, checks configuration files, converts them
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(list::Args),
    Check(check::Args),
    Convert(convert::Args),
    /// Prints the manual page imapd.conf(5), made from the registry of options
    #[command(after_help = AFTER_MAN)]
    Man,
}

/// imapd.conf(5).
pub fn manual_page() -> String {
    man::page()
}

pub fn run(args: &Args) -> ExitCode {
    match &args.command {
        Command::List(args) => list::run(args),
        Command::Check(args) => check::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Man => print(&man::page()),
    }
}

/// Prints a long text, perhaps into a pager that is left early.
fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            service::complain!("murder config: standard output: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether a file is a cyrus.conf: it begins with a section or a table of one; where nothing is in it, its name says.
fn is_cyrus_conf(path: &Path, text: &str) -> bool {
    const SECTIONS: [&str; 4] = ["START", "SERVICES", "EVENTS", "DAEMON"];
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(first) = first else {
        return path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("cyrus"));
    };
    let table = first.trim_matches(['[', ']']).split(['.', ' ']).next().unwrap_or_default();
    let section = first.strip_suffix('{').map(str::trim);
    let is_section = section.is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    is_section || (first.starts_with('[') && SECTIONS.iter().any(|name| name.eq_ignore_ascii_case(table)))
}

/// What `--help` and the manual page end with.
const AFTER_MAN: &str = "\
Exit status:
  0   printed

Examples:
  murder config man | man -l -";
const AFTER_HELP: &str = "\
Exit status:
  0   no mistakes
  1   a file cannot be read or written
  78  a configuration is wrong

Examples:
  murder config check -M /etc/cyrus.conf
  murder config list quota
  murder config convert /etc/imapd.conf -o imapd.toml";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_what_is_in_it_whatever_its_name() {
        for (name, text, is_cyrus) in [
            ("master.conf", "# ours\n\nSTART {\n}\n", true),
            ("services.toml", "[services.imap]\ncmd = 'imapd'\n", true),
            ("cyrus-imapd.conf", "configdirectory: /var/imap\n", false),
            ("imapd.toml", "[tls]\nserver_cert = '/c'\n", false),
            ("be1", "@include: /etc/more\n", false),
            ("cyrus.conf", "# nothing\n", true),
            ("imapd.conf", "", false),
        ] {
            assert_eq!(is_cyrus_conf(Path::new(name), text), is_cyrus, "{name}");
        }
    }
}
