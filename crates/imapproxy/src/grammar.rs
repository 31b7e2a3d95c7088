//! The little of IMAP's grammar that routing needs beyond [`protocol::imap`]: a command's tag and verb from its first
//! line, and its first mailbox, so that the rest can be forwarded as it is.

use protocol::frame::{Piece, literal_at_end, trim_line};
use protocol::grammar::{Parsed, argument, atom, byte, keyword, mailbox, space};
use protocol::imap::{Bad, Cursor, Limits, ParseError, Refusal, Tag};

use crate::limits::VERB_MAX;

/// The head of a command: everything before its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub tag: Tag,
    /// Upper case. For `UID X` it is `X`.
    pub verb: String,
    pub uid: bool,
    /// Where the arguments begin in the line: at the blank after the verb, or at its end.
    pub arguments: usize,
}

impl Head {
    /// Reads the beginning of a command's first line.
    pub fn parse(line: &[u8]) -> Result<Head, Bad> {
        let text = trim_line(line);
        let mut cursor = Cursor::new(text, Limits::default());
        let tag = Tag::take(&mut cursor)?;
        let bad = |text: &str| Bad {
            tag: Some(tag.clone()),
            text: text.to_owned(),
            foreign: false,
            oversized: false,
        };
        let mut verb = cursor.read(atom).map_err(|_| bad("Null command"))?.to_ascii_uppercase();
        if verb.len() > VERB_MAX {
            return Err(bad("Unrecognized command"));
        }
        let uid = verb == "UID";
        if uid {
            cursor.read(space).map_err(|_| bad("Missing required argument to Uid"))?;
            verb = cursor.read(atom).map_err(|_| bad("Unrecognized UID subcommand"))?.to_ascii_uppercase();
        }
        Ok(Head { tag, verb, uid, arguments: text.len() - cursor.rest().len() })
    }

    /// A command's first line without its tag: that is the client's, and a backend never sees it.
    pub fn untagged<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let text = line.get(self.tag.as_str().len()..).unwrap_or_default();
        text.get(text.iter().take_while(|&&b| b == b' ').count()..).unwrap_or_default()
    }

    /// The same for the first piece of a command.
    pub fn untagged_piece(&self, first: Piece) -> Piece {
        match first {
            Piece::Line(text) => Piece::Line(text.slice_ref(self.untagged(&text))),
            Piece::Header { text, literal } => {
                Piece::Header { text: text.slice_ref(self.untagged(&text)), literal }
            }
            other => other,
        }
    }

    /// The name as it stands in texts: `Uid Fetch`.
    pub fn title(&self) -> String {
        protocol::imap::command::title(&if self.uid {
            format!("UID {}", self.verb)
        } else {
            self.verb.clone()
        })
    }

    /// A cursor at the arguments of a whole command.
    pub fn arguments<'a>(&self, command: &'a [u8]) -> Cursor<'a> {
        Cursor::new(trim_line(command).get(self.arguments..).unwrap_or_default(), Limits::default())
    }

    /// The first argument as a mailbox name, and what follows it, raw with its line end.
    pub fn mailbox<'a>(&self, command: &'a [u8]) -> Result<(String, &'a [u8]), Refusal> {
        self.first_mailbox(command).map_err(|error| Refusal::malformed(&error, &self.title()))
    }

    fn first_mailbox<'a>(&self, command: &'a [u8]) -> Result<(String, &'a [u8]), ParseError> {
        let mut cursor = Cursor::new(command.get(self.arguments..).unwrap_or_default(), Limits::default());
        if matches!(cursor.rest(), [b'\r' | b'\n', ..] | []) {
            return Err(ParseError::Missing);
        }
        cursor.read(space)?;
        let name = cursor.read(mailbox)?;
        match cursor.rest() {
            rest @ ([b' ' | b'\r' | b'\n', ..] | []) => Ok((name, rest)),
            // `IN"BOX` is no mailbox `IN`.
            _ => Err(ParseError::Extra),
        }
    }
}

/// The text behind `* kind `, where a line is one of that kind.
pub fn untagged<'a>(line: &'a [u8], kind: &str) -> Option<Cursor<'a>> {
    let mut at = Cursor::new(trim_line(line), Limits::default());
    at.read(byte(b'*')).ok()?;
    at.read(argument(keyword(kind))).ok()?;
    at.read(space).ok()?;
    Some(at)
}

