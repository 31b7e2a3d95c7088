//! How values are compared: comparators (RFC 4790) and match types (RFC 5228 section 2.7, RFC 5231).
//!
//! A test takes its tags with [`MatchTags::take`], makes a [`Matcher`] of them and its keys, and gives that its values:
//!
//! ```text
//! :comparator "i;octet" :matches  ─▶ MatchTags ─┐
//!                ["a*", "${x}"]   ─▶ keys ──────┴▶ Matcher ── search(values) ─▶ none, or what the wildcards stand for
//! ```

mod part;
mod select;

pub use part::AddressPart;
pub use select::Select;

use crate::check::Arguments;
use crate::extension::Extension;
use crate::program::context::Context;
use crate::program::error::RunError;
use crate::program::text::Text;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Comparator {
    Octet,
    #[default]
    AsciiCasemap,
    AsciiNumeric,
    UnicodeCasemap,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    #[default]
    Is,
    Contains,
    Matches,
    Regex,
    Value(Relation),
    Count(Relation),
}

/// RFC 5231 section 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    Gt,
    Ge,
    Lt,
    Le,
    Eq,
    Ne,
}

/// The tags of a test that compares: `:comparator` and a match type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MatchTags {
    pub comparator: Comparator,
    pub kind: Kind,
}

impl MatchTags {
    /// Takes them from the arguments; a wrong one is reported.
    pub fn take(arguments: &mut Arguments<'_, '_>) -> MatchTags {
        let comparator = match arguments.tagged_constant(":comparator", None).as_deref() {
            Some("i;octet") => Comparator::Octet,
            Some("i;ascii-casemap") | None => Comparator::AsciiCasemap,
            Some(other) => {
                arguments.fail(arguments.line, format!("unknown comparator {other}"));
                Comparator::AsciiCasemap
            }
        };
        let kind = arguments.one_of(&[
            (":is", None, Kind::Is),
            (":contains", None, Kind::Contains),
            (":matches", None, Kind::Matches),
            (":regex", Some(Extension::Regex), Kind::Regex),
        ]);
        MatchTags { comparator, kind: kind.unwrap_or_default() }
    }
}

/// What a test compares its values with.
#[derive(Debug)]
pub struct Matcher {
    tags: MatchTags,
    keys: Vec<Text>,
}

impl Matcher {
    /// Constant keys are made ready here; one that cannot be a key is reported.
    pub fn new(tags: MatchTags, keys: Vec<Text>, _arguments: &mut Arguments<'_, '_>) -> Option<Matcher> {
        Some(Matcher { tags, keys })
    }

    /// Compares each value with each key. None: no value matches. Else the match variables, which are empty where the script remembers
    /// none ([`State::remembers_matches`](crate::program::state::State)) or the match type has none.
    pub fn search<V: AsRef<str>>(
        &self,
        context: &Context<'_>,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Option<Vec<String>>, RunError> {
        for value in values {
            for key in &self.keys {
                let key = key.value(context)?;
                context.charge_bytes(value.as_ref().len() + key.len())?;
                if self.compare(value.as_ref(), &key) {
                    return Ok(Some(Vec::new()));
                }
            }
        }
        Ok(None)
    }

    fn compare(&self, value: &str, key: &str) -> bool {
        match (self.tags.kind, self.tags.comparator) {
            (Kind::Contains, _) => value.to_ascii_lowercase().contains(&key.to_ascii_lowercase()),
            (_, Comparator::Octet) => value == key,
            _ => value.eq_ignore_ascii_case(key),
        }
    }
}
