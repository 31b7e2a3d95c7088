//! LIST patterns: RFC 3501 section 6.3.8, with one reference already in front.
//!
//! A client chooses the pattern, so its work is bounded whatever it holds: runs of wildcards are folded into one, a
//! pattern with more plain bytes than any name has matches nothing, and what is left runs as a set of states, a bit
//! each. One byte of a name costs one pass over [`WORDS`] words at most: no pattern makes the matcher go back.

use std::borrow::Cow;

use crate::{name, namespace::Hierarchy};

/// A LIST pattern. `%` stops at the separator, `*` does not.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// Wildcards are folded: no two stand side by side.
    text: Vec<u8>,
    sep: u8,
    hierarchy: Hierarchy,
    /// States in which the next byte of the pattern is `*`, or `%`.
    star: Vec<u64>,
    percent: Vec<u64>,
    /// States in which the next byte of the pattern is this plain byte, for each that the pattern has.
    plain: Vec<(u8, Vec<u64>)>,
}

impl Pattern {
    pub(crate) fn new(text: &str, sep: char) -> Self {
        let hierarchy = Hierarchy::new(sep, false);
        let sep = sep as u8;
        let mut bytes = folded(text.as_bytes());
        let first = bytes.iter().position(|&b| b == sep || is_wildcard(b)).unwrap_or(bytes.len());
        if first == 5 && bytes.get(..5).is_some_and(|p| p.eq_ignore_ascii_case(b"INBOX")) {
            bytes.splice(..5, *b"INBOX");
        }
        let words = bytes.len() / 64 + 1;
        let mut pattern = Pattern {
            text: bytes,
            sep,
            hierarchy,
            star: vec![0; words],
            percent: vec![0; words],
            plain: Vec::new(),
        };
        if pattern.is_endless() {
            return pattern;
        }
        for (state, &byte) in pattern.text.iter().enumerate() {
            let states = match byte {
                b'*' => &mut pattern.star,
                b'%' => &mut pattern.percent,
                _ => {
                    let at = pattern.plain.binary_search_by_key(&byte, |(plain, _)| *plain);
                    let at = at.unwrap_or_else(|at| {
                        pattern.plain.insert(at, (byte, vec![0; words]));
                        at
                    });
                    &mut pattern.plain[at].1
                }
            };
            states[state / 64] |= 1 << (state % 64);
        }
        pattern
    }

    /// The same pattern for names that are made so: `%` passes the dots of a domain.
    pub fn over(mut self, hierarchy: Hierarchy) -> Self {
        self.hierarchy = hierarchy;
        self
    }

    /// Whether the whole external name matches.
    pub fn matches(&self, external: &str) -> bool {
        let mut whole = false;
        self.run(external, |at| whole = at == external.len());
        whole
    }

