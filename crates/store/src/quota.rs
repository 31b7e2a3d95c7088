//! Quotas: limits at a root, usage below it, kept as mail comes and goes.
//!
//! Limits are in the header of the root's mailbox (or, for a root without one, in the file `quotas`). Usage is counted
//! per mailbox in sled, written at each checkpoint of the commit log; what a crash left behind it is counted anew from
//! the indexes that the playback touched. The usage of a root is the sum of what lies below it, kept in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
};

use protocol::name::MailboxName;
use serde::{Deserialize, Serialize};

use super::{error::StoreError, lock, view::View};

/// Limits of a quota root; none is unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// KiB.
    pub storage: Option<u64>,
    pub message: Option<u64>,
    pub mailbox: Option<u64>,
    /// KiB.
    pub annotation_storage: Option<u64>,
}

/// What is used below a quota root, or by one mailbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes.
    pub storage: u64,
    pub message: u64,
    pub mailbox: u64,
    /// Bytes.
    pub annotation_storage: u64,
}

/// A quota root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    pub limits: Limits,
    pub usage: Usage,
}

impl Usage {
    /// What a mailbox uses.
    pub fn of(view: &View) -> Usage {
        Usage {
            storage: view.bytes,
            message: view.exists() as u64,
            mailbox: 1,
            annotation_storage: view.annotation_bytes,
        }
    }

    fn plus(self, d: Delta) -> Usage {
        Usage {
            storage: self.storage.saturating_add_signed(d.storage),
            message: self.message.saturating_add_signed(d.message),
            mailbox: self.mailbox.saturating_add_signed(d.mailbox),
            annotation_storage: self.annotation_storage.saturating_add_signed(d.annotation_storage),
        }
    }
}

/// A change of usage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delta {
    pub storage: i64,
    pub message: i64,
    pub mailbox: i64,
    pub annotation_storage: i64,
}

impl Delta {
    pub fn between(old: &Usage, new: &Usage) -> Delta {
        let diff = |old: u64, new: u64| (new as i64).wrapping_sub(old as i64);
        Delta {
            storage: diff(old.storage, new.storage),
            message: diff(old.message, new.message),
            mailbox: diff(old.mailbox, new.mailbox),
            annotation_storage: diff(old.annotation_storage, new.annotation_storage),
        }
    }

    pub fn plus(self, other: Delta) -> Delta {
        Delta {
            storage: self.storage.saturating_add(other.storage),
            message: self.message.saturating_add(other.message),
            mailbox: self.mailbox.saturating_add(other.mailbox),
            annotation_storage: self.annotation_storage.saturating_add(other.annotation_storage),
        }
    }

    pub fn negated(self) -> Delta {
        Delta {
            storage: -self.storage,
            message: -self.message,
            mailbox: -self.mailbox,
            annotation_storage: -self.annotation_storage,
        }
    }
}

impl Quota {
    /// Whether usage may grow so. What does not grow is always allowed.
    fn admits(&self, d: Delta) -> bool {
        let used = self.usage.plus(d);
        let fits = |grows: i64, used: u64, limit: Option<u64>| grows <= 0 || limit.is_none_or(|l| used <= l);
        let kib = |limit: Option<u64>| limit.map(|l| l.saturating_mul(1024));
        fits(d.storage, used.storage, kib(self.limits.storage))
            && fits(d.message, used.message, self.limits.message)
            && fits(d.mailbox, used.mailbox, self.limits.mailbox)
            && fits(d.annotation_storage, used.annotation_storage, kib(self.limits.annotation_storage))
    }
}

/// All quota roots of the store, and the usage of each mailbox that changed since the last checkpoint.
#[derive(Default)]
pub struct Quotas {
    roots: Mutex<BTreeMap<MailboxName, Quota>>,
    /// Mailbox id → usage not yet in sled.
    dirty: Mutex<HashMap<String, Option<Usage>>>,
}

