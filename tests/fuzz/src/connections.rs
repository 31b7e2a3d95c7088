//! Users who follow one another on a connection to a backend: the model that the tests of `upstream` run, with stories that
//! the fuzzer makes. Nothing that one user causes may reach the next. And answers of a news server, cut anywhere.

#[path = "../../../crates/upstream/tests/it/model.rs"]
// What only the canary of its own tests uses is idle here.
#[allow(dead_code)]
mod model;

use arbitrary::{Arbitrary, Unstructured};
use model::{Policy, imap_story, lmtp_story, nntp_cut};

/// The target.
pub fn run(input: &[u8]) {
    let Ok(story) = <(bool, &[u8])>::arbitrary_take_rest(Unstructured::new(input)) else { return };
    let (lmtp, decisions) = story;
    let run = if lmtp { lmtp_story } else { imap_story };
    if let Err(wrong) = run(decisions, Policy::AtRest).and_then(|()| nntp_cut(decisions)) {
        panic!("{wrong}");
    }
}
