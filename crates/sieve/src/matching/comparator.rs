//! Comparators: RFC 4790 section 9 and RFC 5051.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::extension::Extension;

/// As what two texts are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Comparator {
    /// `i;octet`: byte by byte.
    Octet,
    /// `i;ascii-casemap`: the letters of ASCII without regard to case. The default.
    #[default]
    AsciiCasemap,
    /// `i;ascii-numeric`: the number that a text begins with.
    AsciiNumeric,
    /// `i;unicode-casemap`: letters without regard to case, however they are composed.
    UnicodeCasemap,
}

impl Comparator {
    pub fn parse(name: &str) -> Option<Comparator> {
        Comparator::ALL.into_iter().find(|comparator| comparator.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Comparator::Octet => "i;octet",
            Comparator::AsciiCasemap => "i;ascii-casemap",
            Comparator::AsciiNumeric => "i;ascii-numeric",
            Comparator::UnicodeCasemap => "i;unicode-casemap",
        }
    }

    /// What a script must require to use it; none for those that each implementation has (RFC 5228 section 2.7.3).
    pub fn extension(self) -> Option<Extension> {
        match self {
            Comparator::Octet | Comparator::AsciiCasemap => None,
            Comparator::AsciiNumeric => Some(Extension::AsciiNumeric),
            Comparator::UnicodeCasemap => Some(Extension::UnicodeCasemap),
        }
    }

    /// The text in the form in which two texts that are equal are the same bytes. Not for `i;ascii-numeric`, which leaves it as it is.
    pub(super) fn fold(self, text: &str) -> Cow<'_, str> {
        match self {
            Comparator::Octet | Comparator::AsciiNumeric => Cow::Borrowed(text),
            Comparator::AsciiCasemap => match text.bytes().any(|byte| byte.is_ascii_lowercase()) {
                true => Cow::Owned(text.to_ascii_uppercase()),
                false => Cow::Borrowed(text),
            },
            Comparator::UnicodeCasemap => ::mime::casemap(text),
        }
    }

    /// Which of two folded texts comes first.
    pub(super) fn order(self, one: &str, other: &str) -> Ordering {
        match self {
            Comparator::AsciiNumeric => numeric(one, other),
            _ => one.as_bytes().cmp(other.as_bytes()),
        }
    }

    const ALL: [Comparator; 4] =
        [Comparator::Octet, Comparator::AsciiCasemap, Comparator::AsciiNumeric, Comparator::UnicodeCasemap];
}

/// Numbers of any length. A text that does not begin with a digit is infinite, and all of those are equal: RFC 4790 section 9.1.1.
pub(super) fn numeric(one: &str, other: &str) -> Ordering {
    match (digits(one), digits(other)) {
        (Some(one), Some(other)) => one.len().cmp(&other.len()).then_with(|| one.cmp(other)),
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (None, None) => Ordering::Equal,
    }
}

/// The digits that a text begins with, without leading zeros.
fn digits(text: &str) -> Option<&[u8]> {
    let bytes = text.as_bytes();
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    let digits = bytes.get(..end).filter(|digits| !digits.is_empty())?;
    let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
    digits.get(zeros..)
}
