//! Any frame is a command or a refusal with its tag.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::imap::{Command, Limits};

fuzz_target!(|frame: &[u8]| {
    let _ = Command::parse(frame, Limits::default());
});
