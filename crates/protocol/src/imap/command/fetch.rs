//! FETCH: RFC 3501 section 6.4.5, RFC 7162 (MODSEQ, CHANGEDSINCE), RFC 3516 (BINARY), RFC 8474, RFC 8514, RFC 8970
//! (PREVIEW), RFC 9394 (PARTIAL).

use std::borrow::Cow;

use nom::Parser;
use nom::combinator::map;
use nom::sequence::preceded;

use super::annotate::{self, Notes};
use super::search::Partial;
use crate::grammar::{
    Cursor, Keyword, ParseError, Parsed, argument, astring, atom, byte, keyword, list, number, number64,
    optional, run, space,
};
use crate::imap::{DateTime, SequenceSet, print};

/// `FETCH SP sequence-set SP (macro / item / "(" item *(SP item) ")") [SP "(" modifier *(SP modifier) ")"]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    pub uid: bool,
    pub set: SequenceSet,
    /// UID FETCH always has [`Item::Uid`].
    pub items: Vec<Item>,
    /// It has that without having been asked for it.
    pub implied_uid: bool,
    pub changed_since: Option<u64>,
    /// Which of the set are gone since then.
    pub vanished: bool,
    /// Which of the messages that the set names (RFC 9394): of UID FETCH only.
    pub partial: Option<Partial>,
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
    /// With LAZY: only if it costs nothing.
    Preview {
        lazy: bool,
    },
    Section(Fragment),
    /// RFC822, RFC822.HEADER, RFC822.TEXT: sections under their old names.
    Rfc822(Fragment, &'static str),
    Binary(Fragment),
    BinarySize(Vec<u32>),
    /// RFC 5257.
    Annotation(Notes),
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

pub fn parse(at: Cursor<'_>, uid: bool) -> Parsed<'_, Fetch> {
    let (at, (set, ())) = (argument(SequenceSet::parse), space).parse(at)?;
    let (at, mut items) = items(at)?;
    let mut modifiers = Modifiers::default();
    let (at, _) = optional(list(4, |at| modifiers.read(at)))(at)?;
    let Modifiers { changed_since, vanished, partial } = modifiers;
    if vanished && (!uid || changed_since.is_none()) {
        // RFC 7162 section 3.2.6
        return Err(ParseError::Text("VANISHED is for UID FETCH with CHANGEDSINCE").into());
    }
    if partial.is_some() && !uid {
        return Err(ParseError::Invalid("modifier").into());
    }
    if changed_since.is_some() {
        push(&mut items, Item::Modseq);
    }
    let implied_uid = uid && !items.contains(&Item::Uid);
    if implied_uid {
        items.insert(0, Item::Uid);
    }
    Ok((at, Fetch { uid, set, items, implied_uid, changed_since, vanished, partial }))
}

/// What stands behind the items.
#[derive(Default)]
struct Modifiers {
    changed_since: Option<u64>,
    vanished: bool,
    partial: Option<Partial>,
}

impl Modifiers {
    /// `modifier = "CHANGEDSINCE" SP modseq / "VANISHED" / "PARTIAL" SP range`
    fn read<'a>(&mut self, at: Cursor<'a>) -> Parsed<'a, ()> {
        let (at, word) = atom(at).map_err(|_| ParseError::Invalid("modifier"))?;
        match Keyword::of(word.as_bytes()).as_bytes() {
            b"CHANGEDSINCE" => {
                let (at, modseq) = argument(number64)(at)?;
                self.changed_since = Some(modseq);
                Ok((at, ()))
            }
            b"VANISHED" => {
                self.vanished = true;
                Ok((at, ()))
            }
            b"PARTIAL" => {
                let (at, page) = argument(Partial::parse)(at)?;
                self.partial = Some(page);
                Ok((at, ()))
            }
            _ => Err(ParseError::Invalid("modifier").into()),
        }
    }
}

