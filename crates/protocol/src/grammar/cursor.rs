//! What nom reads: a position in the text of one frame, and what is wrong with it.

use nom::IResult;
use nom::error::ErrorKind;

/// A position in the text of one frame.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    /// Bytes of one word, and of one quoted string.
    word: u32,
    quoted: u32,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
    Text(&'static str),
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
        let bound = |bytes| u32::try_from(bytes).unwrap_or(u32::MAX);
        Cursor { rest: text, word: bound(limits.word), quoted: bound(limits.quoted) }
    }

    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Whether nothing follows.
    #[inline]
    pub fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Whether a word of this text is longer than `maxword`.
    pub(super) fn is_long(&self, word: &[u8]) -> bool {
        word.len() > self.word as usize
    }

    /// Whether a quoted string of this text is longer than `maxquoted`.
    pub(super) fn is_long_quoted(&self, text: &[u8]) -> bool {
        text.len() > self.quoted as usize
    }

    /// Reads what `grammar` describes and goes on behind it. After an error the position is as it was.
    #[inline(always)]
    pub fn read<T>(&mut self, mut grammar: impl FnMut(Cursor<'a>) -> Parsed<'a, T>) -> Result<T, ParseError> {
        match grammar(*self) {
            Ok((rest, value)) => {
                *self = rest;
                Ok(value)
            }
            Err(nom::Err::Error(error) | nom::Err::Failure(error)) => Err(error),
            Err(nom::Err::Incomplete(_)) => Err(ParseError::Incomplete),
        }
    }

    /// The same text from `rest` on, which is a part of it.
    #[inline]
    pub(crate) fn with(self, rest: &'a [u8]) -> Self {
        Cursor { rest, ..self }
    }

    /// The error for a word that is not here: missing where nothing follows.
    #[cold]
    pub(crate) fn no(self, what: &'static str) -> nom::Err<ParseError> {
        if self.at_end() { ParseError::Missing.into() } else { ParseError::Invalid(what).into() }
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
