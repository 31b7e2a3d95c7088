//! APPEND: RFC 3501, RFC 3502 (MULTIAPPEND), RFC 7888, RFC 3516, RFC 6855 (UTF8), RFC 4469 (CATENATE); LOCALAPPEND, by which a
//! Cyrus frontend appends; and REPLACE (RFC 8508), which is an APPEND of one message that takes another's place.
//!
//! ```text
//! append  = "APPEND" SP mailbox 1*(SP message)
//! local   = "LOCALAPPEND" SP mailbox SP current-mailbox 1*(SP message)
//! replace = ["UID" SP] "REPLACE" SP (nz-number / "*") SP mailbox SP message
//! message = [flag-list SP] [date-time SP] ["ANNOTATION" SP notes SP] (data / "CATENATE" SP "(" part *(SP part) ")")
//! part    = "URL" SP astring / "TEXT" SP data / utf8
//! data    = ["~"] literal / utf8
//! utf8    = "UTF8" SP "(" ["~"] literal ")"
//! ```
//!
//! A message is streamed into the store, so the command is parsed in runs of text, each of which ends in the header of a literal
//! that holds a message's bytes, or ends the command: [`Append::step`] on the first one, then [`Run::parse`]. Other literals are
//! arguments, and stand in the text.

use std::ops::Range;

use nom::Parser;
use nom::combinator::{map, opt};
use nom::sequence::terminated;

use super::Name;
use super::annotate::{self, Note};
use super::mailbox::one;
use crate::grammar::{
    Cursor, Limits, ParseError, Parsed, argument, atom, byte, end, keyword, literal_header, parenthesis,
    space, text,
};
use crate::imap::{Bad, DateTime, Flag, SequenceSet, Tag};

/// The command, and what stands before the first message's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    pub tag: Tag,
    /// REPLACE: which message goes.
    pub replaced: Option<Replaced>,
    pub mailbox: String,
    /// LOCALAPPEND: the mailbox that is open at the frontend, to which URLs can be relative.
    pub open: Option<String>,
    pub run: Run,
}

/// A message of the open mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    pub uid: bool,
    /// It alone.
    pub message: SequenceSet,
}

/// What stands before a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    pub flags: Vec<Flag>,
    pub date: Option<DateTime>,
    /// RFC 5257.
    pub notes: Vec<Note>,
}

/// A run of text between the bytes of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub items: Vec<Item>,
    /// Where the next run begins.
    pub place: Place,
}

/// What a run of text asks for, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A message begins.
    Message(Message),
    /// What the URL names is a part of it; and where `URL` and it stand in the run.
    Url(String, Range<usize>),
    /// So are the bytes of the literal that the run ends in.
    Literal(Form),
    /// The message is whole.
    Whole,
}

/// How bytes of a message come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Form {
    /// A literal8 (RFC 3516), which may hold NUL.
    pub binary: bool,
    /// `UTF8 (…)`: its header has UTF-8.
    pub utf8: bool,
}

/// Where in the command a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    at: At,
    /// There can be one message only.
    is_single: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// A message must begin.
    Start,
    /// Behind a message that is one literal; `closes`: a parenthesis ends it.
    Message { closes: bool },
    /// Behind a part of a message.
    Part { closes: bool },
    /// Behind the command.
    End,
}

/// What a literal's header, at the end of the text so far, belongs to, or the end of the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The literal is an argument: to be collected with the text.
    Argument,
    /// It is the first message's, to be streamed; or there is none, and the command is whole.
    Append(Append),
}

