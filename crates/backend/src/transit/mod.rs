//! What comes in from other backends and is not this server's yet: the side of a move that takes.
//!
//! ```text
//! SYNCAPPLY MESSAGE ───────► Uploads            a connection's: messages by their SHA-1
//! SYNCAPPLY LOCAL_MAILBOX ─► Transit::open      the process's: a Copy for each unique id
//!                            Copy::apply        convert: the difference that the store takes; then the checksums are compared
//! MUPDATEPUSH, XCOMMIT ────► Transit::take      whose the copies are is somebody else's to decide
//! ```
//!
//! A copy stays when the connection ends: the source comes back, and goes on. Where it lies on disk, and what of it survives a
//! crash, is the store's ([`store::Incoming`]).

pub mod convert;
mod copy;
mod uploads;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::name::MailboxName;
use protocol::sync::moving::Item;
use protocol::sync::{Code, Guid, Mailbox, Quota};
use store::{Header, Limits, Round, Store, StoreError};

pub use copy::Copy;
pub use uploads::Uploads;

use crate::limits::{COPIES, ROOTS, SEERS, rows};

/// Why something that another backend sent is not done.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The other side knows the case.
    #[error("{0}")]
    Code(Code),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The other side logs the text.
    #[error("{0}")]
    Text(&'static str),
    /// The same, of what is so at the moment.
    #[error("{0}")]
    Said(String),
}

impl From<Code> for Refused {
    fn from(code: Code) -> Refused {
        Refused::Code(code)
    }
}

/// The copies that come in.
#[derive(Default)]
pub struct Transit {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// By unique id.
    copies: BTreeMap<String, Arc<Copy>>,
    /// Moves of unique ids of which nothing has come yet.
    expected: BTreeMap<String, Move>,
    /// Whose seen states the sources of moves have told, by unique id.
    seen: BTreeMap<String, BTreeSet<String>>,
    /// Limits that were told of quota roots. They count from when the mailboxes do.
    quotas: BTreeMap<MailboxName, Quota>,
}

/// Which move a copy belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Of its journal; of one that a Cyrus makes, which has no such id, made of the root.
    pub id: String,
    /// The name whose entry at the master decides: the user's INBOX, or the mailbox itself.
    pub root: MailboxName,
}

impl Move {
    /// The move that Cyrus makes of a mailbox.
    pub fn of_cyrus(name: &MailboxName, store: &Store) -> Move {
        let root = root(name, store);
        // Not the name itself: an id is a name of a file.
        let name: String = root.key().iter().take(29).map(|byte| format!("{byte:02x}")).collect();
        Move { id: format!("{OF_CYRUS}{name}"), root }
    }

    /// Whether a Cyrus makes it.
    pub fn is_of_cyrus(&self) -> bool {
        self.id.starts_with(OF_CYRUS)
    }
}

/// What begins the ids of moves that a Cyrus makes. Those of others are hexadecimal.
const OF_CYRUS: &str = "cyrus-";

/// The INBOX of whoever owns a mailbox, deleted or not; of a shared one it itself.
pub fn root(name: &MailboxName, store: &Store) -> MailboxName {
    let owner = store.namespace().owner(name);
    owner.and_then(|owner| inbox(&owner, store)).unwrap_or_else(|| name.clone())
}

/// A user's INBOX.
pub fn inbox(user: &str, store: &Store) -> Option<MailboxName> {
    store.namespace().inbox(user).ok()
}

impl Transit {
    /// The copy of a unique id.
    pub fn get(&self, uniqueid: &str) -> Option<Arc<Copy>> {
        self.lock().copies.get(uniqueid).cloned()
    }

    /// The copy of a mailbox of this name.
    pub fn named(&self, name: &MailboxName) -> Option<Arc<Copy>> {
        self.lock().copies.values().find(|copy| copy.name() == *name).cloned()
    }

    /// All copies of a move, by the order of names.
    pub fn of(&self, root: &MailboxName) -> Vec<Arc<Copy>> {
        let mut copies: Vec<_> =
            self.lock().copies.values().filter(|copy| copy.of().root == *root).cloned().collect();
        copies.sort_by_key(|copy| copy.name());
        copies
    }

