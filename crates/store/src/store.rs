//! The store itself: what is open, and the ways to a mailbox, a message that comes in, and what is kept for a user.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use arc_swap::ArcSwap;
use config::imapd::Imapd;
use mailboxes::{List, hub::Hub};
use protocol::{
    acl::{Acl, Granting, Rights, Who},
    location::ServerName,
    name::MailboxName,
    namespace::Namespace,
};

use super::{
    blocking, disk,
    duplicate::Duplicates,
    error::StoreError,
    header::SHARED_SEEN,
    journal,
    mailbox::Mailbox,
    marks::tree::Marks,
    master::Master,
    openings::Openings,
    place,
    quota::Quota,
    shared::Shared,
    stage::Staging,
    turns::Turns,
    userlog::{self, Seen, State as UserState, UserLog},
};
use crate::limits::LARGEST_MESSAGE;

/// The store of this backend. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub shared: Arc<Shared>,
    pub list: List,
    pub namespace: Namespace,
    /// As it was when the store was opened: where things are.
    pub imapd: Imapd,
    /// As it is now: what is allowed and made.
    pub policy: ArcSwap<Imapd>,
    pub server: ServerName,
    pub master: Option<Arc<dyn Master>>,
    /// `<configdirectory>/murder/backend`.
    pub dir: PathBuf,
    /// By unique id. Shut: being copied, repaired or removed.
    pub open: Openings<Mailbox>,
    pub users: Openings<UserLog>,
    pub duplicates: Arc<Duplicates>,
    pub marks: Arc<Marks>,
    pub db: disk::Database,
    pub turns: Turns,
    pub journal: journal::Journal,
    pub partitions: place::Partitions,
    /// By user; forgotten at each change.
    pub special_uses: Mutex<HashMap<String, Arc<SpecialUses>>>,
    /// The last UIDVALIDITY given.
    pub uidvalidity: Mutex<u32>,
}

/// Mailboxes of a user with their special uses.
pub type SpecialUses = BTreeMap<MailboxName, Vec<String>>;

impl Store {
    /// The list of mailboxes: what there is, where, and who may do what with it.
    pub fn list(&self) -> &List {
        &self.inner.list
    }

    /// Who waits for news of mailboxes: messages that come, go or change, names, subscriptions. Annotations are told of by those who
    /// set them ([`Hub::tell_annotated`]).
    pub fn hub(&self) -> &Hub {
        &self.inner.shared.hub
    }

    /// How names are written, and whose they are.
    pub fn namespace(&self) -> &Namespace {
        &self.inner.namespace
    }

    /// The settings in force that decide what is allowed and made.
    pub fn policy(&self) -> Arc<Imapd> {
        self.inner.policy.load_full()
    }

    /// Takes over what a reload may change. Partitions and the shape of names stay as they were at the start.
    pub fn reload(&self, imapd: Imapd) {
        self.inner.policy.store(Arc::new(imapd));
    }

    /// What `who` may do with a mailbox of this ACL, with the owner's implicit rights.
    pub fn rights(&self, name: &MailboxName, acl: &str, who: Who<'_>) -> Rights {
        let owner = self.inner.namespace.owner(name).is_some_and(|owner| owner == who.userid);
        self.granting().rights(&Acl::parse(acl), who, owner)
    }

    /// How rights are read and granted.
    pub fn granting(&self) -> Granting {
        let policy = self.policy();
        Granting::new(&policy.implicit_owner_rights, &policy.deleteright)
    }

    /// The open mailbox of a name; opens it where it is not.
    pub async fn mailbox(&self, name: &MailboxName) -> Result<Arc<Mailbox>, StoreError> {
        let entry = self.find(name).await?.ok_or(StoreError::NoMailbox)?;
        self.open_entry(&entry).await
    }

    /// Begins to receive a message that is meant for a mailbox (its partition takes the file of a large one).
    /// `size`: what the sender announced.
    pub async fn stage(&self, mailbox: &MailboxName, size: Option<u64>) -> Result<Staging, StoreError> {
        let limit = match self.policy().maxmessagesize {
            0 => LARGEST_MESSAGE,
            limit => limit.min(LARGEST_MESSAGE),
        };
        if size.is_some_and(|size| size > limit) {
            return Err(StoreError::TooLarge(limit));
        }
        let partition = match self.inner.list.get(mailbox)? {
            Some(entry) => self.partition_path(entry.location.partition().unwrap_or_default())?,
            None => self.inner.imapd.partitions().first().ok_or(StoreError::BadPartition)?.path.clone(),
        };
        self.check_room(&partition, size.unwrap_or(0)).await?;
        Ok(Staging::new(partition, limit))
    }

    /// Subscribes or unsubscribes. What may be subscribed to is the caller's to check.
    pub async fn subscribe(&self, userid: &str, name: &MailboxName, on: bool) -> Result<(), StoreError> {
        let name = name.clone();
        let log = self.user_log(userid).await?;
        let state = log.state();
        if on && !state.subscriptions.contains(&name) {
            self.check_subscriptions(userid, state.subscriptions.len())?;
        }
        let op = if on { userlog::Op::Subscribe(name) } else { userlog::Op::Unsubscribe(name) };
        log.apply(op).await
    }

    /// What is kept for a user: subscriptions, seen states.
    pub async fn user_state(&self, userid: &str) -> Result<Arc<UserState>, StoreError> {
        Ok(self.user_log(userid).await?.state())
    }

    /// Whether the index's \Seen is this user's: the owner's, and everybody's where the mailbox's option says so.
    pub fn seen_is_shared(&self, mailbox: &Mailbox, userid: &str) -> bool {
        if mailbox.header.borrow().options & SHARED_SEEN != 0 {
            return true;
        }
        mailbox.name().ok().and_then(|name| self.inner.namespace.owner(&name)).is_some_and(|o| o == userid)
    }

    /// The seen state of a user for whom [`Store::seen_is_shared`] is false.
    pub async fn seen(&self, userid: &str, uniqueid: &str) -> Result<Seen, StoreError> {
        Ok(self.user_log(userid).await?.state().seen.get(uniqueid).cloned().unwrap_or_default())
    }

    /// Replaces that state; see [`Store::seen`].
    pub async fn set_seen(&self, userid: &str, uniqueid: &str, seen: Seen) -> Result<(), StoreError> {
        self.user_log(userid).await?.apply(userlog::Op::Seen(uniqueid.to_owned(), seen)).await
    }

    /// The quota root above a mailbox, or itself.
    pub fn quota_root(&self, name: &MailboxName) -> Option<MailboxName> {
        self.inner.shared.quotas.root_of(name)
    }

    /// A quota root, as it is counted.
    pub async fn quota(&self, root: &MailboxName) -> Option<Quota> {
        self.count(root).await;
        self.quota_now(root)
    }

    /// As [`Store::quota`], for who has a mailbox of the root open: then it is counted.
    pub fn quota_now(&self, root: &MailboxName) -> Option<Quota> {
        self.inner.shared.quotas.get(root)
    }

    /// Returns when the mailboxes of a quota root are counted that a crash left uncounted.
    pub(crate) async fn count(&self, root: &MailboxName) {
        let (replay, root) = (self.inner.shared.replay.clone(), root.clone());
        if !replay.is_counted(&root) {
            // An error means that the runtime ends.
            let _ = blocking(move || {
                replay.play_root(&root);
                Ok(())
            })
            .await;
        }
    }
}
