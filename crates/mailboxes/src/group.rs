//! A group of changes: what the judge makes of requests, what an authority is asked for, and the numbers that it gives.

use protocol::{location::ServerName, mupdate::position::Position, name::MailboxName};

use crate::{conflict::Conflict, entry::Entry, history::History};

/// A name and its entry; none where it is gone.
pub type Named = (MailboxName, Option<Entry>);

/// Changes that were judged together.
#[derive(Debug, Clone)]
pub struct Group {
    /// Where the list stood when they were judged: at this position, everything is as it was seen.
    pub by: Position,
    /// Each name once, in the order in which they were first named.
    pub proposals: Vec<Proposal>,
    /// Names that are left as they were seen, because a request was refused or had nothing to do: that holds only while they are
    /// so still.
    pub witnesses: Vec<Named>,
    /// Claims of two servers on a name that are to be remembered, or (none) to be forgotten.
    pub conflicts: Vec<(MailboxName, Option<Conflict>)>,
    /// Servers that take no new mailboxes from now on, or (none) take them again.
    pub cordons: Vec<(ServerName, Option<u64>)>,
    /// What the list's history becomes where every change has a number of its own, and nothing came between. An
    /// authority with other numbers, or with an identity of its own, keeps to those.
    pub history: History,
    /// When, in epoch seconds.
    pub time: u64,
}

/// What becomes of one name.
#[derive(Debug, Clone)]
pub struct Proposal {
    pub name: MailboxName,
    /// The entry that it was judged by. Its number is what the authority compares. A replica, which judges nothing, leaves
    /// it empty.
    pub seen: Option<Entry>,
    pub new: Option<Entry>,
    /// The number of the change where every change has one of its own.
    pub seq: u64,
}

/// The numbers of a group that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// The list's position with it.
    pub position: Position,
    /// The number of its first change; the others have the next ones, as far as the position's.
    pub first: u64,
    /// Deletions up to this number may be forgotten.
    pub floor: u64,
}

impl Group {
    /// All names that it relies on, and the entries that were seen of them.
    pub fn seen(&self) -> impl Iterator<Item = (&MailboxName, Option<&Entry>)> {
        let proposed = self.proposals.iter().map(|proposal| (&proposal.name, proposal.seen.as_ref()));
        proposed.chain(self.witnesses.iter().map(|(name, seen)| (name, seen.as_ref())))
    }

    /// Whether it gives the list another identity.
    pub fn renames(&self) -> bool {
        !self.history.is_of(self.by)
    }
}

impl Done {
    /// The number of a change that was judged to get `judged`, by a list that stood at `by`.
    pub fn number(&self, by: Position, judged: u64) -> u64 {
        let before = judged.saturating_sub(by.seq);
        self.first.saturating_add(before).saturating_sub(1).min(self.position.seq)
    }

    /// The position of the list after a change that was judged to bring it to `judged`.
    pub fn answer(&self, by: Position, judged: Position) -> Position {
        Position { seq: self.number(by, judged.seq), ..judged }
    }
}

/// Whether a name's entry is the one that was seen: an entry has a number of its own with each change.
pub fn is_same(seen: Option<&Entry>, now: Option<&Entry>) -> bool {
    seen.map(|entry| entry.seq) == now.map(|entry| entry.seq)
}
