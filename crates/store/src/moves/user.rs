//! What is kept of users across mailboxes, as a move takes it along.
//!
//! The subscriptions, Sieve scripts and annotations of the server of the user whose INBOX moves, and everybody's seen states in the mailboxes that
//! move. What the owner has seen in mailboxes that stay stays, too.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use protocol::{name::MailboxName, ranges::joined};

use super::digest::{Digest, Hasher};
use crate::{
    Store,
    annotations::Setting,
    blocking,
    disk::USERS,
    error::StoreError,
    script::{ScriptOp, UserScripts},
    userlog::{self, Op, Seen, State},
};

/// What a move takes along of users' logs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserData {
    /// Whose INBOX moves; none: a shared mailbox moves.
    pub owner: Option<String>,
    /// The owner's.
    pub subscriptions: BTreeSet<MailboxName>,
    /// The owner's annotations of the server.
    pub annotations: BTreeMap<String, Arc<[u8]>>,
    /// The owner's.
    pub scripts: Arc<UserScripts>,
    /// Seen states in the mailboxes that move: by user and unique id.
    pub seen: BTreeMap<(String, String), Seen>,
}

impl UserData {
    /// What two copies of it are compared by.
    pub fn digest(&self) -> Digest {
        let mut hash = Hasher::new("murder user 1");
        hash.optional(self.owner.as_deref().map(str::as_bytes));
        hash.number(self.subscriptions.len() as u64);
        self.subscriptions.iter().for_each(|name| hash.text(name.as_str()));
        hash.number(self.annotations.len() as u64);
        for (entry, value) in &self.annotations {
            hash.text(entry);
            hash.bytes(value);
        }
        for ((user, id), seen) in &self.seen {
            hash.text(user);
            hash.text(id);
            hash.number(u64::from(seen.recentuid));
            hash.time(seen.lastchange);
            hash.number(seen.uids.len() as u64);
            for (first, last) in &seen.uids {
                hash.number(u64::from(*first));
                hash.number(u64::from(*last));
            }
        }
        // Who has none has the digest of builds that knew none.
        for script in self.scripts.iter() {
            hash.text(script.name.as_str());
            hash.time(script.changed);
            hash.bytes(&script.content);
            hash.number(u64::from(self.scripts.is_active(&script.name)));
        }
        Digest(hash.finish())
    }
}

impl Store {
    /// What there is of users' logs for a move of these mailboxes: all that is the owner's, and everybody's seen states. Looks only
    /// at the logs of those who have one; but the first time in a store that earlier builds have written, at all logs.
    pub async fn user_data(&self, owner: Option<&str>, ids: &[String]) -> Result<UserData, StoreError> {
        let mut data = UserData { owner: owner.map(str::to_owned), ..UserData::default() };
        if let Some(owner) = owner {
            let state = self.user_log(owner).await?.state();
            data.subscriptions = state.subscriptions.clone();
            data.annotations = (*state.annotations).clone();
            data.scripts = state.scripts.clone();
        }
        for (user, ids) in self.seers(ids).await? {
            let state = self.user_log(&user).await?.state();
            for id in ids {
                if let Some(seen) = state.seen.get(&id).filter(|seen| **seen != Seen::default()) {
                    data.seen.insert((user.clone(), id), seen.clone());
                }
            }
        }
        Ok(data)
    }

    /// Takes it over, gates or not: the owner's subscriptions, annotations and scripts as they are there; of each seen state the later one, and
    /// what both say where they are of one second. What is here of a mailbox that was elsewhere is older, whoever left it.
    pub async fn take_user_data(&self, data: &UserData) -> Result<(), StoreError> {
        let mut users: BTreeMap<&str, Vec<Op>> = BTreeMap::new();
        if let Some(owner) = &data.owner {
            let state = self.user_log(owner).await?.state();
            users.insert(owner, owners(data, &state));
        }
        for ((user, id), theirs) in &data.seen {
            let ours = self.user_log(user).await?.state().seen.get(id).cloned().unwrap_or_default();
            users.entry(user).or_default().push(Op::Seen(id.clone(), merged(ours, theirs)));
        }
        for (user, ops) in users {
            self.user_log(user).await?.apply_moved(ops).await?;
        }
        Ok(())
    }

