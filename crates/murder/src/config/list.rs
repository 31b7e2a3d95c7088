//! `murder config list`: every option of imapd.conf, with its kind, default, effect and meaning.

use std::path::PathBuf;
use std::process::ExitCode;

use ::config::imapd::reload::AT_START;
use ::config::imapd::{Effect, Imapd, OPTIONS, OptionSpec};

/// Lists the options of imapd.conf
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Show the values of this file too
    #[arg(short = 'C', long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
    /// As this entry of cyrus.conf sees them
    #[arg(long, value_name = "ENTRY", default_value = "murder", requires = "config")]
    service: String,
    /// Only the options that the file sets
    #[arg(long, requires = "config")]
    set: bool,
    /// Only options whose name contains this
    #[arg(value_name = "TEXT")]
    filter: Option<String>,
}

pub fn run(args: &Args) -> ExitCode {
    let examined = args.config.as_deref().map(|path| Imapd::examine(path, &args.service));
    let (imapd, problems) = examined.unzip();
    let wrong = problems.filter(|problems| !problems.is_empty());
    let mut text = String::new();
    let mut section = "";
    for option in OPTIONS {
        let wanted = args.filter.as_deref().is_none_or(|filter| option.name.contains(filter));
        let written = imapd.as_ref().and_then(|imapd| imapd.written(option.name));
        if !wanted || (args.set && written.is_none()) {
            continue;
        }
        if section != option.section {
            section = option.section;
            text.push_str(&format!("\n{section}\n\n"));
        }
        text.push_str(&describe(option));
        if let Some(written) = written {
            let place = format!("{}:{}", written.file.display(), written.line);
            text.push_str(&format!("    Set to '{}' in {place}.\n", written.value));
        }
    }
    let printed = super::print(&text);
    match wrong {
        None => printed,
        Some(problems) => {
            service::complain!("{problems}");
            ExitCode::from(::config::EX_CONFIG)
        }
    }
}

fn describe(option: &OptionSpec) -> String {
    let default = if option.default.is_empty() { "none" } else { option.default };
    let mut text = format!("{}: {} (default: {default})\n    {}\n", option.name, option.kind, option.doc);
    match option.effect {
        Effect::Honoured if AT_START.contains(&option.name) => {
            text.push_str("    Takes effect when the node is restarted.\n");
        }
        Effect::Honoured => {}
        Effect::None(why) => text.push_str(&format!("    Accepted without effect: {why}.\n")),
        Effect::Refused(why) => text.push_str(&format!("    Refused but for its default: {why}.\n")),
    }
    text
}

/// What `--help` and the manual page end with.
const AFTER_HELP: &str = "\
Exit status:
  0   shown
  78  the configuration is wrong

Examples:
  murder config list quota
  murder config list -C /etc/imapd.conf --set";
