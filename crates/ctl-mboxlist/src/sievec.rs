//! The command lines of `sievec` and `sieved`: what is done with a script here is to check it, and to print it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use sieve::Extensions;

/// Check a Sieve script
#[derive(Parser)]
#[command(name = "sievec", version, after_help = AFTER_SIEVEC)]
pub struct Options {
    /// Accepted for Cyrus's sake: a script is checked alike on all nodes
    #[arg(short = 'C', value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The script
    pub script: PathBuf,
    /// Where Cyrus would put bytecode: the script itself is put there
    pub output: Option<PathBuf>,
}

/// Print a Sieve script in its plain form
#[derive(Parser)]
#[command(name = "sieved", version, after_help = AFTER_SIEVED)]
pub struct PrintOptions {
    /// Accepted for Cyrus's sake: nothing is configured
    #[arg(short = 'C', value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The script, or what sievec has put out
    pub script: PathBuf,
}

/// 0: it is well. 1: it has mistakes, which are shown with their lines.
pub fn check(options: &Options) -> ExitCode {
    let Some(script) = read("sievec", &options.script) else { return ExitCode::FAILURE };
    let name = options.script.display();
    match sieve::compile(&script, Extensions::all()) {
        Ok(compiled) => {
            compiled
                .warnings
                .iter()
                .for_each(|one| service::complain!("{name}:{}: warning: {}", one.line, one.text));
        }
        Err(problems) => {
            problems.iter().for_each(|one| service::complain!("{name}:{}: {}", one.line, one.text));
            return ExitCode::FAILURE;
        }
    }
    let Some(output) = &options.output else { return ExitCode::SUCCESS };
    match fs::write(output, script) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            service::complain!("sievec: {}: {why}", output.display());
            ExitCode::FAILURE
        }
    }
}

/// The same of a script that is printed.
pub fn print(options: &PrintOptions) -> ExitCode {
    let Some(script) = read("sieved", &options.script) else { return ExitCode::FAILURE };
    match sieve::plain(&script) {
        Ok(text) => {
            service::say_part!("{text}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            service::complain!("{}:{}: {}", options.script.display(), problem.line, problem.text);
            ExitCode::FAILURE
        }
    }
}

fn read(program: &str, path: &Path) -> Option<Vec<u8>> {
    let read = fs::read(path);
    if let Err(why) = &read {
        service::complain!("{program}: {}: {why}", path.display());
    }
    read.ok()
}

/// What `--help` and the manual pages end with.
const AFTER_SIEVEC: &str = "\
Scripts run as they are: there is no bytecode. Users' scripts are checked when they are uploaded.

Exit status:
  0   the script may be used
  1   it has mistakes, which are shown with their lines, or a file cannot be read or written
  2   wrong use

Examples:
  sievec main.sieve";
const AFTER_SIEVED: &str = "\
A command a line, strings in quotes, without comments.

Exit status:
  0   printed
  1   it is no script, or cannot be read
  2   wrong use

Examples:
  sieved main.sieve";
