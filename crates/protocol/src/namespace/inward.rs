//! From what a viewer writes to the internal name.

use std::borrow::Cow;

use super::{CrossDomains, Namespace, View, normal};
use crate::mutf7;
use crate::name::{MailboxName, NameError};

impl Namespace {
    /// The internal name of what a viewer calls `external`. A trailing separator is ignored; INBOX is known in any case.
    pub fn internal(&self, external: &str, view: &View<'_>) -> Result<MailboxName, NameError> {
        if view.utf8 {
            let coded = mutf7::encode(&normal(external)?);
            return self.internal(&coded, &View { utf8: false, ..*view });
        }
        let sep = self.separator();
        let (mine, own) = self.split_user(view.userid);
        let external = external.strip_suffix(sep).unwrap_or(external);
        let (levels, domain) = if view.admin { self.split_domain(external, own)? } else { (external, own) };
        let parts: Vec<&str> = levels.split(sep).collect();
        let [first, rest @ ..] = parts.as_slice() else { return Err(NameError::Invalid) };
        let alt = self.altnamespace && !view.admin;
        if first.eq_ignore_ascii_case("INBOX") {
            let inbox = self.inbox_of(mine, domain)?;
            return match rest {
                [] => Ok(inbox),
                // A folder of its own, whatever case INBOX is written in.
                _ if alt => {
                    let parts: Vec<&str> = std::iter::once("INBOX").chain(rest.iter().copied()).collect();
                    self.below(&inbox, &parts)
                }
                _ => self.below(&inbox, rest),
            };
        }
        if !alt {
            return match parts.as_slice() {
                ["user", owner, rest @ ..] if !view.admin => {
                    let (owner, domain) = self.crossed(owner, own)?;
                    self.whose(owner, rest, domain.as_deref())
                }
                ["user", owner, rest @ ..] => self.whose(owner, rest, domain),
                _ => self.with_domain(domain, &self.join(&parts)?),
            };
        }
        match rest {
            [owner, rest @ ..] if *first == self.userprefix => {
                let (owner, domain) = self.crossed(owner, own)?;
                self.whose(owner, rest, domain.as_deref())
            }
            [top, rest @ ..] if *first == self.sharedprefix => {
                let (top, domain) = self.crossed(top, own)?;
                if top == "user" {
                    return Err(NameError::Invalid);
                }
                let parts: Vec<&str> = std::iter::once(top).chain(rest.iter().copied()).collect();
                self.with_domain(domain.as_deref(), &self.join(&parts)?)
            }
            [clash, ..] if *first == self.altprefix && self.clashes(clash, true) => {
                self.below(&self.inbox_of(mine, own)?, rest)
            }
            _ if [&self.userprefix, &self.sharedprefix, &self.altprefix].iter().any(|top| *top == first) => {
                Err(NameError::Invalid)
            }
            _ => self.below(&self.inbox_of(mine, own)?, &parts),
        }
    }

    /// A name under which a user's view has mailboxes that have nothing else in common, and which is none itself: `Other Users`,
    /// `Shared Folders`. As it stands above them in what [`Namespace::named`] gives.
    pub fn top(&self, external: &str, view: &View<'_>) -> Option<String> {
        let plain = if view.utf8 { normal(external).ok()? } else { external.to_owned() };
        let coded = if view.utf8 { mutf7::encode(&plain) } else { plain.clone() };
        let sep = self.separator();
        let tops: &[&str] = match self.altnamespace {
            true => &[&self.userprefix, &self.sharedprefix, &self.altprefix],
            false => &["user"],
        };
        let coded = coded.strip_suffix(sep).unwrap_or(&coded);
        let is_top = !view.admin && tops.contains(&coded);
        is_top.then(|| plain.strip_suffix(sep).unwrap_or(&plain).to_owned())
    }

    /// Splits `…@domain` off an admin's name, which is of the admin's own domain (none: the default one) without. Another
    /// domain's name does not exist for an admin of one domain.
    fn split_domain<'a>(
        &self,
        external: &'a str,
        own: Option<&'a str>,
    ) -> Result<(&'a str, Option<&'a str>), NameError> {
        let Some((levels, written)) = external.rsplit_once('@').filter(|_| self.virtdomains) else {
            return Ok((external, own));
        };
        let domain = Some(written).filter(|domain| !self.is_default(domain));
        if own.is_some() && own != domain {
            return Err(NameError::Foreign);
        }
        Ok((levels.strip_suffix(self.separator()).unwrap_or(levels), domain))
    }

    /// The owner, or the top of a shared tree, as a user writes it, and its domain. A `.` of a domain is written as any
    /// other of a component.
    fn crossed<'a>(
        &self,
        written: &'a str,
        own: Option<&'a str>,
    ) -> Result<(&'a str, Option<Cow<'a, str>>), NameError> {
        match (self.crossing(), written.rsplit_once('@')) {
            (CrossDomains::Off, _) | (CrossDomains::OnlyOther, None) => Ok((written, own.map(Cow::Borrowed))),
            (CrossDomains::All, None) => Ok((written, None)),
            (CrossDomains::All | CrossDomains::OnlyOther, Some((component, domain))) => {
                if self.unixhierarchysep && domain.contains('^') {
                    return Err(NameError::Invalid);
                }
                let domain = domain.replace('^', ".");
                Ok((component, Some(domain).filter(|domain| !self.is_default(domain)).map(Cow::Owned)))
            }
        }
    }

    /// A user's mailbox, of whatever depth.
    fn whose(&self, owner: &str, rest: &[&str], domain: Option<&str>) -> Result<MailboxName, NameError> {
        let owner = self.component_in(owner)?;
        let text = match rest {
            [] => format!("user.{owner}"),
            _ => format!("user.{owner}.{}", self.join(rest)?),
        };
        self.with_domain(domain, &text)
    }

    pub(super) fn below(&self, inbox: &MailboxName, parts: &[&str]) -> Result<MailboxName, NameError> {
        MailboxName::parse(&format!("{}.{}", inbox.as_str(), self.join(parts)?))
    }

    fn join(&self, parts: &[&str]) -> Result<String, NameError> {
        let parts: Vec<String> = parts.iter().map(|p| self.component_in(p)).collect::<Result<_, _>>()?;
        if parts.is_empty() {
            return Err(NameError::Invalid);
        }
        Ok(parts.join("."))
    }

    /// One component, external to internal: `^` has no other meaning than a dot, so it cannot come from outside.
    fn component_in(&self, text: &str) -> Result<String, NameError> {
        let forbidden = if self.unixhierarchysep { text.contains('^') } else { text.contains('.') };
        if text.is_empty() || forbidden || text.contains(['!', '/']) {
            return Err(NameError::Invalid);
        }
        Ok(if self.unixhierarchysep { text.replace('.', "^") } else { text.to_owned() })
    }
}
