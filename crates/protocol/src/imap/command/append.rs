//! APPEND: RFC 3501, RFC 3502 (MULTIAPPEND), RFC 7888, RFC 3516, RFC 6855 (UTF8); and LOCALAPPEND, by which a Cyrus frontend appends.
//!
//! ```text
//! append  = "APPEND" SP mailbox 1*(SP message)
//! local   = "LOCALAPPEND" SP mailbox SP current-mailbox 1*(SP message)
//! message = [flag-list SP] [date-time SP] ["ANNOTATION" SP notes SP] (["~"] literal / "UTF8" SP "(" ["~"] literal ")")
//! ```
//!
//! A message is streamed into the store, so the command is parsed in steps: [`Append::step`] on the text up to each
//! literal's header until it is the first message's, then [`Next::parse`] on the text between two messages.

use nom::Parser;
use nom::combinator::opt;
use nom::sequence::terminated;

use super::Name;
use super::annotate::{self, Note};
use super::mailbox::one;
use crate::grammar::{
    Cursor, Limits, ParseError, Parsed, argument, atom, byte, end, keyword, literal_header, parenthesis,
    space,
};
use crate::imap::{Bad, DateTime, Flag, Tag};

/// What stands before the first message's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    pub tag: Tag,
    pub mailbox: String,
    pub message: Message,
}

/// What stands before any message's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    pub flags: Vec<Flag>,
    pub date: Option<DateTime>,
    /// RFC 5257.
    pub notes: Vec<Note>,
    /// A literal8 (RFC 3516), which may hold NUL.
    pub binary: bool,
    /// `UTF8 (…)`: its header has UTF-8. A parenthesis follows the message.
    pub utf8: bool,
}

/// What a literal's header, at the end of the text so far, belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// An argument: to be collected with the text.
    Argument,
    /// The first message: to be streamed.
    Message(Append),
}

impl Append {
    /// Whether a command that begins so is an APPEND.
    pub fn begins(text: &[u8]) -> bool {
        let mut words = text.splitn(3, |&b| b == b' ');
        let command = words.nth(1).unwrap_or_default();
        command.eq_ignore_ascii_case(b"APPEND") || command.eq_ignore_ascii_case(b"LOCALAPPEND")
    }

    /// Parses the text so far, literals in their place, whose end is a literal's header and its line end.
    pub fn step(text: &[u8], limits: Limits) -> Result<Step, Bad> {
        let mut cursor = Cursor::new(crate::frame::trim_line(text), limits);
        let tag = Tag::take(&mut cursor)?;
        let mut title = "Append".to_owned();
        let parsed = cursor.read(Name::parse).and_then(|name| {
            title = name.title();
            cursor.read(|at| arguments(at, name.is("LOCALAPPEND")))
        });
        match parsed {
            Ok((mailbox, message)) => Ok(Step::Message(Append { tag, mailbox, message })),
            Err(ParseError::Incomplete) => Ok(Step::Argument),
            Err(error) => Err(Bad::new(&tag, error, &title)),
        }
    }
}

/// `SP mailbox [SP current-mailbox] SP message`
fn arguments(at: Cursor<'_>, local: bool) -> Parsed<'_, (String, Message)> {
    let (mut at, mailbox) = one(at)?;
    if local {
        // The mailbox selected at the frontend: it matters for relative URLs of CATENATE alone.
        (at, _) = one(at)?;
    }
    let (at, message) = argument(Message::parse)(at)?;
    Ok((at, (mailbox, message)))
}

/// What follows a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Message(Message),
    End,
}

impl Next {
    /// Parses the text between `message` and the next one's literal header, or the end of the command.
    pub fn parse(text: &[u8], message: &Message, limits: Limits) -> Result<Next, ParseError> {
        let mut cursor = Cursor::new(crate::frame::trim_line(text), limits);
        if message.utf8 {
            cursor.read(parenthesis(b')'))?;
        }
        match cursor.read(space) {
            Ok(()) => cursor.read(Message::parse).map(Next::Message),
            Err(_) => cursor.read(end).map(|()| Next::End),
        }
    }
}

