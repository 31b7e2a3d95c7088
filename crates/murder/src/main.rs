//! `murder`: the operator's command.

use std::process::ExitCode;

use clap::Parser;

#[derive(Debug, Parser)]
#[command(name = "murder", version, about = "Runs and looks after an IMAP murder")]
enum Command {
    Demo(murder::demo::Args),
    Passwd(murder::passwd::Args),
    Config(murder::config::Args),
    Status(murder::status::Args),
    Explain(murder::status::ExplainArgs),
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::Demo(args) => murder::demo::run(&args),
        Command::Passwd(args) => murder::passwd::run(&args),
        Command::Config(args) => murder::config::run(&args),
        Command::Status(args) => murder::status::run(&args),
        Command::Explain(args) => murder::status::explain(&args),
    }
}
