//! `lmtpproxy`: takes mail for the whole murder; see the library.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let lmtpproxy::Cli { arguments } = lmtpproxy::Cli::parse();
    service::run(service::Program { name: "lmtpproxy", arguments, alone: false }, lmtpproxy::run)
}
