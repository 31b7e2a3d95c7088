//! `sieveproxy`: ManageSieve for the whole murder; see the library.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let sieveproxy::Cli { arguments } = sieveproxy::Cli::parse();
    service::run(service::Program { name: "sieveproxy", arguments, alone: false }, sieveproxy::run)
}