impl Message {
    /// Up to the literal's header, which ends the text.
    fn parse(at: Cursor<'_>) -> Parsed<'_, Message> {
        let (mut at, mut message) = (at, Message::default());
        if at.peek() == Some(b'(') {
            (at, message.flags) = terminated(Flag::list, space).parse(at)?;
        }
        if at.peek() == Some(b'"') {
            (at, message.date) = terminated(DateTime::parse, space).map(Some).parse(at)?;
        }
        if let Ok((rest, ())) = keyword("ANNOTATION")(at) {
            (at, message.notes) = terminated(argument(annotate::store), space).parse(rest)?;
        }
        if atom(at).is_ok_and(|(_, word)| word.eq_ignore_ascii_case("CATENATE")) {
            return Err(ParseError::Text("CATENATE is not supported").into());
        }
        if let Ok((behind, word)) = atom(at)
            && word.eq_ignore_ascii_case("UTF8")
        {
            (at, _) = argument(parenthesis(b'('))(behind)?;
            message.utf8 = true;
        }
        let (at, binary) = opt(byte(b'~')).parse(at)?;
        message.binary = binary.is_some();
        match literal_header(at) {
            Err(nom::Err::Error(ParseError::Incomplete)) => Ok((at, message)),
            // An empty literal is whole already, but nothing may stand behind its header.
            _ => Err(ParseError::Invalid("message literal").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(text: &[u8]) -> Result<Step, Bad> {
        Append::step(text, Limits::default())
    }

    #[test]
    fn the_first_message_is_found_behind_the_arguments() {
        let Ok(Step::Message(append)) =
            step(b"a append INBOX (\\Seen $X) \"17-Jul-1996 02:44:25 -0700\" {310}\r\n")
        else {
            panic!()
        };
        assert_eq!((append.tag.as_str(), append.mailbox.as_str()), ("a", "INBOX"));
        assert_eq!(append.message.flags, [Flag::Seen, Flag::Keyword("$X".into())]);
        assert!(append.message.date.is_some());
        assert!(!append.message.binary);
        let Ok(Step::Message(append)) = step(b"a APPEND x ~{310+}\r\n") else { panic!() };
        assert!(append.message.binary && !append.message.utf8);
        let Ok(Step::Message(append)) = step(b"a APPEND x () utf8 (~{310+}\r\n") else { panic!() };
        assert!(append.message.binary && append.message.utf8);
    }

    #[test]
    fn a_literal_may_be_the_mailbox() {
        assert_eq!(step(b"a LOCALAPPEND {5+}\r\n"), Ok(Step::Argument));
        let Ok(Step::Message(append)) = step(b"a LOCALAPPEND {5+}\r\nINBOX \"\" () {3+}\r\n") else {
            panic!()
        };
        assert_eq!(append.mailbox, "INBOX");
    }

    #[test]
    fn what_is_wrong_is_answered_by_its_tag() {
        for text in [
            &b"a APPEND x (\\Foo) {3}\r\n"[..],
            b"a APPEND x \"yesterday\" {3}\r\n",
            b"a APPEND x CATENATE (TEXT {3}\r\n",
            b"a APPEND x y {3}\r\n",
            b"a APPEND x UTF8 {3}\r\n",
            b"a APPEND x UTF8 ((~{3}\r\n",
            b"a APPEND  {3}x\r\n {3}\r\n",
        ] {
            assert_eq!(step(text).unwrap_err().tag.unwrap().as_str(), "a", "{text:?}");
        }
    }

    #[test]
    fn more_messages_or_the_end_follow() {
        let next = |text| Next::parse(text, &Message::default(), Limits::default());
        assert_eq!(next(b"\r\n"), Ok(Next::End));
        assert_eq!(
            next(b" (\\Seen) {3}\r\n"),
            Ok(Next::Message(Message { flags: vec![Flag::Seen], date: None, ..Message::default() }))
        );
        assert!(next(b"x\r\n").is_err() && next(b")\r\n").is_err());
        let utf8 = Message { utf8: true, ..Message::default() };
        let behind = |text| Next::parse(text, &utf8, Limits::default());
        assert_eq!(behind(b")\r\n"), Ok(Next::End));
        assert_eq!(behind(b") UTF8 (~{3}\r\n"), Ok(Next::Message(Message { binary: true, ..utf8.clone() })));
        assert!(behind(b"\r\n").is_err() && behind(b"))\r\n").is_err());
        assert!(next(b" x\r\n").is_err());
    }
}
