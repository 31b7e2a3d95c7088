//! What must hold, looked at with each change.

use std::collections::BTreeMap;

use mailboxes::{Entry, ListId};

use super::State;
use crate::chance;

#[derive(Default)]
pub struct Truth {
    /// The changes of each user's INBOX that were acknowledged.
    pub contents: BTreeMap<String, Vec<u64>>,
    pub violations: Vec<String>,
    /// Moves that came to their good end.
    pub moved: usize,
    /// The list that the master has been told everything of.
    pub agreed: Option<ListId>,
}

/// The master's list and its entry of a name; none while it does not run.
pub type Listed = Option<(ListId, Option<Entry>)>;

impl Truth {
    pub fn wrong(&mut self, what: String) {
        chance::note(|| format!("WRONG: {what}"));
        self.violations.push(what);
    }
}

impl State {
    /// Offers a change to all backends.
    pub fn offer(&mut self, user: &str, change: u64, listed: Listed) {
        let State { sites, truth, .. } = self;
        for (name, site) in sites.iter_mut().filter(|(_, site)| site.accepts(user)) {
            let Some(contents) = site.held.get_mut(user) else { continue };
            let all = truth.contents.entry(user.to_owned()).or_default();
            if contents != all {
                let (has, all) = (contents.len(), all.len());
                truth.wrong(format!("{name} takes a change of {user}, and has {has} of {all} changes"));
            }
            // Taken for acknowledged from the first who takes it.
            contents.push(change);
            if let Some(all) = truth.contents.get_mut(user).filter(|all| all.last() != Some(&change)) {
                all.push(change);
            }
            let agreed = truth.agreed;
            if let Some((list, entry)) = &listed
                && agreed == Some(*list)
                && !entry.as_ref().is_some_and(|entry| entry.is_active() && entry.server() == name)
            {
                truth.wrong(format!("{name} takes a change of {user}, which the master has as {entry:?}"));
            }
        }
    }

    /// Once a list has been told everything, it must not say otherwise any more.
    pub fn note_agreement(&mut self, list: ListId, entries: &BTreeMap<String, Entry>) {
        if self.truth.agreed.is_none() && self.unsettled(entries).is_empty() {
            self.truth.agreed = Some(list);
        }
    }
}
