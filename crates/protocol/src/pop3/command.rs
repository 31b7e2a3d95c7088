//! The commands of a client: a keyword and at most two arguments (RFC 1939, RFC 2449, RFC 2595, RFC 5034).
//!
//! ```text
//! command = keyword *(SP argument)                     ; more blanks than one are forgiven, but before a password
//!
//! "APOP" SP user SP digest        "AUTH" [SP mechanism [SP initial-response]]      "USER" SP user      "PASS" SP *OCTET
//! "LIST" [SP msg]   "UIDL" [SP msg]   "RETR" SP msg   "DELE" SP msg   "TOP" SP msg SP lines        msg, lines = 1*DIGIT
//! "CAPA"   "NOOP"   "QUIT"   "RSET"   "STAT"   "STLS"        "XCLIENT" 1*(SP name "=" xtext)   ; see crate::origin
//! ```
//!
//! Words between blanks need no grammar of nom's: the standard library splits them.

use crate::origin::Origin;

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Apop {
        user: String,
        digest: String,
    },
    /// Without a mechanism: which are there?
    Auth {
        mechanism: Option<String>,
        initial: Option<String>,
    },
    Capa,
    Dele(u32),
    List(Option<u32>),
    Noop,
    Pass(Vec<u8>),
    Quit,
    Retr(u32),
    Rset,
    Stat,
    Stls,
    Top {
        message: u32,
        lines: u32,
    },
    Uidl(Option<u32>),
    User(String),
    /// Where the session comes from, by a frontend of this project.
    XClient(Origin),
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("Unrecognized command")]
    Unknown,
    #[error("Missing argument")]
    Missing,
    #[error("Unexpected extra argument")]
    Extra,
    #[error("Bad argument")]
    Bad,
}

impl Command {
    /// Reads a line without its line end.
    pub fn parse(line: &[u8]) -> Result<Command, CommandError> {
        if line.contains(&0) {
            return Err(CommandError::Bad);
        }
        let (word, rest) = match line.iter().position(|&b| b == b' ') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &line[line.len()..]),
        };
        let word = word.to_ascii_uppercase();
        if word == b"PASS" {
            // Everything after one blank is the password, blanks included.
            return if rest.is_empty() {
                Err(CommandError::Missing)
            } else {
                Ok(Command::Pass(rest.to_vec()))
            };
        }
        let text = std::str::from_utf8(rest).map_err(|_| CommandError::Bad)?;
        if word == b"XCLIENT" {
            return Origin::parse(text).map(Command::XClient).ok_or(CommandError::Bad);
        }
        let mut words = Words { rest: text.split_ascii_whitespace() };
        let command = match word.as_slice() {
            b"APOP" => Command::Apop { user: words.text()?, digest: words.text()? },
            b"AUTH" => Command::Auth {
                mechanism: words.rest.next().map(str::to_ascii_uppercase),
                initial: words.rest.next().map(str::to_owned),
            },
            b"CAPA" => Command::Capa,
            b"DELE" => Command::Dele(words.number()?),
            b"LIST" => Command::List(words.optional()?),
            b"NOOP" => Command::Noop,
            b"QUIT" => Command::Quit,
            b"RETR" => Command::Retr(words.number()?),
            b"RSET" => Command::Rset,
            b"STAT" => Command::Stat,
            b"STLS" => Command::Stls,
            b"TOP" => Command::Top { message: words.number()?, lines: words.number()? },
            b"UIDL" => Command::Uidl(words.optional()?),
            b"USER" => Command::User(words.text()?),
            _ => return Err(CommandError::Unknown),
        };
        words.end(command)
    }
}

struct Words<'t> {
    rest: std::str::SplitAsciiWhitespace<'t>,
}

impl Words<'_> {
    fn text(&mut self) -> Result<String, CommandError> {
        self.rest.next().map(str::to_owned).ok_or(CommandError::Missing)
    }

    fn number(&mut self) -> Result<u32, CommandError> {
        number(self.rest.next().ok_or(CommandError::Missing)?)
    }

    fn optional(&mut self) -> Result<Option<u32>, CommandError> {
        self.rest.next().map(number).transpose()
    }

    fn end(&mut self, command: Command) -> Result<Command, CommandError> {
        match self.rest.next() {
            None => Ok(command),
            Some(_) => Err(CommandError::Extra),
        }
    }
}

fn number(word: &str) -> Result<u32, CommandError> {
    if !word.bytes().all(|b| b.is_ascii_digit()) {
        return Err(CommandError::Bad);
    }
    word.parse().map_err(|_| CommandError::Bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands_are_read() {
        assert_eq!(Command::parse(b"pass a b "), Ok(Command::Pass(b"a b ".to_vec())));
        assert_eq!(Command::parse(b"TOP 1 0"), Ok(Command::Top { message: 1, lines: 0 }));
        assert_eq!(Command::parse(b"LIST"), Ok(Command::List(None)));
        assert_eq!(Command::parse(b"AUTH"), Ok(Command::Auth { mechanism: None, initial: None }));
        let origin = Origin { session: "x".into(), ..Origin::default() };
        assert_eq!(Command::parse(b"XCLIENT SESSION=x"), Ok(Command::XClient(origin)));
    }

    #[test]
    fn other_lines_are_refused() {
        assert_eq!(Command::parse(b""), Err(CommandError::Unknown));
        assert_eq!(Command::parse(b"XTND XMIT"), Err(CommandError::Unknown));
        assert_eq!(Command::parse(b"RETR"), Err(CommandError::Missing));
        assert_eq!(Command::parse(b"RETR -1"), Err(CommandError::Bad));
        assert_eq!(Command::parse(b"RETR 99999999999"), Err(CommandError::Bad));
        assert_eq!(Command::parse(b"STAT 1"), Err(CommandError::Extra));
        assert_eq!(Command::parse(b"NO\0OP"), Err(CommandError::Bad));
        assert_eq!(Command::parse(b"PASS"), Err(CommandError::Missing));
        assert_eq!(Command::parse(b"XCLIENT ADDR=192.0.2.1"), Err(CommandError::Bad));
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_a_panic(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Command::parse(&line);
        }
    }
}
