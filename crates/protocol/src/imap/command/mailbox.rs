//! CREATE (RFC 3501, RFC 6154, Cyrus's partition argument), RENAME, and commands whose argument is one mailbox.

use super::Body;
use crate::imap::cursor::{Cursor, ParseError};

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

/// The one mailbox (or quota root) that a command names.
pub fn one(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    cursor.space()?;
    cursor.mailbox()
}

/// As [`one`], with the word MAILBOX that some old clients put before it.
pub fn subscribe(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    let mut name = one(cursor)?;
    if name.eq_ignore_ascii_case("MAILBOX") && cursor.space().is_ok() {
        name = cursor.mailbox()?;
    }
    Ok(name)
}

pub fn rename(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let from = one(cursor)?;
    let to = one(cursor)?;
    let location = if cursor.space().is_ok() { Some(cursor.text()?) } else { None };
    Ok(Body::Rename(Rename { from, to, location }))
}

pub fn create(cursor: &mut Cursor<'_>) -> Result<Create, ParseError> {
    let mut create = Create { mailbox: one(cursor)?, ..Create::default() };
    if cursor.space().is_err() {
        return Ok(create);
    }
    if cursor.peek() != Some(b'(') {
        let word = cursor.text()?;
        match word.split_once('!') {
            Some((server, partition)) => {
                create.server = Some(server.to_owned());
                create.partition = (!partition.is_empty()).then(|| partition.to_owned());
            }
            None => create.partition = Some(word),
        }
        return Ok(create);
    }
    cursor.list(16, |cursor| {
        let option = cursor.atom()?.to_ascii_uppercase();
        cursor.space()?;
        match option.as_str() {
            "USE" => create.special_use = cursor.list(16, attribute)?,
            "PARTITION" => create.partition = Some(cursor.text()?),
            "SERVER" => create.server = Some(cursor.text()?),
            "MAILBOXID" => create.mailbox_id = Some(mailbox_id(cursor)?),
            "TYPE" => create.kind = Some(cursor.text()?),
            _ => return Err(ParseError::Invalid("modifier")),
        }
        Ok(())
    })?;
    Ok(create)
}

/// `id` or `(id)`
fn mailbox_id(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    if !cursor.eat(b'(') {
        return cursor.text();
    }
    let id = cursor.text()?;
    cursor.close()?;
    Ok(id)
}

fn attribute(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    if !cursor.eat(b'\\') {
        return Err(ParseError::Invalid("special-use attribute"));
    }
    Ok(format!("\\{}", cursor.atom()?))
}
