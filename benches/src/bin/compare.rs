//! Measures this project and a real Cyrus in one go, and prints a table in Markdown: see `benches/run`.

use std::{error::Error, process::ExitCode};

use benches::{
    figures,
    rows::{Bench, Group, Size},
    system::{System, lab},
};
use clap::{Parser, ValueEnum};

/// Ours and Cyrus, side by side
#[derive(Debug, Parser)]
struct Cli {
    /// 20,000 mailboxes and short measurements: whether everything runs, not how fast
    #[arg(long)]
    small: bool,
    /// Only these groups
    #[arg(long, value_delimiter = ',')]
    only: Vec<Group>,
    /// Without Cyrus
    #[arg(long)]
    ours: bool,
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

fn run(cli: &Cli) -> Result<(), Box<dyn Error>> {
    let size = if cli.small { Size::SMALL } else { Size::FULL };
    let cyrus = if cli.ours { None } else { System::cyrus(&lab())? };
    if cyrus.is_none() && !cli.ours {
        eprintln!("no Cyrus here to compare with: needs root, the lab and Debian's packages");
    }
    let mut bench = Bench { ours: System::ours()?, cyrus, size };
    println!("{}", figures::head());
    let groups = if cli.only.is_empty() { Group::value_variants() } else { &cli.only };
    let mut filled = false;
    for group in groups {
        // starts and sessions are measured while there is nothing in the lists
        if !matches!(group, Group::Nodes | Group::Idle | Group::Bystanders | Group::Resort)
            && !std::mem::replace(&mut filled, true)
        {
            bench.fill()?;
        }
        bench.measure(*group, &mut |row| println!("{}", row.line()))?;
    }
    Ok(())
}