/// `macro / item / "(" item *(SP item) ")"`
pub(super) fn items(at: Cursor<'_>) -> Parsed<'_, Vec<Item>> {
    let mut items = Vec::new();
    if at.peek() != Some(b'(') {
        let (at, ()) = item(at, &mut items)?;
        return Ok((at, items));
    }
    let (at, _) = list(ITEMS, |at| item(at, &mut items))(at)?;
    if items.is_empty() { Err(ParseError::Missing.into()) } else { Ok((at, items)) }
}

fn push(items: &mut Vec<Item>, item: Item) {
    if !items.contains(&item) {
        items.push(item);
    }
}

fn item<'a>(at: Cursor<'a>, items: &mut Vec<Item>) -> Parsed<'a, ()> {
    let (at, word) = run(|b| b.is_ascii_alphanumeric() || b == b'.')(at)?;
    let word = Keyword::of(word);
    let old = |peek, text, name| {
        let section = Section { part: Vec::new(), text };
        Item::Rfc822(Fragment { peek, section, partial: None }, name)
    };
    let bracket = at.peek() == Some(b'[');
    let macros: &[Item] = match word.as_bytes() {
        b"ALL" => &[Item::Flags, Item::InternalDate, Item::Size, Item::Envelope],
        b"FAST" => &[Item::Flags, Item::InternalDate, Item::Size],
        b"FULL" => &[Item::Flags, Item::InternalDate, Item::Size, Item::Envelope, Item::Body],
        _ => &[],
    };
    macros.iter().for_each(|item| push(items, item.clone()));
    let (at, item) = match word.as_bytes() {
        b"ALL" | b"FAST" | b"FULL" => return Ok((at, ())),
        b"UID" => (at, Item::Uid),
        b"FLAGS" => (at, Item::Flags),
        b"INTERNALDATE" => (at, Item::InternalDate),
        b"RFC822.SIZE" => (at, Item::Size),
        b"ENVELOPE" => (at, Item::Envelope),
        b"BODYSTRUCTURE" => (at, Item::BodyStructure),
        b"MODSEQ" => (at, Item::Modseq),
        b"EMAILID" => (at, Item::EmailId),
        b"THREADID" => (at, Item::ThreadId),
        b"SAVEDATE" => (at, Item::SaveDate),
        b"ANNOTATION" => map(argument(annotate::fetch), Item::Annotation).parse(at)?,
        b"PREVIEW" => map(lazy, |lazy| Item::Preview { lazy }).parse(at)?,
        b"RFC822" => (at, old(false, Text::All, "RFC822")),
        // Cyrus's frontends copy between backends with it.
        b"RFC822.PEEK" => (at, old(true, Text::All, "RFC822")),
        b"RFC822.TEXT.PEEK" => (at, old(true, Text::Text, "RFC822.TEXT")),
        b"RFC822.HEADER" => (at, old(true, Text::Header, "RFC822.HEADER")),
        b"RFC822.TEXT" => (at, old(false, Text::Text, "RFC822.TEXT")),
        b"BODY" if bracket => map(|at| fragment(at, false), Item::Section).parse(at)?,
        b"BODY.PEEK" if bracket => map(|at| fragment(at, true), Item::Section).parse(at)?,
        b"BINARY" if bracket => map(|at| binary(at, false), Item::Binary).parse(at)?,
        b"BINARY.PEEK" if bracket => map(|at| binary(at, true), Item::Binary).parse(at)?,
        b"BINARY.SIZE" if bracket => {
            let (at, fragment) = binary(at, true)?;
            if fragment.partial.is_some() {
                return Err(INVALID.into());
            }
            (at, Item::BinarySize(fragment.section.part))
        }
        b"BODY" => (at, Item::Body),
        _ => return Err(ParseError::Invalid("attribute").into()),
    };
    push(items, item);
    Ok((at, ()))
}

