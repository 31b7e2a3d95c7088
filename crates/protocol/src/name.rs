//! Mailbox names in their internal form: the one that MUPDATE, the mailboxes database and every journal carry,
//! whatever a client sees (`namespace`).
//!
//! The separator is `.`; a user's mailboxes are `user.<name>` and below; a literal dot inside a component is `^`;
//! with virtual domains `domain!` stands in front, but for the default domain's. Components are modified UTF-7.

use std::{cmp::Ordering, fmt, sync::Arc};

/// An internal mailbox name. Cheap to clone; ordered as the mailboxes database and MUPDATE listings are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MailboxName(Arc<str>);

impl MailboxName {
    /// Any name a peer may hold: 1 to [`MAX`] bytes, without control characters. What may be *created* is checked by
    /// `Namespace::check_create`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > MAX || text.bytes().any(|b| b < b' ' || b == 0x7f) {
            return Err(NameError::Invalid);
        }
        Ok(MailboxName(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The database key: bytes that sort as Cyrus 3.6 and later order their list. The first `!` becomes 0x1D, each
    /// `.` after the domain 0x1F, then `^` becomes `.`.
    pub fn key(&self) -> Vec<u8> {
        self.key_bytes().collect()
    }

    /// The name of a key, if it is one.
    pub fn from_key(key: &[u8]) -> Result<Self, NameError> {
        let domain_end = key.iter().position(|&b| b == DOMAIN_MARK);
        let text: Vec<u8> = key
            .iter()
            .enumerate()
            .map(|(at, &b)| match b {
                DOMAIN_MARK => b'!',
                SEPARATOR_MARK => b'.',
                b'.' if domain_end.is_none_or(|end| at > end) => b'^',
                other => other,
            })
            .collect();
        let text = std::str::from_utf8(&text).map_err(|_| NameError::Invalid)?;
        MailboxName::parse(text)
    }

    fn key_bytes(&self) -> impl Iterator<Item = u8> + '_ {
        let domain = self.domain().map_or(0, |domain| domain.len() + 1);
        self.0.bytes().enumerate().map(move |(at, b)| match b {
            b'!' if at + 1 == domain => DOMAIN_MARK,
            b'.' if at >= domain => SEPARATOR_MARK,
            b'^' if at >= domain => b'.',
            other => other,
        })
    }

    /// The text before `!`.
    pub fn domain(&self) -> Option<&str> {
        self.0.split_once('!').map(|(domain, _)| domain)
    }

    /// The name without its domain.
    pub fn local(&self) -> &str {
        self.0.split_once('!').map_or(&self.0, |(_, local)| local)
    }

    /// Components of the local part, internal form.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.local().split('.')
    }

    /// The name above: `user.fred.a` gives `user.fred`, which gives none, since `user` is no mailbox.
    pub fn parent(&self) -> Option<MailboxName> {
        let (parent, _) = self.0.rsplit_once('.')?;
        let name = MailboxName(parent.into());
        let local = name.local();
        (!local.is_empty() && local != "user" && self.0.len() - self.local().len() <= parent.len())
            .then_some(name)
    }

    /// The name one component (internal form) below.
    pub fn child(&self, component: &str) -> Result<MailboxName, NameError> {
        MailboxName::parse(&format!("{}.{component}", self.0))
    }

    /// Whether this name lies below `other` (not the same).
    pub fn is_below(&self, other: &MailboxName) -> bool {
        self.0.strip_prefix(&*other.0).is_some_and(|rest| rest.starts_with('.'))
    }

    /// This name with the part that is `from` replaced by `to`: for a rename of a tree.
    pub fn moved(&self, from: &MailboxName, to: &MailboxName) -> Option<MailboxName> {
        let rest = self.0.strip_prefix(&*from.0)?;
        (rest.is_empty() || rest.starts_with('.')).then(|| MailboxName(format!("{}{rest}", to.0).into()))
    }

    /// The user whose mailbox this is: `user.fred^x.a` gives `fred.x`, `dom!user.fred` gives `fred@dom`.
    pub fn owner(&self) -> Option<String> {
        let rest = self.local().strip_prefix("user.")?;
        let end = rest.bytes().position(|b| b == b'.').unwrap_or(rest.len());
        let mut local = rest.get(..end).filter(|local| !local.is_empty())?.to_owned();
        if local.bytes().any(|b| b == b'^') {
            local = local.replace('^', ".");
        }
        Some(match self.domain() {
            Some(domain) => format!("{local}@{domain}"),
            None => local,
        })
    }

    /// The INBOX of this name's owner.
    pub fn inbox(&self) -> Option<MailboxName> {
        let rest = self.local().strip_prefix("user.")?;
        let user = rest.split('.').next().filter(|u| !u.is_empty())?;
        let end = self.0.len() - rest.len() + user.len();
        self.0.get(..end).map(|text| MailboxName(text.into()))
    }

    /// Whether this is a user's INBOX.
    pub fn is_inbox(&self) -> bool {
        self.local().strip_prefix("user.").is_some_and(|rest| !rest.is_empty() && !rest.contains('.'))
    }
}