/// `["\\"] atom`: a flag or an attribute, as it stands.
pub fn flag(at: Cursor<'_>) -> Parsed<'_, String> {
    let (at, backslash) = match byte(b'\\')(at) {
        Ok((at, ())) => (at, "\\"),
        Err(_) => (at, ""),
    };
    let (at, word) = atom(at)?;
    Ok((at, format!("{backslash}{word}")))
}

/// Whether nothing but the header of a literal stands in a line from `from` on: the literal is the next argument.
pub fn literal_is_next(line: &[u8], from: usize) -> bool {
    let arguments = trim_line(line).get(from..).unwrap_or_default().trim_ascii();
    literal_at_end(line).is_some() && arguments.starts_with(b"{")
}

/// The same line with its literal's header as a waiting (`{n}`) or a non-waiting (`{n+}`) one.
pub fn with_header(line: &[u8], size: u64, sync: bool) -> Vec<u8> {
    let text = trim_line(line);
    let open = text.iter().rposition(|&b| b == b'{').unwrap_or(text.len());
    let mut out = text.get(..open).unwrap_or_default().to_vec();
    out.extend_from_slice(format!("{{{size}{}}}\r\n", if sync { "" } else { "+" }).as_bytes());
    out
}

/// A string for a server: an atom where it is one, else quoted, else a literal that does not wait.
pub fn put_astring(out: &mut Vec<u8>, text: &[u8]) {
    let mut form = Vec::new();
    protocol::imap::print::astring(&mut form, text);
    match form.first() {
        Some(b'{') => {
            out.extend_from_slice(format!("{{{}+}}\r\n", text.len()).as_bytes());
            out.extend_from_slice(text);
        }
        _ => out.extend_from_slice(&form),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_head_of_a_command() {
        let head = Head::parse(b"a1 uid fetch 1:* (FLAGS)\r\n").unwrap();
        assert_eq!(
            (head.tag.as_str(), head.verb.as_str(), head.uid, head.arguments),
            ("a1", "FETCH", true, 12)
        );
        assert_eq!(head.title(), "Uid Fetch");
        let head = Head::parse(b"a NOOP\n").unwrap();
        assert_eq!((head.verb.as_str(), head.uid, head.arguments), ("NOOP", false, 6));
        assert_eq!(Head::parse(b"\r\n").unwrap_err().tag, None);
        assert_eq!(Head::parse(b"a\r\n").unwrap_err().tag.unwrap().as_str(), "a");
        assert!(Head::parse(b"+ x\r\n").is_err() && Head::parse(b"(a NOOP\r\n").is_err());
    }

    #[test]
    fn the_first_mailbox_and_the_rest() {
        let command = b"a STATUS \"a \\\"b\" (MESSAGES)\r\n";
        let head = Head::parse(command).unwrap();
        assert_eq!(head.mailbox(command), Ok(("a \"b".to_owned(), &b" (MESSAGES)\r\n"[..])));
        let command = b"a STATUS {5}\r\nINBOX (MESSAGES)\r\n";
        let head = Head::parse(command).unwrap();
        assert_eq!(head.mailbox(command), Ok(("INBOX".to_owned(), &b" (MESSAGES)\r\n"[..])));
        assert!(head.mailbox(b"a STATUS\r\n").is_err());
        assert!(head.mailbox(b"a STATUS ab\"cd (MESSAGES)\r\n").is_err());
    }

    #[test]
    fn a_literal_may_be_the_next_argument() {
        let first = |line: &[u8]| literal_is_next(line, Head::parse(line).unwrap().arguments);
        assert!(first(b"a APPEND {5+}\r\n"));
        assert!(!first(b"a APPEND INBOX {5+}\r\n") && !first(b"a APPEND INBOX\r\n"));
        assert_eq!(with_header(b"a APPEND x ~{5}\r\n", 5, false), b"a APPEND x ~{5+}\r\n");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(head) = Head::parse(&text) {
                let _ = (head.mailbox(&text), literal_is_next(&text, head.arguments));
            }
        }
    }
}
