//! `mupdate`: the MUPDATE master or slave.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    mupdate::daemon::Cli::parse().run()
}
