//! Runs seeds by hand: `--seeds N` (from `--from M`), or one with its whole story, `--seed N`; with `--moves`, of moves.

use std::{collections::BTreeMap, process::ExitCode};

use simulation::{Report, moves, run};

fn simulate(seed: u64) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    match is_of_moves() {
        true => runtime.block_on(moves::run(seed, None)),
        false => runtime.block_on(run(seed, None)),
    }
}

fn is_of_moves() -> bool {
    std::env::args().any(|argument| argument == "--moves")
}

fn option(name: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)?.parse().ok()
}

fn main() -> ExitCode {
    if let Some(seed) = option("--seed") {
        let report = simulate(seed);
        report.trace.iter().for_each(|line| println!("{line}"));
        println!("{} changes acknowledged, {} things wrong", report.acknowledged, report.violations.len());
        return ExitCode::from(u8::from(!report.violations.is_empty()));
    }
    let (from, seeds) = (option("--from").unwrap_or(0), option("--seeds").unwrap_or(200));
    let (mut failed, mut acknowledged) = (0u64, 0);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in from..from.saturating_add(seeds) {
        let report = simulate(seed);
        acknowledged += report.acknowledged;
        report.counts.iter().for_each(|(what, often)| *counts.entry(what).or_default() += often);
        if let Some(first) = report.violations.first() {
            failed += 1;
            println!("seed {seed}: {first}");
        }
    }
    counts.iter().for_each(|(what, often)| println!("{what}: {often}"));
    let done = match is_of_moves() {
        true => "moves done",
        false => "changes acknowledged",
    };
    println!("{seeds} seeds, {acknowledged} {done}, {failed} seeds failed; see one with --seed N");
    ExitCode::from(u8::from(failed > 0))
}
