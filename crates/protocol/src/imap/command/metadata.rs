//! GETMETADATA (RFC 5464) and its forerunner GETANNOTATION, by which frontends and `cyradm` ask where a mailbox is and
//! how much room a backend has.

use nom::Parser;
use nom::combinator::{map, opt};
use nom::sequence::terminated;

use super::mailbox::one;
use crate::grammar::{
    Cursor, Keyword, ParseError, Parsed, argument, astring, atom, list, list_mailbox, mailbox, space,
};
use crate::imap::print;

/// `GETMETADATA [SP options] SP mailbox SP entries`; options may stand behind the mailbox too, as older clients have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetMetadata {
    /// Empty for the server.
    pub mailbox: String,
    pub entries: Vec<String>,
}

/// `GETANNOTATION SP mailbox SP entries SP attributes`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetAnnotation {
    pub mailbox: String,
    pub entries: Vec<String>,
    pub attributes: Vec<String>,
}

pub fn get(at: Cursor<'_>) -> Parsed<'_, GetMetadata> {
    let (mut at, ()) = space(at)?;
    if at.peek() == Some(b'(') {
        (at, _) = terminated(options, space).parse(at)?;
    }
    let (at, mailbox) = terminated(mailbox, space).parse(at)?;
    let (at, _) = opt(terminated(options, space)).parse(at)?;
    let (at, entries) = words(at)?;
    Ok((at, GetMetadata { mailbox, entries }))
}

pub fn annotation(at: Cursor<'_>) -> Parsed<'_, GetAnnotation> {
    let (at, (mailbox, entries, attributes)) = (one, argument(words), argument(words)).parse(at)?;
    Ok((at, GetAnnotation { mailbox, entries, attributes }))
}

/// `(MAXSIZE n DEPTH d)`: understood, and without effect on the few entries there are.
fn options(at: Cursor<'_>) -> Parsed<'_, ()> {
    map(list(4, option), drop).parse(at)
}

fn option(at: Cursor<'_>) -> Parsed<'_, ()> {
    let (at, option) = terminated(atom, space).parse(at)?;
    match Keyword::of(option.as_bytes()).as_bytes() {
        b"MAXSIZE" | b"DEPTH" => map(astring, drop).parse(at),
        _ => Err(ParseError::Invalid("option").into()),
    }
}

/// `word / "(" word *(SP word) ")"`
fn words(at: Cursor<'_>) -> Parsed<'_, Vec<String>> {
    match at.peek() {
        Some(b'(') => list(64, list_mailbox)(at),
        _ => map(list_mailbox, |word| vec![word]).parse(at),
    }
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    String,
    Literal,
}

/// `* METADATA SP mailbox SP "(" entry SP value ")"`. The entry is quoted whatever it holds: Cyrus's frontends read it by its
/// quotes.
pub fn print_metadata(out: &mut Vec<u8>, mailbox: &str, entry: &str, value: &[u8], form: Form) {
    out.extend_from_slice(b"* METADATA ");
    print::mailbox(out, mailbox);
    out.extend_from_slice(format!(" (\"{entry}\" ").as_bytes());
    match form {
        Form::Literal => print::literal(out, value),
        Form::String => print::string(out, value),
    }
    out.extend_from_slice(b")\r\n");
}

/// `* ANNOTATION SP mailbox SP entry SP "(" "value.shared" SP value ")"`
pub fn print_annotation(out: &mut Vec<u8>, mailbox: &str, entry: &str, value: &[u8]) {
    out.extend_from_slice(b"* ANNOTATION ");
    print::string(out, mailbox.as_bytes());
    out.extend_from_slice(format!(" \"{entry}\" (\"value.shared\" ").as_bytes());
    print::string(out, value);
    out.extend_from_slice(b")\r\n");
}
