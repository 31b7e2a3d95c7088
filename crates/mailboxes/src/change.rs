//! What a commit asks for, and what a replica takes over.

use std::sync::Arc;

use protocol::{
    location::{Location, ServerName},
    mupdate::{position::Position, state::Write},
    name::MailboxName,
};

use crate::{conflict::Conflict, entry::Entry, expect::Expect};

/// One change of one name.
#[derive(Debug, Clone)]
pub struct Change {
    pub name: MailboxName,
    /// What must be there for the change to happen; none asks nothing.
    pub expect: Option<Expect>,
    pub action: Action,
}

#[derive(Debug, Clone)]
pub enum Action {
    /// Stores this entry, whatever was there. The judge sets its `seq`, and its `mtime` where it is 0.
    Put(Box<Entry>),
    /// Removes the entry; a name that is not there is no error.
    Delete,
    /// A MUPDATE write, judged by the state machine.
    Mupdate(Write),
}

impl Change {
    pub fn put(name: MailboxName, entry: Entry) -> Self {
        Change { name, expect: None, action: Action::Put(Box::new(entry)) }
    }

    pub fn delete(name: MailboxName) -> Self {
        Change { name, expect: None, action: Action::Delete }
    }

    pub fn mupdate(name: MailboxName, write: Write) -> Self {
        Change { name, expect: None, action: Action::Mupdate(write) }
    }

    pub fn reserve(name: MailboxName, location: Location) -> Self {
        Self::mupdate(name, Write::Reserve(location))
    }

    pub fn activate(name: MailboxName, location: Location, acl: impl Into<Arc<str>>) -> Self {
        Self::mupdate(name, Write::Activate(location, acl.into()))
    }

    /// About how many octets it carries beside its name.
    pub(crate) fn weight(&self) -> usize {
        match &self.action {
            Action::Put(entry) => entry.acl.len().saturating_add(entry.location.as_str().len()),
            Action::Mupdate(Write::Activate(at, acl)) => acl.len().saturating_add(at.as_str().len()),
            Action::Mupdate(Write::Reserve(at)) => at.as_str().len(),
            Action::Delete | Action::Mupdate(_) => 0,
        }
    }

    pub fn expecting(mut self, expect: Expect) -> Self {
        self.expect = Some(expect);
        self
    }
}

/// What a replica takes over from its upstream.
#[derive(Debug, Clone)]
pub struct Follow {
    /// The new state of each name; none removes it.
    pub changes: Vec<(MailboxName, Option<Entry>)>,
    /// The upstream's position after them. None: the upstream has none (Cyrus), the list numbers by itself.
    pub position: Option<Position>,
    /// With these changes the list is complete up to the position.
    pub complete: bool,
    /// They are what differs from a full listing: what came and went between the positions is not among them.
    pub whole: bool,
}

/// What happened at an authority that several lists propose to, at one position.
#[derive(Debug, Clone)]
pub struct News {
    pub position: Position,
    /// The names that changed at it; each entry has the number of its own last change.
    pub changes: Vec<(MailboxName, Option<Entry>)>,
    /// Servers that take no new mailboxes from then on, or (none) take them again.
    pub cordons: Vec<(ServerName, Option<u64>)>,
    /// Claims of two servers on one mailbox that are remembered, or (none) forgotten.
    pub conflicts: Vec<(MailboxName, Option<Conflict>)>,
    /// They lead there from wherever the list was: what came and went between is not among them.
    pub whole: bool,
}
