//! What a client asks, from one whole frame; and the same as a client writes it.
//!
//! ```text
//! command  = tag SP verb *(SP string) CRLF
//! AUTHENTICATE mechanism [initial]   STARTTLS   COMPRESS algorithm   LOGOUT   NOOP
//! FIND name   LIST [location-prefix]   UPDATE *server
//! RESERVE name location   ACTIVATE name location acl   DEACTIVATE name location   DELETE name
//! ```
//!
//! Ours, advertised by `* MURDER`, only between us: ACTIVATE, RESERVE, DEACTIVATE and DELETE take one string more, the
//! state they expect (`none`, `reserved@server`, `active@server`); `RESUME ["position"]` is UPDATE from there;
//! `STATUS [name]`; `HERE server` says which
//! server the connection speaks for, so that the master knows when it was last heard; `ACCEPT` carries out a held plan of deletions; `RESOLVE name` ends the showing of a conflict. And for the
//! tools of one host, on the local socket alone: `DUMP`, `PUT entry`, `DROP name`, `RENEW`, `WIPE name`.

use std::sync::Arc;

use super::lex::{LexError, Lexer, Word, put_literal};
use super::position::Position;
use super::reply::Reply;
use super::state::Write;
use crate::location::Location;

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
    Accept,
    Resolve {
        name: String,
    },
    Tool(Tool),
}

/// What a tool asks of the daemon whose list it shares a host with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    /// Every entry, whole.
    Dump,
    /// Store an entry whole, as `DUMP` tells it.
    Put { entry: String },
    /// Forget an entry.
    Drop { name: String },
    /// The list is another one from now on.
    Renew,
    /// Put a mailbox away under the deleted tree, here alone.
    Wipe { name: String },
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
        let mut lexer = Lexer::new(frame);
        let tag = String::from_utf8_lossy(lexer.atom()).into_owned();
        if tag.is_empty() || !lexer.blank() {
            return Tagged { tag: "*".into(), command: Err(Reply::bad("Need command")) };
        }
        let verb = String::from_utf8_lossy(lexer.atom()).to_ascii_uppercase();
        Tagged { tag, command: parse_verb(&verb, &mut lexer) }
    }
}

fn parse_verb(verb: &str, lexer: &mut Lexer<'_>) -> Result<Command, Reply> {
    match verb {
        "" => Err(Reply::bad("Null command")),
        "AUTHENTICATE" => authenticate(lexer),
        "STARTTLS" => end(lexer, Command::Starttls),
        "COMPRESS" => one(lexer).map(|[algorithm]| Command::Compress { algorithm }),
        "LOGOUT" => end(lexer, Command::Logout),
        "NOOP" => end(lexer, Command::Noop),
        "FIND" => one(lexer).map(|[name]| Command::Find { name }),
        "LIST" => {
            let prefix = optional(lexer)?;
            end(lexer, Command::List { prefix })
        }
        "UPDATE" => update(lexer),
        "RESERVE" => {
            let ([name, location], expect) = write(lexer)?;
            Ok(Command::Write { name, write: Write::Reserve(place(&location)?), expect })
        }
        "ACTIVATE" => {
            let ([name, location, acl], expect) = write(lexer)?;
            Ok(Command::Write { name, write: Write::Activate(place(&location)?, Arc::from(acl)), expect })
        }
        "DEACTIVATE" => {
            let ([name, location], expect) = write(lexer)?;
            Ok(Command::Write { name, write: Write::Deactivate(place(&location)?), expect })
        }
        "DELETE" => {
            let ([name], expect) = write(lexer)?;
            Ok(Command::Write { name, write: Write::Delete, expect })
        }
        "RESUME" => {
            let position = optional(lexer)?;
            let position =
                position.as_deref().map(|p| Position::parse(p).ok_or_else(badly_formed)).transpose()?;
            end(lexer, Command::Resume { position })
        }
        "STATUS" => {
            let name = optional(lexer)?;
            end(lexer, Command::Status { name })
        }
        "HERE" => one(lexer).map(|[server]| Command::Here { server }),
        "ACCEPT" => end(lexer, Command::Accept),
        "RESOLVE" => one(lexer).map(|[name]| Command::Resolve { name }),
        "DUMP" => end(lexer, Command::Tool(Tool::Dump)),
        "PUT" => one(lexer).map(|[entry]| Command::Tool(Tool::Put { entry })),
        "DROP" => one(lexer).map(|[name]| Command::Tool(Tool::Drop { name })),
        "RENEW" => end(lexer, Command::Tool(Tool::Renew)),
        "WIPE" => one(lexer).map(|[name]| Command::Tool(Tool::Wipe { name })),
        _ => Err(Reply::bad("Unrecognized command")),
    }
}

fn authenticate(lexer: &mut Lexer<'_>) -> Result<Command, Reply> {
    let mechanism = string(lexer, false)?;
    let initial = match lexer.word() {
        Ok(Word::String(bytes)) => Some(bytes.into_owned()),
        // A Cyrus client with an empty initial response sends a bare `=`, which Cyrus's own server rejects.
        Ok(Word::Atom(b"=")) => Some(b"=".to_vec()),
        Err(LexError::End) => None,
        Ok(Word::Atom(_)) | Err(_) => return Err(Reply::bad("Extra arguments")),
    };
    end(lexer, Command::Authenticate { mechanism, initial })
}

