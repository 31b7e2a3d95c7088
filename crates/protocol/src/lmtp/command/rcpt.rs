//! RCPT: RFC 5321, and Cyrus's IGNOREQUOTA.
//!
//! ```text
//! rcpt = "RCPT" SP "TO:" path [SP "IGNOREQUOTA"]
//! ```

use nom::Parser;
use nom::sequence::preceded;

use super::path::path;
use super::{CommandError, Path};
use crate::grammar::{Cursor, Keyword, Limits, ParseError, Parsed, run};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rcpt {
    pub to: Path,
    pub ignore_quota: bool,
}

impl Rcpt {
    /// Reads what follows the verb.
    pub(super) fn parse(rest: &[u8]) -> Result<Rcpt, CommandError> {
        Ok(Cursor::new(rest, Limits::NONE).read(rcpt)?)
    }
}

fn rcpt(at: Cursor<'_>) -> Parsed<'_, Rcpt> {
    let (at, to) = preceded(label("TO:"), path).parse(at)?;
    if to.is_empty() {
        return Err(INVALID.into());
    }
    let mut rcpt = Rcpt { to, ignore_quota: false };
    let (at, ()) = parameters(at, |key, value| match (Keyword::of(key).as_bytes(), value) {
        (b"IGNOREQUOTA", None) => {
            rcpt.ignore_quota = true;
            Ok(())
        }
        _ => Err(ParseError::Unrecognized),
    })?;
    Ok((at, rcpt))
}

/// `FROM:` or `TO:` in any case; blanks after the colon are forgiven.
#[inline(always)]
pub(super) fn label<'a>(wanted: &str) -> impl Fn(Cursor<'a>) -> Parsed<'a, ()> {
    move |at| match at.rest().split_at_checked(wanted.len()) {
        Some((head, tail)) if head.eq_ignore_ascii_case(wanted.as_bytes()) => {
            Ok((at.with(tail.trim_ascii_start()), ()))
        }
        _ => Err(INVALID.into()),
    }
}

/// `*(SP key ["=" value])` to the end.
#[inline(always)]
pub(super) fn parameters<'a>(
    mut at: Cursor<'a>,
    mut take: impl FnMut(&'a [u8], Option<&'a [u8]>) -> Result<(), ParseError>,
) -> Parsed<'a, ()> {
    while !at.at_end() {
        let (behind, word) = preceded(run(|byte| byte == b' '), run(|byte| byte != b' ')).parse(at)?;
        let (key, value) = match word.iter().position(|&byte| byte == b'=') {
            Some(equal) => (&word[..equal], word.get(equal + 1..)),
            None => (word, None),
        };
        if !word.is_empty() {
            take(key, value)?;
        }
        at = behind;
    }
    Ok((at, ()))
}

/// A value that is all of what `grammar` describes.
pub(super) fn whole<'a, T>(
    value: &'a [u8],
    grammar: impl FnMut(Cursor<'a>) -> Parsed<'a, T>,
) -> Result<T, ParseError> {
    let mut at = Cursor::new(value, Limits::NONE);
    let read = at.read(grammar)?;
    if at.at_end() { Ok(read) } else { Err(INVALID) }
}

pub(super) const INVALID: ParseError = ParseError::Invalid("parameter");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_read() {
        let rcpt = Rcpt::parse(b"TO:<fred+x@y> ignorequota").unwrap();
        assert_eq!((rcpt.to.local(), rcpt.ignore_quota), (b"fred+x".as_slice(), true));
        assert_eq!(Rcpt::parse(b"TO:<>"), Err(CommandError::Parameters));
        assert_eq!(Rcpt::parse(b"TO:<fred> NOTIFY=NEVER"), Err(CommandError::Unrecognized));
    }
}