    /// Takes over what a user has seen of a mailbox, as its server says, whatever is here.
    pub async fn take_seen(&self, user: &str, uniqueid: &str, seen: Seen) -> Result<(), StoreError> {
        self.user_log(user).await?.apply_moved(vec![Op::Seen(uniqueid.to_owned(), seen)]).await
    }

    /// Forgets what everybody has seen of a mailbox that is another server's, and what is the owner's whose INBOX it was. What the
    /// owner has seen of others' mailboxes stays.
    pub(super) async fn forget_user_data(&self, owner: Option<&str>, id: &str) -> Result<(), StoreError> {
        let mut users: BTreeMap<String, Vec<Op>> = BTreeMap::new();
        for user in self.seers(&[id.to_owned()]).await?.into_keys() {
            users.entry(user).or_default().push(Op::Seen(id.to_owned(), Seen::default()));
        }
        if let Some(owner) = owner
            && self.has_user_log(owner).await?
        {
            let state = self.user_log(owner).await?.state();
            users.entry(owner.to_owned()).or_default().extend(owners(&UserData::default(), &state));
        }
        for (user, ops) in users {
            self.user_log(&user).await?.apply_moved(ops).await?;
        }
        Ok(())
    }

    /// Users who may have seen states of these mailboxes, and of which.
    async fn seers(&self, ids: &[String]) -> Result<BTreeMap<String, Vec<String>>, StoreError> {
        let (db, users, ids) = (self.inner.db.clone(), self.inner.dir.join(USERS), ids.to_vec());
        blocking(move || {
            if !db.knows_seers()? {
                for (user, noted) in userlog::all_noted(&users)? {
                    db.add_seers(&user, noted.seen.iter())?;
                }
                db.set_knows_seers()?;
            }
            let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for id in ids {
                for user in db.seers(&id)? {
                    found.entry(user).or_default().push(id.clone());
                }
            }
            Ok(found)
        })
        .await
    }
}

/// What makes the owner's state here the one there.
fn owners(data: &UserData, here: &State) -> Vec<Op> {
    let gone = here.subscriptions.difference(&data.subscriptions).cloned().map(Op::Unsubscribe);
    let new = data.subscriptions.difference(&here.subscriptions).cloned().map(Op::Subscribe);
    let setting = |entry: &String, value: Option<&Arc<[u8]>>| Setting {
        entry: entry.clone(),
        user: String::new(),
        value: value.map(|value| value.to_vec()),
    };
    let removed = here.annotations.keys().filter(|entry| !data.annotations.contains_key(*entry));
    let set = data.annotations.iter().filter(|(entry, value)| here.annotations.get(*entry) != Some(value));
    let settings: Vec<Setting> = removed
        .map(|entry| setting(entry, None))
        .chain(set.map(|(entry, value)| setting(entry, Some(value))))
        .collect();
    let annotate = (!settings.is_empty()).then_some(Op::Annotate(settings));
    let scripts = Op::Script(ScriptOp::Replace((*data.scripts).clone()));
    gone.chain(new).chain(annotate).chain((data.scripts != here.scripts).then_some(scripts)).collect()
}

/// The later of two seen states.
fn merged(ours: Seen, theirs: &Seen) -> Seen {
    let recentuid = ours.recentuid.max(theirs.recentuid);
    match theirs.lastchange.cmp(&ours.lastchange) {
        std::cmp::Ordering::Greater => Seen { recentuid, ..theirs.clone() },
        std::cmp::Ordering::Less => Seen { recentuid, ..ours },
        std::cmp::Ordering::Equal => {
            let uids = joined(ours.uids.iter().chain(&theirs.uids).copied().collect());
            Seen { recentuid, lastchange: ours.lastchange, uids }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_seen_states_the_later_one_counts_and_of_one_second_both() {
        let seen =
            |lastchange, recentuid, uids: &[(u32, u32)]| Seen { recentuid, lastchange, uids: uids.to_vec() };
        let old = seen(5, 9, &[(1, 4)]);
        assert_eq!(merged(old.clone(), &seen(6, 3, &[(2, 2)])), seen(6, 9, &[(2, 2)]));
        assert_eq!(merged(old.clone(), &seen(4, 12, &[(2, 9)])), seen(5, 12, &[(1, 4)]));
        assert_eq!(merged(old, &seen(5, 1, &[(3, 3), (5, 6), (9, 9)])), seen(5, 9, &[(1, 6), (9, 9)]));
    }
}
