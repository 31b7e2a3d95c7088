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
            eprintln!("murder config: standard output: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether a file is a cyrus.conf, by its name.
fn is_cyrus_conf(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("cyrus"))
}
