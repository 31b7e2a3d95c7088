#![allow(unused_imports)]
use super::cursor::{Cursor, ParseError};
use super::mailbox::one;
use super::status;
use super::words::{date, flag as parse_flag, flag_list, sequence_set};
use crate::imap::command::session::*;
use crate::imap::command::status::StatusItem;
use crate::imap::{Body, Date, Flag, SequenceSet, flag};
use crate::origin::Origin;

pub fn login(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    cursor.space()?;
    let user = cursor.astring()?;
    cursor.space()?;
    let password = cursor.astring()?;
    Ok(Body::Login(Login { user, password }))
}

pub fn authenticate(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    cursor.space()?;
    let mechanism = cursor.atom()?.to_ascii_uppercase();
    let initial = match cursor.space() {
        Ok(()) => Some(cursor.atom()?.to_owned()),
        Err(_) => None,
    };
    Ok(Body::Authenticate(Authenticate { mechanism, initial }))
}

pub fn id(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    cursor.space()?;
    if cursor.eat_word("NIL") {
        return Ok(Body::Id(Vec::new()));
    }
    let fields = cursor.list(ID_FIELDS, |cursor| {
        let field = cursor.string()?;
        cursor.space()?;
        let value = cursor.nstring()?;
        let fits = field.len() <= 30 && value.as_ref().is_none_or(|v| v.len() <= 1024);
        if fits { Ok((field, value)) } else { Err(ParseError::Text("Invalid ID: too long")) }
    })?;
    Ok(Body::Id(fields))
}

pub fn enable(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    let mut wanted = Vec::new();
    cursor.space()?;
    loop {
        wanted.push(cursor.atom()?.to_ascii_uppercase());
        if wanted.len() > 64 || cursor.space().is_err() {
            return Ok(Body::Enable(wanted));
        }
    }
}

pub fn compress(cursor: &mut Cursor<'_>) -> Result<Body, ParseError> {
    cursor.space()?;
    Ok(Body::Compress(cursor.atom()?.to_ascii_uppercase()))
}

const ID_FIELDS: usize = 30;
