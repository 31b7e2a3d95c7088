//! `imapproxy`: see the library.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let imapproxy::Cli { arguments } = imapproxy::Cli::parse();
    service::run(service::Program { name: "imapproxy", arguments, alone: false }, imapproxy::run)
}
