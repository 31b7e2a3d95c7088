//! What commands name: articles by number, range or message-id; groups.
//!
//! ```text
//! number     = 1*10DIGIT                          ; 1 to 4,294,967,295: an article's number is its UID
//! range      = number / number "-" [number]
//! message-id = "<" 1*248A-NOTGT ">"               ; RFC 3977 section 3.6
//! group      = 1*497VCHAR                         ; no wildcard, comma or `!` in front
//! ```

use std::fmt;

use nom::Parser;
use nom::combinator::opt;
use nom::sequence::pair;

use crate::grammar::{Cursor, Limits, ParseError, Parsed, byte, digits};

/// Numbers of articles, both ends included. No end: up to the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub from: u32,
    pub to: Option<u32>,
}

impl Range {
    pub const ALL: Range = Range { from: 1, to: None };

    pub fn one(number: u32) -> Range {
        Range { from: number, to: Some(number) }
    }

    pub fn contains(self, number: u32) -> bool {
        number >= self.from && self.to.is_none_or(|to| number <= to)
    }

    pub(super) fn parse(text: &str) -> Option<Range> {
        Cursor::new(text.as_bytes(), Limits::NONE).read(whole(range)).ok()
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to {
            Some(to) if to == self.from => write!(f, "{to}"),
            Some(to) => write!(f, "{}-{to}", self.from),
            None => write!(f, "{}-", self.from),
        }
    }
}

/// A message-id with its brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(String);

impl MessageId {
    pub fn parse(text: &str) -> Option<MessageId> {
        let inside = text.strip_prefix('<')?.strip_suffix('>')?;
        let is_good = !inside.is_empty()
            && text.len() <= MESSAGE_ID
            && inside.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>'));
        is_good.then(|| MessageId(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupName(String);

impl GroupName {
    pub fn parse(text: &str) -> Option<GroupName> {
        let is_good = !text.is_empty()
            && text.len() <= GROUP_NAME
            && !text.starts_with('!')
            && text.chars().all(|c| {
                !c.is_ascii_whitespace()
                    && !c.is_control()
                    && !matches!(c, '*' | '?' | '[' | ']' | '\\' | ',')
            });
        is_good.then(|| GroupName(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Article {
    Current,
    Number(u32),
    Id(MessageId),
}

impl Article {
    pub(super) fn parse(text: &str) -> Option<Article> {
        if text.starts_with('<') {
            return MessageId::parse(text).map(Article::Id);
        }
        Cursor::new(text.as_bytes(), Limits::NONE).read(whole(number)).ok().map(Article::Number)
    }
}

impl fmt::Display for Article {
    /// With the blank before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Article::Current => Ok(()),
            Article::Number(number) => write!(f, " {number}"),
            Article::Id(id) => write!(f, " {id}"),
        }
    }
}

/// Which articles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Articles {
    Current,
    Range(Range),
    Id(MessageId),
}

impl Articles {
    pub(super) fn parse(text: &str) -> Option<Articles> {
        match text.starts_with('<') {
            true => MessageId::parse(text).map(Articles::Id),
            false => Range::parse(text).map(Articles::Range),
        }
    }
}

impl fmt::Display for Articles {
    /// With the blank before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Articles::Current => Ok(()),
            Articles::Range(range) => write!(f, " {range}"),
            Articles::Id(id) => write!(f, " {id}"),
        }
    }
}

/// `1*10DIGIT`. Zero names no article, and is a number all the same.
fn number(at: Cursor<'_>) -> Parsed<'_, u32> {
    let (at, digits) = digits(at)?;
    Ok((at, str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(BAD)?))
}

fn range(at: Cursor<'_>) -> Parsed<'_, Range> {
    let (at, from) = number(at)?;
    let (at, to) = opt(pair(byte(b'-'), opt(number))).parse(at)?;
    Ok((at, Range { from, to: to.map_or(Some(from), |((), to)| to) }))
}

/// All of the text.
fn whole<'a, T>(
    mut grammar: impl FnMut(Cursor<'a>) -> Parsed<'a, T>,
) -> impl FnMut(Cursor<'a>) -> Parsed<'a, T> {
    move |at| match grammar(at)? {
        (at, value) if at.at_end() => Ok((at, value)),
        _ => Err(BAD.into()),
    }
}

const BAD: ParseError = ParseError::Invalid("number");
/// Bytes of a message-id with its brackets: RFC 3977 section 3.6.
pub const MESSAGE_ID: usize = 250;
/// Bytes of a group's name: what an answer of one line holds beside it (RFC 3977 section 3.1).
pub const GROUP_NAME: usize = 460;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!(Range::parse("3"), Some(Range::one(3)));
        assert_eq!(Range::parse("3-"), Some(Range { from: 3, to: None }));
        assert_eq!(Range::parse("3-2"), Some(Range { from: 3, to: Some(2) }), "which names no article");
        for text in ["", "-", "-3", "1-2-3", "4294967296", "1 -2", "a", "1-x"] {
            assert_eq!(Range::parse(text), None, "{text}");
        }
    }

    #[test]
    fn message_ids_and_groups_are_told_from_other_words() {
        assert_eq!(Article::parse("<a@b>"), MessageId::parse("<a@b>").map(Article::Id));
        for text in ["<>", "<a b>", "<a>b>", "<a", "a>", &format!("<{}>", "x".repeat(249))] {
            assert_eq!(MessageId::parse(text), None, "{text}");
        }
        assert!(GroupName::parse("comp.lang.c++").is_some());
        for text in ["", "a*", "a b", "a,b", "!a", "a\r"] {
            assert_eq!(GroupName::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_range_is_read_as_it_is_written(from in any::<u32>(), to in any::<Option<u32>>()) {
            let range = Range { from, to };
            prop_assert_eq!(Range::parse(&range.to_string()), Some(range));
        }
    }
}
