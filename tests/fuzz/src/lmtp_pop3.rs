//! Any line is a command or a refusal.

/// The target.
pub fn run(line: &[u8]) {
    let _ = protocol::lmtp::command::Command::parse(line);
    let _ = protocol::pop3::command::Command::parse(line);
}
