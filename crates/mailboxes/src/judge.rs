//! The judge: which of the changes that are asked for may happen, and what they make of the list.
//!
//! Pure: it is given the time, the entries as they are, and the changes; it gives a [`Group`] to propose, or refusals. Each
//! request is judged on top of those before it, and taken as a whole or not at all. What MUPDATE's writes mean is
//! `protocol::mupdate::state`'s; an [`Expect`](crate::Expect) is checked before.

use std::collections::HashMap;

use protocol::{
    location::ServerName,
    mupdate::{
        position::{ListId, Position},
        state::{Next, step},
    },
    name::MailboxName,
};

use crate::{
    change::{Action, Change, Follow, News},
    conflict::Claim,
    cordon::{self, Cordons},
    entry::Entry,
    error::CommitError,
    expect::Expect,
    group::{Done, Group, Proposal},
    history::History,
};

/// What a group of requests amounts to so far.
#[derive(Debug)]
pub(crate) struct Draft {
    pub group: Group,
    /// Where in the group each of the first names is; see [`Draft::place`].
    places: HashMap<MailboxName, usize>,
    /// Each name in the group comes after those before it, as in a listing: whether one is in it shows without a search.
    ascends: bool,
    /// Numbers given, in order, and to which proposal: a name may come twice.
    log: Vec<(u64, usize)>,
    pub claims: Vec<Claim>,
    /// The numbering changed: what subscribers hold is of another list.
    renumbered: bool,
}

/// How far a draft was, and what it held then of the names that were changed again since.
struct Mark {
    position: Position,
    proposals: usize,
    log: usize,
    claims: usize,
    replaced: Vec<(usize, Option<Entry>, u64)>,
}

impl Draft {
    /// Nothing yet, on a list with this history.
    pub fn new(history: History, time: u64) -> Draft {
        let (proposals, witnesses) = (Vec::new(), Vec::new());
        let (conflicts, cordons) = (Vec::new(), Vec::new());
        let group = Group { by: history.position, proposals, witnesses, conflicts, cordons, history, time };
        let (places, log, claims) = (HashMap::new(), Vec::new(), Vec::new());
        Draft { group, places, ascends: true, log, claims, renumbered: false }
    }

    /// Where the list stands with it.
    pub fn position(&self) -> Position {
        self.group.history.position
    }

    /// Judges one request. `current` gives the entry of a name that is not in the draft.
    pub fn judge(
        &mut self,
        changes: Vec<Change>,
        current: impl Fn(&MailboxName) -> Result<Option<Entry>, CommitError>,
    ) -> Result<Position, CommitError> {
        let mut mark = self.mark();
        for change in changes {
            if let Err(error) = self.change(change, &current, &mut mark.replaced) {
                self.back_to(mark);
                return Err(error);
            }
        }
        Ok(self.position())
    }

    /// Takes over an upstream's changes.
    pub fn follow(&mut self, follow: Follow, new_id: impl FnOnce() -> ListId) -> Position {
        let shared = self.move_to(&follow, new_id);
        for (name, entry) in follow.changes {
            if !shared {
                self.group.history.position.seq += 1;
            }
            self.take_over(name, entry);
        }
        self.position()
    }

    /// Takes over what happened at an authority. The entries have its numbers.
    pub fn news(&mut self, news: News, new_id: impl FnOnce() -> ListId) -> Position {
        let (changes, position) = (Vec::new(), Some(news.position));
        self.move_to(&Follow { changes, position, complete: true, whole: news.whole }, new_id);
        for (name, entry) in news.changes {
            let number = entry.as_ref().map(|entry| entry.seq);
            let place = self.take_over(name, entry);
            let new = self.group.proposals.get_mut(place).and_then(|proposal| proposal.new.as_mut());
            if let (Some(number), Some(new)) = (number, new) {
                new.seq = number;
            }
        }
        self.group.cordons.extend(news.cordons);
        self.group.conflicts.extend(news.conflicts);
        self.position()
    }

