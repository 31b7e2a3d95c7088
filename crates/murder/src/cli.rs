//! The command line: its definition, from which the manual pages and completions are made too.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::{
    certificate, config, cordon, demo, deny, doctor, drain, explain, forget, moving, passwd, sieve_import,
    sieve_test, status, who,
};

/// Runs and looks after an IMAP murder
#[derive(Debug, Parser)]
#[command(name = "murder", version, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Demo(demo::Args),
    Doctor(doctor::Args),
    Status(status::Args),
    Explain(explain::Args),
    Who(who::Args),
    Kick(who::KickArgs),
    Deny(deny::Args),
    Allow(deny::AllowArgs),
    Drain(drain::Args),
    Cordon(cordon::Args),
    Uncordon(cordon::EndArgs),
    Move(moving::Args),
    Moves(moving::moves_cmd::Args),
    Rebalance(moving::rebalance::Args),
    Remove(moving::remove::Args),
    Forget(forget::Args),
    Passwd(passwd::Args),
    Certificate(certificate::Args),
    Config(config::Args),
    SieveTest(sieve_test::Args),
    SieveImport(sieve_import::Args),
    /// Prints completions for a shell
    #[command(after_help = AFTER_COMPLETIONS)]
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
            Command::Explain(args) => explain::run(&args),
            Command::Who(args) => who::run(&args),
            Command::Kick(args) => who::kick(&args),
            Command::Deny(args) => deny::run(&args),
            Command::Allow(args) => deny::allow(&args),
            Command::Drain(args) => drain::run(&args),
            Command::Cordon(args) => cordon::run(&args),
            Command::Uncordon(args) => cordon::end(&args),
            Command::Move(args) => moving::run(&args),
            Command::Moves(args) => moving::moves_cmd::run(&args),
            Command::Rebalance(args) => moving::rebalance::run(&args),
            Command::Remove(args) => moving::remove::run(&args),
            Command::Forget(args) => forget::run(&args),
            Command::Passwd(args) => passwd::run(&args),
            Command::Certificate(args) => certificate::run(&args),
            Command::Config(args) => config::run(&args),
            Command::SieveTest(args) => sieve_test::run(&args),
            Command::SieveImport(args) => sieve_import::run(&args),
            Command::Completions { shell } => {
                let mut text = Vec::new();
                clap_complete::generate(shell, &mut Cli::command(), "murder", &mut text);
                service::say_part!("{}", String::from_utf8_lossy(&text));
                ExitCode::SUCCESS
            }
        }
    }
}

/// What `--help` and the manual page end with.
const AFTER_COMPLETIONS: &str = "\
Exit status:
  0   printed
  2   there are none for that shell

Examples:
  murder completions bash > ~/.local/share/bash-completion/completions/murder";
const AFTER_HELP: &str = "\
Exit status:
  0   it is well, or was done
  1   it is not, or was not; the message says what
  2   wrong use
  78  the configuration is wrong

Examples:
  murder doctor                 what is wrong here and between the nodes, and which line to change
  murder status                 the lists of this node, and whether the backends answer
  murder who fred               fred's sessions, on all nodes
  murder help forget            what a command does, and how it ends";
