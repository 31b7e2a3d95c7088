//! The commands of a client: a keyword and at most two arguments (RFC 1939, RFC 2449, RFC 2595, RFC 5034).
//!
//! ```text
//! command = keyword *(SP argument)                     ; more blanks than one are forgiven, but before a password
//!
//! "APOP" SP user SP digest        "AUTH" [SP mechanism [SP initial-response]]      "USER" SP user      "PASS" SP *OCTET
//! "LIST" [SP msg]   "UIDL" [SP msg]   "RETR" SP msg   "DELE" SP msg   "TOP" SP msg SP lines        msg, lines = 1*DIGIT
//! "CAPA"   "NOOP"   "QUIT"   "RSET"   "STAT"   "STLS"        "XCLIENT" 1*(SP name "=" xtext)   ; see crate::origin
//! ```

use nom::Parser;
use nom::combinator::map;

use crate::grammar::{Cursor, Keyword, Limits, ParseError, Parsed, run};
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
        match Cursor::new(line, Limits::NONE).read(command) {
            Ok(command) => Ok(command),
            Err(error) => {
                let arguments = line.splitn(2, |&byte| byte == b' ').nth(1).unwrap_or_default();
                // Whatever else is wrong with them.
                Err(str::from_utf8(arguments).map_or(CommandError::Bad, |_| error.into()))
            }
        }
    }
}

fn command(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, word) = run(|byte| byte != b' ')(at)?;
    let keyword = Keyword::of(word);
    if keyword.as_bytes() == b"PASS" {
        return password(at);
    }
    let (at, command) = match keyword.as_bytes() {
        b"APOP" => map((text_word, text_word), |(user, digest)| Command::Apop { user, digest }).parse(at),
        b"AUTH" => {
            let mechanism = map(optional(argument), |word| word.map(str::to_ascii_uppercase));
            map((mechanism, optional(text_word)), |(mechanism, initial)| Command::Auth { mechanism, initial })
                .parse(at)
        }
        b"CAPA" => Ok((at, Command::Capa)),
        b"DELE" => map(number, Command::Dele).parse(at),
        b"LIST" => map(optional(number), Command::List).parse(at),
        b"NOOP" => Ok((at, Command::Noop)),
        b"QUIT" => Ok((at, Command::Quit)),
        b"RETR" => map(number, Command::Retr).parse(at),
        b"RSET" => Ok((at, Command::Rset)),
        b"STAT" => Ok((at, Command::Stat)),
        b"STLS" => Ok((at, Command::Stls)),
        b"TOP" => map((number, number), |(message, lines)| Command::Top { message, lines }).parse(at),
        b"UIDL" => map(optional(number), Command::Uidl).parse(at),
        b"USER" => map(text_word, Command::User).parse(at),
        b"XCLIENT" => {
            let origin = str::from_utf8(at.rest()).ok().and_then(Origin::parse).ok_or(BAD)?;
            Ok((at.with(&[]), Command::XClient(origin)))
        }
        _ => Err(ParseError::Unrecognized.into()),
    }?;
    match blanks(at) {
        at if at.at_end() => Ok((at, command)),
        _ => Err(ParseError::Extra.into()),
    }
}

