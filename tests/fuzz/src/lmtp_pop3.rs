//! Any line is a command or a refusal: LMTP, POP3, ManageSieve.

/// The target.
pub fn run(line: &[u8]) {
    let _ = protocol::lmtp::command::Command::parse(line);
    let _ = protocol::pop3::command::Command::parse(line);
    let _ = protocol::managesieve::Command::parse(line);
    let _ = protocol::managesieve::Command::parse_answer(line);
    let _ = protocol::managesieve::response::Line::parse(line);
}
