//! What the grammars are written with: the words of RFC 3501 section 9 as nom parsers, each with its ABNF.
//!
//! ```text
//! bytes ─frame─▶ one whole frame ─Cursor─▶ the grammar of a command, made of these words ─▶ the typed command
//! ```
//!
//! A grammar is a function from a [`Cursor`] to [`Parsed`]. It gets whole frames, so that nothing here asks for more bytes,
//! and a literal's bytes are where its header says. It runs in time linear in the frame; one that nests bounds its depth.
//! Errors are recoverable (`nom::Err::Error`): [`opt`](nom::combinator::opt) passes over what is not there. Where a word is
//! there and must be right, [`cut`] makes its error final.

use std::borrow::Cow;
use std::iter::{Copied, Enumerate};

use nom::bytes::complete::take_while;
use nom::combinator::map;
use nom::error::ErrorKind;
use nom::sequence::preceded;
use nom::{IResult, Input, Needed, Parser};

/// A position in the text of one frame.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    limits: Limits,
}

/// Bounds on single words: `maxword` and `maxquoted` of imapd.conf, bytes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub word: usize,
    pub quoted: usize,
}

impl Limits {
    /// For protocols in which the frame alone is bounded.
    pub const NONE: Limits = Limits { word: usize::MAX, quoted: usize::MAX };
}

impl Default for Limits {
    fn default() -> Self {
        Limits { word: 128 * 1024, quoted: 128 * 1024 }
    }
}

/// What a grammar makes of the text: where it goes on, and what was read.
pub type Parsed<'a, T> = IResult<Cursor<'a>, T, ParseError>;

/// Why a frame cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("missing argument")]
    Missing,
    #[error("extra arguments")]
    Extra,
    #[error("invalid {0}")]
    Invalid(&'static str),
    /// The text ends in the header of a literal whose bytes are not there: only APPEND, which is parsed in steps.
    #[error("a literal is missing")]
    Incomplete,
    #[error("word too long")]
    Long,
    #[error("unrecognized command")]
    Unrecognized,
    /// A whole text of its own.
    #[error("{0}")]
    Text(String),
}

/// A word in upper case, by which a command or an option is looked up. No keyword is as long as the longest that it holds: of a
/// longer word the beginning is kept, and found nowhere.
#[derive(Debug, Clone, Copy)]
pub struct Keyword {
    bytes: [u8; 24],
    len: usize,
}

impl Keyword {
    #[inline]
    pub fn of(word: &[u8]) -> Keyword {
        let (mut bytes, mut len) = ([0; 24], 0);
        for (upper, byte) in bytes.iter_mut().zip(word) {
            *upper = byte.to_ascii_uppercase();
            len += 1;
        }
        Keyword { bytes, len }
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a [u8], limits: Limits) -> Self {
        Cursor { rest: text, limits }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Whether nothing follows.
    pub fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads what `grammar` describes and goes on behind it. After an error the position is as it was.
    #[inline]
    pub fn read<T>(
        &mut self,
        mut grammar: impl Parser<Cursor<'a>, Output = T, Error = ParseError>,
    ) -> Result<T, ParseError> {
        match grammar.parse(*self) {
            Ok((rest, value)) => {
                *self = rest;
                Ok(value)
            }
            Err(nom::Err::Error(error) | nom::Err::Failure(error)) => Err(error),
            Err(nom::Err::Incomplete(_)) => Err(ParseError::Incomplete),
        }
    }

    fn with(self, rest: &'a [u8]) -> Self {
        Cursor { rest, ..self }
    }

    /// The error for a word that is not here: missing where nothing follows.
    fn no(self, what: &'static str) -> nom::Err<ParseError> {
        if self.at_end() { ParseError::Missing.into() } else { ParseError::Invalid(what).into() }
    }
}

/// nom's own parsers read a cursor as they read a slice.
impl<'a> Input for Cursor<'a> {
    type Item = u8;
    type Iter = Copied<std::slice::Iter<'a, u8>>;
    type IterIndices = Enumerate<Self::Iter>;

    fn input_len(&self) -> usize {
        self.rest.len()
    }

    fn take(&self, index: usize) -> Self {
        self.with(self.rest.get(..index).unwrap_or(self.rest))
    }

    fn take_from(&self, index: usize) -> Self {
        self.with(self.rest.get(index..).unwrap_or_default())
    }

    fn take_split(&self, index: usize) -> (Self, Self) {
        (self.take_from(index), Input::take(self, index))
    }

