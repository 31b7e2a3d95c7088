//! The set of capabilities that a server announced: IMAP's CAPABILITY, POP3's CAPA, LMTP's LHLO lines.

use std::fmt;

use crate::limits::MAX_ITEMS;

/// Capabilities in the server's order, compared without case. POP3's and LMTP's lines are held whole
/// (`SASL PLAIN SCRAM-SHA-256`, `SIZE 1000`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    items: Vec<String>,
}

impl Capabilities {
    /// From IMAP's blank-separated list.
    pub fn from_words(words: &str) -> Self {
        words.split_ascii_whitespace().map(str::to_owned).collect()
    }

    /// Whether `item` is announced, as a word (`IDLE`) or as the first word of a line (`STLS`).
    pub fn has(&self, item: &str) -> bool {
        self.line(item).is_some()
    }

    /// The words after the first one of the line `item` (`SASL` → `PLAIN LOGIN`).
    pub fn line(&self, item: &str) -> Option<&str> {
        self.items.iter().find_map(|held| {
            let (head, tail) = held.split_once(' ').unwrap_or((held, ""));
            head.eq_ignore_ascii_case(item).then_some(tail)
        })
    }

    /// The mechanisms announced: `AUTH=X` words, or the words of an `AUTH`/`SASL` line.
    pub fn mechanisms(&self) -> Vec<&str> {
        let words = self.items.iter().filter_map(|item| prefix_stripped(item, "AUTH="));
        let lines =
            ["AUTH", "SASL"].iter().filter_map(|name| self.line(name)).flat_map(str::split_ascii_whitespace);
        words.chain(lines).collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.items.iter().map(String::as_str)
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl FromIterator<String> for Capabilities {
    fn from_iter<T: IntoIterator<Item = String>>(items: T) -> Self {
        Capabilities { items: items.into_iter().take(MAX_ITEMS).collect() }
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.items.join(" "))
    }
}

fn prefix_stripped<'a>(item: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, tail) = item.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_lines_are_found_without_case() {
        let imap = Capabilities::from_words("IMAP4rev1 LITERAL+ auth=PLAIN AUTH=SCRAM-SHA-256 SASL-IR");
        assert!(imap.has("imap4REV1") && imap.has("SASL-IR") && !imap.has("LITERAL"));
        assert_eq!(imap.mechanisms(), ["PLAIN", "SCRAM-SHA-256"]);
        let pop: Capabilities = ["TOP", "SASL PLAIN LOGIN", "STLS"].map(str::to_owned).into_iter().collect();
        assert_eq!(pop.mechanisms(), ["PLAIN", "LOGIN"]);
        assert_eq!(pop.line("sasl"), Some("PLAIN LOGIN"));
        assert!(pop.has("STLS"));
    }
}
