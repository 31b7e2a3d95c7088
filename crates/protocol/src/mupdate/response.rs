//! What a server says, as a client reads it.

use super::lex::{Lexer, Word};
use super::position::Position;

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
        let malformed = || Malformed(String::from_utf8_lossy(frame).chars().take(SHOWN).collect());
        let mut lexer = Lexer::new(frame);
        let tag = utf8(lexer.atom()).ok_or_else(malformed)?;
        if tag.is_empty() || !lexer.blank() {
            return Err(malformed());
        }
        let word = utf8(lexer.atom()).ok_or_else(malformed)?.to_ascii_uppercase();
        let body = match word.as_str() {
            "MAILBOX" => {
                data(strings(&mut lexer), |[name, location, acl]| Body::Mailbox { name, location, acl })
            }
            "RESERVE" => data(reserve(&mut lexer), |[name, location]| Body::Reserve { name, location }),
            "DELETE" => data(strings(&mut lexer), |[name]| Body::Delete { name }),
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
    strings::<1>(lexer).flatten().map(|[told]| told)
}

fn strings<const N: usize>(lexer: &mut Lexer<'_>) -> Strings<N> {
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
