//! The mail store: partitions of mailboxes, one file per message, and the operations on them.
//!
//! ```text
//! <partition>/<hash>/<mailbox id>/header      what is known of the mailbox (JSON, checksummed, replaced by rename)
//!                                 index       append-only log: append, flags, expunge, …
//!                                 cache       parsed structures; rebuilt where it is damaged
//!                                 <uid>.      a message
//! <configdirectory>/murder/backend/list.sled  the mailbox list; rebuilt from the headers
//!                                  log.0 .1   the commit log: what is acknowledged but not yet synced in its own file
//!                                  journal/   mailbox operations under way
//!                                  users/     a log per user: subscriptions, seen, …
//! ```
//!
//! A change is written to the commit log, which many changes share and which is synced once for all of them; then to
//! its own file, without a sync; then the view is published and the client gets its OK. When a segment of the log is
//! full, everything is synced and the segment is used again. After a crash the log is played back.

mod codec;
mod deliver;
mod error;
mod header;
mod mailbox;
mod master;
mod ops;
mod quota;
mod record;
mod records;
mod stage;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use config::imapd::Imapd;
use mailboxes::List;
use protocol::{
    acl::{Acl, Rights, Who},
    name::MailboxName,
    namespace::Namespace,
};

pub use deliver::{Delivered, Delivery};
pub use error::StoreError;
pub use header::Header;
pub use mailbox::{Appended, FlagChange, FlagMask, How, Mailbox, NewMessage, Stored};
pub use master::{Answer, Held, Master, MasterError, MasterSession};
pub use ops::{AclChange, Actor, Create, Renamed};
pub use quota::{Limits, Quota, Usage};
pub use record::{Annotation, Record, System};
pub use records::Records;
pub use stage::{Staged, Staging};
pub use view::{Changes, View};

/// The store of this backend. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    list: List,
    namespace: Namespace,
    imapd: Imapd,
}

/// A user's seen state in a mailbox of somebody else's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Messages above are \Recent to the user's next session.
    pub recentuid: u32,
    /// When it last changed, epoch seconds.
    pub lastchange: i64,
    /// Ranges of UIDs seen, ascending, inclusive.
    pub uids: Vec<(u32, u32)>,
}

impl Store {
    /// Opens the store: plays back what a crash left, frees its own reservations. `master`: none stands alone.
    pub async fn open(
        _imapd: &Imapd,
        _namespace: Namespace,
        _master: Option<Arc<dyn Master>>,
    ) -> Result<Store, StoreError> {
        Err(StoreError::Closed)
    }

    /// Finishes what is under way and syncs everything; later changes are refused.
    pub async fn close(&self) {}

    pub fn list(&self) -> &List {
        &self.inner.list
    }

    pub fn namespace(&self) -> &Namespace {
        &self.inner.namespace
    }

    /// What `who` may do with a mailbox of this ACL, with the owner's implicit rights.
    pub fn rights(&self, name: &MailboxName, acl: &str, who: Who<'_>) -> Rights {
        let granted = Acl::parse(acl).rights(who);
        let owned = self.inner.namespace.owner(name).is_some_and(|owner| owner == who.userid);
        let implicit = Rights::parse(&self.inner.imapd.implicit_owner_rights, 'c').unwrap_or_default();
        if owned { granted | implicit } else { granted }
    }

    /// The open mailbox of a name; opens it where it is not.
    pub async fn mailbox(&self, _name: &MailboxName) -> Result<Arc<Mailbox>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Begins to receive a message that is meant for a mailbox (its partition takes the file of a large one).
    /// `size`: what the sender announced.
    pub async fn stage(&self, _mailbox: &MailboxName, _size: Option<u64>) -> Result<Staging, StoreError> {
        Err(StoreError::Closed)
    }

    /// Copies messages to a mailbox, which may be the same one: pairs of UIDs, old and new. `keep`: the flags that go
    /// along; \Seen is that of the shared flags, or of `seen` (UIDs) where the user has a seen state of their own.
    pub async fn copy(
        &self,
        _from: &Mailbox,
        _uids: &[u32],
        _to: &Mailbox,
        _keep: FlagMask,
        _seen: Option<&(dyn Fn(u32) -> bool + Sync)>,
    ) -> Result<Vec<(u32, u32)>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Subscribes or unsubscribes. What may be subscribed to is the caller's to check.
    pub async fn subscribe(&self, _userid: &str, _name: &MailboxName, _on: bool) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    pub async fn subscriptions(&self, _userid: &str) -> Result<BTreeSet<MailboxName>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Whether the index's \Seen is this user's: the owner's, and everybody's where nobody owns the mailbox alone.
    pub fn seen_is_shared(&self, mailbox: &Mailbox, userid: &str) -> bool {
        mailbox.name().ok().and_then(|name| self.inner.namespace.owner(&name)).is_some_and(|o| o == userid)
    }

    /// The seen state of a user for whom [`Store::seen_is_shared`] is false.
    pub async fn seen(&self, _userid: &str, _uniqueid: &str) -> Result<Seen, StoreError> {
        Err(StoreError::Closed)
    }

    pub async fn set_seen(&self, _userid: &str, _uniqueid: &str, _seen: Seen) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    /// The user's own mailboxes with special uses.
    pub async fn special_uses(
        &self,
        _userid: &str,
    ) -> Result<BTreeMap<MailboxName, Vec<String>>, StoreError> {
        Err(StoreError::Closed)
    }

    /// The quota root above a mailbox, or itself.
    pub fn quota_root(&self, _name: &MailboxName) -> Option<MailboxName> {
        None
    }

    pub fn quota(&self, _root: &MailboxName) -> Option<Quota> {
        None
    }

    /// Free and total KiB of each partition, and what GETMETADATA's `freespace` entries say.
    pub fn free_space(&self) -> Vec<(String, u64, u64)> {
        Vec::new()
    }
}