    fn position<P: Fn(u8) -> bool>(&self, predicate: P) -> Option<usize> {
        self.rest.iter().position(|&byte| predicate(byte))
    }

    fn iter_elements(&self) -> Self::Iter {
        self.rest.iter().copied()
    }

    fn iter_indices(&self) -> Self::IterIndices {
        self.iter_elements().enumerate()
    }

    fn slice_index(&self, count: usize) -> Result<usize, Needed> {
        self.rest.slice_index(count)
    }
}

impl nom::error::ParseError<Cursor<'_>> for ParseError {
    fn from_error_kind(at: Cursor<'_>, _: ErrorKind) -> Self {
        if at.at_end() { ParseError::Missing } else { ParseError::Invalid("word") }
    }

    fn append(_: Cursor<'_>, _: ErrorKind, other: Self) -> Self {
        other
    }
}

impl From<ParseError> for nom::Err<ParseError> {
    fn from(error: ParseError) -> Self {
        nom::Err::Error(error)
    }
}

/// The bytes here that are `wanted`, perhaps none.
pub fn run<'a>(
    wanted: impl Fn(u8) -> bool,
) -> impl Parser<Cursor<'a>, Output = &'a [u8], Error = ParseError> {
    map(take_while(wanted), |taken: Cursor<'a>| taken.rest)
}

/// One byte.
pub fn byte<'a>(wanted: u8) -> impl Fn(Cursor<'a>) -> Parsed<'a, ()> {
    move |at| match at.rest.split_first() {
        Some((&first, rest)) if first == wanted => Ok((at.with(rest), ())),
        _ => Err(at.no("word")),
    }
}

/// `quoted = DQUOTE *QUOTED-CHAR DQUOTE`: RFC 3501 has `\` before DQUOTE and itself, RFC 3656 before any byte; `escapable`
/// says which. Neither has CR, LF or NUL.
pub fn quoted<'a>(escapable: impl Fn(u8) -> bool) -> impl Fn(Cursor<'a>) -> Parsed<'a, Cow<'a, [u8]>> {
    let invalid = || Err(ParseError::Invalid("quoted string").into());
    move |at| {
        let Ok((at, ())) = byte(b'"')(at) else { return invalid() };
        let (mut at, first) = run(is_quoted_byte).parse(at)?;
        let mut text = Cow::Borrowed(first);
        loop {
            if text.len() > at.limits.quoted {
                return Err(ParseError::Long.into());
            }
            at = match at.rest {
                [b'"', rest @ ..] => return Ok((at.with(rest), text)),
                [b'\\', escaped, rest @ ..] if escapable(*escaped) => {
                    text.to_mut().push(*escaped);
                    at.with(rest)
                }
                _ => return invalid(),
            };
            let (rest, more) = run(is_quoted_byte).parse(at)?;
            text.to_mut().extend_from_slice(more);
            at = rest;
        }
    }
}

/// `literal = "{" number ["+" / "-"] "}" CRLF *CHAR8` (RFC 3501, RFC 7888), as the framer takes it.
pub fn literal(at: Cursor<'_>) -> Parsed<'_, &[u8]> {
    let (at, size) = literal_header(at)?;
    let Some((bytes, rest)) = at.rest.split_at_checked(size) else {
        return Err(ParseError::Incomplete.into());
    };
    if bytes.contains(&0) {
        return Err(ParseError::Invalid("NUL byte").into());
    }
    Ok((at.with(rest), bytes))
}

fn literal_header(at: Cursor<'_>) -> Parsed<'_, usize> {
    let invalid = || nom::Err::from(ParseError::Invalid("literal"));
    let (at, digits) = preceded(byte(b'{'), run(|b| b.is_ascii_digit())).parse(at).map_err(|_| invalid())?;
    let size = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or_else(invalid)?;
    let end = match at.rest {
        [b'+' | b'-', b'}', end @ ..] | [b'}', end @ ..] => end,
        _ => return Err(invalid()),
    };
    match end {
        [] => Err(ParseError::Incomplete.into()),
        // The framer takes no longer number for a literal's: its bytes are not here.
        _ if digits.len() > 19 => Err(ParseError::Incomplete.into()),
        [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..] => Ok((at.with(rest), size)),
        _ => Err(invalid()),
    }
}

fn is_quoted_byte(byte: u8) -> bool {
    !matches!(byte, b'"' | b'\\' | b'\r' | b'\n' | 0)
}