/// `SP 1*OCTET`: everything after one blank, blanks included.
fn password(at: Cursor<'_>) -> Parsed<'_, Command> {
    match at.rest() {
        [b' ', password @ ..] if !password.is_empty() => Ok((at.with(&[]), Command::Pass(password.to_vec()))),
        _ => Err(ParseError::Missing.into()),
    }
}

/// `SP argument`
#[inline(always)]
fn argument(at: Cursor<'_>) -> Parsed<'_, &str> {
    let (at, word) = run(|byte| !byte.is_ascii_whitespace())(blanks(at))?;
    match str::from_utf8(word) {
        Ok("") => Err(ParseError::Missing.into()),
        Ok(word) => Ok((at, word)),
        Err(_) => Err(BAD.into()),
    }
}

#[inline(always)]
fn text_word(at: Cursor<'_>) -> Parsed<'_, String> {
    map(argument, str::to_owned).parse(at)
}

/// `SP 1*DIGIT`, below 2^32.
#[inline(always)]
fn number(at: Cursor<'_>) -> Parsed<'_, u32> {
    let (at, word) = argument(at)?;
    let digits = word.bytes().all(|byte| byte.is_ascii_digit());
    Ok((at, word.parse().ok().filter(|_| digits).ok_or(BAD)?))
}

/// `[SP argument]`: what is there must be one.
#[inline(always)]
fn optional<'a, T>(
    grammar: impl Fn(Cursor<'a>) -> Parsed<'a, T>,
) -> impl Fn(Cursor<'a>) -> Parsed<'a, Option<T>> {
    move |at| match blanks(at) {
        at if at.at_end() => Ok((at, None)),
        at => grammar(at).map(|(at, value)| (at, Some(value))),
    }
}

#[inline(always)]
fn blanks(mut at: Cursor<'_>) -> Cursor<'_> {
    while let [blank, rest @ ..] = at.rest()
        && blank.is_ascii_whitespace()
    {
        at = at.with(rest);
    }
    at
}

impl From<ParseError> for CommandError {
    fn from(error: ParseError) -> CommandError {
        match error {
            ParseError::Missing => CommandError::Missing,
            ParseError::Extra => CommandError::Extra,
            ParseError::Unrecognized => CommandError::Unknown,
            ParseError::Invalid(_) | ParseError::Incomplete | ParseError::Long | ParseError::Text(_) => {
                CommandError::Bad
            }
        }
    }
}

const BAD: ParseError = ParseError::Invalid("argument");

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

    /// Lines that are nearly commands.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        let words = [
            "APOP",
            "auth",
            "Capa",
            "DELE",
            "LIST",
            "NOOP",
            "pass",
            "QUIT",
            "RETR",
            "RSET",
            "STAT",
            "STLS",
            "TOP",
            "UIDL",
            "USER",
            "XCLIENT",
            "XTND",
            "SESSION=x",
            "ADDR=+31",
            "1",
            "0",
            "007",
            "4294967295",
            "4294967296",
            "-1",
            "+1",
            "1a",
            "fred",
            "j\u{fc}rgen",
            "PLAIN",
            "=",
        ];
        let piece = prop_oneof![
            6 => prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
            4 => Just(b" ".to_vec()),
            1 => prop::sample::select(b"\t\r\n\x0c \0\xff".to_vec()).prop_map(|byte| vec![byte]),
            1 => proptest::collection::vec(any::<u8>(), 0..4),
        ];
        proptest::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_a_panic(line in prop_oneof![line(), proptest::collection::vec(any::<u8>(), 0..80)]) {
            let _ = Command::parse(&line);
        }

        #[test]
        fn arguments_come_back_as_they_were_written(
            words in proptest::collection::vec("[!-~]{1,12}", 2), numbers in any::<(u32, u32)>(), blanks in "[ \t]{1,3}",
        ) {
            let line = |parts: &[&str]| parts.join(&blanks).into_bytes();
            let (a, b) = (numbers.0.to_string(), numbers.1.to_string());
            // A keyword ends at a blank, whatever else parts its arguments.
            let top = [b"top ".to_vec(), line(&[&a, &b])].concat();
            prop_assert_eq!(Command::parse(&top), Ok(Command::Top { message: numbers.0, lines: numbers.1 }));
            let apop = [b"Apop ".to_vec(), line(&[&words[0], &words[1]])].concat();
            let (user, digest) = (words[0].clone(), words[1].clone());
            prop_assert_eq!(Command::parse(&apop), Ok(Command::Apop { user, digest }));
            prop_assert_eq!(Command::parse(&[&top[..], b" x"].concat()), Err(CommandError::Extra));
        }
    }
}
