//! Agreement between a backend's list and the MUPDATE master's: what `ctl_mboxlist -m` does, and what a backend does by
//! itself when it could not at its start.
//!
//! The master decides *which server* has a mailbox; the backend decides about its own: which exist, on which partition,
//! with which ACL. With [`Rule::Authoritative`] the backend decides everything.
//!
//! 1. [`Reconciliation::begin`] compares the master's entries for this server with the local ones.
//! 2. Local names that the master does not place here are [`Reconciliation::questions`]: ask it about each
//!    ([`Reconciliation::answer`]), since somebody else may have them.
//! 3. The lists of work are then complete; [`Reconciliation::plans`] say whether so many removals need a yes.
//!
//! Unlike in Cyrus, entries are matched by name, not by order; entries of other servers in the local list are left
//! alone; and a name that the master holds only as a reservation elsewhere never costs a local mailbox its place.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use protocol::{location::Location, name::MailboxName};

use crate::change::Expect;
use crate::entry::{Entry, Flags};
use crate::guard::Plan;

/// An entry as the master tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub active: bool,
    pub location: Location,
    pub acl: Arc<str>,
}

impl Known {
    /// What a change that relies on this asks the master to check.
    pub fn expect(&self) -> Expect {
        let at = self.location.as_str().to_owned();
        if self.active { Expect::Active(at) } else { Expect::Reserved(at) }
    }
}

/// Who wins where both claim to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The master, about the server.
    Ordinary,
    /// The backend, about everything.
    Authoritative,
}

/// A mailbox to be told to the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    pub name: MailboxName,
    pub location: Location,
    pub acl: Arc<str>,
    /// What the master had before; `None`: nothing.
    pub before: Option<Known>,
}

impl Activation {
    /// What must still hold at the master for the activation to be right.
    pub fn expect(&self) -> Expect {
        self.before.as_ref().map_or(Expect::None, Known::expect)
    }
}

/// The work to be done, and what is still to be asked.
#[derive(Debug, Default)]
pub struct Reconciliation {
    /// To be deleted at the master, which places them here where they are not.
    pub removals: Vec<(MailboxName, Known)>,
    /// To be activated at the master.
    pub activations: Vec<Activation>,
    /// To be freed locally of the mark of a move, and activated.
    pub unflags: Vec<Activation>,
    /// To be put away locally: the master has them active on another server.
    pub wipes: Vec<(MailboxName, Location)>,
    /// Left alone: the master has them reserved for another server.
    pub doubtful: Vec<(MailboxName, Location)>,
    asked: VecDeque<(Activation, bool)>,
    local: usize,
    remote: usize,
}

/// One piece of work, as Cyrus's tool prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    Remove(&'a MailboxName),
    Activate(&'a MailboxName),
    Unflag(&'a MailboxName),
    Wipe(&'a MailboxName),
}

impl<'a> Step<'a> {
    fn name(self) -> &'a MailboxName {
        match self {
            Step::Remove(name) | Step::Activate(name) | Step::Unflag(name) | Step::Wipe(name) => name,
        }
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Remove(name) => write!(f, "Remove from MUPDATE: {name}"),
            Step::Activate(name) => write!(f, "Force Activate: {name}"),
            Step::Unflag(name) => write!(f, "Remove remote flag on: {name}"),
            Step::Wipe(name) => write!(f, "Remove Local Mailbox: {name}"),
        }
    }
}

impl Reconciliation {
    /// Compares. `here` is the master's answer to LIST with this server's prefix; `local` the whole local list in key
    /// order. `busy` are names whose reservation belongs to a command under way, which is left to finish.
    pub fn begin(
        here: Vec<(MailboxName, Known)>,
        local: impl IntoIterator<Item = (MailboxName, Entry)>,
        busy: impl Fn(&MailboxName) -> bool,
        rule: Rule,
    ) -> Reconciliation {
        let mut work = Reconciliation { remote: here.len(), ..Reconciliation::default() };
        let known: HashMap<MailboxName, Known> = here.iter().cloned().collect();
        let mut present: HashSet<MailboxName> = HashSet::new();
        for (name, entry) in local.into_iter().filter(|(_, entry)| is_held(entry)) {
            work.local += 1;
            present.insert(name.clone());
            work.compare(name, entry, &known, rule);
        }
        work.removals = here;
        work.removals.retain(|(name, known)| !present.contains(name) && (known.active || !busy(name)));
        work
    }

    fn compare(&mut self, name: MailboxName, entry: Entry, known: &HashMap<MailboxName, Known>, rule: Rule) {
        let before = known.get(&name).cloned();
        let agreed = before
            .as_ref()
            .is_some_and(|known| known.active && known.location == entry.location && known.acl == entry.acl);
        let moving = entry.moving.is_some();
        let elsewhere = before.is_none() && rule == Rule::Ordinary;
        let activation = Activation { name, location: entry.location, acl: entry.acl, before };
        match (elsewhere, moving, agreed) {
            (true, ..) => self.asked.push_back((activation, moving)),
            (false, true, _) => self.unflags.push(activation),
            (false, false, true) => {}
            (false, false, false) => self.activations.push(activation),
        }
    }

    /// The names to FIND at the master.
    pub fn questions(&self) -> Vec<MailboxName> {
        self.asked.iter().map(|(activation, _)| activation.name.clone()).collect()
    }

