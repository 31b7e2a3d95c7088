//! Users who follow one another on a connection to a backend: the model that the tests of `upstream` run, with stories that
//! the fuzzer makes. Nothing that one user causes may reach the next.
#![no_main]

#[path = "../../crates/upstream/tests/it/model.rs"]
mod model;

use libfuzzer_sys::fuzz_target;
use model::{Policy, imap_story, lmtp_story};

fuzz_target!(|story: (bool, &[u8])| {
    let (lmtp, decisions) = story;
    let run = if lmtp { lmtp_story } else { imap_story };
    if let Err(wrong) = run(decisions, Policy::AtRest) {
        panic!("{wrong}");
    }
});
