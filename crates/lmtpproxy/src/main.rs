//! `lmtpproxy`: takes mail for the whole murder; see the library.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Takes mail by LMTP and passes it to the backends of its recipients
#[derive(Parser)]
#[command(name = "lmtpproxy", version)]
struct Options {
    #[command(flatten)]
    arguments: service::Arguments,
}

fn main() -> ExitCode {
    let Options { arguments } = Options::parse();
    service::run(service::Program { name: "lmtpproxy", arguments, alone: false }, lmtpproxy::run)
}
