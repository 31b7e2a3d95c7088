//! The list in memory: entries in key order, and who may see what.
//!
//! An entry's record keeps its location and ACL as numbers of shared strings. In an ACL the owner's own identifier is
//! replaced by a mark first, so that a million mailboxes of a hundred thousand users share a handful of ACL texts.
//!
//! `seen` holds (identifier, name) for every identifier other than the owner that an ACL grants lookup (`l`): a user's
//! LIST is his own subtree, and what `seen` has for him, for `anyone` and for his groups.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use protocol::{location::Location, name::MailboxName};

use crate::limits::RESERVED_SHOWN;
use crate::{
    blocks::Blocks,
    codec::{DecodeError, Reader, put_number},
    entry::{Entry, state_of},
    intern::Interner,
};

#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Blocks,
    seen: Blocks,
    reserved: Blocks,
    locations: Interner,
    acls: Interner,
    identifiers: Interner,
    /// By ACL: the identifiers, but the owner's, that it grants lookup. Of most ACLs there are none, and then it is not here.
    lookups: HashMap<u32, Arc<BTreeSet<Box<str>>>>,
}

impl Table {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn get(&self, name: &MailboxName) -> Option<Entry> {
        self.decode(name, self.entries.get(&name.key())?)
    }

    pub fn put(&mut self, name: &MailboxName, entry: &Entry) {
        let key = name.key();
        let acl = self.hold_acl(&fold_owner(&entry.acl, name));
        let location = self.locations.hold(entry.location.as_str());
        let mut record = Vec::with_capacity(16);
        record.push(entry.flags());
        put_number(&mut record, u64::from(location));
        put_number(&mut record, u64::from(acl));
        put_number(&mut record, entry.mtime);
        put_number(&mut record, entry.seq);
        entry.encode_extra(&mut record);
        let old = self.entries.insert(&key, &record).and_then(|old| Record::of(&old));
        if entry.is_active() {
            if old.is_some_and(|old| !old.active) {
                self.reserved.remove(&key);
            }
        } else if old.is_none_or(|old| old.active) {
            self.reserved.insert(&key, &[]);
        }
        let before = old.map(|old| old.acl);
        if before != Some(acl) {
            self.see(before, Some(acl), &key);
        }
        if let Some(old) = old {
            self.release(old);
        }
    }

    pub fn remove(&mut self, name: &MailboxName) {
        let key = name.key();
        let Some(old) = self.entries.remove(&key).and_then(|old| Record::of(&old)) else { return };
        if !old.active {
            self.reserved.remove(&key);
        }
        self.see(Some(old.acl), None, &key);
        self.release(old);
    }

    /// The number of a folded ACL, used once more.
    fn hold_acl(&mut self, acl: &str) -> u32 {
        let id = self.acls.hold(acl);
        if self.acls.uses(id) == 1 {
            let lookups = lookups(acl);
            if !lookups.is_empty() {
                self.lookups.insert(id, Arc::new(lookups));
            }
        }
        id
    }

    fn release(&mut self, old: Record) {
        self.acls.release(old.acl);
        self.locations.release(old.location);
        if self.acls.uses(old.acl) == 0 {
            self.lookups.remove(&old.acl);
        }
    }

    /// Entries from `from` on, in key order, until `each` gives false. Keys, because a caller often wants a prefix.
    pub fn scan(&self, from: &[u8], mut each: impl FnMut(&[u8], MailboxName, Entry) -> bool) {
        self.entries.scan(from, |key, record| {
            let Ok(name) = MailboxName::from_key(key) else { return true };
            match self.decode(&name, record) {
                Some(entry) => each(key, name, entry),
                None => true,
            }
        });
    }

    /// Names whose ACL grants lookup to one of `identifiers`, not sorted, perhaps twice.
    pub fn seen_by(&self, identifiers: &[&str]) -> Vec<MailboxName> {
        let mut names = Vec::new();
        for identifier in identifiers {
            let Some(id) = self.identifiers.find(identifier) else { continue };
            let prefix = id.to_be_bytes();
            self.seen.scan(&prefix, |key, _| match key.strip_prefix(&prefix) {
                Some(name) => {
                    names.extend(MailboxName::from_key(name));
                    true
                }
                None => false,
            });
        }
        names
    }

    /// Entries per location text.
    pub fn locations(&self) -> impl Iterator<Item = (&Arc<str>, u32)> {
        self.locations.iter()
    }

    pub fn reserved(&self) -> Vec<MailboxName> {
        let mut names = Vec::new();
        self.reserved.scan(&[], |key, _| {
            names.extend(MailboxName::from_key(key));
            names.len() < RESERVED_SHOWN
        });
        names
    }

    pub fn reserved_count(&self) -> usize {
        self.reserved.len()
    }

