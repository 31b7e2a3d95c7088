//! The decision of a move: who has a mailbox, its source or its destination, by one conditional write at the MUPDATE master.
//!
//! The source writes it, and nobody else, so that one process chooses between going on and giving up. What is written is
//! `directory::client`'s; what an answer means is said here.

use protocol::{location::Location, name::MailboxName};

use crate::{
    entry::Entry,
    expect::{AtMaster, Fence},
};

/// A mailbox that is to change its server.
#[derive(Debug, Clone, Copy)]
pub struct Switch<'a> {
    pub root: &'a MailboxName,
    /// Where the master has it, partition included.
    pub from: &'a Location,
    pub to: &'a Location,
    /// What the master has, to be kept.
    pub acl: &'a str,
    /// The change by which the master has it there, noted before the source froze.
    pub fence: Fence,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is the destination's, for good.
    Switched,
    /// It is the source's, and this switch cannot happen any more.
    Kept,
    /// The master has it at neither, or reserved, or (none) not at all. The destination may have had it, and have moved it on
    /// before the source heard: it must be asked. Where it never had it, somebody else has changed the entry, and the copy
    /// of the source is all there is.
    Elsewhere(Option<Location>),
    /// The master has another list than the one that the switch was begun on: what it says proves nothing about it. The
    /// destination must be asked.
    Replaced,
}

impl Switch<'_> {
    /// What an entry means that was read after the number of the switch had passed.
    pub fn read(&self, now: &AtMaster) -> Decision {
        // A list that stands before the number was put back to an earlier day.
        if now.position.list != self.fence.list || now.position.seq < self.fence.seq {
            return Decision::Replaced;
        }
        match &now.entry {
            Some(entry) if entry.is_active() && self.is_at(entry, self.to) => Decision::Switched,
            Some(entry) if entry.is_active() && self.is_at(entry, self.from) => Decision::Kept,
            other => Decision::Elsewhere(other.as_ref().map(|entry| entry.location.clone())),
        }
    }

    /// Which partition a server has it on, that server may have changed since; unless it is what the switch is about.
    fn is_at(&self, entry: &Entry, place: &Location) -> bool {
        match self.from.server() == self.to.server() {
            true => entry.location == *place,
            false => entry.server() == place.server(),
        }
    }
}
