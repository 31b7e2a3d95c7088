//! Measures three masters over etcd, beside a bare client of the same etcd and a single master, and prints a table in Markdown.

use std::{error::Error, process::ExitCode};

use clap::Parser;

/// Several masters over etcd
#[derive(Debug, Parser)]
struct Cli {
    /// Seconds of each measurement
    #[arg(long, default_value = "4")]
    seconds: u64,
    /// Entries that are there
    #[arg(long, default_value = "20000")]
    entries: usize,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(feature = "etcd")]
fn run(cli: &Cli) -> Result<(), Box<dyn Error>> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|directory| directory.join("etcd").exists()) {
        eprintln!("SKIPPED: there is no etcd here (Debian: etcd-server)");
        return Ok(());
    }
    let time = std::time::Duration::from_secs(cli.seconds.max(1));
    benches::masters::rows::measure(time, cli.entries, &mut |row| println!("{}", row.line()))
}

#[cfg(not(feature = "etcd"))]
fn run(_: &Cli) -> Result<(), Box<dyn Error>> {
    eprintln!(
        "SKIPPED: built without etcd: cargo build --release --workspace --features mupdate/etcd,benches/etcd"
    );
    Ok(())
}
