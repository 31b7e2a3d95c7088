#![allow(unused_imports)]
use super::cursor::{Cursor, ParseError};
use super::mailbox::one;
use super::status;
use super::words::{date, flag as parse_flag, flag_list, sequence_set};
use crate::imap::command::fetch::*;
use crate::imap::command::status::StatusItem;
use crate::imap::{Body, Date, Flag, SequenceSet, flag};
use crate::origin::Origin;

pub fn parse(cursor: &mut Cursor<'_>, uid: bool) -> Result<Body, ParseError> {
    cursor.space()?;
    let set = sequence_set(cursor)?;
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

const ITEMS: usize = 256;
const FIELDS: usize = 256;
const DEPTH: usize = 64;
