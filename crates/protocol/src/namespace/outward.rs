//! From the internal name to what a viewer calls it.

use super::{CrossDomains, Namespace, View, is_domain, normal};
use crate::mutf7;
use crate::name::MailboxName;

/// A name in the viewer's form. What is no modified UTF-7 is nothing else either.
fn shown(coded: String, view: &View<'_>) -> String {
    if view.utf8 { mutf7::decode(&coded).unwrap_or(coded) } else { coded }
}

impl Namespace {
    /// What a viewer calls a mailbox; none where nothing that the viewer can write means it. Given back to
    /// [`Namespace::internal`] it is this mailbox again, and never another.
    pub fn named(&self, name: &MailboxName, view: &View<'_>) -> Option<String> {
        let coded = self.named_coded(name, view)?;
        if !view.utf8 {
            return Some(coded);
        }
        // Other texts than the one form of a name mean other mailboxes when they come back.
        mutf7::decode(&coded)
            .filter(|plain| normal(plain).is_ok_and(|normal| mutf7::encode(&normal) == coded))
    }

    fn named_coded(&self, name: &MailboxName, view: &View<'_>) -> Option<String> {
        let (mine, own) = self.split_user(view.userid);
        let domain = name.domain();
        if domain.is_some_and(|domain| self.virtdomains && (!is_domain(domain) || self.is_default(domain))) {
            return None;
        }
        if view.admin {
            return self.named_by_admin(name, own);
        }
        if domain.is_some() && !self.virtdomains {
            return None;
        }
        let parts: Vec<String> = name.components().map(|c| self.component_out(c)).collect();
        match parts.as_slice() {
            [user, owner, rest @ ..] if user == "user" => {
                let mine = mine.replace('.', "^");
                if domain == own && name.components().nth(1).is_some_and(|owner| owner == mine) {
                    return Some(self.mine(rest));
                }
                let top = if self.altnamespace { self.userprefix.as_str() } else { "user" };
                Some(self.joined(top, &self.in_domain(owner, domain, own)?, rest))
            }
            // It would be taken for the viewer's own.
            [first, ..] if first.eq_ignore_ascii_case("INBOX") && !self.altnamespace => None,
            [first, rest @ ..] if self.altnamespace => {
                Some(self.joined(&self.sharedprefix, &self.in_domain(first, domain, own)?, rest))
            }
            _ if domain != own => None,
            _ => Some(self.levels(&parts)),
        }
    }

    /// The same for a text that is shown and not given back: where the viewer has no name for it, an admin's.
    pub fn external(&self, name: &MailboxName, view: &View<'_>) -> String {
        self.named(name, view).unwrap_or_else(|| shown(self.in_full(name), view))
    }

    /// Whether LIST shows a mailbox to a user who can name it and has the right to see it. Shared mailboxes of other domains
    /// are shown to users of the default domain alone, as in Cyrus.
    pub fn shows(&self, name: &MailboxName, view: &View<'_>) -> bool {
        let own = self.split_user(view.userid).1;
        view.admin || own.is_none() || name.domain() == own || name.owner().is_some()
    }

    fn named_by_admin(&self, name: &MailboxName, own: Option<&str>) -> Option<String> {
        let inbox = name.components().next().is_some_and(|first| first.eq_ignore_ascii_case("INBOX"));
        if inbox || (own.is_some() && own != name.domain()) {
            return None;
        }
        Some(self.in_full(name))
    }

    fn in_full(&self, name: &MailboxName) -> String {
        let parts: Vec<String> = name.components().map(|c| self.component_out(c)).collect();
        let levels = self.levels(&parts);
        match name.domain() {
            Some(domain) => format!("{levels}@{domain}"),
            // What stands behind an `@` would be taken for a domain.
            None if self.virtdomains && levels.contains('@') => format!("{levels}@{}", self.defaultdomain),
            None => levels,
        }
    }

    /// A mailbox of the viewer's own, whose INBOX has no components behind it.
    fn mine(&self, rest: &[String]) -> String {
        let sep = self.separator();
        match rest {
            [] => "INBOX".to_owned(),
            [first, below @ ..] if self.altnamespace && self.clashes(first, below.is_empty()) => {
                format!("{}{sep}{}", self.altprefix, self.levels(rest))
            }
            _ if self.altnamespace => self.levels(rest),
            _ => format!("INBOX{sep}{}", self.levels(rest)),
        }
    }

    /// An owner or the top of a shared tree, with its domain where the viewer writes one.
    fn in_domain(&self, component: &str, domain: Option<&str>, own: Option<&str>) -> Option<String> {
        let plain = match self.crossing() {
            CrossDomains::Off if domain != own => return None,
            CrossDomains::Off => true,
            CrossDomains::All => false,
            CrossDomains::OnlyOther => domain == own && !component.contains('@'),
        };
        if plain {
            return Some(component.to_owned());
        }
        let domain = domain.unwrap_or(&self.defaultdomain);
        let domain = if self.unixhierarchysep { domain.to_owned() } else { domain.replace('.', "^") };
        Some(format!("{component}@{domain}"))
    }

    fn joined(&self, top: &str, second: &str, rest: &[String]) -> String {
        let sep = self.separator();
        let mut text = format!("{top}{sep}{second}");
        for part in rest {
            text.push(sep);
            text.push_str(part);
        }
        text
    }

    fn levels(&self, parts: &[String]) -> String {
        parts.join(&self.separator().to_string())
    }

    /// Whether a user's own top-level folder would be taken for something else under altnamespace; `alone`: the folder
    /// itself, not what is below it.
    pub(super) fn clashes(&self, first: &str, alone: bool) -> bool {
        (first.eq_ignore_ascii_case("INBOX") && (alone || first != "INBOX"))
            || [&self.userprefix, &self.sharedprefix, &self.altprefix].iter().any(|p| *p == first)
    }
}