    /// Makes the history what it is with an upstream's changes. Whether they share one number.
    fn move_to(&mut self, follow: &Follow, new_id: impl FnOnce() -> ListId) -> bool {
        let history = &mut self.group.history;
        match follow.position {
            Some(position) => {
                // An upstream that went back has lost changes: its numbers will mean others from there on.
                if !history.is_of(position) || history.own || position.seq < history.position.seq {
                    self.renumbered = true;
                    history.floor = position.seq;
                }
                if follow.whole {
                    history.jump = position.seq;
                }
                history.own = false;
                history.position = position;
            }
            None if !history.own => {
                history.renumber(new_id());
                self.renumbered = true;
            }
            None => {}
        }
        // Nobody has followed a list that was never complete: its beginning is one change.
        let first = follow.complete && !history.complete;
        if first {
            history.position.seq += u64::from(follow.position.is_none());
            history.floor = history.position.seq;
            self.renumbered = true;
        }
        history.complete |= follow.complete;
        follow.position.is_some() || first
    }

    /// Takes over an entry under the newest number; gives its place.
    fn take_over(&mut self, name: MailboxName, entry: Option<Entry>) -> usize {
        let last = self.group.proposals.last();
        self.ascends &= last.is_none_or(|last| last.name < name);
        let place = if self.ascends { None } else { self.place(&name) };
        let next = self.group.proposals.len();
        self.put(place, name, None, entry);
        place.unwrap_or(next)
    }

    /// Gives the list a new identity.
    pub fn renew(&mut self, id: ListId) -> Position {
        self.group.history.renumber(id);
        self.renumbered = true;
        self.position()
    }

    /// Somebody has dealt with a conflict.
    pub fn settle(&mut self, name: MailboxName) -> Position {
        self.claims.push(Claim::Settled(name));
        self.position()
    }

    /// A server takes no new mailboxes, or takes them again. It has a number, so that who follows hears of it.
    pub fn cordon(
        &mut self,
        server: ServerName,
        cordoned: bool,
        known: &Cordons,
    ) -> Result<Position, CommitError> {
        let time = self.group.time;
        if let Some(change) = cordon::change(known, &self.group.cordons, server, cordoned, time)? {
            self.group.cordons.push(change);
            self.group.history.position.seq += 1;
        }
        Ok(self.position())
    }

    /// Takes over an upstream's cordoned servers, all of them.
    pub fn follow_cordons(&mut self, all: &Cordons, known: &Cordons) -> Position {
        self.group.cordons = cordon::difference(known, all);
        self.position()
    }

    /// What is to be published: the group, and every number that was given with the place of its proposal; none where the
    /// list is numbered anew.
    pub fn finish(self) -> (Group, Option<Vec<(u64, usize)>>) {
        (self.group, (!self.renumbered).then_some(self.log))
    }

    /// It happened, with these numbers.
    pub fn adopt(&mut self, done: &Done) {
        let by = self.group.by;
        self.group.history.floor = done.floor;
        if done.position == self.group.history.position && done.first == by.seq.saturating_add(1) {
            return;
        }
        self.group.history.position = done.position;
        for proposal in &mut self.group.proposals {
            proposal.seq = done.number(by, proposal.seq);
            if let Some(entry) = &mut proposal.new {
                entry.seq = proposal.seq;
            }
        }
        for (seq, _) in &mut self.log {
            *seq = done.number(by, *seq);
        }
    }

    fn change(
        &mut self,
        change: Change,
        current: &impl Fn(&MailboxName) -> Result<Option<Entry>, CommitError>,
        replaced: &mut Vec<(usize, Option<Entry>, u64)>,
    ) -> Result<(), CommitError> {
        self.ascends = false;
        let place = self.place(&change.name);
        let before = match place.and_then(|place| self.group.proposals.get(place)) {
            Some(proposal) => proposal.new.clone(),
            None => current(&change.name)?,
        };
        let next = match decide(&change, before.as_ref(), self.position().list) {
            Ok(next) if before.is_some() || next.is_some() => next,
            decided => {
                // What is not in the draft is left as it was seen.
                if place.is_none() {
                    self.group.witnesses.push((change.name, before));
                }
                return decided.map(drop);
            }
        };
        if let Action::Mupdate(_) = change.action {
            self.claims.extend(claim(&change, before.as_ref(), next.as_ref()));
        }
        self.group.history.position.seq += 1;
        replaced.extend(self.put(place, change.name, before, next));
        Ok(())
    }