    /// The ancestors of a name that match, shortest first: what LIST shows as `\NonExistent` parents for `%`.
    pub fn matched_ancestors<'a>(&self, external: &'a str) -> Vec<Cow<'a, str>> {
        let mut found = Vec::new();
        if self.hierarchy.levels(external) < external.len() {
            found.extend(self.hierarchy.above(external).filter(|above| self.matches(above)));
            found.reverse();
            return found;
        }
        self.run(external, |at| {
            if at > 0 && external.as_bytes().get(at) == Some(&self.sep) {
                found.extend(external.get(..at).map(Cow::Borrowed));
            }
        });
        found
    }

    /// The text before the first wildcard: all matching names begin with it (INBOX in any case).
    pub fn fixed_prefix(&self) -> &str {
        let end = self.text.iter().position(|&b| is_wildcard(b)).unwrap_or(self.text.len());
        self.text.get(..end).and_then(|p| std::str::from_utf8(p).ok()).unwrap_or_default()
    }

    /// Whether no name is as long as what the pattern wants.
    fn is_endless(&self) -> bool {
        self.text.len() >= WORDS * 64
    }

    /// Calls `ends` with each length of a beginning of `name` that the pattern matches, ascending.
    fn run(&self, name: &str, mut ends: impl FnMut(usize)) {
        if self.is_endless() {
            return;
        }
        let (levels, name) = (self.hierarchy.levels(name), name.as_bytes());
        // Bit p: the pattern's first p bytes match what was read of the name.
        let mut live = vec![0; self.star.len()];
        live[0] = 1;
        self.pass_wildcards(&mut live);
        let last = self.text.len();
        let mut at = 0;
        loop {
            if live[last / 64] >> (last % 64) & 1 == 1 {
                ends(at);
            }
            let Some(&byte) = name.get(at) else { return };
            if live.iter().all(|word| *word == 0) {
                return;
            }
            let stops = byte == self.sep && at < levels;
            self.step(&mut live, byte, at < 5 && self.is_inbox(name), stops);
            self.pass_wildcards(&mut live);
            at += 1;
        }
    }

    /// The states after one more byte of the name, at which `%` `stops` or does not.
    fn step(&self, live: &mut [u64], byte: u8, any_case: bool, stops: bool) {
        let plain = |byte: u8| {
            let at = self.plain.binary_search_by_key(&byte, |(plain, _)| *plain).ok()?;
            self.plain.get(at).map(|(_, states)| states)
        };
        let (this, other) = match any_case {
            true => (plain(byte.to_ascii_lowercase()), plain(byte.to_ascii_uppercase())),
            false => (plain(byte), None),
        };
        let mut carried = 0;
        for (at, word) in live.iter_mut().enumerate() {
            let of =
                |states: Option<&Vec<u64>>| states.and_then(|states| states.get(at)).copied().unwrap_or(0);
            let taken = *word & (of(this) | of(other));
            let percent = if stops { 0 } else { self.percent[at] };
            *word = *word & (self.star[at] | percent) | taken << 1 | carried;
            carried = taken >> 63;
        }
    }

    /// A wildcard may stand for nothing. None follows another, so one pass is enough.
    fn pass_wildcards(&self, live: &mut [u64]) {
        let mut carried = 0;
        for (at, word) in live.iter_mut().enumerate() {
            let passed = *word & (self.star[at] | self.percent[at]);
            *word |= passed << 1 | carried;
            carried = passed >> 63;
        }
    }

    fn is_inbox(&self, name: &[u8]) -> bool {
        name.get(..5).is_some_and(|n| n.eq_ignore_ascii_case(b"INBOX"))
            && name.get(5).is_none_or(|&b| b == self.sep)
    }
}

/// A run of wildcards is one: `*` if it holds one. What is longer than any name can be is cut off, just above the limit.
fn folded(text: &[u8]) -> Vec<u8> {
    let mut folded: Vec<u8> = Vec::with_capacity(text.len().min(WORDS * 64));
    for &byte in text {
        let full = folded.len() >= WORDS * 64;
        match folded.last_mut() {
            Some(last) if is_wildcard(*last) && is_wildcard(byte) => {
                if byte == b'*' {
                    *last = byte;
                }
            }
            _ if full => break,
            _ => folded.push(byte),
        }
    }
    folded
}

fn is_wildcard(byte: u8) -> bool {
    matches!(byte, b'%' | b'*')
}

