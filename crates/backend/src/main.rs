//! `backend`: the store and the services on it; see the library.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The store of a murder: IMAP, POP3 and LMTP
#[derive(Parser)]
#[command(name = "backend", version)]
struct Options {
    #[command(flatten)]
    arguments: service::Arguments,
}

fn main() -> ExitCode {
    let Options { arguments } = Options::parse();
    service::run(service::Program { name: "backend", arguments, alone: true }, backend::daemon::run)
}
