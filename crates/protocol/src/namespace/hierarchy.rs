//! The levels of a viewer's names.

use std::borrow::Cow;

/// How a viewer's names are made of levels: with virtual domains, an admin's have a domain behind them, in which nothing
/// separates levels.
#[derive(Debug, Clone, Copy)]
pub struct Hierarchy {
    separator: char,
    domains: bool,
}

impl Hierarchy {
    pub(crate) fn new(separator: char, domains: bool) -> Self {
        Hierarchy { separator, domains }
    }

    pub fn separator(self) -> char {
        self.separator
    }

    /// Bytes of a name that are its levels; what follows is its domain.
    pub(crate) fn levels(self, external: &str) -> usize {
        external.rfind('@').filter(|_| self.domains).unwrap_or(external.len())
    }

    /// The name whose levels are the first `at` bytes of this one. What is above all users is in no domain.
    pub(crate) fn cut(self, external: &str, at: usize) -> Option<Cow<'_, str>> {
        let (levels, domain) = (external.get(..at)?, external.get(self.levels(external)..)?);
        Some(match domain {
            "" => Cow::Borrowed(levels),
            _ if levels == "user" => Cow::Borrowed(levels),
            _ => Cow::Owned(format!("{levels}{domain}")),
        })
    }

    /// The names above one, whether they exist or not, the nearest first.
    pub fn above(self, external: &str) -> impl Iterator<Item = Cow<'_, str>> {
        let levels = external.get(..self.levels(external)).unwrap_or_default();
        levels.rmatch_indices(self.separator).filter_map(move |(at, _)| self.cut(external, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn above(separator: char, domains: bool, external: &str) -> Vec<String> {
        Hierarchy::new(separator, domains).above(external).map(Cow::into_owned).collect()
    }

    #[test]
    fn an_admins_names_keep_their_domain_as_they_get_shorter() {
        let expected = ["user.fred.a@d.org", "user.fred@d.org", "user"];
        assert_eq!(above('.', true, "user.fred.a.b@d.org"), expected);
        assert_eq!(above('/', true, "news/x@d.org"), ["news@d.org"]);
        assert_eq!(above('/', true, "user/fred"), ["user"]);
    }

    #[test]
    fn what_a_user_writes_behind_an_at_is_a_name() {
        assert_eq!(above('/', false, "a@b/c/d"), ["a@b/c", "a@b"]);
        assert!(above('/', false, "INBOX").is_empty());
    }
}
