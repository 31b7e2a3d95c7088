//! STORE: RFC 3501, RFC 7162 (UNCHANGEDSINCE), RFC 5257 (ANNOTATION).

use nom::Parser;
use nom::combinator::opt;
use nom::sequence::terminated;

use super::annotate::{self, Note};
use crate::grammar::{
    Cursor, ParseError, Parsed, argument, atom, byte, keyword, list, number64, optional, space,
};
use crate::imap::{Flag, SequenceSet, flag};

/// `STORE SP sequence-set [SP "(UNCHANGEDSINCE" SP modseq ")"] SP ["+" / "-"] "FLAGS" [".SILENT"] SP flags`, or
/// `… SP "ANNOTATION" SP notes`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    pub uid: bool,
    pub set: SequenceSet,
    pub unchanged_since: Option<u64>,
    pub how: How,
    pub silent: bool,
    pub flags: Vec<Flag>,
    /// Annotations that are set; where there are some, flags are left alone.
    pub notes: Vec<Note>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Replace,
    Add,
    Remove,
}

pub fn parse(at: Cursor<'_>, uid: bool) -> Parsed<'_, Store> {
    let (mut at, (set, ())) = (argument(SequenceSet::parse), space).parse(at)?;
    let mut unchanged_since = None;
    if at.peek() == Some(b'(') {
        let (rest, modifiers) = terminated(list(4, modifier), space).parse(at)?;
        (at, unchanged_since) = (rest, modifiers.last().copied());
    }
    if let Ok((at, ())) = keyword("ANNOTATION")(at) {
        let (at, notes) = argument(annotate::store)(at)?;
        let (how, flags) = (How::Add, Vec::new());
        return Ok((at, Store { uid, set, unchanged_since, how, silent: true, flags, notes }));
    }
    let (at, (how, silent, flags)) = (how, item, argument(flags)).parse(at)?;
    Ok((at, Store { uid, set, unchanged_since, how, silent, flags, notes: Vec::new() }))
}

/// `"UNCHANGEDSINCE" SP modseq`
fn modifier(at: Cursor<'_>) -> Parsed<'_, u64> {
    let (at, ()) = keyword("UNCHANGEDSINCE")(at).map_err(|_| ParseError::Invalid("modifier"))?;
    argument(number64)(at)
}

/// `["+" / "-"]`
fn how(at: Cursor<'_>) -> Parsed<'_, How> {
    let (at, plus) = opt(byte(b'+')).parse(at)?;
    let (at, minus) = opt(byte(b'-')).parse(at)?;
    Ok((
        at,
        match (plus, minus) {
            (Some(()), _) => How::Add,
            (_, Some(())) => How::Remove,
            _ => How::Replace,
        },
    ))
}

/// `"FLAGS" [".SILENT"]`: whether the answer is left out.
fn item(at: Cursor<'_>) -> Parsed<'_, bool> {
    match atom(at)? {
        (at, word) if word.eq_ignore_ascii_case("FLAGS") => Ok((at, false)),
        (at, word) if word.eq_ignore_ascii_case("FLAGS.SILENT") => Ok((at, true)),
        _ => Err(ParseError::Invalid("item").into()),
    }
}

/// `flag-list / flag *(SP flag)`
fn flags(at: Cursor<'_>) -> Parsed<'_, Vec<Flag>> {
    if at.peek() == Some(b'(') {
        return Flag::list(at);
    }
    let (mut at, first) = Flag::parse(at)?;
    let mut flags = vec![first];
    while flags.len() < flag::MAX
        && let (rest, Some(flag)) = optional(Flag::parse)(at)?
    {
        flags.push(flag);
        at = rest;
    }
    Ok((at, flags))
}
