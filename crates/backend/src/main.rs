//! `backend`: the store and the services on it; see the library.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let backend::Cli { arguments } = backend::Cli::parse();
    service::run(service::Program { name: "backend", arguments, alone: true }, backend::daemon::run)
}
