//! FETCH: RFC 3501 section 6.4.5, RFC 7162 (MODSEQ, CHANGEDSINCE), RFC 3516 (BINARY), RFC 8474, RFC 8514.

use super::Body;
use crate::imap::cursor::{Cursor, ParseError};
use crate::imap::{DateTime, SequenceSet, print};

/// `FETCH SP sequence-set SP (macro / item / "(" item *(SP item) ")") [SP "(CHANGEDSINCE" SP modseq ")"]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    pub uid: bool,
    pub set: SequenceSet,
    pub items: Vec<Item>,
    pub changed_since: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Uid,
    Flags,
    InternalDate,
    /// RFC822.SIZE
    Size,
    Envelope,
    /// BODY: the structure without extension data.
    Body,
    BodyStructure,
    Modseq,
    EmailId,
    ThreadId,
    SaveDate,
    Section(Fragment),
    /// RFC822, RFC822.HEADER, RFC822.TEXT: sections under their old names.
    Rfc822(Fragment, &'static str),
    Binary(Fragment),
    BinarySize(Vec<u32>),
}

/// `section [partial]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Leaves `\Seen` alone.
    pub peek: bool,
    pub section: Section,
    /// First byte and number of bytes.
    pub partial: Option<(u32, u32)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// Part numbers from the outside in; none for the message itself.
    pub part: Vec<u32>,
    pub text: Text,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Text {
    /// All of the message or part.
    #[default]
    All,
    Header,
    HeaderFields(Vec<Vec<u8>>),
    HeaderFieldsNot(Vec<Vec<u8>>),
    Text,
    Mime,
}

impl Section {
    /// Prints it as it stands between the brackets of the answer.
    pub fn print(&self, out: &mut Vec<u8>) {
        for (at, number) in self.part.iter().enumerate() {
            let dot = if at > 0 { "." } else { "" };
            out.extend_from_slice(format!("{dot}{number}").as_bytes());
        }
        if !self.part.is_empty() && self.text != Text::All {
            out.push(b'.');
        }
        let mut fields = |word: &[u8], names: &[Vec<u8>]| {
            out.extend_from_slice(word);
            out.extend_from_slice(b" (");
            for (at, name) in names.iter().enumerate() {
                if at > 0 {
                    out.push(b' ');
                }
                crate::imap::print::astring(out, name);
            }
            out.push(b')');
        };
        match &self.text {
            Text::All => {}
            Text::Header => out.extend_from_slice(b"HEADER"),
            Text::HeaderFields(names) => fields(b"HEADER.FIELDS", names),
            Text::HeaderFieldsNot(names) => fields(b"HEADER.FIELDS.NOT", names),
            Text::Text => out.extend_from_slice(b"TEXT"),
            Text::Mime => out.extend_from_slice(b"MIME"),
        }
    }
}

pub fn parse(cursor: &mut Cursor<'_>, uid: bool) -> Result<Body, ParseError> {
    cursor.space()?;
    let set = SequenceSet::parse(cursor)?;
    cursor.space()?;
    let mut items = Vec::new();
    if cursor.peek() == Some(b'(') {
        cursor.list(ITEMS, |cursor| item(cursor, &mut items))?;
        if items.is_empty() {
            return Err(ParseError::Missing);
        }
    } else {
        item(cursor, &mut items)?;
    }
    let mut changed_since = None;
    if cursor.space().is_ok() {
        cursor.list(4, |cursor| {
            if !cursor.eat_word("CHANGEDSINCE") {
                return Err(ParseError::Invalid("modifier"));
            }
            cursor.space()?;
            changed_since = Some(cursor.number64()?);
            Ok(())
        })?;
        push(&mut items, Item::Modseq);
    }
    if uid && !items.contains(&Item::Uid) {
        items.insert(0, Item::Uid);
    }
    Ok(Body::Fetch(Fetch { uid, set, items, changed_since }))
}

fn push(items: &mut Vec<Item>, item: Item) {
    if !items.contains(&item) {
        items.push(item);
    }
}

