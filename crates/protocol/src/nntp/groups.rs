//! Groups and mailboxes: which mailbox is a group, and what each is called (`newsprefix`, `newsgroups`).
//!
//! | `newsprefix` | mailbox | group |
//! | --- | --- | --- |
//! | none | `comp.test` | `comp.test` |
//! | `news` | `news.comp.test` | `comp.test` |
//! | any | `user.fred`, `DELETED.…`, one of a virtual domain | none |

use super::wildmat::{NotAWildmat, Wildmat};
use super::words::GroupName;
use crate::name::MailboxName;

/// How groups and mailboxes are named after each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// With its dot; empty: none.
    prefix: String,
    /// Over internal names, with the prefix.
    served: Wildmat,
}

impl Groups {
    /// By `newsprefix` and `newsgroups`.
    pub fn new(prefix: Option<&str>, newsgroups: &str) -> Result<Groups, NotAWildmat> {
        let prefix =
            match prefix.map(|prefix| prefix.trim_end_matches('.')).filter(|prefix| !prefix.is_empty()) {
                Some(prefix) => format!("{prefix}."),
                None => String::new(),
            };
        let patterns: Vec<&str> = newsgroups.split(|c: char| c == ',' || c.is_whitespace()).collect();
        let patterns: Vec<&str> = patterns.into_iter().filter(|pattern| !pattern.is_empty()).collect();
        let served = Wildmat::below(&prefix, &patterns.join(","))?;
        Ok(Groups { prefix, served })
    }

    /// The group that a mailbox is.
    pub fn group(&self, mailbox: &MailboxName) -> Option<GroupName> {
        let name = mailbox.as_str();
        let is_news = mailbox.domain().is_none() && !is_others(name) && self.served.matches(name);
        name.strip_prefix(&self.prefix).filter(|_| is_news).and_then(GroupName::parse)
    }

    /// The mailbox of a group; none: nothing of this name is served.
    pub fn mailbox(&self, group: &GroupName) -> Option<MailboxName> {
        let mailbox = MailboxName::parse(&format!("{}{group}", self.prefix)).ok()?;
        self.group(&mailbox).is_some().then_some(mailbox)
    }

    /// What all names of mailboxes that are groups begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

/// Whether a name is that of a user's mailbox, or of one that is deleted, and never a group's.
fn is_others(name: &str) -> bool {
    let top = name.split('.').next().unwrap_or_default();
    top == "user" || top == "DELETED" || name.eq_ignore_ascii_case("INBOX")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(groups: &Groups, mailbox: &str) -> Option<String> {
        groups.group(&MailboxName::parse(mailbox).unwrap()).map(|group| group.to_string())
    }

    #[test]
    fn shared_mailboxes_below_the_prefix_are_groups() {
        let all = Groups::new(None, "*").unwrap();
        assert_eq!(group(&all, "comp.test").as_deref(), Some("comp.test"));
        for other in
            ["user.fred", "user.fred.a", "DELETED.user.fred.5", "dom!comp.test", "INBOX", "user", "a b"]
        {
            assert_eq!(group(&all, other), None, "{other}");
        }
        let below = Groups::new(Some("news"), "*").unwrap();
        assert_eq!(group(&below, "news.comp^test").as_deref(), Some("comp^test"));
        assert_eq!(group(&below, "comp.test"), None);
        assert_eq!(group(&below, "news"), None);
        let test = GroupName::parse("comp.test").unwrap();
        assert_eq!(below.mailbox(&test), MailboxName::parse("news.comp.test").ok());
    }

    #[test]
    fn the_last_pattern_of_newsgroups_that_matches_decides() {
        let groups = Groups::new(Some("news."), "*, !alt.*, alt.test").unwrap();
        let served = |name: &str| groups.mailbox(&GroupName::parse(name).unwrap()).is_some();
        assert!(served("comp.test") && served("alt.test") && !served("alt.x"));
        assert!(Groups::new(None, "").is_err() && Groups::new(None, "a[").is_err());
    }
}
