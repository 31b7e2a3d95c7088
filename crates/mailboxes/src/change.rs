//! What a commit asks for, and what a replica takes over.

use std::sync::Arc;

use protocol::{
    location::Location,
    mupdate::{position::Position, state::Write},
    name::MailboxName,
};

use crate::entry::Entry;

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

    pub fn expecting(mut self, expect: Expect) -> Self {
        self.expect = Some(expect);
        self
    }
}

/// The state a change relies on. A place is a server, or a whole location where it holds a `!`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    None,
    Reserved(String),
    Active(String),
}

impl Expect {
    pub fn holds(&self, current: Option<&Entry>) -> bool {
        let at = |entry: &Entry, place: &str| match place.contains('!') {
            true => entry.location.as_str() == place,
            false => entry.server() == place,
        };
        match (self, current) {
            (Expect::None, None) => true,
            (Expect::Reserved(place), Some(entry)) => !entry.is_active() && at(entry, place),
            (Expect::Active(place), Some(entry)) => entry.is_active() && at(entry, place),
            (Expect::None, Some(_)) | (Expect::Reserved(_) | Expect::Active(_), None) => false,
        }
    }

    /// `none`, `reserved@server`, `active@server`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('@') {
            None => (text == "none").then_some(Expect::None),
            Some(("reserved", place)) => Some(Expect::Reserved(place.into())),
            Some(("active", place)) => Some(Expect::Active(place.into())),
            Some(_) => None,
        }
    }
}

impl std::fmt::Display for Expect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Expect::None => f.write_str("none"),
            Expect::Reserved(place) => write!(f, "reserved@{place}"),
            Expect::Active(place) => write!(f, "active@{place}"),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_read_as_they_print_and_compare_servers_or_locations() {
        let entry = Entry::active(Location::parse("be1!default").unwrap(), "");
        for (text, holds) in [
            ("none", false),
            ("active@be1", true),
            ("active@be1!default", true),
            ("active@be1!x", false),
            ("reserved@be1", false),
        ] {
            let expect = Expect::parse(text).unwrap();
            assert_eq!(expect.to_string(), text);
            assert_eq!(expect.holds(Some(&entry)), holds, "{text}");
        }
        assert!(Expect::None.holds(None));
        assert_eq!(Expect::parse("active"), None);
    }
}
