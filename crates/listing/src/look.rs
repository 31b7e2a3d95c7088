//! What one user sees of the list of mailboxes.
//!
//! It is gathered from the user's own mailboxes and from what ACLs grant, never from all there is; an admin sees all.

use std::collections::{HashMap, HashSet};

use mailboxes::{Entry, LIST_PAGE, List};
use protocol::acl::{Acl, Granting, Rights, Who};
use protocol::name::MailboxName;
use protocol::namespace::{Hierarchy, Namespace, View, normal};
use protocol::pattern::Pattern;
use work::aside::{Budget, Spent};

/// Who looks, and where: all that is needed on another thread.
#[derive(Clone)]
pub struct Viewer {
    pub list: List,
    pub namespace: Namespace,
    pub granting: Granting,
    pub userid: String,
    pub groups: Vec<String>,
    pub admin: bool,
    /// Names are told and taken in UTF-8.
    pub utf8: bool,
    /// The user's INBOX, whether there is one or not.
    pub inbox: Option<MailboxName>,
    /// `disable_user_namespace`, `disable_shared_namespace`
    pub hides_users: bool,
    pub hides_shared: bool,
}

/// Why looking did not come to its end.
#[derive(Debug)]
pub enum Unseen {
    Spent(Spent),
    Unreadable(mailboxes::Error),
}

impl From<Spent> for Unseen {
    fn from(spent: Spent) -> Unseen {
        Unseen::Spent(spent)
    }
}

impl From<mailboxes::Error> for Unseen {
    fn from(error: mailboxes::Error) -> Unseen {
        Unseen::Unreadable(error)
    }
}

/// A mailbox that the user may see.
#[derive(Debug, Clone)]
pub struct Seen {
    pub name: MailboxName,
    /// What the user calls it.
    pub external: String,
    pub rights: Rights,
    pub server: String,
}

impl Viewer {
    pub fn view(&self) -> View<'_> {
        View { userid: &self.userid, admin: self.admin, utf8: self.utf8 }
    }

    /// What the user calls a mailbox; none where the user can call it nothing.
    pub fn named(&self, name: &MailboxName) -> Option<String> {
        self.namespace.named(name, &self.view())
    }

    /// The same for what LIST may show at all.
    pub fn listed(&self, name: &MailboxName) -> Option<String> {
        self.named(name).filter(|_| self.namespace.shows(name, &self.view()))
    }

    /// How the user's names are made of levels.
    pub fn hierarchy(&self) -> Hierarchy {
        self.namespace.hierarchy(&self.view())
    }

    /// A pattern with its reference, in the form in which names are told.
    pub fn pattern(&self, reference: &str, pattern: &str) -> Pattern {
        // What no name can be fits none, as it stands.
        let normal = |text: &str| match self.utf8 {
            true => normal(text).unwrap_or_else(|_| text.to_owned()),
            false => text.to_owned(),
        };
        self.namespace.pattern(&normal(reference), &normal(pattern)).over(self.hierarchy())
    }

    /// The mailboxes that a pattern fits. Blocks.
    pub fn fitting(&self, pattern: &Pattern, budget: &Budget) -> Result<Vec<Seen>, Unseen> {
        let pattern = &pattern.clone().over(self.hierarchy());
        let sight = Sight::of(self, &[pattern.fixed_prefix()], budget)?;
        let mut fitting = Vec::new();
        for seen in sight.mailboxes {
            budget.check()?;
            fitting.extend(pattern.matches(&seen.external).then_some(seen));
        }
        Ok(fitting)
    }

    /// Whether the user may create a mailbox of this name, as far as the list says it.
    pub fn may_create(&self, name: &MailboxName) -> Result<bool, mailboxes::Error> {
        if self.namespace.check_create(name).is_err()
            || self.namespace.is_deleted(name)
            || self.list.get(name)?.is_some()
        {
            return Ok(false);
        }
        if let Some(inbox) = name.inbox().filter(|inbox| inbox != name)
            && self.list.get(&inbox)?.is_none()
        {
            return Ok(false);
        }
        let mut above = name.parent();
        while let Some(parent) = above.filter(|_| !self.admin) {
            if let Some(entry) = self.list.get(&parent)? {
                return Ok(self.rights(&parent, &entry.acl).contains(Rights::CREATE));
            }
            above = parent.parent();
        }
        Ok(self.admin)
    }

    /// The user's rights by an ACL and by owning the mailbox.
    fn rights(&self, name: &MailboxName, acl: &str) -> Rights {
        let who = Who { userid: &self.userid, groups: &self.groups };
        let owner = self.namespace.owner(name).is_some_and(|owner| owner == self.userid);
        self.granting.rights(&Acl::parse(acl), who, owner)
    }

    /// The entry as the user sees it, if that may be, and its name begins (or ends above) as one of the prefixes does.
    fn see(&self, name: MailboxName, entry: &Entry, prefixes: &[&str]) -> Option<Seen> {
        let seen = self.known(name, entry)?;
        if !self.admin && !seen.rights.contains(Rights::LOOKUP) {
            return None;
        }
        prefixes.iter().any(|prefix| related(&seen.external, prefix)).then_some(seen)
    }

    /// The entry with the user's rights on it, unless it is hidden from him by its kind or its state.
    pub(crate) fn known(&self, name: MailboxName, entry: &Entry) -> Option<Seen> {
        let hidden = match rank(&name, self.inbox.as_ref()) {
            1 => self.hides_users,
            2 => self.hides_shared,
            _ => false,
        };
        if !self.admin && (hidden || !entry.is_active() || self.namespace.is_hidden(&name)) {
            return None;
        }
        let external = self.listed(&name)?;
        let rights = self.rights(&name, &entry.acl);
        Some(Seen { name, external, rights, server: entry.server().to_owned() })
    }

    /// What an admin sees: everything, or the admin's domain, or all that begins as the one prefix does; each is one run of
    /// the list.
    fn see_all(&self, prefixes: &[&str], budget: &Budget) -> Result<Vec<Seen>, Unseen> {
        let own = self.namespace.split_user(&self.userid).1;
        let start = match prefixes {
            _ if own.is_some() => own.and_then(|domain| MailboxName::parse(&format!("{domain}!")).ok()),
            [prefix] if !self.namespace.virtdomains => {
                let separator = self.namespace.separator();
                let prefix = match self.utf8 {
                    // What is begun is coded otherwise than the whole.
                    true => prefix.rsplit_once(separator).map_or("", |(whole, _)| whole),
                    false => prefix.trim_end_matches(separator),
                };
                self.namespace.internal(prefix, &self.view()).ok()
            }
            _ => None,
        };
        let mut seen = Vec::new();
        if let Some(start) = &start
            && let Some(entry) = self.list.get(start)?
        {
            seen.extend(self.see(start.clone(), &entry, prefixes));
        }
        let within =
            |name: &MailboxName| start.as_ref().is_none_or(|start| name.as_str().starts_with(start.as_str()));
        let mut after = start.clone();
        loop {
            let page = self.list.scan(after.as_ref(), LIST_PAGE)?;
            after = page.entries.last().map(|(name, _)| name.clone());
            for (name, entry) in page.entries.into_iter().take_while(|(name, _)| within(name)) {
                budget.check()?;
                seen.extend(self.see(name, &entry, prefixes));
            }
            if !page.more || after.as_ref().is_some_and(|last| !within(last)) {
                return Ok(seen);
            }
        }
    }
}

