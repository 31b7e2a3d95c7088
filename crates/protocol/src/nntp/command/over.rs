//! OVER, HDR (RFC 3977 sections 8.3, 8.5), and what they were before: XOVER, XHDR, XPAT (RFC 2980).
//!
//! ```text
//! "OVER" [WS (range / message-id)]                    "XOVER" [WS range]
//! "HDR" WS field [WS (range / message-id)]            "XHDR" WS field [WS (range / message-id)]
//! "XPAT" WS field WS (range / message-id) 1*(WS pattern)
//! field = 1*(VCHAR but ":") / ":" 1*VCHAR             ; a header's, or metadata
//! ```

use super::Command;
use super::arguments::{BAD, blanks, of, optional};
use crate::grammar::{Cursor, ParseError, Parsed};
use crate::nntp::wildmat::Wildmat;
use crate::nntp::words::Articles;

/// By which name a command came: the answers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Rfc3977,
    /// With an X in front.
    Old,
}

pub(super) fn over(form: Form, at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, which) = articles(at)?;
    match (form, &which) {
        (Form::Old, Articles::Id(_)) => Err(BAD.into()),
        (Form::Rfc3977, _) | (Form::Old, Articles::Current | Articles::Range(_)) => {
            Ok((at, Command::Over { form, which }))
        }
    }
}

pub(super) fn hdr(form: Form, at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, field) = of(field)(at)?;
    let (at, which) = articles(at)?;
    Ok((at, Command::Hdr { form, field, which }))
}

pub(super) fn xpat(at: Cursor<'_>) -> Parsed<'_, Command> {
    let (at, field) = of(field)(at)?;
    let (at, which) = of(Articles::parse)(at)?;
    let (mut at, mut patterns) = (at, Vec::new());
    while !blanks(at).at_end() {
        let (behind, pattern) = of(|text| Wildmat::single(text).ok())(at)?;
        patterns.push(pattern);
        at = behind;
    }
    if patterns.is_empty() {
        return Err(ParseError::Missing.into());
    }
    Ok((at, Command::XPat { field, which, patterns }))
}

fn articles(at: Cursor<'_>) -> Parsed<'_, Articles> {
    let (at, which) = optional(of(Articles::parse))(at)?;
    Ok((at, which.unwrap_or(Articles::Current)))
}

fn field(text: &str) -> Option<String> {
    let name = text.strip_prefix(':').unwrap_or(text);
    let is_good = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    is_good.then(|| text.to_owned())
}
