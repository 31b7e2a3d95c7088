//! What a server says, as a client reads it.

use nom::Parser;
use nom::combinator::{map, map_opt, opt};
use nom::sequence::terminated;

use super::lex::{self, Word};
use super::position::Position;
use crate::frame::trim_line;
use crate::grammar::{Cursor, Keyword, ParseError, Parsed, run};

/// One line of a server, with its literals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// `*` for the banner and a BYE.
    pub tag: String,
    pub body: Body,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    Mailbox {
        name: String,
        location: String,
        acl: String,
    },
    Reserve {
        name: String,
        location: String,
    },
    Delete {
        name: String,
    },
    /// A data line whose strings are no text: of a mailbox that no client here can name.
    Unreadable,
    Ok(String),
    No(String),
    Bad(String),
    Bye(String),
    /// Banner: mechanisms, quoted or not.
    Auth(Vec<String>),
    Starttls,
    Compress(Vec<String>),
    PartialUpdate,
    /// Banner of ours: the extensions.
    Murder(Vec<String>),
    /// Extension: the whole list follows, its old contents do not count.
    Full,
    /// Extension: what came before makes the list complete up to here.
    Position(Position),
    /// Extension: the state of the server, as JSON.
    Status(String),
    /// Extension: a backend takes no new mailboxes since then (epoch seconds), or takes them again.
    Server {
        name: String,
        cordoned: Option<u64>,
    },
    /// For tools: an entry, as a line of a dump.
    Entry(String),
    /// Something that this client does not know: ignored in a banner, an error elsewhere.
    Other(String),
}

/// The line is no response: the connection cannot be trusted further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed response {0:?}")]
pub struct Malformed(pub String);

impl Response {
    /// Reads one frame.
    pub fn parse(frame: &[u8]) -> Result<Response, Malformed> {
        let malformed = |_| Malformed(String::from_utf8_lossy(frame).chars().take(SHOWN).collect());
        lex::cursor(frame).read(response).map_err(malformed)
    }
}

