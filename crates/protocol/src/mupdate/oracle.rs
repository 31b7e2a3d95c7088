//! The parsers that the nom grammars replace, as oracle: both must read every frame alike.

use std::borrow::Cow;
use std::sync::Arc;

use super::command::{Command, Tagged, Tool};
use super::position::Position;
use super::reply::Reply;
use super::response::{Body, Malformed, Response};
use super::state::Write;
use crate::frame::literal_at_end;
use crate::location::Location;

const UPDATE_SERVERS: usize = 30;
const SHOWN: usize = 120;

pub fn command(frame: &[u8]) -> Tagged {
    let mut lexer = Lexer::new(frame);
    let tag = String::from_utf8_lossy(lexer.atom()).into_owned();
    if tag.is_empty() || !lexer.blank() {
        return Tagged { tag: "*".into(), command: Err(Reply::bad("Need command")) };
    }
    let verb = String::from_utf8_lossy(lexer.atom()).to_ascii_uppercase();
    Tagged { tag, command: parse_verb(&verb, &mut lexer) }
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
    let mechanism = cstring(lexer, false)?;
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
        fields.push(cstring(lexer, at + 1 == N)?);
    }
    fields.try_into().map_err(|_| badly_formed())
}

fn cstring(lexer: &mut Lexer<'_>, last: bool) -> Result<String, Reply> {
    match lexer.word() {
        Ok(Word::String(bytes)) => String::from_utf8(bytes.into_owned()).map_err(|_| badly_formed()),
        Err(LexError::End) => Err(Reply::bad("Missing arguments")),
        // Cyrus notices a bare word where it looks for what comes after it.
        Ok(Word::Atom(_)) | Err(_) if last => Err(Reply::bad("Extra arguments")),
        Ok(Word::Atom(_)) | Err(_) => Err(Reply::bad("Missing arguments")),
    }
}

