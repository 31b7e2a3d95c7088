//! Seeds that every change must bear, and faults that must be seen.
#![allow(clippy::unwrap_used)]

use simulation::{Canary, Report};

fn run(seed: u64, canary: Option<Canary>) -> Report {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(simulation::run(seed, canary))
}

#[test]
fn two_hundred_murders_lose_nothing_and_deny_nothing() {
    let failed: Vec<String> = (0..200)
        .filter_map(|seed| {
            let report = run(seed, None);
            let first = report.violations.first()?;
            Some(format!(
                "seed {seed}: {first}\n  cargo run -p simulation --example simulate -- --seed {seed}"
            ))
        })
        .collect();
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}