fn item(cursor: &mut Cursor<'_>, items: &mut Vec<Item>) -> Result<(), ParseError> {
    let word = cursor.take_while(|b| b.is_ascii_alphanumeric() || b == b'.').to_ascii_uppercase();
    let old = |peek, text, name| {
        let section = Section { part: Vec::new(), text };
        Item::Rfc822(Fragment { peek, section, partial: None }, name)
    };
    let bracket = cursor.peek() == Some(b'[');
    let macros: &[Item] = match word.as_slice() {
        b"ALL" => &[Item::Flags, Item::InternalDate, Item::Size, Item::Envelope],
        b"FAST" => &[Item::Flags, Item::InternalDate, Item::Size],
        b"FULL" => &[Item::Flags, Item::InternalDate, Item::Size, Item::Envelope, Item::Body],
        _ => &[],
    };
    macros.iter().for_each(|item| push(items, item.clone()));
    let item = match word.as_slice() {
        b"ALL" | b"FAST" | b"FULL" => return Ok(()),
        b"UID" => Item::Uid,
        b"FLAGS" => Item::Flags,
        b"INTERNALDATE" => Item::InternalDate,
        b"RFC822.SIZE" => Item::Size,
        b"ENVELOPE" => Item::Envelope,
        b"BODYSTRUCTURE" => Item::BodyStructure,
        b"MODSEQ" => Item::Modseq,
        b"EMAILID" => Item::EmailId,
        b"THREADID" => Item::ThreadId,
        b"SAVEDATE" => Item::SaveDate,
        b"RFC822" => old(false, Text::All, "RFC822"),
        // Cyrus's frontends copy between backends with it.
        b"RFC822.PEEK" => old(true, Text::All, "RFC822"),
        b"RFC822.TEXT.PEEK" => old(true, Text::Text, "RFC822.TEXT"),
        b"RFC822.HEADER" => old(true, Text::Header, "RFC822.HEADER"),
        b"RFC822.TEXT" => old(false, Text::Text, "RFC822.TEXT"),
        b"BODY" if bracket => Item::Section(fragment(cursor, false)?),
        b"BODY.PEEK" if bracket => Item::Section(fragment(cursor, true)?),
        b"BINARY" if bracket => Item::Binary(binary(cursor, false)?),
        b"BINARY.PEEK" if bracket => Item::Binary(binary(cursor, true)?),
        b"BINARY.SIZE" if bracket => Item::BinarySize(binary(cursor, true)?.section.part),
        b"BODY" => Item::Body,
        _ => return Err(ParseError::Invalid("attribute")),
    };
    push(items, item);
    Ok(())
}

/// A section without text, as BINARY has it.
fn binary(cursor: &mut Cursor<'_>, peek: bool) -> Result<Fragment, ParseError> {
    let fragment = fragment(cursor, peek)?;
    if fragment.section.text == Text::All { Ok(fragment) } else { Err(ParseError::Invalid("body section")) }
}

fn fragment(cursor: &mut Cursor<'_>, peek: bool) -> Result<Fragment, ParseError> {
    let invalid = ParseError::Invalid("body section");
    cursor.eat(b'[');
    let section = section(cursor)?;
    if !cursor.eat(b']') {
        return Err(invalid);
    }
    let mut partial = None;
    if cursor.eat(b'<') {
        let first = cursor.number()?;
        if !cursor.eat(b'.') {
            return Err(ParseError::Invalid("body partial"));
        }
        let count = cursor.number()?;
        if !cursor.eat(b'>') || count == 0 {
            return Err(ParseError::Invalid("body partial"));
        }
        partial = Some((first, count));
    }
    Ok(Fragment { peek, section, partial })
}

fn section(cursor: &mut Cursor<'_>) -> Result<Section, ParseError> {
    let invalid = ParseError::Invalid("body section");
    let mut part = Vec::new();
    while cursor.peek().is_some_and(|b| b.is_ascii_digit()) {
        match cursor.number() {
            Ok(number) if number > 0 && part.len() < DEPTH => part.push(number),
            _ => return Err(invalid),
        }
        if !cursor.eat(b'.') {
            return Ok(Section { part, text: Text::All });
        }
        if !cursor.peek().is_some_and(|b| b.is_ascii_alphanumeric()) {
            return Err(invalid);
        }
    }
    let word = cursor.take_while(|b| b.is_ascii_alphabetic() || b == b'.').to_ascii_uppercase();
    let text = match word.as_slice() {
        b"" if part.is_empty() => Text::All,
        b"HEADER" => Text::Header,
        b"TEXT" => Text::Text,
        b"MIME" if !part.is_empty() => Text::Mime,
        b"HEADER.FIELDS" => Text::HeaderFields(fields(cursor)?),
        b"HEADER.FIELDS.NOT" => Text::HeaderFieldsNot(fields(cursor)?),
        _ => return Err(invalid),
    };
    Ok(Section { part, text })
}

