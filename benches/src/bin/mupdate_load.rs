//! Puts one kind of load on one MUPDATE server and prints the figure.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use benches::load::{self, Account};
use clap::{Parser, Subcommand};

/// Load on a MUPDATE server
#[derive(Debug, Parser)]
struct Cli {
    /// The server
    #[arg(long, default_value = "127.0.0.1:3905")]
    server: SocketAddr,
    #[arg(long, default_value = "cyrus")]
    user: String,
    #[arg(long, default_value = "cyrus")]
    password: String,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// ACTIVATE so many mailboxes
    Fill { from: usize, to: usize },
    /// RESERVE+ACTIVATE pairs
    Pairs { connections: usize, window: usize, seconds: u64 },
    /// FINDs of filled names
    Finds { connections: usize, window: usize, filled: usize, seconds: u64 },
    /// One UPDATE listing
    Listing,
    /// Time from the master's OK to a slave's FIND, with streams attached
    Visible { slave: SocketAddr, streams: usize, count: usize },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> std::io::Result<String> {
    let account = Account { user: cli.user.clone(), password: cli.password.clone() };
    let server = cli.server;
    Ok(match &cli.what {
        What::Fill { from, to } => {
            let took = load::fill(server, &account, *from, *to)?;
            format!("{:.0} a second", (to - from) as f64 / took.as_secs_f64())
        }
        What::Pairs { connections, window, seconds } => {
            let time = Duration::from_secs(*seconds);
            format!("{:.0} pairs/s", load::pairs(server, &account, *connections, *window, time)?)
        }
        What::Finds { connections, window, filled, seconds } => {
            let time = Duration::from_secs(*seconds);
            format!("{:.0} FIND/s", load::finds(server, &account, *connections, *window, *filled, time)?)
        }
        What::Listing => {
            let (entries, took) = load::listing(server, &account)?;
            format!("{entries} entries in {took:?}: {:.0}/s", entries as f64 / took.as_secs_f64())
        }
        What::Visible { slave, streams, count } => {
            let _streams = load::Streams::open(server, &account, *streams)?;
            let (median, worst) = load::visible(server, *slave, &account, *count)?;
            format!("median {median:?}, worst {worst:?}")
        }
    })
}
