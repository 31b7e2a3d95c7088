//! GETMETADATA (RFC 5464) and its forerunner GETANNOTATION, by which frontends and `cyradm` ask where a mailbox is and
//! how much room a backend has.

use super::Body;
use super::mailbox::one;
use crate::imap::cursor::{Cursor, ParseError};
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

pub fn get(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        options(cursor)?;
        cursor.space()?;
    }
    let mailbox = cursor.mailbox()?;
    cursor.space()?;
    let before = cursor.clone();
    if cursor.peek() == Some(b'(') && (options(cursor).is_err() || cursor.space().is_err()) {
        *cursor = before;
    }
    Ok(Body::GetMetadata(GetMetadata { mailbox, entries: words(cursor)? }))
}

pub fn annotation(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let mailbox = one(cursor)?;
    cursor.space()?;
    let entries = words(cursor)?;
    cursor.space()?;
    Ok(Body::GetAnnotation(GetAnnotation { mailbox, entries, attributes: words(cursor)? }))
}

/// `(MAXSIZE n DEPTH d)`: understood, and without effect on the few entries there are.
fn options(cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
    cursor.list(4, |cursor| {
        let option = cursor.atom()?.to_ascii_uppercase();
        cursor.space()?;
        match option.as_str() {
            "MAXSIZE" | "DEPTH" => cursor.astring().map(|_| ()),
            _ => Err(ParseError::Invalid("option")),
        }
    })?;
    Ok(())
}

fn words(cursor: &mut Cursor<'_>) -> Result<Vec<String>, ParseError> {
    if cursor.peek() == Some(b'(') {
        return cursor.list(64, Cursor::list_mailbox);
    }
    Ok(vec![cursor.list_mailbox()?])
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
    print::astring(out, mailbox.as_bytes());
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
