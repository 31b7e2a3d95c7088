//! `murder`: the operator's command.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    murder::cli::Cli::parse().run()
}
