//! Patterns over names of groups and over texts of fields: RFC 3977 section 4, and the sets of characters that Cyrus has besides.
//!
//! ```text
//! wildmat         = wildmat-pattern *("," ["!"] wildmat-pattern)     ; the rightmost pattern that matches decides
//! wildmat-pattern = 1*(wildmat-exact / "*" / "?" / set)              ; the first one may be negated, too
//! set             = "[" ["^"] 1*(CHAR / CHAR "-" CHAR) "]"           ; not in the RFC
//! ```
//!
//! A pattern is compared in at most pattern × text steps and without recursion: after a mismatch only the last `*` is tried further on.

use std::fmt;

/// A list of patterns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildmat {
    text: String,
    patterns: Vec<Pattern>,
}

/// A list that is none: an empty pattern, a set without end, or more patterns than [`PATTERNS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a wildmat")]
pub struct NotAWildmat;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    negated: bool,
    items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Exactly(char),
    /// One character.
    Any,
    /// Any number of them.
    Star,
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Wildmat {
    /// Reads a list.
    pub fn parse(text: &str) -> Result<Wildmat, NotAWildmat> {
        Wildmat::read(text, "")
    }

    /// Reads a list of which each pattern has `prefix` in front, as it stands: `newsgroups` with `newsprefix`.
    pub fn below(prefix: &str, text: &str) -> Result<Wildmat, NotAWildmat> {
        Wildmat::read(text, prefix)
    }

    /// One pattern as it is, in which a comma is a character: XPAT.
    pub fn single(text: &str) -> Result<Wildmat, NotAWildmat> {
        let patterns = vec![Pattern::parse(text, "")?];
        Ok(Wildmat { text: text.to_owned(), patterns })
    }

    /// What matches everything.
    pub fn all() -> Wildmat {
        let patterns = vec![Pattern { negated: false, items: vec![Item::Star] }];
        Wildmat { text: "*".to_owned(), patterns }
    }

    /// Whether the rightmost pattern that matches is not a negated one.
    pub fn matches(&self, text: &str) -> bool {
        self.patterns.iter().rev().find(|pattern| pattern.matches(text)).is_some_and(|found| !found.negated)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn read(text: &str, prefix: &str) -> Result<Wildmat, NotAWildmat> {
        let mut patterns = Vec::new();
        for pattern in text.split(',') {
            if patterns.len() == PATTERNS {
                return Err(NotAWildmat);
            }
            patterns.push(Pattern::parse(pattern, prefix)?);
        }
        Ok(Wildmat { text: text.to_owned(), patterns })
    }
}

impl fmt::Display for Wildmat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Pattern {
    fn parse(text: &str, prefix: &str) -> Result<Pattern, NotAWildmat> {
        let (negated, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut items: Vec<Item> = prefix.chars().map(Item::Exactly).collect();
        let mut chars = text.chars();
        while let Some(next) = chars.next() {
            items.push(match next {
                '*' => Item::Star,
                '?' => Item::Any,
                '[' => set(&mut chars)?,
                '\\' => Item::Exactly(chars.next().ok_or(NotAWildmat)?),
                other => Item::Exactly(other),
            });
        }
        items.dedup_by(|next, before| *next == Item::Star && *before == Item::Star);
        if text.is_empty() { Err(NotAWildmat) } else { Ok(Pattern { negated, items }) }
    }

    fn matches(&self, text: &str) -> bool {
        let (mut items, mut rest) = (self.items.as_slice(), text.chars());
        // Behind the last star, and from where on it is tried next.
        let mut star: Option<(&[Item], std::str::Chars<'_>)> = None;
        loop {
            match items.split_first() {
                Some((Item::Star, behind)) => {
                    star = Some((behind, rest.clone()));
                    items = behind;
                    continue;
                }
                Some((item, behind)) => {
                    let mut on = rest.clone();
                    if on.next().is_some_and(|next| item.takes(next)) {
                        (items, rest) = (behind, on);
                        continue;
                    }
                }
                None if rest.as_str().is_empty() => return true,
                None => {}
            }
            let Some((behind, from)) = &mut star else { return false };
            if from.next().is_none() {
                return false;
            }
            (items, rest) = (*behind, from.clone());
        }
    }
}

impl Item {
    fn takes(&self, next: char) -> bool {
        match self {
            Item::Exactly(wanted) => *wanted == next,
            Item::Any => true,
            Item::Star => false,
            Item::Set { negated, ranges } => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&next)) != *negated
            }
        }
    }
}

