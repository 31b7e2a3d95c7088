//! The commands of a client (RFC 2033, RFC 5321). A line is a verb and what that verb takes; `MAIL` and `RCPT` have files of
//! their own, and so have the [`Path`]s in them.
//!
//! ```text
//! "LHLO" SP client   "AUTH" SP mechanism [SP initial-response]   "NOOP" [SP text]   "VRFY" [SP text]
//! "DATA"   "QUIT"   "RSET"   "STARTTLS"
//! ```

mod mail;
mod path;
mod rcpt;

pub use mail::{Body, Mail, xtext};
pub use path::Path;
pub use rcpt::Rcpt;

use crate::grammar::ParseError;

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Auth { mechanism: String, initial: Option<String> },
    Data,
    Lhlo { client: String },
    Mail(Mail),
    Noop,
    Quit,
    Rcpt(Rcpt),
    Rset,
    StartTls,
    Vrfy,
}

/// Why a line is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Not a verb of LMTP, or a verb with the wrong number of words.
    #[error("Syntax error")]
    Unknown,
    #[error("Syntax error in parameters")]
    Parameters,
    /// A parameter of MAIL or RCPT that is not known.
    #[error("Unrecognized parameters")]
    Unrecognized,
}

impl From<ParseError> for CommandError {
    fn from(error: ParseError) -> CommandError {
        match error {
            ParseError::Unrecognized => CommandError::Unrecognized,
            _ => CommandError::Parameters,
        }
    }
}

impl Command {
    /// Reads a line without its line end.
    pub fn parse(line: &[u8]) -> Result<Command, CommandError> {
        if line.contains(&0) {
            return Err(CommandError::Unknown);
        }
        let line = line.trim_ascii_end();
        let (verb, rest) = match line.iter().position(|&b| b == b' ') {
            Some(at) => (&line[..at], line[at + 1..].trim_ascii()),
            None => (line, &line[line.len()..]),
        };
        match (verb.to_ascii_uppercase().as_slice(), rest) {
            (b"AUTH", rest) => auth(rest),
            (b"DATA", b"") => Ok(Command::Data),
            (b"LHLO", b"") => Err(CommandError::Parameters),
            (b"LHLO", rest) => Ok(Command::Lhlo { client: printable(rest) }),
            (b"MAIL", rest) => Mail::parse(rest).map(Command::Mail),
            (b"NOOP", _) => Ok(Command::Noop),
            (b"QUIT", b"") => Ok(Command::Quit),
            (b"RCPT", rest) => Rcpt::parse(rest).map(Command::Rcpt),
            (b"RSET", b"") => Ok(Command::Rset),
            (b"STARTTLS", b"") => Ok(Command::StartTls),
            (b"VRFY", _) => Ok(Command::Vrfy),
            _ => Err(CommandError::Unknown),
        }
    }
}

/// `AUTH mechanism [initial-response]`, RFC 4954 section 4.
fn auth(rest: &[u8]) -> Result<Command, CommandError> {
    let text = std::str::from_utf8(rest).map_err(|_| CommandError::Parameters)?;
    let mut words = text.split_ascii_whitespace();
    let mechanism = words.next().ok_or(CommandError::Parameters)?.to_ascii_uppercase();
    let initial = words.next().map(str::to_owned);
    match words.next() {
        None => Ok(Command::Auth { mechanism, initial }),
        Some(_) => Err(CommandError::Parameters),
    }
}

/// What a client calls itself goes into a header: only what is safe there.
fn printable(text: &[u8]) -> String {
    text.iter()
        .take(255)
        .map(|&b| if (b'!'..=b'~').contains(&b) && !b"()<>\\\"".contains(&b) { b as char } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Lines that are nearly what follows MAIL and RCPT.
    fn arguments() -> impl Strategy<Value = Vec<u8>> {
        let words = [
            "FROM:",
            "to:",
            "From: ",
            "<a@b>",
            "<>",
            "<fred+x@y>",
            "<@r:a@b>",
            "<\"a b\"@c>",
            " AUTH=",
            " auth=<>",
            "fred",
            "+2B",
            "+G0",
            "+",
            "+C3+BC",
            " BODY=",
            "7bit",
            "8BITMIME",
            " SIZE=",
            "12",
            "18446744073709551616",
            " SMTPUTF8",
            " IGNOREQUOTA",
            " NOTIFY=NEVER",
            "=",
            "j\u{fc}rgen",
        ];
        let piece = prop_oneof![
            8 => prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
            2 => Just(b" ".to_vec()),
            1 => prop::sample::select(b"\t\r-\xff\x7f".to_vec()).prop_map(|byte| vec![byte]),
            1 => proptest::collection::vec(any::<u8>(), 0..4),
        ];
        let start = prop::sample::select(vec!["FROM:<a@b>", "TO:<a@b>", "FROM:<>", ""]);
        (start, proptest::collection::vec(piece, 0..9))
            .prop_map(|(start, pieces)| [start.as_bytes(), &pieces.concat()].concat())
    }

    proptest! {
        #[test]
        fn any_arguments_are_read_without_a_panic(text in arguments()) {
            let _ = (Mail::parse(&text), Rcpt::parse(&text));
        }

        #[test]
        fn parameters_come_back_as_they_were_written(
            user in "[!-~ü]{1,12}", size in any::<u64>(), wide in any::<bool>(), blanks in " {1,3}",
        ) {
            // This one stands for nobody.
            prop_assume!(user != "<>");
            let wider = if wide { "SMTPUTF8" } else { "" };
            let auth = format!("auth={}", xtext(&user));
            let line = ["FROM:<a@b>", &auth, "BODY=8bitmime", &format!("Size={size}"), wider].join(&blanks);
            let from = Path::new("a", Some("b"));
            let body = Some(Body::EightBitMime);
            let mail = Mail { from, auth: Some(user), body, size: Some(size), smtputf8: wide };
            prop_assert_eq!(Mail::parse(line.as_bytes()), Ok(mail));
        }
    }

    #[test]
    fn verbs_are_known_in_any_case() {
        assert_eq!(Command::parse(b"data"), Ok(Command::Data));
        assert_eq!(
            Command::parse(b"LHLO mx.example (x)"),
            Ok(Command::Lhlo { client: "mx.example??x?".into() })
        );
        assert_eq!(
            Command::parse(b"auth plain AGEAYg=="),
            Ok(Command::Auth { mechanism: "PLAIN".into(), initial: Some("AGEAYg==".into()) })
        );
        assert_eq!(Command::parse(b"NOOP whatever"), Ok(Command::Noop));
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [b"EHLO x".as_slice(), b"HELO x", b"", b"DATA now", b"NO\0OP", b"\xff\xfe", b"QUITE"] {
            assert_eq!(Command::parse(line), Err(CommandError::Unknown), "{line:?}");
        }
        assert_eq!(Command::parse(b"LHLO"), Err(CommandError::Parameters));
        assert_eq!(Command::parse(b"AUTH"), Err(CommandError::Parameters));
        assert_eq!(Command::parse(b"AUTH a b c"), Err(CommandError::Parameters));
    }
}
