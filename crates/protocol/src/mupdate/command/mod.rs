//! What a client asks, from one whole frame, and the same as a client writes it: RFC 3656 section 4. One file per family;
//! adding a command touches its file and a line of [`arguments`].
//!
//! ```text
//! command = tag SP verb *(SP string) CRLF
//! ```

mod find;
mod server;
mod session;
mod tool;
mod update;
mod write;

use super::lex::{self, put_literal};
use super::position::Position;
use super::reply::Reply;
use super::state::Write;
use crate::grammar::{Cursor, Keyword, ParseError, Parsed};

pub use tool::Tool;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The initial response is base64, `=` for an empty one.
    Authenticate {
        mechanism: String,
        initial: Option<Vec<u8>>,
    },
    Starttls,
    Compress {
        algorithm: String,
    },
    Logout,
    Noop,
    Find {
        name: String,
    },
    List {
        prefix: Option<String>,
    },
    Update {
        servers: Vec<String>,
    },
    Write {
        name: String,
        write: Write,
        expect: Option<String>,
    },
    Resume {
        position: Option<Position>,
    },
    /// With a name, what is known of that mailbox too.
    Status {
        name: Option<String>,
    },
    /// Which server the client speaks for.
    Here {
        server: String,
    },
    /// Which backends take no new mailboxes.
    Servers,
    Cordon {
        server: String,
        cordoned: bool,
    },
    Accept,
    Resolve {
        name: String,
    },
    Tool(Tool),
}

/// A command with its tag, or how to answer what is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    pub tag: String,
    pub command: Result<Command, Reply>,
}

impl Tagged {
    /// Reads one frame. The reply of a broken one is the protocol's own, with Cyrus's texts.
    pub fn parse(frame: &[u8]) -> Tagged {
        let mut at = lex::cursor(frame);
        let Ok((tag, verb)) = at.read(lex::head) else {
            return Tagged { tag: "*".into(), command: Err(Reply::bad("Need command")) };
        };
        let tag = String::from_utf8_lossy(tag).into_owned();
        Tagged { tag, command: at.read(|at| arguments(Keyword::of(verb), at)).map_err(refusal) }
    }
}

fn arguments(verb: Keyword, at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, command) = match verb.as_bytes() {
        b"" => return Err(ParseError::Text("Null command").into()),
        b"AUTHENTICATE" => session::authenticate(at)?,
        b"STARTTLS" => (at, Command::Starttls),
        b"COMPRESS" => session::compress(at)?,
        b"LOGOUT" => (at, Command::Logout),
        b"NOOP" => (at, Command::Noop),
        b"FIND" => find::find(at)?,
        b"LIST" => find::list(at)?,
        b"UPDATE" => update::update(at)?,
        b"RESERVE" => write::reserve(at)?,
        b"ACTIVATE" => write::activate(at)?,
        b"DEACTIVATE" => write::deactivate(at)?,
        b"DELETE" => write::delete(at)?,
        b"RESUME" => update::resume(at)?,
        b"STATUS" => find::status(at)?,
        b"HERE" => session::here(at)?,
        b"SERVERS" => (at, Command::Servers),
        b"CORDON" => server::cordon(at)?,
        b"UNCORDON" => server::uncordon(at)?,
        b"ACCEPT" => (at, Command::Accept),
        b"RESOLVE" => tool::resolve(at)?,
        b"DUMP" => (at, Command::Tool(Tool::Dump)),
        b"PUT" => tool::put(at)?,
        b"DROP" => tool::forget(at)?,
        b"RENEW" => (at, Command::Tool(Tool::Renew)),
        b"WIPE" => tool::wipe(at)?,
        _ => return Err(ParseError::Unrecognized.into()),
    };
    let (at, ()) = lex::end(at)?;
    Ok((at, command))
}

/// What a client is told of a command that cannot be read: Cyrus's texts.
fn refusal(error: ParseError) -> Reply {
    match error {
        ParseError::Missing => Reply::bad("Missing arguments"),
        ParseError::Extra => Reply::bad("Extra arguments"),
        ParseError::Invalid(_) | ParseError::Incomplete | ParseError::Long => {
            Reply::bad("Badly formed arguments")
        }
        ParseError::Unrecognized => Reply::bad("Unrecognized command"),
        ParseError::Text(text) => Reply::bad(text),
    }
}

/// Writes a command as a client does: strings as literals, like Cyrus.
pub fn put(out: &mut Vec<u8>, tag: &str, verb: &str, strings: &[&str]) {
    out.extend_from_slice(tag.as_bytes());
    out.push(b' ');
    out.extend_from_slice(verb.as_bytes());
    for text in strings {
        out.push(b' ');
        put_literal(out, text.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Location;
    use proptest::prelude::*;

    /// The reply that refuses a line; none: it is a command.
    pub fn answered(line: &str) -> Option<String> {
        let refused = Tagged::parse(line.as_bytes()).command.err();
        refused.map(|reply| format!("{:?} {}", reply.kind, reply.text))
    }

    /// Line, and the reply of RFC 3656 and Cyrus; none: it is a command.
    const REPLIES: &[(&str, Option<&str>)] = &[
        ("X0 NOOP\r\n", None),
        ("X0 noop\n", None),
        ("X0\r\n", Some("Bad Need command")),
        ("\r\n", Some("Bad Need command")),
        ("X0 \r\n", Some("Bad Null command")),
        ("X0 XYZZY\r\n", Some("Bad Unrecognized command")),
        ("X0 NOOP x\r\n", Some("Bad Extra arguments")),
    ];

    #[test]
    fn syntax_is_answered_as_cyrus_does() {
        for (line, expected) in REPLIES {
            assert_eq!(answered(line).as_deref(), *expected, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn what_a_client_writes_a_server_reads(name in "[^\u{0}]{1,40}", acl in "[^\u{0}]{0,60}") {
            let mut out = Vec::new();
            put(&mut out, "X1", "ACTIVATE", &[&name, "be1!p", &acl]);
            let write = Write::Activate(Location::parse("be1!p").unwrap(), acl.into());
            let tagged = Tagged::parse(&out);
            prop_assert_eq!(tagged.tag, "X1");
            prop_assert_eq!(tagged.command, Ok(Command::Write { name, write, expect: None }));
        }

        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Tagged::parse(&bytes);
        }
    }
}
