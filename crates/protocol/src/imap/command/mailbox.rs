//! CREATE (RFC 3501, RFC 6154, Cyrus's partition argument), RENAME, and commands whose argument is one mailbox.
//!
//! Read with nom, one mailbox takes up to 11 ns more (SUBSCRIBE 180 ns instead of 169), CREATE and RENAME what they took.

use nom::Parser;
use nom::combinator::map;
use nom::sequence::terminated;

use crate::grammar::{
    Cursor, Keyword, ParseError, Parsed, argument, atom, byte, list, mailbox, optional, parenthesis, space,
    text,
};

/// `CREATE SP mailbox [SP (astring / "(" option *(SP option) ")")]`
///
/// The bare word is Cyrus's: a partition, or `server!partition`. An option is `USE (\Attr …)`, `PARTITION p`,
/// `SERVER s`, `MAILBOXID id` or `TYPE t`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Create {
    pub mailbox: String,
    /// Special-use attributes with their backslash, as written.
    pub special_use: Vec<String>,
    pub partition: Option<String>,
    pub server: Option<String>,
    pub mailbox_id: Option<String>,
    pub kind: Option<String>,
}

/// `RENAME SP mailbox SP mailbox [SP location]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    pub from: String,
    pub to: String,
    /// Cyrus's: `partition`, `server!`, `server!partition`.
    pub location: Option<String>,
}

/// `SP mailbox`: the one that a command names (or a quota root).
pub fn one(at: Cursor<'_>) -> Parsed<'_, String> {
    argument(mailbox)(at)
}

/// `DELETE SP mailbox`
pub fn delete(at: Cursor<'_>) -> Parsed<'_, String> {
    one(at)
}

/// `SUBSCRIBE [SP "MAILBOX"] SP mailbox`, the word being that of some old clients; UNSUBSCRIBE alike.
pub fn subscribe(at: Cursor<'_>) -> Parsed<'_, String> {
    let (at, name) = one(at)?;
    if !name.eq_ignore_ascii_case("MAILBOX") {
        return Ok((at, name));
    }
    let (at, behind) = optional(mailbox)(at)?;
    Ok((at, behind.unwrap_or(name)))
}

pub fn rename(at: Cursor<'_>) -> Parsed<'_, Rename> {
    let (at, (from, to, location)) = (one, one, optional(text)).parse(at)?;
    Ok((at, Rename { from, to, location }))
}

pub fn create(at: Cursor<'_>) -> Parsed<'_, Create> {
    let (at, mailbox) = one(at)?;
    let mut create = Create { mailbox, ..Create::default() };
    let (at, _) = optional(|at| details(at, &mut create))(at)?;
    Ok((at, create))
}

fn details<'a>(at: Cursor<'a>, create: &mut Create) -> Parsed<'a, ()> {
    match at.peek() {
        Some(b'(') => map(list(16, |at| option(at, create)), drop).parse(at),
        _ => map(text, |word| place(word, create)).parse(at),
    }
}

/// `partition`, `server!` or `server!partition`
fn place(word: String, create: &mut Create) {
    match word.split_once('!') {
        Some((server, partition)) => {
            create.server = Some(server.to_owned());
            create.partition = (!partition.is_empty()).then(|| partition.to_owned());
        }
        None => create.partition = Some(word),
    }
}

fn option<'a>(at: Cursor<'a>, create: &mut Create) -> Parsed<'a, ()> {
    let (at, option) = terminated(atom, space).parse(at)?;
    match Keyword::of(option.as_bytes()).as_bytes() {
        b"USE" => map(list(16, attribute), |uses| create.special_use = uses).parse(at),
        b"PARTITION" => map(text, |partition| create.partition = Some(partition)).parse(at),
        b"SERVER" => map(text, |server| create.server = Some(server)).parse(at),
        b"MAILBOXID" => map(mailbox_id, |id| create.mailbox_id = Some(id)).parse(at),
        b"TYPE" => map(text, |kind| create.kind = Some(kind)).parse(at),
        _ => Err(ParseError::Invalid("modifier").into()),
    }
}

/// `id` or `(id)`
fn mailbox_id(at: Cursor<'_>) -> Parsed<'_, String> {
    match byte(b'(')(at) {
        Ok((at, ())) => terminated(text, parenthesis(b')')).parse(at),
        Err(_) => text(at),
    }
}

/// `"\" atom`
fn attribute(at: Cursor<'_>) -> Parsed<'_, String> {
    let (at, ()) = byte(b'\\')(at).map_err(|_| ParseError::Invalid("special-use attribute"))?;
    map(atom, |word| format!("\\{word}")).parse(at)
}