/// `[SP "(" "LAZY" *(SP "LAZY") ")"]`. Other parentheses that follow are the command's.
fn lazy(at: Cursor<'_>) -> Parsed<'_, bool> {
    match preceded(space, list(4, keyword("LAZY"))).parse(at) {
        Ok((rest, modifiers)) if !modifiers.is_empty() => Ok((rest, true)),
        _ => Ok((at, false)),
    }
}

/// A section without text, as BINARY has it.
fn binary(at: Cursor<'_>, peek: bool) -> Parsed<'_, Fragment> {
    match fragment(at, peek)? {
        (at, fragment) if fragment.section.text == Text::All => Ok((at, fragment)),
        _ => Err(INVALID.into()),
    }
}

/// `"[" section "]" ["<" number "." nz-number ">"]`
fn fragment(at: Cursor<'_>, peek: bool) -> Parsed<'_, Fragment> {
    let (at, section) = preceded(byte(b'['), section).parse(at)?;
    let (at, ()) = byte(b']')(at).map_err(|_| INVALID)?;
    let (at, partial) = if at.peek() == Some(b'<') { map(partial, Some).parse(at)? } else { (at, None) };
    Ok((at, Fragment { peek, section, partial }))
}

/// `"<" number "." nz-number ">"`: the first byte and how many.
fn partial(at: Cursor<'_>) -> Parsed<'_, (u32, u32)> {
    let invalid = |_| nom::Err::from(ParseError::Invalid("body partial"));
    let (at, first) = preceded(byte(b'<'), number).parse(at)?;
    let (at, ()) = byte(b'.')(at).map_err(invalid)?;
    let (at, count) = number(at)?;
    let (at, ()) = byte(b'>')(at).map_err(invalid)?;
    if count == 0 { Err(ParseError::Invalid("body partial").into()) } else { Ok((at, (first, count))) }
}

/// ```text
/// section = [section-text / section-part ["." (section-text / "MIME")]]
/// ```
pub(crate) fn section(at: Cursor<'_>) -> Parsed<'_, Section> {
    let (mut at, mut part) = (at, Vec::new());
    while at.peek().is_some_and(|b| b.is_ascii_digit()) {
        match number(at) {
            Ok((rest, number)) if number > 0 && part.len() < DEPTH => {
                part.push(number);
                at = rest;
            }
            _ => return Err(INVALID.into()),
        }
        let Ok((rest, ())) = byte(b'.')(at) else {
            return Ok((at, Section { part, text: Text::All }));
        };
        if !rest.peek().is_some_and(|b| b.is_ascii_alphanumeric()) {
            return Err(INVALID.into());
        }
        at = rest;
    }
    let (at, word) = run(|b| b.is_ascii_alphabetic() || b == b'.')(at)?;
    let (at, text) = match Keyword::of(word).as_bytes() {
        b"" if part.is_empty() => (at, Text::All),
        b"HEADER" => (at, Text::Header),
        b"TEXT" => (at, Text::Text),
        b"MIME" if !part.is_empty() => (at, Text::Mime),
        b"HEADER.FIELDS" => map(fields, Text::HeaderFields).parse(at)?,
        b"HEADER.FIELDS.NOT" => map(fields, Text::HeaderFieldsNot).parse(at)?,
        _ => return Err(INVALID.into()),
    };
    Ok((at, Section { part, text }))
}

/// `SP "(" astring *(SP astring) ")"`
fn fields(at: Cursor<'_>) -> Parsed<'_, Vec<Vec<u8>>> {
    let field = |at| map(astring, Cow::into_owned).parse(at);
    let (at, fields) = argument(list(FIELDS, field))(at)?;
    if fields.is_empty() { Err(ParseError::Missing.into()) } else { Ok((at, fields)) }
}

/// What a response calls a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handle {
    Number(u32),
    /// RFC 9586.
    Uid(u32),
}

/// The beginning of `* n FETCH (…)` or `* uid UIDFETCH (…)`, up to the first item.
pub fn print_start(out: &mut Vec<u8>, message: Handle) {
    match message {
        Handle::Number(number) => print::text(out, format_args!("* {number} FETCH (")),
        Handle::Uid(uid) => print::text(out, format_args!("* {uid} UIDFETCH (")),
    }
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
    /// Of the thread (RFC 8474): 64 bits, as Cyrus prints them.
    ThreadId(u64),
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
            Value::ThreadId(thread) => print::text(out, format_args!("THREADID (T{thread:016x})")),
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
            Item::Annotation(_) => out.extend_from_slice(b"ANNOTATION"),
            Item::Preview { .. } => out.extend_from_slice(b"PREVIEW"),
        }
    }
}

const INVALID: ParseError = ParseError::Invalid("body section");
/// Items in one FETCH, header fields in one section, nesting of parts.
pub const ITEMS: usize = 256;
pub const FIELDS: usize = 256;
pub const DEPTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::{Body, Command, Limits};

    fn items(text: &str) -> Option<Vec<Item>> {
        match Command::parse(format!("a FETCH 1 {text}").as_bytes(), Limits::default()).ok()?.body {
            Body::Fetch(fetch) => Some(fetch.items),
            _ => None,
        }
    }

    #[test]
    fn a_preview_is_lazy_where_it_says_so() {
        let preview = |lazy| Item::Preview { lazy };
        for (text, expected) in [
            ("PREVIEW", Some(vec![preview(false)])),
            ("preview (lazy)", Some(vec![preview(true)])),
            ("(PREVIEW)", Some(vec![preview(false)])),
            ("(PREVIEW (LAZY))", Some(vec![preview(true)])),
            ("(UID PREVIEW (LAZY LAZY) FLAGS)", Some(vec![Item::Uid, preview(true), Item::Flags])),
            ("(PREVIEW FLAGS)", Some(vec![preview(false), Item::Flags])),
            ("PREVIEW (CHANGEDSINCE 5)", Some(vec![preview(false), Item::Modseq])),
            ("PREVIEW (LAZY) (CHANGEDSINCE 5)", Some(vec![preview(true), Item::Modseq])),
            ("(PREVIEW (LAZY)) (CHANGEDSINCE 5)", Some(vec![preview(true), Item::Modseq])),
            ("(PREVIEW (EAGER))", None),
            ("(PREVIEW ())", None),
            ("(PREVIEW (LAZY)", None),
            ("PREVIEW[1]", None),
        ] {
            assert_eq!(items(text), expected, "{text}");
        }
    }
}
