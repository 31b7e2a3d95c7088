//! News: any line is a command or a refusal, and is printed as it is read; any answer has a status or none; any header of an
//! article can be completed; patterns are compared in no time.

use protocol::nntp::article::{Expected, Head, Making};
use protocol::nntp::overview::write_value;
use protocol::nntp::status::Status;
use protocol::nntp::{Command, Wildmat};

/// The target.
pub fn run(input: &[u8]) {
    if let Ok(command) = Command::parse(input)
        && !matches!(command, Command::AuthPass(_) | Command::XClient(_))
    {
        assert_eq!(Command::parse(command.to_string().as_bytes()), Ok(command));
    }
    let _ = Status::parse(input);
    let mut value = Vec::new();
    write_value(input, &mut value);
    assert!(!value.iter().any(|byte| b"\r\n\t\0".contains(byte)));
    if let Some(length) = Head::length(input)
        && let Ok(head) = Head::parse(input.get(..length).unwrap_or_default())
    {
        let _ = head.check(Expected::Posted);
        let completed =
            head.completed(&Making { servername: "s", userid: "u", date: "d", ..Making::default() });
        assert!(Head::parse(&completed).is_ok());
    }
    if let Ok(text) = str::from_utf8(input)
        && let Some((pattern, text)) = text.split_once('\n')
        && let Ok(wildmat) = Wildmat::parse(pattern)
    {
        wildmat.matches(text);
    }
}
