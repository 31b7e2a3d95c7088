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

use crate::entry::{Entry, Flags};
use crate::expect::Expect;
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
        let at = (&self.location).into();
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

/// What else is going on with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Busy {
    /// Nothing: the two lists decide.
    Free,
    /// A command under way has reserved it, and is left to finish.
    Reserving,
    /// A move that is not over has it, coming or going: its journal decides, and nothing is removed, activated, freed of a
    /// mark or put away.
    Moving,
    /// It was given away, to there, and its copy is kept. A master that has it here still has an older list: it is told to
    /// where it went, so that it is at no time said not to exist.
    Given { to: Location },
    /// It came by a move that is over, from this server. A master that has it there still has an older list: it is told,
    /// and nothing is put away.
    Arrived { from: String },
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
    /// To be activated at the master for the server that a move has given them to.
    pub given: Vec<Activation>,
    /// To be freed locally of the mark of a move, and activated.
    pub unflags: Vec<Activation>,
    /// To be put away locally: the master has them active on another server.
    pub wipes: Vec<(MailboxName, Location)>,
    /// Left alone: the master has them reserved for another server.
    pub doubtful: Vec<(MailboxName, Location)>,
    asked: VecDeque<Question>,
    local: usize,
    remote: usize,
}

/// A local mailbox that the master does not place here.
#[derive(Debug)]
struct Question {
    activation: Activation,
    /// It bears the mark of a move.
    moving: bool,
    /// The server that it came from, by a move.
    from: Option<String>,
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
    /// order. `busy` says what else is going on with a name.
    pub fn begin(
        here: Vec<(MailboxName, Known)>,
        local: impl IntoIterator<Item = (MailboxName, Entry)>,
        busy: impl Fn(&MailboxName) -> Busy,
        rule: Rule,
    ) -> Reconciliation {
        let mut work = Reconciliation { remote: here.len(), ..Reconciliation::default() };
        let known: HashMap<MailboxName, Known> = here.iter().cloned().collect();
        let mut present: HashSet<MailboxName> = HashSet::new();
        for (name, entry) in local.into_iter().filter(|(_, entry)| is_held(entry)) {
            work.local += 1;
            present.insert(name.clone());
            match busy(&name) {
                Busy::Moving | Busy::Given { .. } => {}
                Busy::Arrived { from } => work.compare(name, entry, Some(from), &known, rule),
                Busy::Free | Busy::Reserving => work.compare(name, entry, None, &known, rule),
            }
        }
        for (name, known) in here.into_iter().filter(|(name, _)| !present.contains(name)) {
            match busy(&name) {
                Busy::Free => work.removals.push((name, known)),
                Busy::Reserving | Busy::Arrived { .. } if known.active => work.removals.push((name, known)),
                Busy::Given { to } if known.active => {
                    let (acl, before) = (known.acl.clone(), Some(known));
                    work.given.push(Activation { name, location: to, acl, before });
                }
                Busy::Reserving | Busy::Arrived { .. } | Busy::Given { .. } | Busy::Moving => {}
            }
        }
        work
    }

    fn compare(
        &mut self,
        name: MailboxName,
        entry: Entry,
        from: Option<String>,
        known: &HashMap<MailboxName, Known>,
        rule: Rule,
    ) {
        let before = known.get(&name).cloned();
        let agreed = before
            .as_ref()
            .is_some_and(|known| known.active && known.location == entry.location && known.acl == entry.acl);
        let moving = entry.moving.is_some();
        let elsewhere = before.is_none() && rule == Rule::Ordinary;
        let activation = Activation { name, location: entry.location, acl: entry.acl, before };
        match (elsewhere, moving, agreed) {
            (true, ..) => self.asked.push_back(Question { activation, moving, from }),
            (false, true, _) => self.unflags.push(activation),
            (false, false, true) => {}
            (false, false, false) => self.activations.push(activation),
        }
    }

    /// The names to FIND at the master.
    pub fn questions(&self) -> Vec<MailboxName> {
        self.asked.iter().map(|question| question.activation.name.clone()).collect()
    }