fn optional(lexer: &mut Lexer<'_>) -> Result<Option<String>, Reply> {
    if lexer.at_end() { Ok(None) } else { cstring(lexer, true).map(Some) }
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

pub fn response(frame: &[u8]) -> Result<Response, Malformed> {
    let malformed = || Malformed(String::from_utf8_lossy(frame).chars().take(SHOWN).collect());
    let mut lexer = Lexer::new(frame);
    let tag = utf8(lexer.atom()).ok_or_else(malformed)?;
    if tag.is_empty() || !lexer.blank() {
        return Err(malformed());
    }
    let word = utf8(lexer.atom()).ok_or_else(malformed)?.to_ascii_uppercase();
    let body = match word.as_str() {
        "MAILBOX" => {
            data(rstrings(&mut lexer), |[name, location, acl]| Body::Mailbox { name, location, acl })
        }
        "RESERVE" => data(reserve(&mut lexer), |[name, location]| Body::Reserve { name, location }),
        "DELETE" => data(rstrings(&mut lexer), |[name]| Body::Delete { name }),
        "OK" => Some(Body::Ok(text(&mut lexer))),
        "NO" => Some(Body::No(text(&mut lexer))),
        "BAD" => Some(Body::Bad(text(&mut lexer))),
        "BYE" => Some(Body::Bye(text(&mut lexer))),
        "AUTH" => Some(Body::Auth(words(&mut lexer))),
        "STARTTLS" => Some(Body::Starttls),
        "COMPRESS" => Some(Body::Compress(words(&mut lexer))),
        "PARTIAL-UPDATE" => Some(Body::PartialUpdate),
        "MURDER" => Some(Body::Murder(words(&mut lexer))),
        "FULL" => Some(Body::Full),
        "POSITION" => told(&mut lexer).and_then(|p| Position::parse(&p)).map(Body::Position),
        "STATUS" => told(&mut lexer).map(Body::Status),
        "ENTRY" => told(&mut lexer).map(Body::Entry),
        _ => Some(Body::Other(word)),
    };
    Ok(Response { tag, body: body.ok_or_else(malformed)? })
}
/// Strings of which one may be no text; none where they are not as many as they should be.
type Strings<const N: usize> = Option<Option<[String; N]>>;

fn data<const N: usize>(strings: Strings<N>, body: impl FnOnce([String; N]) -> Body) -> Option<Body> {
    strings.map(|strings| strings.map_or(Body::Unreadable, body))
}

/// The RFC's own example shows a RESERVE with an ACL.
fn reserve(lexer: &mut Lexer<'_>) -> Strings<2> {
    let (name, location) = (string(lexer)?, string(lexer)?);
    if !lexer.at_end() {
        string(lexer)?;
    }
    lexer.at_end().then_some(name.zip(location).map(|(name, location)| [name, location]))
}

/// One string and no more.
fn told(lexer: &mut Lexer<'_>) -> Option<String> {
    rstrings::<1>(lexer).flatten().map(|[told]| told)
}

fn rstrings<const N: usize>(lexer: &mut Lexer<'_>) -> Strings<N> {
    let mut out = Vec::with_capacity(N);
    for _ in 0..N {
        out.push(string(lexer)?);
    }
    if !lexer.at_end() {
        return None;
    }
    let all: Option<Vec<String>> = out.into_iter().collect();
    Some(all.and_then(|all| all.try_into().ok()))
}

fn string(lexer: &mut Lexer<'_>) -> Option<Option<String>> {
    match lexer.word().ok()? {
        Word::String(bytes) => Some(String::from_utf8(bytes.into_owned()).ok()),
        Word::Atom(_) => None,
    }
}

/// Text of a reply, quoted or not.
fn text(lexer: &mut Lexer<'_>) -> String {
    let mut ahead = *lexer;
    match ahead.word() {
        Ok(Word::String(bytes)) if ahead.at_end() => String::from_utf8_lossy(&bytes).into_owned(),
        _ => String::from_utf8_lossy(lexer.line()).trim().to_owned(),
    }
}

fn words(lexer: &mut Lexer<'_>) -> Vec<String> {
    let mut out = Vec::new();
    while let Ok(word) = lexer.word() {
        let bytes = match &word {
            Word::Atom(bytes) => bytes,
            Word::String(bytes) => bytes.as_ref(),
        };
        out.push(String::from_utf8_lossy(bytes).into_owned());
    }
    out
}

fn utf8(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// The rest of a command.
#[derive(Debug, Clone, Copy)]
pub struct Lexer<'a> {
    rest: &'a [u8],
}

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word<'a> {
    Atom(&'a [u8]),
    String(Cow<'a, [u8]>),
}

/// Why there is no further argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LexError {
    #[error("the line ended")]
    End,
    #[error("not separated by a blank")]
    Separator,
    #[error("malformed string")]
    Malformed,
}

impl<'a> Lexer<'a> {
    pub fn new(frame: &'a [u8]) -> Self {
        Lexer { rest: frame }
    }

    /// The atom that stands here, perhaps empty: a tag or a command.
    pub fn atom(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|b| b" \t\r\n()\"".contains(b)).unwrap_or(self.rest.len());
        let (atom, rest) = self.rest.split_at(end);
        self.rest = rest;
        atom
    }

    /// Takes the blank before an argument, if one stands here.
    pub fn blank(&mut self) -> bool {
        match self.rest.split_first() {
            Some((b' ', rest)) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Whether the line ends here.
    pub fn at_end(&self) -> bool {
        matches!(self.rest, b"" | b"\n" | b"\r\n" | b"\r")
    }

    /// The rest of the line, as it is.
    pub fn line(&self) -> &'a [u8] {
        crate::frame::trim_line(self.rest)
    }

    /// A blank and the word after it.
    pub fn word(&mut self) -> Result<Word<'a>, LexError> {
        if self.at_end() {
            return Err(LexError::End);
        }
        if !self.blank() {
            return Err(LexError::Separator);
        }
        match self.rest.first() {
            Some(b'"') => self.quoted().map(Word::String),
            Some(b'{') => self.literal().map(|data| Word::String(Cow::Borrowed(data))),
            _ => match self.atom() {
                b"" if self.at_end() => Err(LexError::End),
                b"" => Err(LexError::Malformed),
                atom => Ok(Word::Atom(atom)),
            },
        }
    }

    fn quoted(&mut self) -> Result<Cow<'a, [u8]>, LexError> {
        let inside = self.rest.get(1..).unwrap_or_default();
        let end = inside.iter().position(|b| b"\"\\\r\n\0".contains(b)).ok_or(LexError::Malformed)?;
        if inside.get(end) == Some(&b'"') {
            self.rest = inside.get(end + 1..).unwrap_or_default();
            return Ok(Cow::Borrowed(inside.get(..end).unwrap_or_default()));
        }
        let mut text = Vec::new();
        let mut bytes = inside.iter().enumerate();
        while let Some((at, &byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.rest = inside.get(at + 1..).unwrap_or_default();
                    return Ok(Cow::Owned(text));
                }
                b'\\' => match bytes.next() {
                    Some((_, &escaped)) if !b"\r\n\0".contains(&escaped) => text.push(escaped),
                    _ => return Err(LexError::Malformed),
                },
                b'\r' | b'\n' | 0 => return Err(LexError::Malformed),
                other => text.push(other),
            }
        }
        Err(LexError::Malformed)
    }

    fn literal(&mut self) -> Result<&'a [u8], LexError> {
        let end = self.rest.iter().position(|&b| b == b'\n').ok_or(LexError::Malformed)?;
        let (header, rest) = self.rest.split_at(end + 1);
        let size = literal_at_end(header).ok_or(LexError::Malformed)?.size;
        // The header must be all that stands between the blank and the line end.
        if header.iter().filter(|&&b| b == b'{').count() != 1 {
            return Err(LexError::Malformed);
        }
        let size = usize::try_from(size).map_err(|_| LexError::Malformed)?;
        let data = rest.get(..size).ok_or(LexError::Malformed)?;
        if data.contains(&0) {
            return Err(LexError::Malformed);
        }
        self.rest = rest.get(size..).unwrap_or_default();
        Ok(data)
    }
}

mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::*;
    use crate::frame::{Collected, Collector, Limits};

    /// Commands and responses, some of them well formed.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        let verb = prop::sample::select(vec![
            "AUTHENTICATE",
            "STARTTLS",
            "COMPRESS",
            "LOGOUT",
            "NOOP",
            "find",
            "LIST",
            "UPDATE",
            "RESERVE",
            "ACTIVATE",
            "DEACTIVATE",
            "DELETE",
            "RESUME",
            "STATUS",
            "ACCEPT",
            "RESOLVE",
            "DUMP",
            "PUT",
            "DROP",
            "RENEW",
            "WIPE",
            "MAILBOX",
            "OK",
            "NO",
            "BAD",
            "BYE",
            "AUTH",
            "PARTIAL-UPDATE",
            "MURDER",
            "FULL",
            "POSITION",
            "ENTRY",
            "X",
            "",
        ]);
        let text = prop_oneof![
            4 => prop::sample::select(vec!["user.a", "be1!p", "b!c!d", "a\tlrs\t", "", "=", "x y"]).prop_map(|t| t.as_bytes().to_vec()),
            1 => Just(b"00000000000000000000000000000abc:1:2".to_vec()),
            2 => prop::collection::vec(any::<u8>(), 0..9),
            1 => "[a-z\"\\\\{}+()\r\n]{0,9}".prop_map(String::into_bytes),
        ];
        let argument = (text, 0..5).prop_map(|(text, form)| match form {
            0 => text,
            1 => [&b"\""[..], &text, b"\""].concat(),
            2 => [b"{", text.len().to_string().as_bytes(), b"}\r\n", &text].concat(),
            3 => [b"{", text.len().to_string().as_bytes(), b"+}\n", &text].concat(),
            _ => {
                let escaped = text.iter().flat_map(|b| [b'\\', *b]).collect::<Vec<u8>>();
                [&b"\""[..], &escaped, b"\""].concat()
            }
        });
        let blank = prop::sample::select(vec![" ", " ", " ", " ", " ", " ", "", "  "]);
        let end = prop::sample::select(vec!["\r\n", "\r\n", "\n", " \r\n", "\r\r\n"]);
        (
            prop::sample::select(vec!["X0", "U01", "*", ""]),
            verb,
            prop::collection::vec((blank, argument), 0..5),
            end,
        )
            .prop_map(|(tag, verb, arguments, end)| {
                let mut line = [tag.as_bytes(), b" ", verb.as_bytes()].concat();
                for (blank, argument) in arguments {
                    line.extend_from_slice(blank.as_bytes());
                    line.extend_from_slice(&argument);
                }
                line.extend_from_slice(end.as_bytes());
                line
            })
    }

    /// The frames of a stream that begins with these bytes, some of them changed.
    fn frames(mut bytes: Vec<u8>, changes: &[(usize, u8)]) -> Vec<Vec<u8>> {
        for &(at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let mut collector = Collector::new(Limits::default(), 1000, 10_000);
        let (mut buffer, mut frames) = (BytesMut::from(&bytes[..]), Vec::new());
        while let Ok(Some(collected)) = collector.next(&mut buffer) {
            if let Collected::Command(frame) = collected {
                frames.push(frame.to_vec());
            }
        }
        frames
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn both_read_every_frame_alike(
            line in line(),
            changes in prop_oneof![3 => Just(vec![]), 1 => prop::collection::vec((any::<usize>(), any::<u8>()), 1..4)],
        ) {
            for frame in frames(line, &changes) {
                prop_assert_eq!(Tagged::parse(&frame), command(&frame), "{}", frame.escape_ascii());
                prop_assert_eq!(Response::parse(&frame), response(&frame), "{}", frame.escape_ascii());
            }
        }
    }
}
