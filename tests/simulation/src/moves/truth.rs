//! What must hold, looked at with each change.

use std::collections::BTreeMap;

use mailboxes::{Entry, ListId};

use super::{
    Canary, State,
    contents::{Change, Contents},
};
use crate::chance;

#[derive(Default)]
pub struct Truth {
    /// What each user has, by what was acknowledged.
    pub contents: BTreeMap<String, Contents>,
    /// In how many places each message may lie in the end.
    places: BTreeMap<u64, Places>,
    /// Which message got which UID, of each user.
    given: BTreeMap<(String, u32), u64>,
    pub violations: Vec<String>,
    /// Moves that came to their good end.
    pub moved: usize,
    /// The list that the master has been told everything of.
    pub agreed: Option<ListId>,
}

/// Below zero while a message was expunged before the client that made it heard of it.
#[derive(Debug, Clone, Copy, Default)]
struct Places {
    least: i64,
    most: i64,
}

/// The master's list and its entry of a name; none while it does not run.
pub type Listed = Option<(ListId, Option<Entry>)>;

impl Truth {
    pub fn wrong(&mut self, what: String) {
        chance::note(|| format!("WRONG: {what}"));
        self.violations.push(what);
    }

    /// A message is in so many places more, or maybe in `most`.
    pub fn counts(&mut self, id: u64, least: i64, most: i64) {
        let places = self.places.entry(id).or_default();
        (places.least, places.most) = (places.least + least, places.most + most);
    }

    /// A client has taken one of a message's places.
    pub fn taken(&mut self, id: u64) {
        self.counts(id, -1, -1);
    }

    /// A client does not know whether it did.
    pub fn maybe_taken(&mut self, id: u64) {
        self.counts(id, -1, 0);
    }

    /// Somebody who knows nothing of copies under way has expunged one.
    fn is_expunged(&mut self, user: &str, uid: u32) {
        let id = self.given.get(&(user.to_owned(), uid));
        if let Some(id) = id.copied() {
            self.taken(id);
        }
    }

    /// What a client was told of its copies: this UID is that message.
    pub fn check_told(&mut self, user: &str, uid: u32, id: u64) {
        let given = self.given.get(&(user.to_owned(), uid)).copied();
        if given != Some(id) {
            self.wrong(format!(
                "a client was told that {user} has message {id} as UID {uid}: it is {given:?}"
            ));
        }
    }

    /// Each message is as often there as it must be.
    pub fn check_places(&mut self) {
        let mut found: BTreeMap<u64, i64> = BTreeMap::new();
        let all = self.contents.values().flat_map(|contents| contents.mail.values());
        all.for_each(|message| *found.entry(message.id).or_default() += 1);
        let places = std::mem::take(&mut self.places);
        for (id, Places { least, most }) in places {
            let there = found.get(&id).copied().unwrap_or(0);
            if !(least..=most).contains(&there) {
                self.wrong(format!("message {id} is there {there} times, not {least} to {most}"));
            }
        }
    }
}

impl State {
    /// Offers a change to all backends, of which one may take it. The UIDs that it is about, if one did.
    pub fn offer(
        &mut self,
        user: &str,
        change: &Change,
        listed: &Listed,
        canary: Option<Canary>,
    ) -> Option<Vec<u32>> {
        let leaks = canary == Some(Canary::GateForgetsLog) && change.is_of_log();
        let State { sites, truth, .. } = self;
        let mut taken: Option<Vec<u32>> = None;
        for (name, site) in
            sites.iter_mut().filter(|(_, site)| site.accepts(user) || leaks && site.serves(user))
        {
            let Some(contents) = site.held.get_mut(user) else { continue };
            let all = truth.contents.entry(user.to_owned()).or_default();
            if taken.is_some() || contents != all {
                let (has, all) = (contents.size(), all.size());
                truth.wrong(format!(
                    "{name} takes a change of {user} ({change:?}), and has {has:?} of {all:?} messages and notes"
                ));
            }
            let uids = contents.change(change);
            // Taken for acknowledged from the first who takes it.
            if taken.is_none() {
                truth.contents.entry(user.to_owned()).or_default().change(change);
                if let Change::Append(ids) = change {
                    let given = uids.iter().zip(ids).map(|(uid, id)| ((user.to_owned(), *uid), *id));
                    truth.given.extend(given);
                }
                if let Change::Expunge(uid) = change
                    && !uids.is_empty()
                {
                    truth.is_expunged(user, *uid);
                }
                taken = Some(uids);
            }
            let agreed = truth.agreed;
            if let Some((list, entry)) = listed
                && agreed == Some(*list)
                && !entry.as_ref().is_some_and(|entry| entry.is_active() && entry.server() == name)
            {
                truth.wrong(format!("{name} takes a change of {user}, which the master has as {entry:?}"));
            }
        }
        taken
    }

    /// Once a list has been told everything, it must not say otherwise any more.
    pub fn note_agreement(&mut self, list: ListId, entries: &BTreeMap<String, Entry>) {
        if self.truth.agreed.is_none() && self.unsettled(entries).is_empty() {
            self.truth.agreed = Some(list);
        }
    }

    /// In the end: what is on the backends is what was acknowledged.
    pub fn check_contents(&mut self) {
        let State { sites, truth, .. } = self;
        let mut wrong = Vec::new();
        for (user, all) in &truth.contents {
            let has = sites.iter().find_map(|(name, site)| Some((name, site.held.get(user)?)));
            if let Some((name, contents)) = has.filter(|(_, contents)| *contents != all) {
                let (has, all) = (contents.size(), all.size());
                wrong.push(format!("{name} has {has:?} of {all:?} messages and notes of {user} in the end"));
            }
        }
        wrong.into_iter().for_each(|what| truth.wrong(what));
        truth.check_places();
    }
}
