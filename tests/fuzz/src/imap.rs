//! Any frame is a command or a refusal with its tag.

use protocol::imap::{Command, Limits};

/// The target.
pub fn run(frame: &[u8]) {
    let _ = Command::parse(frame, Limits::default());
}