impl Ord for MailboxName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key_bytes().cmp(other.key_bytes())
    }
}

impl PartialOrd for MailboxName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("Invalid mailbox name")]
    Invalid,
    /// A name that this viewer cannot have: another domain, say.
    #[error("Mailbox does not exist")]
    Foreign,
}

/// Bytes of a name at most, in memory and on the wire: Cyrus's buffers. Creation is bounded lower.
pub const MAX: usize = 1023;
const DOMAIN_MARK: u8 = 0x1d;
const SEPARATOR_MARK: u8 = 0x1f;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text).unwrap()
    }

    #[test]
    fn names_sort_by_key_not_by_text() {
        let mut names = ["user.a-b", "user.a.b", "user.a", "user.a^b", "user.ab", "x!user.a", "user.a b"]
            .map(name)
            .to_vec();
        names.sort();
        let texts: Vec<_> = names.iter().map(|n| n.as_str()).collect();
        assert_eq!(texts, ["user.a", "user.a.b", "user.a b", "user.a-b", "user.a^b", "user.ab", "x!user.a"]);
    }

    #[test]
    fn parts_of_a_name() {
        let n = name("ex.org!user.john^doe.Sent.2024");
        assert_eq!(n.domain(), Some("ex.org"));
        assert_eq!(n.owner().unwrap(), "john.doe@ex.org");
        assert_eq!(n.inbox().unwrap().as_str(), "ex.org!user.john^doe");
        assert!(n.inbox().unwrap().is_inbox() && !n.is_inbox());
        assert_eq!(n.parent().unwrap().as_str(), "ex.org!user.john^doe.Sent");
        assert_eq!(name("user.fred").parent(), None);
        assert_eq!(name("ex.org!shared").parent(), None);
        assert_eq!(name("shared.x").parent().unwrap().as_str(), "shared");
        assert!(name("user.fred.a").is_below(&name("user.fred")));
        assert!(!name("user.fred2").is_below(&name("user.fred")));
        assert_eq!(
            name("user.a.b.c").moved(&name("user.a.b"), &name("user.z")).unwrap().as_str(),
            "user.z.c"
        );
        assert_eq!(name("user.a.bc").moved(&name("user.a.b"), &name("user.z")), None);
        assert!(MailboxName::parse("").is_err() && MailboxName::parse("a\tb").is_err());
    }

    proptest! {
        #[test]
        fn a_key_gives_its_name_back(text in "([a-z.]{1,8}!)?[a-z .^-]{1,20}") {
            let n = name(&text);
            prop_assert_eq!(MailboxName::from_key(&n.key()).unwrap(), n);
        }

        #[test]
        fn order_is_the_order_of_keys(a in "([ab.]{1,3}!)?[a-c .^-]{1,8}", b in "([ab.]{1,3}!)?[a-c .^-]{1,8}") {
            prop_assert_eq!(name(&a).cmp(&name(&b)), name(&a).key().cmp(&name(&b).key()));
        }
    }
}
