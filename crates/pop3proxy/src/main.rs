//! `pop3proxy`: POP3 for the whole murder; see the library.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Logs POP3 clients in and connects them to the backends of their mail
#[derive(Parser)]
#[command(name = "pop3proxy", version)]
struct Options {
    #[command(flatten)]
    arguments: service::Arguments,
}

fn main() -> ExitCode {
    let Options { arguments } = Options::parse();
    service::run(service::Program { name: "pop3proxy", arguments, alone: false }, pop3proxy::run)
}