    /// What the master said of one of them.
    pub fn answer(&mut self, name: &MailboxName, found: Option<Known>) {
        let at = self.asked.iter().position(|question| question.activation.name == *name);
        let Some(Question { mut activation, moving, from }) = at.and_then(|at| self.asked.remove(at)) else {
            return;
        };
        let is_source = |found: &Known| from.as_deref() == Some(found.location.server());
        match found {
            Some(found) if found.location.server() != activation.location.server() && !is_source(&found) => {
                // What a move has brought is put away by another move only.
                let list = if found.active && from.is_none() { &mut self.wipes } else { &mut self.doubtful };
                list.push((activation.name, found.location));
            }
            found => {
                // Listed meanwhile, or nowhere, or where it came from.
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
        let given = self.given.iter().map(|activation| Step::Activate(&activation.name));
        let unflags = self.unflags.iter().map(|activation| Step::Unflag(&activation.name));
        let wipes = self.wipes.iter().map(|(name, _)| Step::Wipe(name));
        let mut walk: Vec<Step<'_>> = activations.chain(given).chain(unflags).chain(wipes).collect();
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
            |name| if name.as_str() == "creating" { Busy::Reserving } else { Busy::Free },
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
            |_| Busy::Free,
            Rule::Authoritative,
        );
        assert!(work.questions().is_empty());
        assert_eq!(said(&work), ["Force Activate: a", "Force Activate: b"]);
    }

    #[test]
    fn what_a_move_has_under_way_is_left_to_the_move() {
        let mut marked = held("");
        marked.moving = Some(at("be2!default"));
        let local =
            [("coming", held("")), ("going", held("f\tl\t")), ("marked", marked), ("other", held(""))];
        let here = [("gone", known(true, "be1!default", "")), ("going", known(true, "be1!x", ""))];
        for rule in [Rule::Ordinary, Rule::Authoritative] {
            let mut work = Reconciliation::begin(
                here.iter().map(|(n, k)| (name(n), k.clone())).collect(),
                local.iter().map(|(n, e)| (name(n), e.clone())),
                |name| if name.as_str() == "other" { Busy::Free } else { Busy::Moving },
                rule,
            );
            work.questions().iter().for_each(|name| work.answer(name, None));
            assert_eq!(said(&work), ["Force Activate: other"], "{rule:?}");
        }
    }

    #[test]
    fn a_master_that_was_restored_is_told_to_where_a_mailbox_went() {
        let here = [("user.a", known(true, "be1!p", "a\tl\t")), ("user.b", known(false, "be1!p", ""))];
        let mut work = Reconciliation::begin(
            here.iter().map(|(n, k)| (name(n), k.clone())).collect(),
            [],
            |_| Busy::Given { to: at("be2!q") },
            Rule::Ordinary,
        );
        work.questions().iter().for_each(|name| work.answer(name, None));
        let before = Some(known(true, "be1!p", "a\tl\t"));
        let told = Activation { name: name("user.a"), location: at("be2!q"), acl: "a\tl\t".into(), before };
        assert_eq!((work.given, work.removals), (vec![told], vec![]));
    }

    #[test]
    fn what_a_move_brought_is_not_put_away_on_an_older_word_of_the_master() {
        let local = ["user.a", "user.b", "user.c", "user.d"].map(|n| (name(n), held("")));
        let arrived = |_: &MailboxName| Busy::Arrived { from: "be2".into() };
        let mut work = Reconciliation::begin(vec![], local, arrived, Rule::Ordinary);
        let source = known(true, "be2!default", "");
        work.answer(&name("user.a"), Some(source.clone()));
        work.answer(&name("user.b"), Some(known(true, "be3!default", "")));
        work.answer(&name("user.c"), None);
        work.answer(&name("user.d"), Some(known(false, "be2!default", "")));
        assert_eq!(said(&work), ["user.a", "user.c", "user.d"].map(|n| format!("Force Activate: {n}")));
        assert_eq!(work.activations[0].expect(), source.expect());
        assert_eq!(work.doubtful, [(name("user.b"), at("be3!default"))]);
    }

    #[test]
    fn a_renamed_server_does_not_lose_its_mail() {
        let local = (0..150).map(|n| (name(&format!("user.u{n}")), held("")));
        let mut work = Reconciliation::begin(vec![], local, |_| Busy::Free, Rule::Ordinary);
        for question in work.questions() {
            work.answer(&question, Some(known(true, "oldname!default", "")));
        }
        assert_eq!(work.wipes.len(), 150);
        assert!(work.plans()[0].is_safe() && !work.plans()[1].is_safe());
    }
}