    /// Bytes of all tables together.
    pub fn memory(&self) -> usize {
        [&self.entries, &self.seen, &self.reserved].iter().map(|b| b.memory()).sum::<usize>()
            + [&self.locations, &self.acls, &self.identifiers].iter().map(|i| i.memory()).sum::<usize>()
            + self.lookups.values().flat_map(|l| l.iter()).map(|who| who.len() + 16).sum::<usize>()
    }

    fn decode(&self, name: &MailboxName, record: &[u8]) -> Option<Entry> {
        let mut reader = Reader(record);
        let record = Record::decode(&mut reader).ok()?;
        let (moving, local) = Entry::decode_extra(record.flags, &mut reader).ok()?;
        let acl = self.acls.get(record.acl)?;
        Some(Entry {
            state: state_of(record.flags),
            location: Location::parse(self.locations.get(record.location)?).ok()?,
            acl: unfold_owner(acl, name),
            mtime: record.mtime,
            seq: record.seq,
            moving,
            local,
        })
    }

    /// Notes whom a name's new ACL grants lookup, and its old one did not, and the reverse: an ACL of a thousand entries
    /// changes one at a time.
    fn see(&mut self, old: Option<u32>, new: Option<u32>, key: &[u8]) {
        let of = |acl: Option<u32>| acl.and_then(|acl| self.lookups.get(&acl)).cloned();
        let (old, new) = (of(old), of(new));
        if old.is_none() && new.is_none() {
            return;
        }
        let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
        for gone in old.difference(&new) {
            let Some(id) = self.identifiers.find(gone) else { continue };
            self.seen.remove(&[&id.to_be_bytes()[..], key].concat());
            self.identifiers.release(id);
        }
        for added in new.difference(&old) {
            let id = self.identifiers.hold(added);
            self.seen.insert(&[&id.to_be_bytes()[..], key].concat(), &[]);
        }
    }
}

/// Identifiers, but the owner's, that an ACL grants lookup.
fn lookups(acl: &str) -> BTreeSet<Box<str>> {
    let mut found = BTreeSet::new();
    let mut fields = acl.split('\t');
    while let (Some(identifier), Some(rights)) = (fields.next(), fields.next()) {
        let positive = !identifier.starts_with('-') && identifier != OWNER && !identifier.is_empty();
        if positive && rights.contains('l') {
            found.insert(identifier.into());
        }
    }
    found
}

#[derive(Clone, Copy)]
struct Record {
    flags: u8,
    active: bool,
    location: u32,
    acl: u32,
    mtime: u64,
    seq: u64,
}

impl Record {
    fn of(bytes: &[u8]) -> Option<Self> {
        Self::decode(&mut Reader(bytes)).ok()
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flags = r.byte()?;
        let active = state_of(flags) == crate::entry::State::Active;
        Ok(Record {
            flags,
            active,
            location: r.number()? as u32,
            acl: r.number()? as u32,
            mtime: r.number()?,
            seq: r.number()?,
        })
    }
}

/// The ACL with the owner's identifier as a mark, where that loses nothing.
fn fold_owner<'a>(acl: &'a str, name: &MailboxName) -> Cow<'a, str> {
    if acl.contains(OWNER) || acl.starts_with(VERBATIM) {
        return Cow::Owned(format!("{VERBATIM}{acl}"));
    }
    match name.owner().and_then(|owner| renamed(acl, &owner, OWNER)) {
        Some(folded) => Cow::Owned(folded),
        None => Cow::Borrowed(acl),
    }
}

fn unfold_owner(acl: &Arc<str>, name: &MailboxName) -> Arc<str> {
    if let Some(verbatim) = acl.strip_prefix(VERBATIM) {
        return verbatim.into();
    }
    match name.owner().and_then(|owner| renamed(acl, OWNER, &owner)) {
        Some(unfolded) => unfolded.into(),
        None => acl.clone(),
    }
}

/// An ACL with another identifier in place of `from`; none if it does not have that. `from` is not empty.
fn renamed(acl: &str, from: &str, to: &str) -> Option<String> {
    let mut out = String::new();
    // Of the field, and of what is not in `out` yet.
    let (mut begin, mut kept, mut is_identifier) = (0, 0, true);
    // Octet by octet: fields are too short for a search to pay.
    for (at, octet) in acl.bytes().chain([b'\t']).enumerate() {
        if octet != b'\t' {
            continue;
        }
        if is_identifier && acl.get(begin..at) == Some(from) {
            out.reserve(acl.len() + to.len());
            out.push_str(acl.get(kept..begin)?);
            out.push_str(to);
            kept = at;
        }
        (begin, is_identifier) = (at + 1, !is_identifier);
    }
    if kept == 0 {
        return None;
    }
    out.push_str(acl.get(kept..)?);
    Some(out)
}