    /// Where a name is in the group. Only who asks pays for the table, which then grows to what the group holds.
    fn place(&mut self, name: &MailboxName) -> Option<usize> {
        let new = self.group.proposals.iter().enumerate().skip(self.places.len());
        self.places.extend(new.map(|(place, proposal)| (proposal.name.clone(), place)));
        self.places.get(name).copied()
    }

    /// Notes a name's new entry under the newest number; gives what it replaces of the draft. An entry gets its number
    /// here, and its time where it has none.
    fn put(
        &mut self,
        place: Option<usize>,
        name: MailboxName,
        seen: Option<Entry>,
        mut new: Option<Entry>,
    ) -> Option<(usize, Option<Entry>, u64)> {
        let seq = self.group.history.position.seq;
        if let Some(entry) = &mut new {
            entry.seq = seq;
            if entry.mtime == 0 {
                entry.mtime = self.group.time;
            }
        }
        let known = place.and_then(|place| Some((place, self.group.proposals.get_mut(place)?)));
        if let Some((place, proposal)) = known {
            self.log.push((seq, place));
            let (old, before) =
                (std::mem::replace(&mut proposal.new, new), std::mem::replace(&mut proposal.seq, seq));
            return Some((place, old, before));
        }
        let place = self.group.proposals.len();
        self.log.push((seq, place));
        self.group.proposals.push(Proposal { name, seen, new, seq });
        None
    }

    fn mark(&self) -> Mark {
        Mark {
            position: self.position(),
            proposals: self.group.proposals.len(),
            log: self.log.len(),
            claims: self.claims.len(),
            replaced: Vec::new(),
        }
    }

    /// Undoes what came since.
    fn back_to(&mut self, mark: Mark) {
        self.group.history.position = mark.position;
        self.log.truncate(mark.log);
        self.claims.truncate(mark.claims);
        for (place, new, seq) in mark.replaced.into_iter().rev() {
            if let Some(proposal) = self.group.proposals.get_mut(place) {
                (proposal.new, proposal.seq) = (new, seq);
            }
        }
        for proposal in self.group.proposals.drain(mark.proposals..) {
            self.places.remove(&proposal.name);
            self.group.witnesses.push((proposal.name, proposal.seen));
        }
    }
}

/// The entry after a change of an entry.
fn decide(change: &Change, current: Option<&Entry>, list: ListId) -> Result<Option<Entry>, CommitError> {
    if change.expect.as_ref().is_some_and(|expect| !expect.holds(current, list)) {
        return Err(CommitError::Changed { name: change.name.clone() });
    }
    match &change.action {
        Action::Put(entry) => Ok(Some(Entry::clone(entry))),
        Action::Delete => Ok(None),
        Action::Mupdate(write) => {
            let met = write.meets(current.map(|entry| (entry.is_active(), &entry.location)));
            let next = step(write.clone(), met)
                .map_err(|refusal| CommitError::Refused { name: change.name.clone(), refusal })?;
            Ok(match next {
                Next::Reserved(location) => Some(Entry::reserved(location)),
                Next::Active(location, acl) => Some(Entry::active(location, acl)),
                Next::Gone => None,
            })
        }
    }
}

/// An ACTIVATE that takes an active mailbox from another server is to be shown; a DELETE ends that. Whoever says from whom
/// it takes the mailbox moves it: that is no claim.
fn claim(change: &Change, old: Option<&Entry>, new: Option<&Entry>) -> Option<Claim> {
    let name = change.name.clone();
    let moves = matches!(change.expect, Some(Expect::Active(_)));
    match (old, new) {
        (Some(old), Some(new))
            if !moves && old.is_active() && new.is_active() && old.server() != new.server() =>
        {
            Some(Claim::Taken { name, lost: old.location.clone(), won: new.location.clone() })
        }
        (_, None) => Some(Claim::Settled(name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