/// What a user sees of all mailboxes.
#[derive(Debug, Default)]
pub struct Sight {
    /// Own ones first, then other users', then shared ones, each in the order of the list.
    pub mailboxes: Vec<Seen>,
    at: HashMap<String, usize>,
    parents: HashSet<String>,
}

impl Sight {
    /// Looks around, as far as names that begin with one of `prefixes` are concerned. Blocks.
    pub fn of(viewer: &Viewer, prefixes: &[&str], budget: &Budget) -> Result<Sight, Unseen> {
        let mut prefixes = prefixes.to_vec();
        prefixes.sort_unstable();
        prefixes.dedup();
        let mailboxes = if viewer.admin {
            viewer.see_all(&prefixes, budget)?
        } else {
            let (inbox, mut seen) = (viewer.inbox.as_ref(), Vec::new());
            for (name, entry) in viewer.list.visible_to(inbox, &viewer.userid, &viewer.groups)? {
                budget.check()?;
                seen.extend(viewer.see(name, &entry, &prefixes));
            }
            seen.sort_by_key(|seen| rank(&seen.name, inbox));
            seen
        };
        Ok(Sight::new(mailboxes, viewer.hierarchy()))
    }

    pub(crate) fn new(mailboxes: Vec<Seen>, hierarchy: Hierarchy) -> Sight {
        let mut parents = HashSet::new();
        for seen in &mailboxes {
            for parent in hierarchy.above(&seen.external) {
                if parents.contains(&*parent) {
                    break;
                }
                parents.insert(parent.into_owned());
            }
        }
        let at = mailboxes.iter().enumerate().map(|(at, seen)| (seen.external.clone(), at)).collect();
        Sight { mailboxes, at, parents }
    }

    pub fn get(&self, external: &str) -> Option<&Seen> {
        self.at.get(external).and_then(|&at| self.mailboxes.get(at))
    }

    /// Whether it is the user's own folder that is called `INBOX` too: what lies below that is shown below the first one.
    pub fn is_second_inbox(&self, external: &str) -> bool {
        let below =
            |seen: &Seen| seen.name.as_str().ends_with(".INBOX") && seen.name.inbox() == seen.name.parent();
        external.ends_with("INBOX") && external != "INBOX" && self.get(external).is_some_and(below)
    }

    pub fn has_children(&self, external: &str) -> bool {
        self.parents.contains(external)
    }
}

/// Whether a name, or one below or above it, can begin with `prefix`.
fn related(external: &str, prefix: &str) -> bool {
    let common = external.len().min(prefix.len());
    match (external.get(..common), prefix.get(..common)) {
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        _ => true,
    }
}

/// Own mailboxes, others', shared ones: the order in which they are shown.
fn rank(name: &MailboxName, inbox: Option<&MailboxName>) -> u8 {
    match inbox {
        Some(inbox) if name == inbox || name.is_below(inbox) => 0,
        _ if name.owner().is_some() => 1,
        _ => 2,
    }
}