/// Stands for the owner in a folded ACL.
const OWNER: &str = "\u{1}";
/// Begins a text that is the ACL as it is: one that holds a mark of ours itself.
const VERBATIM: char = '\u{2}';

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text).unwrap()
    }

    fn active(acl: &str) -> Entry {
        Entry { mtime: 1_700_000_000, seq: 5, ..Entry::active(Location::parse("be1!default").unwrap(), acl) }
    }

    #[test]
    fn an_acl_comes_back_byte_for_byte() {
        let mut table = Table::default();
        for (at, acl) in
            ["", "fred\tlrs\t", "fred\tlrs\tanyone\tl\t", "x\tfred\t", "fred", "\u{1}\tl\tfred\tl\t"]
                .iter()
                .enumerate()
        {
            let name = name(&format!("user.fred.{at}"));
            table.put(&name, &active(acl));
            assert_eq!(table.get(&name), Some(active(acl)));
        }
    }

    #[test]
    fn who_sees_what_follows_every_change() {
        let mut table = Table::default();
        let (a, b) = (name("user.fred.a"), name("shared.b"));
        table.put(&a, &active("fred\tlrs\tmary\tlr\tbob\tr\t"));
        table.put(&b, &active("anyone\tlr\t-mary\tl\t"));
        assert_eq!(table.seen_by(&["mary"]), std::slice::from_ref(&a));
        assert_eq!(table.seen_by(&["fred", "bob"]), []);
        assert_eq!(table.seen_by(&["mary", "anyone"]).len(), 2);
        table.put(&a, &active("fred\tlrs\tbob\tl\t"));
        assert_eq!(table.seen_by(&["mary"]), []);
        assert_eq!(table.seen_by(&["bob"]), std::slice::from_ref(&a));
        table.remove(&a);
        assert_eq!(table.seen_by(&["bob"]), []);
        table.put(&b, &Entry { seq: 6, mtime: 1, ..Entry::reserved(Location::parse("be2!x").unwrap()) });
        assert_eq!(table.reserved(), std::slice::from_ref(&b));
        assert_eq!(
            table.locations().map(|(l, n)| (l.to_string(), n)).collect::<Vec<_>>(),
            [("be2!x".into(), 1)]
        );
        table.remove(&b);
        assert_eq!((table.len(), table.reserved_count(), table.locations().count()), (0, 0, 0));
    }

    proptest! {
        #[test]
        fn who_sees_what_is_what_the_last_acl_of_each_mailbox_grants(
            acls in prop::collection::vec(
                (0..3usize, prop::option::weighted(0.8, prop::collection::vec(("-?[ab]|anyone|fred", "[lr]{0,2}"), 0..6))),
                0..20,
            ),
        ) {
            let names = ["user.fred", "user.fred.a", "shared.b"].map(name);
            let (mut table, mut model) = (Table::default(), vec![Vec::new(); names.len()]);
            for (which, acl) in acls {
                let Some(acl) = acl else {
                    table.remove(&names[which]);
                    model[which].clear();
                    continue;
                };
                let text: String = acl.iter().map(|(who, rights)| format!("{who}\t{rights}\t")).collect();
                table.put(&names[which], &active(&text));
                model[which] = acl;
            }
            for who in ["a", "b", "anyone", "fred"] {
                // A user's own mailboxes are found by their names.
                let sees = |(at, acl): &(usize, &Vec<(String, String)>)| {
                    let own = who == "fred" && *at < 2;
                    !own && acl.iter().any(|(identifier, rights)| identifier == who && rights.contains('l'))
                };
                let wanted: BTreeSet<_> =
                    model.iter().enumerate().filter(sees).map(|(at, _)| names[at].clone()).collect();
                let seen = table.seen_by(&[who]);
                prop_assert_eq!(seen.len(), wanted.len());
                prop_assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), wanted);
            }
            names.iter().for_each(|name| table.remove(name));
            prop_assert_eq!((table.seen.len(), table.identifiers.iter().count(), table.lookups.len()), (0, 0, 0));
        }
    }

    #[test]
    fn an_acl_of_many_thousand_entries_changes_one_at_a_time() {
        let entry = |n: usize| format!("u{n:05}\tl\t");
        let acl: String = (0..20_000).map(entry).collect();
        let mut table = Table::default();
        table.put(&name("shared.b"), &active(&acl));
        table.put(&name("shared.b"), &active(&(acl.clone() + &entry(20_000))));
        table.put(&name("shared.b"), &active(acl.strip_prefix(&entry(0)).unwrap()));
        assert_eq!(table.seen.len(), 19_999);
        assert_eq!((table.seen_by(&["u00000"]).len(), table.seen_by(&["u19999"]).len()), (0, 1));
    }

    #[test]
    fn twenty_thousand_users_share_few_texts() {
        let mut table = Table::default();
        for n in 0..20_000 {
            let user = format!("u{n:06}");
            table
                .put(&name(&format!("user.{user}")), &active(&format!("{user}\tlrswipkxtecda\tanyone\tp\t")));
        }
        assert!(table.memory() < 20_000 * 60, "{} bytes an entry", table.memory() / 20_000);
    }
}