impl Append {
    /// Whether a command that begins so is one of these.
    pub fn begins(text: &[u8]) -> bool {
        let mut words = text.splitn(4, |&b| b == b' ').skip(1);
        let is = |word: Option<&[u8]>, names: &[&str]| {
            let word = word.unwrap_or_default().trim_ascii_end();
            names.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes()))
        };
        let first = words.next();
        is(first, &["APPEND", "LOCALAPPEND", "REPLACE"])
            || is(first, &["UID"]) && is(words.next(), &["REPLACE"])
    }

    /// Parses the text so far, literals in their place, whose end is a literal's header and its line end, or the command's.
    pub fn step(text: &[u8], limits: Limits) -> Result<Step, Bad> {
        let mut cursor = Cursor::new(crate::frame::trim_line(text), limits);
        let tag = Tag::take(&mut cursor)?;
        let mut title = "Append".to_owned();
        let parsed = cursor.read(Name::parse).and_then(|name| {
            title = name.title();
            cursor.read(|at| arguments(at, &name))
        });
        match parsed {
            Ok(Arguments { replaced, mailbox, open, run }) => {
                Ok(Step::Append(Append { tag, replaced, mailbox, open, run }))
            }
            Err(ParseError::Incomplete) => Ok(Step::Argument),
            Err(error) => Err(Bad::new(&tag, error, &title)),
        }
    }
}

impl Replaced {
    /// `SP (nz-number / "*")`
    pub fn parse(at: Cursor<'_>, uid: bool) -> Parsed<'_, Replaced> {
        map(argument(SequenceSet::one), |message| Replaced { uid, message }).parse(at)
    }
}

struct Arguments {
    replaced: Option<Replaced>,
    mailbox: String,
    open: Option<String>,
    run: Run,
}

/// `[SP number] SP mailbox [SP current-mailbox]` and the first run.
fn arguments<'a>(at: Cursor<'a>, name: &Name<'_>) -> Parsed<'a, Arguments> {
    let (at, replaced) = match name.word.eq_ignore_ascii_case("REPLACE") {
        true => map(|at| Replaced::parse(at, name.uid), Some).parse(at)?,
        false => (at, None),
    };
    let (at, mailbox) = one(at)?;
    let (at, open) = match name.is("LOCALAPPEND") {
        true => map(one, Some).parse(at)?,
        false => (at, None),
    };
    let (at, run) = run(at, Place::start(replaced.is_some()))?;
    Ok((at, Arguments { replaced, mailbox, open, run }))
}

impl Place {
    /// Before the first message of a command; `is_single`: no other can follow.
    pub fn start(is_single: bool) -> Place {
        Place { at: At::Start, is_single }
    }

    pub fn is_end(self) -> bool {
        self.at == At::End
    }

    fn to(self, at: At) -> Place {
        Place { at, ..self }
    }
}

impl Run {
    /// Parses the text from `place` to the next literal's header, or to the end of the command. [`ParseError::Incomplete`]: the
    /// literal is an argument, and its bytes belong to the text.
    pub fn parse(text: &[u8], place: Place, limits: Limits) -> Result<Run, ParseError> {
        Cursor::new(crate::frame::trim_line(text), limits).read(|at| run(at, place))
    }
}

fn run(at: Cursor<'_>, place: Place) -> Parsed<'_, Run> {
    let (mut at, mut items, whole) = (at, Vec::new(), at.rest().len());
    let mut in_parts = false;
    match place.at {
        At::Start => {}
        At::End => return Err(ParseError::Extra.into()),
        At::Message { closes } | At::Part { closes } => {
            in_parts = matches!(place.at, At::Part { .. });
            at = if closes { parenthesis(b')')(at)?.0 } else { at };
            if !in_parts {
                items.push(Item::Whole);
            }
        }
    }
    loop {
        if items.len() >= PARTS {
            return Err(ParseError::Text("Too many parts in one message").into());
        }
        let literal;
        if in_parts {
            if let Ok((rest, ())) = byte(b')')(at) {
                items.push(Item::Whole);
                (at, in_parts) = (rest, false);
                continue;
            }
            (at, literal) = argument(|at| part(at, whole, &mut items))(at)?;
        } else {
            let follows = !items.is_empty();
            if follows && (place.is_single || at.peek() != Some(b' ') || end(at).is_ok()) {
                let (at, ()) = end(at)?;
                return Ok((at, Run { items, place: place.to(At::End) }));
            }
            let message;
            (at, message) = argument(Message::parse)(at)?;
            items.push(Item::Message(message));
            if let Ok((rest, ())) = keyword("CATENATE")(at) {
                (at, _) = argument(parenthesis(b'('))(rest)?;
                (at, literal) = part(at, whole, &mut items)?;
                in_parts = true;
            } else {
                (at, literal) = map(data, Some).parse(at)?;
            }
        }
        if let Some(form) = literal {
            items.push(Item::Literal(form));
            let closes = form.utf8;
            let next = if in_parts { At::Part { closes } } else { At::Message { closes } };
            return Ok((at, Run { items, place: place.to(next) }));
        }
    }
}

/// A part; its form where it is a literal, which ends the text. `whole`: bytes of the run.
fn part<'a>(at: Cursor<'a>, whole: usize, items: &mut Vec<Item>) -> Parsed<'a, Option<Form>> {
    let (behind, word) = atom(at)?;
    if word.eq_ignore_ascii_case("URL") {
        let (end, url) = argument(text)(behind)?;
        if url.len() > URL_MAX {
            return Err(ParseError::Text("URL too long").into());
        }
        items.push(Item::Url(url, whole - at.rest().len()..whole - end.rest().len()));
        return Ok((end, None));
    }
    match word.eq_ignore_ascii_case("TEXT") {
        true => map(argument(literal), Some).parse(behind),
        false if word.eq_ignore_ascii_case("UTF8") => map(data, Some).parse(at),
        false => Err(ParseError::Invalid("part of a message").into()),
    }
}

