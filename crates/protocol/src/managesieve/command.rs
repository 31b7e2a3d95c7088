//! The commands of a client (RFC 5804 section 2), each a line whose strings may be literals.
//!
//! ```text
//! "AUTHENTICATE" SP string [SP string]      "STARTTLS"   "LOGOUT"   "CAPABILITY"   "LISTSCRIPTS"   "UNAUTHENTICATE"
//! "NOOP" [SP string]                        "HAVESPACE" SP sieve-name SP number
//! "PUTSCRIPT" SP sieve-name SP string       "CHECKSCRIPT" SP string
//! "GETSCRIPT" SP sieve-name                 "DELETESCRIPT" SP sieve-name
//! "SETACTIVE" SP (sieve-name / DQUOTE DQUOTE)         "RENAMESCRIPT" SP sieve-name SP sieve-name
//! "XCLIENT" 1*(SP name "=" xtext)           ; see crate::origin
//! ```

use nom::Parser;
use nom::combinator::map;

use super::ScriptName;
use super::words::{string, text};
use crate::frame::trim_line;
use crate::grammar::{Cursor, Keyword, Limits, ParseError, Parsed, argument, end, number64, optional, run};
use crate::origin::Origin;

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Authenticate {
        mechanism: String,
        /// Base64.
        initial: Option<Vec<u8>>,
    },
    Capability,
    CheckScript(Vec<u8>),
    DeleteScript(ScriptName),
    GetScript(ScriptName),
    HaveSpace {
        name: ScriptName,
        /// Bytes.
        size: u64,
    },
    ListScripts,
    Logout,
    Noop(Option<Vec<u8>>),
    PutScript {
        name: ScriptName,
        script: Vec<u8>,
    },
    RenameScript {
        old: ScriptName,
        new: ScriptName,
    },
    /// None: no script runs.
    SetActive(Option<ScriptName>),
    StartTls,
    Unauthenticate,
    /// Where the session comes from, by a frontend of this project.
    XClient(Origin),
}

/// Why a frame is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// In Cyrus's words.
    #[error("Expected a command. Got something else.")]
    Unknown,
    #[error("Invalid script name")]
    Name,
    #[error("Wrong arguments: {0}")]
    Arguments(ParseError),
}

impl Command {
    /// Reads a whole frame, with its line end.
    pub fn parse(frame: &[u8]) -> Result<Command, CommandError> {
        Cursor::new(trim_line(frame), Limits::NONE).read(command).map_err(CommandError::from)
    }

    /// Reads what a client says within AUTHENTICATE: a string of Base64, or `*`.
    pub fn parse_answer(frame: &[u8]) -> Result<Vec<u8>, CommandError> {
        let answer = |at| {
            let (at, answer) = string(at)?;
            let (at, ()) = end(at)?;
            Ok((at, answer.into_owned()))
        };
        Cursor::new(trim_line(frame), Limits::NONE).read(answer).map_err(CommandError::from)
    }
}

impl From<ParseError> for CommandError {
    fn from(error: ParseError) -> CommandError {
        match error {
            ParseError::Unrecognized => CommandError::Unknown,
            NO_NAME => CommandError::Name,
            other => CommandError::Arguments(other),
        }
    }
}

fn command(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, word) = run(|byte| byte.is_ascii_alphabetic())(at)?;
    let (at, command) = match Keyword::of(word).as_bytes() {
        b"AUTHENTICATE" => authenticate(at)?,
        b"CAPABILITY" => (at, Command::Capability),
        b"CHECKSCRIPT" => {
            map(argument(string), |script| Command::CheckScript(script.into_owned())).parse(at)?
        }
        b"DELETESCRIPT" => map(argument(name), Command::DeleteScript).parse(at)?,
        b"GETSCRIPT" => map(argument(name), Command::GetScript).parse(at)?,
        b"HAVESPACE" => {
            let sized = (argument(name), argument(number64));
            map(sized, |(name, size)| Command::HaveSpace { name, size }).parse(at)?
        }
        b"LISTSCRIPTS" => (at, Command::ListScripts),
        b"LOGOUT" => (at, Command::Logout),
        b"NOOP" => map(optional(string), |tag| Command::Noop(tag.map(|tag| tag.into_owned()))).parse(at)?,
        b"PUTSCRIPT" => {
            let put = (argument(name), argument(string));
            map(put, |(name, script)| Command::PutScript { name, script: script.into_owned() }).parse(at)?
        }
        b"RENAMESCRIPT" => {
            let names = (argument(name), argument(name));
            map(names, |(old, new)| Command::RenameScript { old, new }).parse(at)?
        }
        b"SETACTIVE" => map(argument(active), Command::SetActive).parse(at)?,
        b"STARTTLS" => (at, Command::StartTls),
        b"UNAUTHENTICATE" => (at, Command::Unauthenticate),
        b"XCLIENT" => {
            let origin = str::from_utf8(at.rest()).ok().and_then(Origin::parse);
            let origin = origin.ok_or(ParseError::Invalid("origin"))?;
            (at.with(&[]), Command::XClient(origin))
        }
        _ => return Err(ParseError::Unrecognized.into()),
    };
    let (at, ()) = end(at)?;
    Ok((at, command))
}