fn fields(cursor: &mut Cursor<'_>) -> Result<Vec<Vec<u8>>, ParseError> {
    cursor.space()?;
    let fields = cursor.list(FIELDS, Cursor::astring)?;
    if fields.is_empty() { Err(ParseError::Missing) } else { Ok(fields) }
}

/// The beginning of `* n FETCH (…)`, up to the first item.
pub fn print_start(out: &mut Vec<u8>, sequence: u32) {
    print::text(out, format_args!("* {sequence} FETCH ("));
}

/// Its end.
pub fn print_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b")\r\n");
}

/// An item with its value, where that is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'v> {
    Uid(u32),
    /// A list as it is printed: it can hold `\Recent`.
    Flags(&'v [u8]),
    InternalDate(DateTime),
    SaveDate(DateTime),
    Size(u64),
    Modseq(u64),
    EmailId(&'v str),
    NoThreadId,
}

impl Value<'_> {
    pub fn print(&self, out: &mut Vec<u8>) {
        match self {
            Value::Uid(uid) => print::text(out, format_args!("UID {uid}")),
            Value::Flags(list) => {
                out.extend_from_slice(b"FLAGS ");
                out.extend_from_slice(list);
            }
            Value::InternalDate(date) => print::text(out, format_args!("INTERNALDATE \"{date}\"")),
            Value::SaveDate(date) => print::text(out, format_args!("SAVEDATE \"{date}\"")),
            Value::Size(bytes) => print::text(out, format_args!("RFC822.SIZE {bytes}")),
            Value::Modseq(modseq) => print::text(out, format_args!("MODSEQ ({modseq})")),
            Value::EmailId(id) => print::text(out, format_args!("EMAILID ({id})")),
            Value::NoThreadId => out.extend_from_slice(b"THREADID NIL"),
        }
    }

    /// Several items, with a blank between them.
    pub fn print_all<'v>(values: impl IntoIterator<Item = Value<'v>>, out: &mut Vec<u8>) {
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                out.push(b' ');
            }
            value.print(out);
        }
    }
}

impl Item {
    /// The item as it stands before its value, without the blank after it.
    pub fn print_name(&self, out: &mut Vec<u8>) {
        let mut bracketed = |name: &[u8], fragment: &Fragment| {
            out.extend_from_slice(name);
            out.push(b'[');
            fragment.section.print(out);
            out.push(b']');
            if let Some((origin, _)) = fragment.partial {
                print::text(out, format_args!("<{origin}>"));
            }
        };
        match self {
            Item::Section(fragment) => bracketed(b"BODY", fragment),
            Item::Binary(fragment) => bracketed(b"BINARY", fragment),
            Item::Rfc822(_, name) => out.extend_from_slice(name.as_bytes()),
            Item::BinarySize(part) => {
                let numbers: Vec<String> = part.iter().map(u32::to_string).collect();
                out.extend_from_slice(format!("BINARY.SIZE[{}]", numbers.join(".")).as_bytes());
            }
            Item::Envelope => out.extend_from_slice(b"ENVELOPE"),
            Item::Body => out.extend_from_slice(b"BODY"),
            Item::BodyStructure => out.extend_from_slice(b"BODYSTRUCTURE"),
            Item::Uid => out.extend_from_slice(b"UID"),
            Item::Flags => out.extend_from_slice(b"FLAGS"),
            Item::InternalDate => out.extend_from_slice(b"INTERNALDATE"),
            Item::Size => out.extend_from_slice(b"RFC822.SIZE"),
            Item::Modseq => out.extend_from_slice(b"MODSEQ"),
            Item::EmailId => out.extend_from_slice(b"EMAILID"),
            Item::ThreadId => out.extend_from_slice(b"THREADID"),
            Item::SaveDate => out.extend_from_slice(b"SAVEDATE"),
        }
    }
}

/// Items in one FETCH, header fields in one section, nesting of parts.
const ITEMS: usize = 256;
const FIELDS: usize = 256;
const DEPTH: usize = 64;