    /// These mailboxes will come, as parts of a move that has a journal. Until then their copies are parts of Cyrus's.
    pub fn expect(&self, of: &Move, uniqueids: impl IntoIterator<Item = String>) {
        let mut inner = self.lock();
        for uniqueid in uniqueids {
            if inner.expected.len() < COPIES || inner.expected.contains_key(&uniqueid) {
                inner.expected.insert(uniqueid, of.clone());
            } else {
                rows::COPIES.met("so many mailboxes are to come in that no other is expected");
            }
        }
    }

    /// Forgets what was to come of a move, and has not. Its copies stay: [`Transit::take`].
    pub fn expect_no_more(&self, id: &str) {
        let mut inner = self.lock();
        let Inner { expected, seen, .. } = &mut *inner;
        expected.retain(|uniqueid, of| {
            if of.id == id {
                seen.remove(uniqueid);
            }
            of.id != id
        });
    }

    /// The move that a mailbox comes by, where that has a journal.
    pub fn expected(&self, uniqueid: &str) -> Option<Move> {
        self.lock().expected.get(uniqueid).cloned()
    }

    /// The copy that a mailbox goes into; it begins where there is none. `of`: the move that it belongs to then.
    ///
    /// # Errors
    /// [`Code::MailboxMoved`]: this server has a mailbox of the name, or of the unique id. [`Code::MailboxNotSupported`]: it is no
    /// mail.
    pub async fn open(&self, store: &Store, of: Move, mailbox: &Mailbox) -> Result<Arc<Copy>, Refused> {
        if let Some(copy) = self.get(mailbox.uniqueid.as_str()) {
            return Ok(copy);
        }
        self.may_come(store, mailbox)?;
        if self.lock().copies.len() >= COPIES {
            rows::COPIES.met("so many mailboxes come in that no other can");
            return Err(Refused::Text("Too many mailboxes come in"));
        }
        let header = convert::header(mailbox, self.limits(&mailbox.name), None);
        let incoming = match store.incoming(&of.id, &mailbox.partition, header).await {
            Err(StoreError::Exists) => return Err(Code::MailboxMoved.into()),
            other => other?,
        };
        let copy = Arc::new(Copy::new(of, mailbox, incoming));
        let mut inner = self.lock();
        // Whoever holds the store's copy is alone.
        inner.copies.insert(mailbox.uniqueid.as_str().to_owned(), copy.clone());
        Ok(copy)
    }

    /// What an earlier move has left here of a mailbox, as a part of this one: a copy that was given away, or one of a move that was
    /// given up. None: there is none.
    pub async fn go_on(
        &self,
        store: &Store,
        of: &Move,
        partition: &str,
        item: &Item,
    ) -> Result<Option<Arc<Copy>>, Refused> {
        if let Some(copy) = self.get(item.uniqueid.as_str()) {
            copy.is_called(&item.name);
            return Ok(Some(copy).filter(|copy| copy.of() == of));
        }
        if self.lock().copies.len() >= COPIES {
            rows::COPIES
                .met("so many mailboxes come in that nothing is looked for that others may go on from");
            return Ok(None);
        }
        let left = match store.resume_incoming(&of.id, partition, item.uniqueid.as_str()).await {
            // Whatever it is, it is none to go on from.
            Err(StoreError::Exists | StoreError::Busy) => return Ok(None),
            other => other?,
        };
        let Some(incoming) = left else { return Ok(None) };
        let copy = Arc::new(Copy::left(of.clone(), item, incoming));
        self.lock().copies.insert(item.uniqueid.as_str().to_owned(), copy.clone());
        Ok(Some(copy))
    }

    /// The copies of a move have these names at the source now.
    pub fn call(&self, items: &[Item]) {
        let inner = self.lock();
        for item in items {
            if let Some(copy) = inner.copies.get(item.uniqueid.as_str()) {
                copy.is_called(&item.name);
            }
        }
    }

    /// Notes that the source of a move has said what a user has seen of a mailbox.
    pub fn heard_of_seen(&self, uniqueid: &str, user: &str) -> Result<(), Refused> {
        let mut inner = self.lock();
        let users = inner.seen.entry(uniqueid.to_owned()).or_default();
        if users.len() >= SEERS && !users.contains(user) {
            rows::SEERS.met("so many users have seen a mailbox that comes in that no other is taken");
            return Err(Refused::Text("Too many users have seen the mailbox"));
        }
        users.insert(user.to_owned());
        Ok(())
    }

