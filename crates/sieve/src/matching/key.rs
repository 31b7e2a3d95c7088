//! One key, ready to be compared with values.

use std::borrow::Cow;

use super::comparator::numeric;
use super::ere;
use super::wildcard::{Pattern, Text};
use super::{Kind, MatchTags};

/// A key of a test, with what can be made ready of it before there is a value.
#[derive(Clone, Debug)]
pub struct Key {
    tags: MatchTags,
    /// Folded as the comparator has it, but for patterns.
    key: Box<str>,
    pattern: Option<Ready>,
}

#[derive(Clone, Debug)]
enum Ready {
    Wildcard(Pattern),
    Regex(regex::Regex),
}

/// Why a key is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadKey(pub String);

/// What a match found: the whole text, then a text for each wildcard or group in order; at most [`MAX_CAPTURES`]. Empty where the
/// match type has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures(pub Vec<String>);

/// Texts that a match keeps, `${0}` and on.
pub const MAX_CAPTURES: usize = 32;
/// Bytes of a compiled regular expression.
pub const REGEX_SIZE: usize = 1 << 20;
/// Bytes of a text that a regular expression is tried on; what follows is not looked at. It bounds the time: the expression's size
/// times this.
pub const REGEX_INPUT: usize = 64 << 10;

impl Key {
    pub(super) fn new(tags: MatchTags, key: &str) -> Result<Key, BadKey> {
        let comparator = tags.comparator;
        let pattern = match tags.kind {
            Kind::Matches => Some(Ready::Wildcard(Pattern::new(key, comparator).map_err(BadKey)?)),
            Kind::Regex => Some(Ready::Regex(ere::compile(key, comparator).map_err(BadKey)?)),
            _ => None,
        };
        Ok(Key { tags, key: comparator.fold(key).into(), pattern })
    }

    /// Whether `:count` is true of so many values. They are numbers under each comparator: RFC 5231 only recommends
    /// `i;ascii-numeric`, and published scripts leave it out.
    pub fn counts(&self, values: usize) -> bool {
        match self.tags.kind {
            Kind::Count(relation) => relation.holds(numeric(&values.to_string(), &self.key)),
            _ => false,
        }
    }

    /// The first of the keys that a value matches.
    pub(super) fn first(keys: &[Key], value: &str, capture: bool) -> Option<Captures> {
        let mut value = Value { text: value, folded: None, symbols: None };
        keys.iter().find_map(|key| key.matches(&mut value, capture))
    }

    /// Whether one value matches it, and what it captures.
    pub fn test(&self, value: &str, capture: bool) -> Option<Captures> {
        self.matches(&mut Value { text: value, folded: None, symbols: None }, capture)
    }

    fn matches(&self, value: &mut Value<'_>, capture: bool) -> Option<Captures> {
        let comparator = self.tags.comparator;
        let found = match (&self.pattern, self.tags.kind) {
            (Some(Ready::Wildcard(pattern)), _) => {
                let text = value.text;
                let symbols = value.symbols.get_or_insert_with(|| Text::new(text, comparator));
                return pattern.captures(symbols, capture).map(Captures);
            }
            (Some(Ready::Regex(regex)), _) => return search(regex, value.text, capture),
            (None, Kind::Is) => comparator.order(value.folded(self), &self.key).is_eq(),
            (None, Kind::Contains) => value.folded(self).contains(&*self.key),
            (None, Kind::Value(relation)) => {
                relation.holds(comparator.order(value.folded(self), &self.key))
            }
            (None, Kind::Count(_) | Kind::Matches | Kind::Regex) => false,
        };
        found.then(Captures::default)
    }
}

/// A value, and the forms of it that the keys of one test share.
struct Value<'v> {
    text: &'v str,
    folded: Option<Cow<'v, str>>,
    symbols: Option<Text<'v>>,
}

impl Value<'_> {
    fn folded(&mut self, key: &Key) -> &str {
        let text = self.text;
        self.folded.get_or_insert_with(|| key.tags.comparator.fold(text))
    }
}

fn search(regex: &regex::Regex, text: &str, capture: bool) -> Option<Captures> {
    let text = beginning(text, REGEX_INPUT);
    if !capture {
        return regex.is_match(text).then(Captures::default);
    }
    let found = regex.captures(text)?;
    let texts = found.iter().take(MAX_CAPTURES);
    Some(Captures(
        texts.map(|group| group.map_or(String::new(), |group| group.as_str().to_owned())).collect(),
    ))
}

/// The longest beginning of at most `most` bytes that ends between two characters.
fn beginning(text: &str, most: usize) -> &str {
    let ends = (0..=most.min(text.len())).rev();
    ends.take(4).find_map(|end| text.get(..end)).unwrap_or_default()
}
