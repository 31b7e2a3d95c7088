//! Any line is a command or a refusal.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let _ = protocol::lmtp::command::Command::parse(line);
    let _ = protocol::pop3::command::Command::parse(line);
});