    /// Whether it has said so.
    pub fn has_heard_of_seen(&self, uniqueid: &str, user: &str) -> bool {
        self.lock().seen.get(uniqueid).is_some_and(|users| users.contains(user))
    }

    /// Whether a mailbox of which there is no copy may come in: its errors are those of [`Transit::open`].
    pub fn may_come(&self, store: &Store, mailbox: &Mailbox) -> Result<(), Refused> {
        if mailbox.kind.as_deref().is_some_and(|kind| !matches!(kind, "" | "e")) {
            return Err(Code::MailboxNotSupported.into());
        }
        let listed = store.list().get(&mailbox.name).map_err(|error| StoreError::List(error.to_string()))?;
        match listed.is_some() || self.named(&mailbox.name).is_some() {
            true => Err(Code::MailboxMoved.into()),
            false => Ok(()),
        }
    }

    /// Takes up a copy that came before a restart.
    pub fn resume(&self, of: Move, name: MailboxName, incoming: store::Incoming) {
        let uniqueid = incoming.uniqueid().to_owned();
        if let Some(copy) = Copy::resumed(of, name, incoming) {
            self.lock().copies.insert(uniqueid, Arc::new(copy));
        }
    }

    /// Takes a copy out of those that come in: it is to be adopted, or forgotten. [`StoreError::Busy`]: something is being applied.
    pub fn take(&self, copy: &Copy) -> Result<store::Incoming, Refused> {
        let mut inner = self.lock();
        let incoming = copy.take()?;
        inner.copies.remove(copy.uniqueid());
        Ok(incoming)
    }

    /// Limits of a quota root, which count when its mailbox does. Where that comes in already, its copy has them.
    pub async fn set_quota(&self, store: &Store, quota: Quota) -> Result<(), Refused> {
        let name = quota.root.clone();
        {
            let mut inner = self.lock();
            if inner.quotas.len() >= ROOTS && !inner.quotas.contains_key(&name) {
                rows::ROOTS.met("limits of so many quota roots came in that those of no other are kept");
                return Err(Refused::Text("Too many quota roots come in"));
            }
            inner.quotas.insert(name.clone(), quota);
        }
        match self.named(&name) {
            Some(copy) => copy.set_limits(store, self.limits(&name)).await,
            None => Ok(()),
        }
    }

    /// The limits that were told of a quota root.
    pub fn quota(&self, root: &MailboxName) -> Option<Quota> {
        self.lock().quotas.get(root).cloned()
    }

    /// Roots at or below a name of which limits were told.
    pub fn quota_roots(&self, top: &MailboxName) -> Vec<MailboxName> {
        self.lock().quotas.keys().filter(|root| *root == top || root.is_below(top)).cloned().collect()
    }

    /// Forgets limits that count by now, or never will.
    pub fn forget_quota(&self, root: &MailboxName) {
        self.lock().quotas.remove(root);
    }

    pub fn limits(&self, root: &MailboxName) -> Option<Limits> {
        let quota = self.quota(root)?;
        Some(Limits {
            storage: quota.storage,
            message: quota.message,
            mailbox: quota.mailbox,
            annotation_storage: quota.annotation_storage,
        })
    }

    /// Those of these messages that copies of a move have.
    pub async fn messages(&self, root: &MailboxName, wanted: HashSet<Guid>) -> Result<Round, StoreError> {
        if wanted.is_empty() {
            return Ok(Round::new());
        }
        let copies: Vec<_> = self.of(root).into_iter().filter_map(|copy| copy.incoming()).collect();
        let find = move || {
            let (mut wanted, mut found) = (wanted, HashMap::new());
            for incoming in copies {
                let snapshot = incoming.snapshot();
                for record in snapshot.records().iter().chain(snapshot.expunged().iter()) {
                    if wanted.contains(&Guid(record.guid))
                        && let Ok(message) = incoming.message(record.uid)
                    {
                        wanted.remove(&Guid(record.guid));
                        found.insert(record.guid, message);
                    }
                }
                if wanted.is_empty() {
                    break;
                }
            }
            found
        };
        // Messages are looked at by the thousand.
        Ok(work::aside::weighed(usize::MAX, find).await)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether two headers say the same to whoever has the mailbox.
fn is_same(header: &Header, other: &Header) -> bool {
    let bare = |header: &Header| Header { incoming: false, moving: None, ..header.clone() };
    bare(header) == bare(other)
}