impl Quotas {
    /// The nearest root above a name, or itself.
    pub fn root_of(&self, name: &MailboxName) -> Option<MailboxName> {
        let roots = lock(&self.roots);
        let mut at = Some(name.clone()).filter(|_| !roots.is_empty());
        while let Some(name) = at {
            if roots.contains_key(&name) {
                return Some(name);
            }
            at = name.parent();
        }
        None
    }

    pub fn get(&self, root: &MailboxName) -> Option<Quota> {
        lock(&self.roots).get(root).copied()
    }

    /// Sets or (none) removes a root. A new one starts with no usage.
    pub fn set_limits(&self, root: &MailboxName, limits: Option<Limits>) {
        let mut roots = lock(&self.roots);
        match limits {
            Some(limits) => roots.entry(root.clone()).or_default().limits = limits,
            None => drop(roots.remove(root)),
        }
    }

    /// Counts a change, or refuses it where it must fit and does not.
    pub fn add(&self, root: Option<&MailboxName>, delta: Delta, must_fit: bool) -> Result<(), StoreError> {
        let Some(root) = root else { return Ok(()) };
        let mut roots = lock(&self.roots);
        let Some(quota) = roots.get_mut(root) else { return Ok(()) };
        if must_fit && !quota.admits(delta) {
            return Err(StoreError::OverQuota);
        }
        quota.usage = quota.usage.plus(delta);
        Ok(())
    }

    /// Whether a change would fit.
    pub fn admits(&self, root: Option<&MailboxName>, delta: Delta) -> bool {
        root.and_then(|root| self.get(root)).is_none_or(|quota| quota.admits(delta))
    }

    /// Notes what a mailbox uses now (none: it is gone), for the next checkpoint.
    pub fn note(&self, id: &str, usage: Option<Usage>) {
        lock(&self.dirty).insert(id.to_owned(), usage);
    }

    /// What a mailbox uses, where that changed since the last checkpoint.
    pub fn dirty(&self, id: &str) -> Option<Usage> {
        lock(&self.dirty).get(id).copied().flatten()
    }

    /// Takes what changed since the last time.
    pub fn take_dirty(&self) -> HashMap<String, Option<Usage>> {
        std::mem::take(&mut *lock(&self.dirty))
    }
}

impl Usage {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![1];
        for n in [self.storage, self.message, self.mailbox, self.annotation_storage] {
            super::codec::put_number(&mut out, n);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Usage> {
        let mut r = super::codec::Reader(bytes);
        if r.byte().ok()? != 1 {
            return None;
        }
        Some(Usage {
            storage: r.number().ok()?,
            message: r.number().ok()?,
            mailbox: r.number().ok()?,
            annotation_storage: r.number().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text).unwrap()
    }

    #[test]
    fn the_nearest_root_counts_and_shrinking_is_always_allowed() {
        let quotas = Quotas::default();
        quotas.set_limits(&name("user.fred"), Some(Limits { storage: Some(1), ..Limits::default() }));
        quotas.set_limits(&name("user.fred.big"), Some(Limits::default()));
        assert_eq!(quotas.root_of(&name("user.fred.a.b")), Some(name("user.fred")));
        assert_eq!(quotas.root_of(&name("user.fred.big.b")), Some(name("user.fred.big")));
        assert_eq!(quotas.root_of(&name("user.fredo")), None);
        let root = quotas.root_of(&name("user.fred"));
        let kib = |n: i64| Delta { storage: n * 1024, message: 1, ..Delta::default() };
        quotas.add(root.as_ref(), kib(1), true).unwrap();
        assert!(matches!(quotas.add(root.as_ref(), kib(1), true), Err(StoreError::OverQuota)));
        quotas.add(root.as_ref(), kib(1), false).unwrap();
        quotas.add(root.as_ref(), Delta { storage: -1, ..Delta::default() }, true).unwrap();
        assert_eq!(quotas.get(&name("user.fred")).unwrap().usage.message, 2);
    }
}
