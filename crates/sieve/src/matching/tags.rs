//! The tags of a test that compares: `:comparator` and a match type.

use super::{BadKey, Comparator, Key, Relation};
use crate::check::Arguments;
use crate::extension::Extension;

/// How the values of a test are compared with its keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Is,
    Contains,
    Matches,
    Regex,
    Value(Relation),
    /// The number of values, not the values.
    Count(Relation),
}

/// What the match type and the comparator of a test are; `:is` and `i;ascii-casemap` where it names none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatchTags {
    pub comparator: Comparator,
    pub kind: Kind,
}

impl MatchTags {
    /// Takes them from the arguments; a wrong one is reported.
    pub fn take(arguments: &mut Arguments<'_, '_>) -> MatchTags {
        let comparator = match arguments.tagged_constant(":comparator", None) {
            Some(name) => named(&name, arguments),
            None => Comparator::default(),
        };
        let kind = arguments.one_of(&[
            (":is", None, Kind::Is),
            (":contains", None, Kind::Contains),
            (":matches", None, Kind::Matches),
            (":regex", Some(Extension::Regex), Kind::Regex),
        ]);
        let value = relation(":value", arguments).map(Kind::Value);
        let count = relation(":count", arguments).map(Kind::Count);
        let mut kinds = [kind, value, count].into_iter().flatten();
        let kind = kinds.next();
        if kinds.next().is_some() {
            arguments.fail(arguments.line, "match types exclude each other");
        }
        let tags = MatchTags { comparator, kind: kind.unwrap_or_default() };
        if let Some(problem) = tags.problem() {
            arguments.fail(arguments.line, problem);
        }
        tags
    }

    /// What is wrong with the two together: RFC 4790 section 9.1.
    pub(super) fn problem(self) -> Option<&'static str> {
        match (self.comparator, self.kind) {
            (Comparator::AsciiNumeric, Kind::Contains) => {
                Some("i;ascii-numeric cannot be used with :contains")
            }
            (Comparator::AsciiNumeric, Kind::Matches) => Some("i;ascii-numeric cannot be used with :matches"),
            (Comparator::AsciiNumeric, Kind::Regex) => Some("i;ascii-numeric cannot be used with :regex"),
            _ => None,
        }
    }

    /// A key made ready. Only a pattern can be bad.
    pub(super) fn key(self, key: &str) -> Result<Key, BadKey> {
        Key::new(self, key)
    }
}

fn named(name: &str, arguments: &mut Arguments<'_, '_>) -> Comparator {
    let Some(comparator) = Comparator::parse(name) else {
        arguments.fail(arguments.line, format!("unknown comparator {name}"));
        return Comparator::default();
    };
    if let Some(extension) = comparator.extension()
        && !arguments.checker.has(extension)
    {
        arguments.fail(arguments.line, format!("{name} needs require \"{}\"", extension.name()));
    }
    comparator
}

fn relation(tag: &str, arguments: &mut Arguments<'_, '_>) -> Option<Relation> {
    let name = arguments.tagged_constant(tag, Some(Extension::Relational))?;
    let relation = Relation::parse(&name);
    if relation.is_none() {
        arguments.fail(arguments.line, format!("{tag} takes gt, ge, lt, le, eq or ne, not {name}"));
    }
    relation
}
