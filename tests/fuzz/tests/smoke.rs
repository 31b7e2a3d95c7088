//! Each fuzz target with inputs from a fixed run of seeds. `FUZZ_ROUNDS` asks for more of them.

use fuzz_targets::TARGETS;
use fuzz_targets::driver::Target;

/// Inputs for each target: some seconds of work for all of them, without optimisation.
const ROUNDS: u64 = 4000;

#[test]
fn no_target_fails_with_the_inputs_of_the_first_seeds() {
    let asked =
        std::env::var("FUZZ_ROUNDS").ok().map(|rounds| rounds.parse().expect("FUZZ_ROUNDS is a number"));
    for target in TARGETS {
        if let Err(failure) = target.try_all(0..asked.unwrap_or(ROUNDS)) {
            panic!("{} fails with seed {}: {}", target.name, failure.seed, failure.input.escape_ascii());
        }
    }
}

#[test]
fn every_target_of_the_fuzzer_is_among_them() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/fuzz_targets");
    let files = std::fs::read_dir(directory).expect("the fuzz targets are there").flatten();
    let mut found: Vec<String> = files.map(|file| file.file_name().display().to_string()).collect();
    found.sort();
    assert_eq!(found, TARGETS.map(|target| format!("{}.rs", target.name)));
}

#[test]
fn a_fault_that_only_a_changed_sample_meets_is_found() {
    let canary = |input: &[u8]| assert!(!input.starts_with(b"a LOGIN x (("), "a fault");
    let target = Target { name: "canary", run: canary, samples: &[b"a LOGIN x y"] };
    let failure = target.try_all(0..20_000).expect_err("it is found");
    assert_eq!(target.input(failure.seed), failure.input);
}
