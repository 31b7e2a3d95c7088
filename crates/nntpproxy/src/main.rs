//! `nntpproxy`: news for the whole murder; see the library.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let nntpproxy::Cli { arguments } = nntpproxy::Cli::parse();
    service::run(service::Program { name: "nntpproxy", arguments, alone: false }, nntpproxy::run)
}