fn authenticate(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, mechanism) = argument(text)(at)?;
    let (at, initial) = optional(string)(at)?;
    Ok((at, Command::Authenticate { mechanism, initial: initial.map(|initial| initial.into_owned()) }))
}

/// `sieve-name = string`
fn name(at: Cursor<'_>) -> Parsed<'_, ScriptName> {
    let (at, name) = string(at)?;
    let name = str::from_utf8(&name).ok().and_then(|name| ScriptName::parse(name).ok());
    Ok((at, name.ok_or(NO_NAME)?))
}

/// `active-sieve-name = string`, empty for none.
fn active(at: Cursor<'_>) -> Parsed<'_, Option<ScriptName>> {
    let (rest, text) = string(at)?;
    if text.is_empty() { Ok((rest, None)) } else { map(name, Some).parse(at) }
}

const NO_NAME: ParseError = ParseError::Invalid("script name");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::managesieve::write_string;

    fn named(name: &str) -> ScriptName {
        ScriptName::parse(name).unwrap()
    }

    #[test]
    fn commands_are_read_in_any_case_with_quoted_strings_and_literals() {
        let put = |name: &str, script: &str| Command::PutScript { name: named(name), script: script.into() };
        for (text, command) in [
            ("capability\r\n", Command::Capability),
            ("Noop\n", Command::Noop(None)),
            ("NOOP \"a\"\r\n", Command::Noop(Some(b"a".to_vec()))),
            ("PUTSCRIPT \"a \\\"b\\\\\" {7+}\r\nkeep;\r\n\r\n", put("a \"b\\", "keep;\r\n")),
            ("putscript {5+}\r\nF\u{fc}r: {0+}\r\n\r\n", put("F\u{fc}r:", "")),
            ("PUTSCRIPT \"F\u{fc}r\" \"keep;\"\r\n", put("F\u{fc}r", "keep;")),
            ("SETACTIVE \"\"\r\n", Command::SetActive(None)),
            ("SETACTIVE {0+}\r\n\r\n", Command::SetActive(None)),
            ("SETACTIVE \"x\"\r\n", Command::SetActive(Some(named("x")))),
            ("HAVESPACE \"x\" 4294967296\r\n", Command::HaveSpace { name: named("x"), size: 1 << 32 }),
            (
                "AUTHENTICATE \"PLAIN\" \"AGE=\"\r\n",
                Command::Authenticate { mechanism: "PLAIN".into(), initial: Some(b"AGE=".to_vec()) },
            ),
        ] {
            assert_eq!(Command::parse(text.as_bytes()), Ok(command), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_command_is_told_from_wrong_arguments_and_names() {
        for (text, error) in [
            ("\r\n", "Expected a command. Got something else."),
            ("FETCH 1\r\n", "Expected a command. Got something else."),
            ("keep;\r\n", "Expected a command. Got something else."),
            ("CAPABILITY x\r\n", "Wrong arguments: extra arguments"),
            ("GETSCRIPT\r\n", "Wrong arguments: missing argument"),
            ("GETSCRIPT x\r\n", "Wrong arguments: invalid string"),
            ("GETSCRIPT \"a/b\"\r\n", "Invalid script name"),
            ("SETACTIVE \"a\u{7f}\"\r\n", "Invalid script name"),
            ("DELETESCRIPT \"\"\r\n", "Invalid script name"),
            ("HAVESPACE \"x\" 99999999999999999999\r\n", "Wrong arguments: invalid number"),
            ("PUTSCRIPT \"x\" {5}\r\nkeep;\r\n", "Wrong arguments: A literal is {number+}"),
            ("PUTSCRIPT \"x\" {5-}\r\nkeep;\r\n", "Wrong arguments: A literal is {number+}"),
            ("PUTSCRIPT \"x\" {5+}\r\nke\0p;\r\n", "Wrong arguments: invalid NUL byte"),
        ] {
            let told = Command::parse(text.as_bytes()).map_err(|error| error.to_string());
            assert_eq!(told, Err(error.to_owned()), "{text:?}");
        }
        assert_eq!(Command::parse(b"GETSCRIPT \"\xff\"\r\n"), Err(CommandError::Name));
    }

    fn any_name() -> impl Strategy<Value = ScriptName> {
        "[a-z \"\\\\{}+é☃]{1,8}".prop_map(|name| named(&name))
    }

    fn any_text() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(1u8.., 0..40)
    }

    fn any_command() -> impl Strategy<Value = Command> {
        prop_oneof![
            Just(Command::Capability),
            Just(Command::ListScripts),
            Just(Command::Logout),
            Just(Command::StartTls),
            Just(Command::Unauthenticate),
            ("[A-Z0-9-]{1,20}", proptest::option::of(any_text()))
                .prop_map(|(mechanism, initial)| Command::Authenticate { mechanism, initial }),
            any_text().prop_map(Command::CheckScript),
            any_name().prop_map(Command::DeleteScript),
            any_name().prop_map(Command::GetScript),
            (any_name(), any::<u64>()).prop_map(|(name, size)| Command::HaveSpace { name, size }),
            proptest::option::of(any_text()).prop_map(Command::Noop),
            (any_name(), any_text()).prop_map(|(name, script)| Command::PutScript { name, script }),
            (any_name(), any_name()).prop_map(|(old, new)| Command::RenameScript { old, new }),
            proptest::option::of(any_name()).prop_map(Command::SetActive),
            "[a-z]{1,9}".prop_map(|session| Command::XClient(Origin { session, ..Origin::default() })),
        ]
    }

    /// As a client prints it: strings quoted where they can be, else as literals.
    fn print(command: &Command) -> Vec<u8> {
        let name = |name: &ScriptName| name.as_str().as_bytes().to_vec();
        let (word, strings): (&str, Vec<Vec<u8>>) = match command {
            Command::Authenticate { mechanism, initial } => {
                let mechanism = mechanism.clone().into_bytes();
                ("AUTHENTICATE", [mechanism].into_iter().chain(initial.clone()).collect())
            }
            Command::Capability => ("CAPABILITY", vec![]),
            Command::CheckScript(script) => ("CHECKSCRIPT", vec![script.clone()]),
            Command::DeleteScript(script) => ("DELETESCRIPT", vec![name(script)]),
            Command::GetScript(script) => ("GETSCRIPT", vec![name(script)]),
            Command::HaveSpace { name: script, .. } => ("HAVESPACE", vec![name(script)]),
            Command::ListScripts => ("LISTSCRIPTS", vec![]),
            Command::Logout => ("LOGOUT", vec![]),
            Command::Noop(tag) => ("NOOP", tag.clone().into_iter().collect()),
            Command::PutScript { name: to, script } => ("PUTSCRIPT", vec![name(to), script.clone()]),
            Command::RenameScript { old, new } => ("RENAMESCRIPT", vec![name(old), name(new)]),
            Command::SetActive(script) => ("SETACTIVE", vec![script.as_ref().map(name).unwrap_or_default()]),
            Command::StartTls => ("STARTTLS", vec![]),
            Command::Unauthenticate => ("UNAUTHENTICATE", vec![]),
            Command::XClient(origin) => return format!("{}\r\n", origin.command()).into_bytes(),
        };
        let mut out = word.as_bytes().to_vec();
        for string in strings {
            out.push(b' ');
            let mut printed = Vec::new();
            write_string(&string, &mut printed);
            match printed.first() {
                Some(b'{') => {
                    out.extend_from_slice(format!("{{{}+}}\r\n", string.len()).as_bytes());
                    out.extend_from_slice(&string);
                }
                _ => out.extend_from_slice(&printed),
            }
        }
        if let Command::HaveSpace { size, .. } = command {
            out.extend_from_slice(format!(" {size}").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    proptest! {
        #[test]
        fn a_command_that_is_printed_is_read_back(command in any_command()) {
            prop_assert_eq!(Command::parse(&print(&command)), Ok(command));
        }

        #[test]
        fn no_bytes_are_a_panic(bytes: Vec<u8>) {
            let _ = Command::parse(&bytes);
            let _ = Command::parse_answer(&bytes);
        }
    }
}
