//! `imapproxy`: see the library.

use std::process::ExitCode;

use clap::Parser;
use service::{Arguments, Program};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The IMAP proxy of a murder's frontend
#[derive(Parser)]
#[command(name = "imapproxy", version)]
struct Command {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    let command = Command::parse();
    service::run(Program { name: "imapproxy", arguments: command.arguments, alone: false }, imapproxy::run)
}
