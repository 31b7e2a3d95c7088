//! `mupdatetest`: talks to a MUPDATE server.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    mupdate::tester::Cli::parse().run()
}