fn update(lexer: &mut Lexer<'_>) -> Result<Command, Reply> {
    let mut servers = Vec::new();
    while let Some(server) = optional(lexer)? {
        if server.is_empty() || servers.len() == UPDATE_SERVERS {
            return Err(badly_formed());
        }
        servers.push(server);
    }
    Ok(Command::Update { servers })
}

/// The arguments of a write, and our expectation after them.
fn write<const N: usize>(lexer: &mut Lexer<'_>) -> Result<([String; N], Option<String>), Reply> {
    let fields = fields(lexer)?;
    let expect = optional(lexer)?;
    end(lexer, (fields, expect))
}

fn one<const N: usize>(lexer: &mut Lexer<'_>) -> Result<[String; N], Reply> {
    let fields = fields(lexer)?;
    end(lexer, fields)
}

fn fields<const N: usize>(lexer: &mut Lexer<'_>) -> Result<[String; N], Reply> {
    let mut fields = Vec::with_capacity(N);
    for at in 0..N {
        fields.push(string(lexer, at + 1 == N)?);
    }
    fields.try_into().map_err(|_| badly_formed())
}

fn string(lexer: &mut Lexer<'_>, last: bool) -> Result<String, Reply> {
    match lexer.word() {
        Ok(Word::String(bytes)) => String::from_utf8(bytes.into_owned()).map_err(|_| badly_formed()),
        Err(LexError::End) => Err(Reply::bad("Missing arguments")),
        // Cyrus notices a bare word where it looks for what comes after it.
        Ok(Word::Atom(_)) | Err(_) if last => Err(Reply::bad("Extra arguments")),
        Ok(Word::Atom(_)) | Err(_) => Err(Reply::bad("Missing arguments")),
    }
}

fn optional(lexer: &mut Lexer<'_>) -> Result<Option<String>, Reply> {
    if lexer.at_end() { Ok(None) } else { string(lexer, true).map(Some) }
}

fn end<T>(lexer: &Lexer<'_>, value: T) -> Result<T, Reply> {
    if lexer.at_end() { Ok(value) } else { Err(Reply::bad("Extra arguments")) }
}

fn place(text: &str) -> Result<Location, Reply> {
    Location::parse(text).map_err(|_| badly_formed())
}

fn badly_formed() -> Reply {
    Reply::bad("Badly formed arguments")
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

/// Servers that one UPDATE may name.
const UPDATE_SERVERS: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Result<Command, String> {
        Tagged::parse(line.as_bytes()).command.map_err(|reply| format!("{:?} {}", reply.kind, reply.text))
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
        ("X0 FIND\r\n", Some("Bad Missing arguments")),
        ("X0 FIND user.a\r\n", Some("Bad Extra arguments")),
        ("X0 FIND \"user.a\" \"b\"\r\n", Some("Bad Extra arguments")),
        ("X0 RESERVE \"user.a\"\r\n", Some("Bad Missing arguments")),
        ("X0 RESERVE user.a \"b!c\"\r\n", Some("Bad Missing arguments")),
        ("X0 RESERVE \"user.a\" \"b!c\"\r\n", None),
        ("X0 RESERVE {6+}\r\nuser.a {3+}\r\nb!c\r\n", None),
        ("X0 RESERVE {6}\r\nuser.a \"b!c!d\"\r\n", Some("Bad Badly formed arguments")),
        ("X0 ACTIVATE \"user.a\" \"b!c\"\r\n", Some("Bad Missing arguments")),
        ("X0 ACTIVATE \"user.a\" \"b!c\" \"\"\r\n", None),
        ("X0 LIST\r\n", None),
        ("X0 LIST \"b!\"\r\n", None),
        ("X0 UPDATE\r\n", None),
        ("X0 UPDATE \"be1\" \"be2\"\r\n", None),
        ("X0 UPDATE \"\"\r\n", Some("Bad Badly formed arguments")),
        ("A01 AUTHENTICATE \"PLAIN\" =\r\n", None),
        ("A01 AUTHENTICATE \"PLAIN\" {4+}\r\nAAAA\r\n", None),
        ("A01 AUTHENTICATE \"PLAIN\" AAAA\r\n", Some("Bad Extra arguments")),
        ("A01 AUTHENTICATE PLAIN\r\n", Some("Bad Missing arguments")),
        ("X0 DELETE \"user.a\" \"active@be1\"\r\n", None),
        ("X0 RESUME \"nonsense\"\r\n", Some("Bad Badly formed arguments")),
    ];

    #[test]
    fn syntax_is_answered_as_cyrus_does() {
        for (line, expected) in REPLIES {
            assert_eq!(parse(line).err().as_deref(), *expected, "{line:?}");
        }
    }

    #[test]
    fn more_than_thirty_servers_are_refused() {
        let line = |n| format!("U01 UPDATE{}\r\n", " \"be\"".repeat(n));
        assert!(parse(&line(30)).is_ok());
        assert!(parse(&line(31)).is_err());
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
