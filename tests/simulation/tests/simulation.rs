//! Seeds that every change must bear, and faults that must be seen.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, thread};

use simulation::{Canary, Report, moves};

fn run(seed: u64, canary: Option<Canary>) -> Report {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(simulation::run(seed, canary))
}

/// What is wrong with each of these seeds, and how to see it again.
fn failures(seeds: impl Iterator<Item = u64>) -> Vec<String> {
    let failed = seeds.filter_map(|seed| {
        let report = run(seed, None);
        assert!(report.acknowledged > 100, "seed {seed}: the backends hardly worked");
        let first = report.violations.first()?;
        Some(format!("seed {seed}: {first}\n    cargo run -p simulation --example simulate -- --seed {seed}"))
    });
    failed.collect()
}

#[test]
fn two_hundred_murders_lose_nothing_deny_nothing_and_agree_in_the_end() {
    let failed = thread::scope(|scope| {
        let other = scope.spawn(|| failures((1..200).step_by(2)));
        let mut failed = failures((0..200).step_by(2));
        failed.extend(other.join().unwrap());
        failed
    });
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

#[test]
fn a_seed_tells_the_same_story_each_time() {
    let (first, again, other) = (run(7, None), run(7, None), run(8, None));
    assert_eq!(first.trace, again.trace);
    assert_ne!(first.trace, other.trace);
}

/// Runs seeds with a fault until one is seen to be wrong.
fn is_told(canary: Canary, what: &str) {
    let told =
        (0..20).any(|seed| run(seed, Some(canary)).violations.iter().any(|wrong| wrong.contains(what)));
    assert!(told, "{canary:?} was borne by twenty seeds");
}

#[test]
fn a_disk_that_lies_about_its_syncs_is_told() {
    is_told(Canary::LyingDisk, "the master after");
}

#[test]
fn a_disk_that_forgets_a_change_is_told() {
    is_told(Canary::ForgetfulDisk, "not like the master");
}

#[test]
fn a_proxy_that_denies_without_proof_is_told() {
    is_told(Canary::HastyProxy, "says for good");
}

fn run_moves(seed: u64, canary: Option<moves::Canary>) -> Report {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(moves::run(seed, canary))
}

/// What is wrong with each of these seeds and how to see it again; and what these runs did.
fn failed_moves(seeds: impl Iterator<Item = u64>) -> (Vec<String>, BTreeMap<&'static str, usize>) {
    let mut done: BTreeMap<&str, usize> = BTreeMap::new();
    let failed = seeds.filter_map(|seed| {
        let report = run_moves(seed, None);
        *done.entry("moves").or_default() += report.acknowledged;
        report.counts.iter().for_each(|(what, often)| *done.entry(what).or_default() += often);
        let first = report.violations.first()?;
        Some(format!(
            "seed {seed}: {first}\n    cargo run -p simulation --example simulate -- --moves --seed {seed}"
        ))
    });
    (failed.collect(), done)
}

#[test]
fn whatever_dies_in_a_move_the_mailbox_is_whole_on_the_one_backend_that_the_master_names() {
    let (failed, done) = thread::scope(|scope| {
        let other = scope.spawn(|| failed_moves((1..200).step_by(2)));
        let (mut failed, mut done) = failed_moves((0..200).step_by(2));
        let (more, others) = other.join().unwrap();
        failed.extend(more);
        others.iter().for_each(|(what, often)| *done.entry(what).or_default() += often);
        (failed, done)
    });
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
    // Users went, and came back; copies differed, and were found out; clients were sent on in the middle of a COPY or MOVE.
    let wanted = [("moves", 1000), ("moves back", 300), ("copies that differed", 20)];
    for (what, least) in wanted.into_iter().chain([("copies told of", 10_000), ("commands sent on", 100)]) {
        assert!(done.get(what).is_some_and(|often| *often >= least), "{what}: {done:?}");
    }
}

#[test]
fn a_seed_of_moves_tells_the_same_story_each_time() {
    assert_eq!(run_moves(7, None).trace, run_moves(7, None).trace);
}

/// Runs moves with a fault until one is seen to be wrong.
fn is_told_of_moves(canary: moves::Canary) {
    let told = (0..200).any(|seed| !run_moves(seed, Some(canary)).violations.is_empty());
    assert!(told, "{canary:?} was borne by two hundred seeds");
}

#[test]
fn a_destination_that_tells_the_master_itself_is_told() {
    is_told_of_moves(moves::Canary::EagerDestination);
}

#[test]
fn a_doubt_that_is_resolved_by_reading_is_told() {
    is_told_of_moves(moves::Canary::DoubtByReading);
}

#[test]
fn a_switch_that_names_the_place_and_not_the_change_is_told() {
    is_told_of_moves(moves::Canary::NoNumber);
}

#[test]
fn a_backend_whose_late_word_takes_back_what_it_gave_away_is_told() {
    is_told_of_moves(moves::Canary::PlainWords);
}

#[test]
fn a_destination_that_does_not_compare_its_copy_is_told() {
    is_told_of_moves(moves::Canary::DigestsNotCompared);
}

#[test]
fn a_gate_that_forgets_the_user_log_is_told() {
    is_told_of_moves(moves::Canary::GateForgetsLog);
}
