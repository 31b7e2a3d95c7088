//! One key, ready to be compared with values.

use std::borrow::{Borrow, Cow};

use super::comparator::numeric;
use super::ere::Expression;
use super::wildcard::{Pattern, Text};
use super::{Kind, MatchTags};
use crate::limits;

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
    Regex(Expression),
}

/// Why a key is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadKey(pub String);

impl Key {
    pub(super) fn new(tags: MatchTags, key: &str) -> Result<Key, BadKey> {
        let comparator = tags.comparator;
        let pattern = match tags.kind {
            Kind::Matches => Some(Ready::Wildcard(Pattern::new(key, comparator).map_err(BadKey)?)),
            Kind::Regex => Some(Ready::Regex(Expression::new(key, comparator).map_err(BadKey)?)),
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

    /// The first of the keys that a value matches, and what it captures: the whole text, then a text for each wildcard or group in
    /// order, [`limits::CAPTURES`] at most. Empty for match types without any, and where nobody wants them. All keys are of one test.
    pub fn first<K: Borrow<Key>>(keys: &[K], value: &str, capture: bool) -> Option<Vec<String>> {
        let mut value = Value { text: beginning(value, limits::MATCH), folded: None, symbols: None };
        keys.iter().find_map(|key| key.borrow().matches(&mut value, capture))
    }

    /// Bytes that it takes: a pattern may take many more than its text.
    pub fn size(&self) -> usize {
        match &self.pattern {
            None => self.key.len(),
            Some(Ready::Wildcard(pattern)) => self.key.len() + pattern.size(),
            Some(Ready::Regex(regex)) => regex.size(),
        }
    }

    /// Bytes that a comparison with this value looks at, or as much work as that.
    pub fn work(&self, value: &str) -> usize {
        match &self.pattern {
            None => (self.key.len() + value.len().min(limits::MATCH)) / 8,
            Some(Ready::Wildcard(pattern)) => pattern.work(value.len().min(limits::MATCH)),
            Some(Ready::Regex(regex)) => regex.work(value.len()),
        }
    }

    fn matches(&self, value: &mut Value<'_>, capture: bool) -> Option<Vec<String>> {
        let comparator = self.tags.comparator;
        let found = match (&self.pattern, self.tags.kind) {
            (Some(Ready::Wildcard(pattern)), _) => {
                let text = value.text;
                let symbols = value.symbols.get_or_insert_with(|| Text::new(text, comparator));
                return pattern.captures(symbols, capture);
            }
            (Some(Ready::Regex(regex)), _) => return regex.captures(value.text, capture),
            (None, Kind::Is) => comparator.order(value.folded(self), &self.key).is_eq(),
            (None, Kind::Contains) => value.folded(self).contains(&*self.key),
            (None, Kind::Value(relation)) => relation.holds(comparator.order(value.folded(self), &self.key)),
            (None, Kind::Count(_) | Kind::Matches | Kind::Regex) => false,
        };
        found.then(Vec::new)
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

/// The longest beginning of at most `most` bytes that ends between two characters.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    let ends = (0..=most.min(text.len())).rev();
    ends.take(4).find_map(|end| text.get(..end)).unwrap_or_default()
}