/// Words of states: a name as the client calls it has at most [`name::MAX`] bytes and a prefix of its namespace, and a
/// pattern that matches it a wildcard between any two.
const WORDS: usize = (2 * (name::MAX + PREFIX)).div_ceil(64);
/// Bytes of `Other Users/` or `Shared Folders/`, which are options.
const PREFIX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text, '/')
    }

    /// The definition, word by word.
    fn defined(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) | (Some((b'%', rest)), None) => defined(rest, name),
            (Some((b'*', rest)), Some((_, tail))) => defined(rest, name) || defined(pattern, tail),
            (Some((b'%', rest)), Some((byte, tail))) => {
                defined(rest, name) || (*byte != b'/' && defined(pattern, tail))
            }
            (Some((want, rest)), Some((byte, tail))) => want == byte && defined(rest, tail),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    #[test]
    fn patterns_match_names() {
        let hit = |p: &str, n: &str| pattern(p).matches(n);
        assert!(hit("*", "a/b/c") && hit("%", "a") && !hit("%", "a/b") && hit("a/%", "a/b"));
        assert!(hit("inbox", "INBOX") && hit("In*", "INBOX") && !hit("SENT", "Sent"));
        assert!(hit("inbox/%", "INBOX/a") && !hit("inboxes", "INBOXES"));
        assert!(hit("a*c", "a/b/c") && hit("%/%", "a/b") && !hit("%/%", "a"));
        assert_eq!(pattern("%").matched_ancestors("a/b/c"), ["a"]);
        assert_eq!(pattern("*").matched_ancestors("a/b/c"), ["a", "a/b"]);
        assert_eq!(pattern("Other Users/b%").fixed_prefix(), "Other Users/b");
        let evil = "%*".repeat(500);
        assert!(!hit(&format!("{evil}x"), &"a/".repeat(200)));
    }

    #[test]
    fn a_level_of_an_admins_names_ends_before_the_domain() {
        let pattern = |text: &str| Pattern::new(text, '.').over(Hierarchy::new('.', true));
        for (text, name, fits) in [
            ("user.%", "user.fred@d.org", true),
            ("user.%", "user.fred.a@d.org", false),
            ("user.%@d.org", "user.fred@d.org", true),
            ("*@d.org", "user.fred.a@d.org", true),
            ("%", "news@d.org", true),
            ("user.fred", "user.fred@d.org", false),
        ] {
            assert_eq!(pattern(text).matches(name), fits, "{text} {name}");
        }
        assert_eq!(pattern("user.%").matched_ancestors("user.fred.a.b@d.org"), ["user.fred@d.org"]);
        assert_eq!(pattern("%").matched_ancestors("user.fred.a@d.org"), ["user"]);
        assert!(pattern("%@d.org").matched_ancestors("user.fred@d.org").is_empty());
    }

    /// A pattern of 100 kB costs no more states than one that a name can match: the work of a byte of a name is that
    /// many bits, and nothing else in it depends on the pattern.
    #[test]
    fn a_pattern_of_any_length_has_a_bounded_number_of_states() {
        for evil in ["a%*".repeat(40_000), "%".repeat(100_000), "*a".repeat(50_000), "a".repeat(100_000)] {
            let pattern = pattern(&evil);
            assert!(pattern.star.len() <= WORDS + 1 && pattern.text.len() <= WORDS * 64);
        }
        let longest = "a".repeat(name::MAX);
        assert!(pattern(&"a%*".repeat(name::MAX)).matches(&longest));
        assert!(!pattern(&"a%*".repeat(name::MAX + 1)).matches(&longest));
        assert!(!pattern(&"a%*".repeat(40_000)).matches(&longest));
        assert!(pattern(&"%".repeat(100_000)).matches(&longest));
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_its_definition_says(text in "[ab/%*]{0,12}", name in "[ab/]{0,10}") {
            let pattern = pattern(&text);
            prop_assert_eq!(pattern.matches(&name), defined(text.as_bytes(), name.as_bytes()));
            let parents: Vec<&str> = (name.match_indices('/').map(|(at, _)| &name[..at]))
                .filter(|parent| !parent.is_empty() && defined(text.as_bytes(), parent.as_bytes()))
                .collect();
            prop_assert_eq!(pattern.matched_ancestors(&name), parents);
        }

        /// States beyond the first word work as those in it.
        #[test]
        fn a_long_pattern_matches_what_its_definition_says(head in 50usize..140, text in "[ab/%*]{0,8}", name in "[ab/]{0,8}") {
            let front = "x".repeat(head);
            let (text, name) = (format!("{front}{text}"), format!("{front}{name}"));
            prop_assert_eq!(pattern(&text).matches(&name), defined(text.as_bytes(), name.as_bytes()));
        }
    }
}