/// What stands behind a `[`. A `]` that comes first is a member.
fn set(chars: &mut std::str::Chars<'_>) -> Result<Item, NotAWildmat> {
    let mut on = chars.clone();
    let negated = on.next() == Some('^');
    if negated {
        chars.next();
    }
    let mut ranges = Vec::new();
    loop {
        let from = match chars.next().ok_or(NotAWildmat)? {
            ']' if !ranges.is_empty() => return Ok(Item::Set { negated, ranges }),
            from => from,
        };
        let mut on = chars.clone();
        let to = match (on.next(), on.next()) {
            (Some('-'), Some(to)) if to != ']' => {
                *chars = on;
                to
            }
            _ => from,
        };
        ranges.push((from, to));
    }
}

/// Patterns of a list: more do not fit into a command.
pub const PATTERNS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Wildmat::parse(pattern).unwrap().matches(text)
    }

    #[test]
    fn the_rightmost_pattern_that_matches_decides() {
        // RFC 3977 section 4.4.
        for (text, wanted) in [("aaa", true), ("abb", false), ("ccb", true), ("xxx", false)] {
            assert_eq!(matches("a*,!*b,*c*", text), wanted, "{text}");
        }
        assert!(matches("comp.*,!comp.os.*,comp.os.linux", "comp.os.linux"));
        assert!(!matches("!comp.*", "alt.x"), "nothing matches where everything is negated");
    }

    #[test]
    fn stars_question_marks_and_sets() {
        assert!(matches("*.te?t", "comp.test"));
        assert!(matches("\u{e4}?c", "\u{e4}\u{f6}c"), "a question mark is a character, not a byte");
        assert!(matches("alt.[a-cx]*", "alt.binaries") && !matches("alt.[a-cx]*", "alt.de"));
        assert!(matches("alt.[^a-c]*", "alt.de") && matches("a[]]b", "a]b"));
        assert!(matches("*", "") && matches("a**b", "ab") && !matches("?", ""));
        assert!(matches(r"a\*b", "a*b") && !matches(r"a\*b", "axb"));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["", "a,,b", "!", "a,", "a[b", "a[", "a\\", &vec!["a"; PATTERNS + 1].join(",")] {
            assert_eq!(Wildmat::parse(text), Err(NotAWildmat), "{text}");
        }
    }

    #[test]
    fn a_prefix_is_no_pattern() {
        let list = Wildmat::below("a*.", "x,!*.y").unwrap();
        assert!(list.matches("a*.x") && !list.matches("ab.x"));
    }

    /// The definition, with all its steps back.
    fn slowly(items: &[Item], text: &[char]) -> bool {
        match (items.split_first(), text.split_first()) {
            (None, rest) => rest.is_none(),
            (Some((Item::Star, behind)), rest) => {
                slowly(behind, text) || rest.is_some_and(|(_, rest)| slowly(items, rest))
            }
            (Some((item, behind)), Some((next, rest))) => item.takes(*next) && slowly(behind, rest),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_as_its_definition_says(pattern in "[ab*?]{1,8}", text in "[ab]{0,10}") {
            let pattern = Pattern::parse(&pattern, "").unwrap();
            let chars: Vec<char> = text.chars().collect();
            prop_assert_eq!(pattern.matches(&text), slowly(&pattern.items, &chars));
        }

        #[test]
        fn any_text_is_read_without_a_panic(pattern in ".{0,40}", text in ".{0,40}") {
            if let Ok(pattern) = Wildmat::parse(&pattern) {
                pattern.matches(&text);
            }
        }
    }

    #[test]
    fn many_stars_against_a_long_text_take_no_time() {
        let pattern = "*a".repeat(120) + "b";
        assert!(!matches(&pattern, &"a".repeat(5000)));
    }
}
