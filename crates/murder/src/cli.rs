//! The command line: its definition, from which the manual pages and completions are made too.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::{config, demo, deny, doctor, drain, passwd, status, who};

/// Runs and looks after an IMAP murder
#[derive(Debug, Parser)]
#[command(name = "murder", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Demo(demo::Args),
    Doctor(doctor::Args),
    Status(status::Args),
    Explain(status::ExplainArgs),
    Who(who::Args),
    Kick(who::KickArgs),
    Deny(deny::Args),
    Allow(deny::AllowArgs),
    Drain(drain::Args),
    Passwd(passwd::Args),
    Config(config::Args),
    /// Prints completions for a shell
    Completions {
        shell: clap_complete::Shell,
    },
}

impl Cli {
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Demo(args) => demo::run(&args),
            Command::Doctor(args) => doctor::run(&args),
            Command::Status(args) => status::run(&args),
            Command::Explain(args) => status::explain(&args),
            Command::Who(args) => who::run(&args),
            Command::Kick(args) => who::kick(&args),
            Command::Deny(args) => deny::run(&args),
            Command::Allow(args) => deny::allow(&args),
            Command::Drain(args) => drain::run(&args),
            Command::Passwd(args) => passwd::run(&args),
            Command::Config(args) => config::run(&args),
            Command::Completions { shell } => {
                clap_complete::generate(shell, &mut Cli::command(), "murder", &mut std::io::stdout());
                ExitCode::SUCCESS
            }
        }
    }
}
