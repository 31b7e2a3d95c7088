//! `murder config convert`: a file in Cyrus's form becomes TOML, and TOML becomes that.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use ::config::{Problems, cyrus, imapd};

/// Converts a configuration file to TOML, or from TOML
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// A file whose name ends in .toml is converted to Cyrus's form, any other to TOML
    file: PathBuf,
    /// Write here, not to standard output; an existing file is left alone
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The file is a cyrus.conf, whatever its name
    #[arg(long)]
    cyrus: bool,
}

pub fn run(args: &Args) -> ExitCode {
    let text = match convert(args) {
        Ok(text) => text,
        Err(problems) => {
            service::complain!("{problems}");
            return ExitCode::from(::config::EX_CONFIG);
        }
    };
    let written = match &args.output {
        None => {
            std::io::stdout().write_all(text.as_bytes()).map_err(|error| format!("standard output: {error}"))
        }
        Some(path) => std::fs::File::create_new(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| format!("{}: {error}", path.display())),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            service::complain!("murder config convert: {message}");
            ExitCode::FAILURE
        }
    }
}

fn convert(args: &Args) -> Result<String, Problems> {
    let path = &args.file;
    let text = ::config::read_text(path)
        .map_err(|error| Problems::of_file(path, format!("cannot read: {error}")))?;
    match (args.cyrus || super::is_cyrus_conf(path, &text), imapd::toml::is_toml(path)) {
        (true, true) => cyrus::convert::to_conf(path, &text),
        (true, false) => cyrus::convert::to_toml(path, &text),
        (false, true) => imapd::convert::to_conf(path, &text),
        (false, false) => imapd::convert::to_toml(path, &text),
    }
}

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Exit status:
  0   converted
  1   the file cannot be read, or the other one written
  78  the file is wrong

Examples:
  murder config convert /etc/imapd.conf -o imapd.toml
  murder config convert imapd.toml";