/// `["~"] literal / "UTF8" SP "(" ["~"] literal`, which ends the text.
fn data(at: Cursor<'_>) -> Parsed<'_, Form> {
    match keyword("UTF8")(at) {
        Ok((behind, ())) => {
            let (at, ()) = argument(parenthesis(b'('))(behind)?;
            map(literal, |form| Form { utf8: true, ..form }).parse(at)
        }
        Err(_) => literal(at),
    }
}

/// `["~"] literal`, up to its header, which ends the text.
fn literal(at: Cursor<'_>) -> Parsed<'_, Form> {
    let (at, binary) = opt(byte(b'~')).parse(at)?;
    match literal_header(at) {
        Err(nom::Err::Error(ParseError::Incomplete)) => {
            Ok((at, Form { binary: binary.is_some(), utf8: false }))
        }
        // An empty literal is whole already, but nothing may stand behind its header.
        _ => Err(ParseError::Invalid("message literal").into()),
    }
}

impl Message {
    /// Up to its bytes.
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
        Ok((at, message))
    }
}

/// URLs, messages and their ends in one run of text.
pub const PARTS: usize = 1000;
/// Bytes of a URL of CATENATE.
pub const URL_MAX: usize = 4096;
/// Literals in one run of text that are arguments: the text is read from its beginning for each of them.
pub const ARGUMENTS: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step(text: &[u8]) -> Result<Step, Bad> {
        Append::step(text, Limits::default())
    }

    fn append(text: &[u8]) -> Append {
        match step(text) {
            Ok(Step::Append(append)) => append,
            other => panic!("{other:?}"),
        }
    }

    fn literal(binary: bool, utf8: bool) -> Item {
        Item::Literal(Form { binary, utf8 })
    }

    fn plain() -> Item {
        Item::Message(Message::default())
    }

    fn next(text: &[u8], place: Place) -> Result<Run, ParseError> {
        Run::parse(text, place, Limits::default())
    }

    #[test]
    fn the_first_message_is_found_behind_the_arguments() {
        let found = append(b"a append INBOX (\\Seen $X) \"17-Jul-1996 02:44:25 -0700\" {310}\r\n");
        assert_eq!((found.tag.as_str(), found.mailbox.as_str()), ("a", "INBOX"));
        let [Item::Message(message), bytes] = found.run.items.as_slice() else { panic!() };
        assert_eq!(message.flags, [Flag::Seen, Flag::Keyword("$X".into())]);
        assert!(message.date.is_some() && *bytes == literal(false, false));
        assert_eq!(append(b"a APPEND x ~{310+}\r\n").run.items, [plain(), literal(true, false)]);
        assert_eq!(append(b"a APPEND x () utf8 (~{310+}\r\n").run.items, [plain(), literal(true, true)]);
    }

    #[test]
    fn a_literal_may_be_the_mailbox() {
        assert_eq!(step(b"a LOCALAPPEND {5+}\r\n"), Ok(Step::Argument));
        let found = append(b"a LOCALAPPEND {5+}\r\nINBOX \"\" () {3+}\r\n");
        assert_eq!((found.mailbox.as_str(), found.open.as_deref()), ("INBOX", Some("")));
    }

    #[test]
    fn what_is_wrong_is_answered_by_its_tag() {
        for text in [
            &b"a APPEND x (\\Foo) {3}\r\n"[..],
            b"a APPEND x \"yesterday\" {3}\r\n",
            b"a APPEND x CATENATE TEXT {3}\r\n",
            b"a APPEND x CATENATE () {3}\r\n",
            b"a APPEND x CATENATE (FOO {3}\r\n",
            b"a APPEND x CATENATE (URL \"u\"TEXT {3}\r\n",
            b"a APPEND x CATENATE (URL \"u\"\r\n",
            b"a APPEND x y {3}\r\n",
            b"a APPEND x UTF8 {3}\r\n",
            b"a APPEND x UTF8 ((~{3}\r\n",
            b"a APPEND  {3}x\r\n {3}\r\n",
            b"a APPEND x\r\n",
            b"a REPLACE x INBOX {3}\r\n",
            b"a REPLACE 0 INBOX {3}\r\n",
            b"a REPLACE 1:2 INBOX {3}\r\n",
            b"a UID REPLACE INBOX {3}\r\n",
            b"a REPLACE 1 INBOX CATENATE (URL u) CATENATE (URL u)\r\n",
        ] {
            assert_eq!(step(text).unwrap_err().tag.unwrap().as_str(), "a", "{}", text.escape_ascii());
        }
    }

    #[test]
    fn more_messages_or_the_end_follow() {
        let place = append(b"a APPEND x {3}\r\n").run.place;
        let run = next(b"\r\n", place).unwrap();
        assert!(run.items == [Item::Whole] && run.place.is_end());
        let seen = Message { flags: vec![Flag::Seen], ..Message::default() };
        let run = next(b" (\\Seen) {3}\r\n", place).unwrap();
        assert_eq!(run.items, [Item::Whole, Item::Message(seen), literal(false, false)]);
        assert!(
            next(b"x\r\n", place).is_err()
                && next(b")\r\n", place).is_err()
                && next(b" x\r\n", place).is_err()
        );
        let place = append(b"a APPEND x UTF8 (~{3}\r\n").run.place;
        assert!(next(b")\r\n", place).unwrap().place.is_end());
        let run = next(b") UTF8 (~{3}\r\n", place).unwrap();
        assert_eq!(run.items, [Item::Whole, plain(), literal(true, true)]);
        assert!(next(b"\r\n", place).is_err() && next(b"))\r\n", place).is_err());
    }

    /// The items, of which the URLs are where they are said to be.
    fn items(run: &Run, text: &[u8]) -> Vec<Item> {
        for item in &run.items {
            if let Item::Url(url, place) = item {
                let named = String::from_utf8_lossy(&text[place.clone()]).into_owned();
                assert!(named.starts_with("URL ") && named.trim_end_matches('"').ends_with(url), "{named}");
            }
        }
        let bare = |item: &Item| match item {
            Item::Url(url, _) => Item::Url(url.clone(), 0..0),
            other => other.clone(),
        };
        run.items.iter().map(bare).collect()
    }

    fn url(url: &str) -> Item {
        Item::Url(url.to_owned(), 0..0)
    }

    #[test]
    fn parts_of_a_message_are_urls_and_texts_in_any_order() {
        let first = b" CATENATE (URL \"/a/;UID=1\" TEXT ~{3}\r\n";
        let run = next(first, Place::start(false)).unwrap();
        assert_eq!(items(&run, first), [plain(), url("/a/;UID=1"), literal(true, false)]);
        assert_eq!(append(&[&b"a APPEND x"[..], first].concat()).run, run);
        let text = b" URL {4+}\r\n/b/; TEXT {3}\r\n";
        let run = next(text, run.place).unwrap();
        assert_eq!(items(&run, text), [url("/b/;"), literal(false, false)]);
        let run = next(b" UTF8 (~{3}\r\n", run.place).unwrap();
        assert_eq!(run.items, [literal(true, true)]);
        let run = next(b")) (\\Seen) CATENATE (TEXT {3}\r\n", run.place).unwrap();
        assert!(matches!(run.items.as_slice(), [Item::Whole, Item::Message(_), Item::Literal(_)]));
        let text = b" URL u) {3}\r\n";
        let run = next(text, run.place).unwrap();
        assert_eq!(items(&run, text), [url("u"), Item::Whole, plain(), literal(false, false)]);
        assert!(next(b"\r\n", run.place).unwrap().place.is_end());
        let whole = append(b"a APPEND x CATENATE (URL u URL v)\r\n").run;
        assert!(whole.place.is_end() && whole.items.last() == Some(&Item::Whole));
        assert_eq!(step(b"a APPEND x CATENATE (URL {4}\r\n"), Ok(Step::Argument));
        let long = format!("a APPEND x CATENATE (URL {})\r\n", "u".repeat(URL_MAX + 1));
        assert!(step(long.as_bytes()).is_err());
        let many = format!("a APPEND x CATENATE ({}URL u)\r\n", "URL u ".repeat(PARTS));
        assert!(step(many.as_bytes()).is_err());
    }

    #[test]
    fn one_message_takes_the_place_of_another() {
        let found = append(b"a UID REPLACE 7 Drafts (\\Draft) {3}\r\n");
        let replaced = |found: &Append| found.replaced.as_ref().map(|one| (one.uid, one.message.to_string()));
        assert_eq!(replaced(&found), Some((true, "7".to_owned())));
        assert_eq!(found.mailbox, "Drafts");
        assert!(next(b"\r\n", found.run.place).unwrap().place.is_end());
        assert_eq!(next(b" {3}\r\n", found.run.place), Err(ParseError::Extra));
        let found = append(b"a replace * Drafts {3}\r\n");
        assert_eq!(replaced(&found), Some((false, "*".to_owned())));
    }

    #[test]
    fn the_commands_are_known_by_their_first_words() {
        for text in ["a APPEND", "a append x", "a LOCALAPPEND x", "a REPLACE\r\n", "a uid replace 1"] {
            assert!(Append::begins(text.as_bytes()), "{text}");
        }
        for text in ["a", "a UID", "a UID APPEND x", "APPEND x", "a REPLACED 1", "a NOOP APPEND"] {
            assert!(!Append::begins(text.as_bytes()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_message_is_read_back(
            parts in proptest::collection::vec(proptest::option::of("[a-z/;=0-9]{1,8}"), 1..6),
            seen: bool,
        ) {
            let (mut texts, mut wanted) = (vec![String::new()], Vec::new());
            texts[0].push_str(if seen { " (\\Seen) CATENATE (" } else { " CATENATE (" });
            let flags = if seen { vec![Flag::Seen] } else { Vec::new() };
            wanted.push(Item::Message(Message { flags, ..Message::default() }));
            for (at, part) in parts.into_iter().enumerate() {
                let last = texts.last_mut().unwrap();
                last.push_str(if at > 0 { " " } else { "" });
                match part {
                    Some(named) => {
                        last.push_str(&format!("URL \"{named}\""));
                        wanted.push(url(&named));
                    }
                    None => {
                        last.push_str("TEXT {3}\r\n");
                        texts.push(String::new());
                        wanted.push(literal(false, false));
                    }
                }
            }
            texts.last_mut().unwrap().push(')');
            wanted.push(Item::Whole);
            let (mut place, mut found) = (Place::start(false), Vec::new());
            for text in texts {
                let run = next(text.as_bytes(), place).unwrap();
                found.extend(items(&run, text.as_bytes()));
                place = run.place;
            }
            prop_assert!(place.is_end());
            prop_assert_eq!(found, wanted);
        }
    }
}
