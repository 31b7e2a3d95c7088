#![allow(unused_imports)]
use super::cursor::{Cursor, ParseError};
use super::status;
use super::words::{date, flag as parse_flag, flag_list, sequence_set};
use crate::imap::command::mailbox::*;
use crate::imap::command::status::StatusItem;
use crate::imap::{Body, Date, Flag, SequenceSet, flag};
use crate::origin::Origin;

pub fn one(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    cursor.space()?;
    cursor.mailbox()
}

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
