//! The parser before nom, to which the grammar is held.

use super::{Command, CommandError};
use crate::origin::Origin;

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
        return if rest.is_empty() { Err(CommandError::Missing) } else { Ok(Command::Pass(rest.to_vec())) };
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
