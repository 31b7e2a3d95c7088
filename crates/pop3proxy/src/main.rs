//! `pop3proxy`: POP3 for the whole murder; see the library.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let pop3proxy::Cli { arguments } = pop3proxy::Cli::parse();
    service::run(service::Program { name: "pop3proxy", arguments, alone: false }, pop3proxy::run)
}