/// ```text
/// response = tag SP (data / condition / banner / extension)
/// data     = "MAILBOX" 3(SP string) / "RESERVE" 2*3(SP string) / "DELETE" SP string
/// ```
fn response(at: Cursor<'_>) -> Parsed<'_, Response> {
    let (at, (tag, word)) = lex::head(at)?;
    let (Ok(tag), Ok(word)) = (str::from_utf8(tag), str::from_utf8(word)) else {
        return Err(ParseError::Invalid("word").into());
    };
    let (at, body) = match Keyword::of(word.as_bytes()).as_bytes() {
        b"MAILBOX" => mailbox(at)?,
        b"RESERVE" => reserve(at)?,
        b"DELETE" => delete(at)?,
        b"OK" => map(text, Body::Ok).parse(at)?,
        b"NO" => map(text, Body::No).parse(at)?,
        b"BAD" => map(text, Body::Bad).parse(at)?,
        b"BYE" => map(text, Body::Bye).parse(at)?,
        b"POSITION" => map(map_opt(told, |text| Position::parse(&text)), Body::Position).parse(at)?,
        b"STATUS" => map(told, Body::Status).parse(at)?,
        b"ENTRY" => map(told, Body::Entry).parse(at)?,
        b"SERVER" => server(at)?,
        b"FULL" => (at, Body::Full),
        b"AUTH" => map(words, Body::Auth).parse(at)?,
        b"STARTTLS" => (at, Body::Starttls),
        b"COMPRESS" => map(words, Body::Compress).parse(at)?,
        b"PARTIAL-UPDATE" => (at, Body::PartialUpdate),
        b"MURDER" => map(words, Body::Murder).parse(at)?,
        _ => (at, Body::Other(word.to_ascii_uppercase())),
    };
    Ok((at, Response { tag: tag.to_owned(), body }))
}

/// `MAILBOX SP name SP location SP acl`
fn mailbox(at: Cursor<'_>) -> Parsed<'_, Body> {
    let (at, (name, location, acl, ())) = (string, string, string, lex::end).parse(at)?;
    Ok((at, readable(|| Some(Body::Mailbox { name: name?, location: location?, acl: acl? }))))
}

/// `RESERVE SP name SP location [SP acl]`: the RFC's own example shows one with an ACL.
fn reserve(at: Cursor<'_>) -> Parsed<'_, Body> {
    let (at, (name, location, _, ())) = (string, string, opt(string), lex::end).parse(at)?;
    Ok((at, readable(|| Some(Body::Reserve { name: name?, location: location? }))))
}

/// `DELETE SP name`
fn delete(at: Cursor<'_>) -> Parsed<'_, Body> {
    let (at, (name, ())) = (string, lex::end).parse(at)?;
    Ok((at, readable(|| Some(Body::Delete { name: name? }))))
}

/// `SERVER SP server SP ("cordoned" SP seconds / "open")`
fn server(at: Cursor<'_>) -> Parsed<'_, Body> {
    let (at, (name, state, since, ())) = (told_first, told_first, opt(told_first), lex::end).parse(at)?;
    let cordoned = match (state.as_str(), since) {
        ("cordoned", Some(since)) => Some(since.parse().map_err(|_| ParseError::Invalid("seconds"))?),
        ("open", None) => None,
        _ => return Err(ParseError::Invalid("state").into()),
    };
    Ok((at, Body::Server { name, cordoned }))
}

fn readable(body: impl FnOnce() -> Option<Body>) -> Body {
    body().unwrap_or(Body::Unreadable)
}

/// `SP string` and no more; it must be text.
fn told(at: Cursor<'_>) -> Parsed<'_, String> {
    map_opt(terminated(string, lex::end), |told| told).parse(at)
}

/// `SP string`, which must be text.
fn told_first(at: Cursor<'_>) -> Parsed<'_, String> {
    map_opt(string, |told| told).parse(at)
}

/// `SP string`; none where it is no text.
fn string(at: Cursor<'_>) -> Parsed<'_, Option<String>> {
    match lex::word(at)? {
        (at, Word::String(bytes)) => Ok((at, String::from_utf8(bytes.into_owned()).ok())),
        (_, Word::Atom(_)) => Err(ParseError::Invalid("string").into()),
    }
}

/// Text of a reply, quoted or not, to the end of the line.
fn text(at: Cursor<'_>) -> Parsed<'_, String> {
    match terminated(lex::word, lex::end).parse(at) {
        Ok((at, Word::String(bytes))) => Ok((at, String::from_utf8_lossy(&bytes).into_owned())),
        _ => map(run(|_| true), |line| String::from_utf8_lossy(trim_line(line)).trim().to_owned()).parse(at),
    }
}

/// `*(SP (atom / string))`
fn words(mut at: Cursor<'_>) -> Parsed<'_, Vec<String>> {
    let mut words = Vec::new();
    while let Ok((rest, word)) = lex::word(at) {
        let bytes = match &word {
            Word::Atom(bytes) => bytes,
            Word::String(bytes) => bytes.as_ref(),
        };
        words.push(String::from_utf8_lossy(bytes).into_owned());
        at = rest;
    }
    Ok((at, words))
}

const SHOWN: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    fn body(line: &str) -> Body {
        Response::parse(line.as_bytes()).unwrap().body
    }

    #[test]
    fn data_lines_in_quotes_and_literals() {
        let expected =
            Body::Mailbox { name: "user.a".into(), location: "be1!p".into(), acl: "a\tlrs\t".into() };
        assert_eq!(body("U01 MAILBOX \"user.a\" \"be1!p\" \"a\tlrs\t\"\r\n"), expected);
        assert_eq!(body("U01 mailbox {6+}\r\nuser.a {5}\r\nbe1!p {6+}\r\na\tlrs\t\n"), expected);
        assert!(Response::parse(b"U01 MAILBOX \"user.a\" \"be1!p\"\r\n").is_err());
        assert!(Response::parse(b"U01 DELETE \"user.a\" \"x\"\r\n").is_err());
        assert_eq!(body("U01 RESERVE \"a\" \"b!c\" \"leg lrs\"\r\n"), body("U01 RESERVE \"a\" \"b!c\"\r\n"));
    }

    #[test]
    fn mechanisms_come_quoted_from_cyrus_and_bare_from_the_rfc() {
        let expected = Body::Auth(vec!["GSSAPI".into(), "PLAIN".into()]);
        assert_eq!(body("* AUTH \"GSSAPI\" \"PLAIN\"\r\n"), expected);
        assert_eq!(body("* AUTH GSSAPI PLAIN\r\n"), expected);
        assert_eq!(body("* AUTH\r\n"), Body::Auth(vec![]));
        assert_eq!(body("* LANGUAGES en\r\n"), Body::Other("LANGUAGES".into()));
    }

    #[test]
    fn reply_texts_may_lack_their_quotes() {
        assert_eq!(body("A01 NO \"no such user\"\r\n"), Body::No("no such user".into()));
        assert_eq!(
            body("A01 NO Client canceled authentication\r\n"),
            Body::No("Client canceled authentication".into())
        );
        assert_eq!(body("* BYE \"Server Unable\"\r\n"), Body::Bye("Server Unable".into()));
    }
}