    /// What the master said of one of them.
    pub fn answer(&mut self, name: &MailboxName, found: Option<Known>) {
        let Some(at) = self.asked.iter().position(|(activation, _)| activation.name == *name) else { return };
        let Some((mut activation, moving)) = self.asked.remove(at) else { return };
        match found {
            Some(found) if found.location.server() != activation.location.server() => {
                let list = if found.active { &mut self.wipes } else { &mut self.doubtful };
                list.push((activation.name, found.location));
            }
            found => {
                // Listed meanwhile, or nowhere.
                activation.before = found;
                let list = if moving { &mut self.unflags } else { &mut self.activations };
                list.push(activation);
            }
        }
    }

    /// Everything that will be done, in the order in which Cyrus's tool tells it: removals as the master listed them, then
    /// one walk through the local list.
    pub fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        let removals = self.removals.iter().map(|(name, _)| Step::Remove(name));
        let activations = self.activations.iter().map(|activation| Step::Activate(&activation.name));
        let unflags = self.unflags.iter().map(|activation| Step::Unflag(&activation.name));
        let wipes = self.wipes.iter().map(|(name, _)| Step::Wipe(name));
        let mut walk: Vec<Step<'_>> = activations.chain(unflags).chain(wipes).collect();
        walk.sort_by_key(|step| step.name());
        removals.chain(walk)
    }

    /// The removals at the master and the local ones, for the guard.
    pub fn plans(&self) -> [Plan; 2] {
        let removals = self.removals.iter().map(|(name, _)| name.clone()).collect();
        let wipes = self.wipes.iter().map(|(name, _)| name.clone()).collect();
        [Plan { held: self.remote, removals }, Plan { held: self.local, removals: wipes }]
    }
}

/// Whether a local entry is a mailbox that this server holds.
fn is_held(entry: &Entry) -> bool {
    let counts = |flags: Flags| !flags.has(Flags::DELETED) && !flags.has(Flags::INTERMEDIATE);
    entry.is_active() && entry.local.as_deref().is_some_and(|local| counts(local.flags))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Local;

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text).unwrap()
    }

    fn at(text: &str) -> Location {
        Location::parse(text).unwrap()
    }

    fn known(active: bool, location: &str, acl: &str) -> Known {
        Known { active, location: at(location), acl: acl.into() }
    }

    fn held(acl: &str) -> Entry {
        Entry::active(at("be1!default"), acl).with_local(Local::default())
    }

    fn said(work: &Reconciliation) -> Vec<String> {
        work.steps().map(|step| step.to_string()).collect()
    }

    #[test]
    fn the_master_wins_about_servers_and_the_backend_about_its_own() {
        let mut moving = held("f\tl\t");
        moving.moving = Some(at("be2!default"));
        let mut tombstone = held("");
        tombstone.local = Some(Arc::new(Local { flags: Flags::DELETED, ..Local::default() }));
        let local = [
            ("same", held("f\tl\t")),
            ("acl", held("f\tlr\t")),
            ("part", held("f\tl\t")),
            ("reserved", held("f\tl\t")),
            ("moving", moving),
            ("new", held("f\tl\t")),
            ("elsewhere", held("f\tl\t")),
            ("wanted", held("f\tl\t")),
            ("remote", Entry::active(at("be2!default"), "")),
            ("dead", tombstone),
        ];
        let here = [
            ("gone", known(true, "be1!default", "")),
            ("creating", known(false, "be1!default", "")),
            ("same", known(true, "be1!default", "f\tl\t")),
            ("acl", known(true, "be1!default", "f\tl\t")),
            ("part", known(true, "be1!other", "f\tl\t")),
            ("reserved", known(false, "be1!default", "")),
            ("moving", known(true, "be1!default", "f\tl\t")),
            ("dead", known(true, "be1!default", "")),
        ];
        let mut work = Reconciliation::begin(
            here.into_iter().map(|(n, k)| (name(n), k)).collect(),
            local.into_iter().map(|(n, e)| (name(n), e)),
            |busy| busy.as_str() == "creating",
            Rule::Ordinary,
        );
        assert_eq!(work.questions(), ["new", "elsewhere", "wanted"].map(name));
        work.answer(&name("new"), None);
        work.answer(&name("elsewhere"), Some(known(true, "be2!default", "")));
        work.answer(&name("wanted"), Some(known(false, "be2!default", "")));
        assert_eq!(
            said(&work),
            [
                "Remove from MUPDATE: gone",
                "Remove from MUPDATE: dead",
                "Force Activate: acl",
                "Remove Local Mailbox: elsewhere",
                "Remove remote flag on: moving",
                "Force Activate: new",
                "Force Activate: part",
                "Force Activate: reserved",
            ]
        );
        assert_eq!(work.doubtful, [(name("wanted"), at("be2!default"))]);
    }

    #[test]
    fn an_authoritative_backend_asks_nobody() {
        let work = Reconciliation::begin(
            vec![],
            [(name("a"), held("")), (name("b"), held(""))],
            |_| false,
            Rule::Authoritative,
        );
        assert!(work.questions().is_empty());
        assert_eq!(said(&work), ["Force Activate: a", "Force Activate: b"]);
    }

    #[test]
    fn a_renamed_server_does_not_lose_its_mail() {
        let local = (0..150).map(|n| (name(&format!("user.u{n}")), held("")));
        let mut work = Reconciliation::begin(vec![], local, |_| false, Rule::Ordinary);
        for question in work.questions() {
            work.answer(&question, Some(known(true, "oldname!default", "")));
        }
        assert_eq!(work.wipes.len(), 150);
        assert!(work.plans()[0].is_safe() && !work.plans()[1].is_safe());
    }
}
