//! How a test compares what a message has with the keys that a script gives: RFC 5228 section 2.7.
//!
//! - [`Comparator`] what two texts are compared as (RFC 4790, RFC 5051);
//! - [`Kind`] `:is`, `:contains`, `:matches`, `:regex`, and `:count` and `:value` with a [`Relation`] (RFC 5231);
//! - [`MatchTags`] the two together, as the tags of a test say; [`MatchTags::matcher`] makes one key ready to be compared, once for as
//!   many messages as there are;
//! - [`wildcard`] `:matches`, in time that grows with the text and never with the number of its stars; [`ere`] the extended regular
//!   expressions of POSIX as the crate `regex` writes them.
//!
//! A match gives [`Captures`]: the texts of the match variables (RFC 5229 section 3.2).

mod comparator;
mod ere;
mod matcher;
mod relation;
mod wildcard;

pub use comparator::Comparator;
pub use matcher::{BadKey, Captures, MAX_CAPTURES, Matcher, REGEX_INPUT, REGEX_SIZE};
pub use relation::Relation;

/// How the values of a test are compared with its keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Is,
    Contains,
    Matches,
    Regex,
    /// The number of values, not the values.
    Count(Relation),
    Value(Relation),
}

/// What the match type and the comparator of a test are; `:is` and `i;ascii-casemap` where it names none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatchTags {
    pub kind: Kind,
    pub comparator: Comparator,
}

impl MatchTags {
    /// What is wrong with the two together: RFC 5228 section 2.7.3, RFC 4790 section 9.1.
    pub fn problem(&self) -> Option<&'static str> {
        match (self.comparator, self.kind) {
            (Comparator::AsciiNumeric, Kind::Contains) => {
                Some("comparator \"i;ascii-numeric\" cannot be used with :contains")
            }
            (Comparator::AsciiNumeric, Kind::Matches) => {
                Some("comparator \"i;ascii-numeric\" cannot be used with :matches")
            }
            (Comparator::AsciiNumeric, Kind::Regex) => {
                Some("comparator \"i;ascii-numeric\" cannot be used with :regex")
            }
            _ => None,
        }
    }

    /// A key made ready. Only a regular expression can be bad.
    pub fn matcher(&self, key: &str) -> Result<Matcher, BadKey> {
        Matcher::new(*self, key)
    }

    /// The first match of a value with a key, the values in order and for each the keys in order. `:count` compares the number of
    /// values, once. `capture`: whether anybody wants the captures; they are empty otherwise, and for match types without any.
    pub fn first<V: AsRef<str>>(
        &self,
        values: impl IntoIterator<Item = V>,
        keys: &[Matcher],
        capture: bool,
    ) -> Option<Captures> {
        if let Kind::Count(_) = self.kind {
            let count = values.into_iter().count();
            return keys.iter().any(|key| key.counts(count)).then(Captures::default);
        }
        values.into_iter().find_map(|value| Matcher::first(keys, value.as_ref(), capture))
    }
}

#[cfg(test)]
mod tests;
