//! Operations on mailboxes: create, delete, rename, ACL, partition, quota. Each that the list shows is cleared with the
//! MUPDATE master: RESERVE, then the disk, then ACTIVATE; what fails is undone.
//!
//! An operation runs as a task of its own: a client that goes away does not leave half of it.

mod acl;
mod autocreate;
mod bounds;
mod create;
mod delete;
mod inherit;
mod quota;
mod rename;
mod rename_user;
mod repartition;
mod special;

use std::{future::Future, sync::Arc};

use mailboxes::{Change, Entry, LIST_PAGE};
use protocol::{
    acl::{Rights, Who},
    location::Location,
    name::MailboxName,
};
use tracing::warn;

use super::{
    Store, blocking,
    error::StoreError,
    gates::Gate,
    header::Header,
    journal::Record,
    master::{MasterError, MasterSession},
    rebuild,
};

pub use acl::AclChange;
pub use create::Create;
pub use quota::FORCED;
pub use rename::Renamed;
pub use special::ENTRY as SPECIAL_USE;

/// Who asks, for the checks of rights.
#[derive(Debug, Clone)]
pub struct Actor {
    pub userid: String,
    pub groups: Vec<String>,
    /// May do everything.
    pub admin: bool,
}

impl Actor {
    /// Somebody who may do all.
    pub fn admin(userid: &str) -> Actor {
        Actor { userid: userid.to_owned(), groups: Vec::new(), admin: true }
    }

    /// A user in no group.
    pub fn user(userid: &str) -> Actor {
        Actor { userid: userid.to_owned(), groups: Vec::new(), admin: false }
    }

    /// As access control lists ask.
    pub fn who(&self) -> Who<'_> {
        Who { userid: &self.userid, groups: &self.groups }
    }
}

/// The master's ear for one operation: none where the node stands alone, or the operation is local.
pub(super) struct Clearance(Option<Box<dyn MasterSession>>);

impl Clearance {
    pub(super) async fn reserve(&mut self, name: &MailboxName, at: &Location) -> Result<(), MasterError> {
        match &mut self.0 {
            Some(session) => session.reserve(name, at).await,
            None => Ok(()),
        }
    }

    pub(super) async fn activate(
        &mut self,
        name: &MailboxName,
        at: &Location,
        acl: &str,
    ) -> Result<(), MasterError> {
        match &mut self.0 {
            Some(session) => session.activate(name, at, acl).await,
            None => Ok(()),
        }
    }

    pub(super) async fn delete(&mut self, name: &MailboxName) -> Result<(), MasterError> {
        match &mut self.0 {
            Some(session) => session.delete(name).await,
            None => Ok(()),
        }
    }

    /// Takes back a reservation or an entry, as far as the master can be reached: the resync does the rest.
    pub(super) async fn withdraw(&mut self, name: &MailboxName) {
        if let Err(error) = self.delete(name).await {
            warn!(%error, mailbox = %name, "the master keeps an entry until the next resync");
        }
    }
}

impl Store {
    /// Asks for the master's ear.
    pub(super) async fn clearance(&self, local_only: bool) -> Result<Clearance, StoreError> {
        match self.inner.master.as_ref().filter(|_| !local_only) {
            Some(master) => Ok(Clearance(Some(master.connect().await?))),
            None => Ok(Clearance(None)),
        }
    }

    /// Runs an operation to its end, whether or not somebody still waits for it.
    pub(crate) async fn to_the_end<T: Send + 'static>(
        &self,
        operation: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        tokio::spawn(operation).await.unwrap_or(Err(StoreError::Closed))
    }

    /// The rights of somebody on an entry: all for admins.
    pub(super) fn rights_of(&self, who: &Actor, name: &MailboxName, entry: &Entry) -> Rights {
        if who.admin {
            return Rights::ALL;
        }
        if self.inner.namespace.is_deleted(name) {
            return Rights::NONE;
        }
        self.rights(name, &entry.acl, who.who())
    }

    /// An active entry of this server, on which somebody needs a right. Without the right to see it, it does not exist.
    pub(super) fn entry_for(
        &self,
        who: &Actor,
        name: &MailboxName,
        need: Rights,
    ) -> Result<Entry, StoreError> {
        let entry = self.inner.list.get(name)?.ok_or_else(|| self.missing(name))?;
        let rights = self.rights_of(who, name, &entry);
        if !rights.contains(need) {
            let seen = rights.contains(Rights::LOOKUP);
            return Err(if seen { StoreError::Denied } else { StoreError::NoMailbox });
        }
        if !entry.is_active() {
            return Err(StoreError::Reserved);
        }
        if entry.server() != self.inner.server.as_str() {
            return Err(StoreError::Elsewhere(entry.server().to_owned()));
        }
        if entry.moving.is_some() {
            return Err(StoreError::NotSupported);
        }
        Ok(entry)
    }

    /// The list's entry of a header.
    pub(super) fn entry_of(&self, partition: &str, header: &Header) -> Result<Entry, StoreError> {
        rebuild::entry(&self.inner.server, partition, header)
    }

    pub(super) async fn commit_list(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        Ok(self.inner.list.commit(changes).await.map(drop)?)
    }

    /// Does the local part of an operation between a record in the journal and its end. `work` ends with the commit of
    /// the list; when it fails, the journal's own rule puts right what was done.
    pub(super) async fn journalled<T>(
        &self,
        record: Record,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        let operation = record.operation.clone();
        let written = blocking(move || store.inner.journal.begin(&record)).await?;
        self.inner.journal.step(&format!("{operation}: begun"));
        let result = work.await;
        self.inner.journal.step(&format!("{operation}: done"));
        if result.is_ok() {
            blocking(move || written.end()).await?;
        } else {
            // What was undone in memory and on disk may be undone again at start.
            let ended = blocking(move || written.end()).await;
            if let Err(error) = ended {
                warn!(%error, "a journal record stays");
            }
        }
        result
    }

    /// All mailboxes below a name, itself included, in key order.
    pub(super) fn subtree(&self, root: &MailboxName) -> Result<Vec<(MailboxName, Entry)>, StoreError> {
        let (mut found, mut after) = (Vec::<(MailboxName, Entry)>::new(), None);
        loop {
            let page = self.inner.list.subtree(root, after.as_ref(), LIST_PAGE)?;
            found.extend(page.entries);
            after = found.last().map(|(name, _)| name.clone());
            if !page.more {
                return Ok(found);
            }
        }
    }

    /// The same on a blocking thread: a user can have very many mailboxes.
    pub(super) async fn subtree_of(
        &self,
        root: &MailboxName,
    ) -> Result<Vec<(MailboxName, Entry)>, StoreError> {
        let (store, root) = (self.clone(), root.clone());
        blocking(move || store.subtree(&root)).await
    }

    /// What operations on a name take turns by: its user, or its topmost mailbox.
    pub(super) fn turn_of(&self, name: &MailboxName) -> String {
        let name = self.inner.namespace.undeleted(name).map_or_else(|| name.clone(), |(old, _)| old);
        match name.inbox() {
            Some(inbox) => inbox.to_string(),
            None => format!(
                "{}!{}",
                name.domain().unwrap_or_default(),
                name.components().next().unwrap_or_default()
            ),
        }
    }

    /// Two places at a time, always in the same order.
    pub(crate) async fn turns_of(
        &self,
        names: &[&MailboxName],
    ) -> Result<Vec<super::turns::Turn>, StoreError> {
        let mut keys: Vec<String> = names.iter().map(|name| self.turn_of(name)).collect();
        keys.sort();
        keys.dedup();
        let mut turns = Vec::new();
        loop {
            // Whoever ends a move needs the turn: what waits for it waits without one.
            self.pass_names(names).await?;
            for key in &keys {
                self.inner.shared.gates.pass(Gate::Tree(key)).await?;
                turns.push(self.inner.turns.take(key).await?);
            }
            match names.iter().all(|name| matches!(self.missing(name), StoreError::NoMailbox)) {
                true => return Ok(turns),
                false => turns.clear(),
            }
        }
    }

    pub(super) fn location(&self, partition: &str) -> Location {
        Location::new(&self.inner.server, partition)
    }

    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.inner.shared.now()).unwrap_or(0)
    }

    /// Rewrites a mailbox's header on a blocking thread.
    pub(crate) async fn edit_header(
        &self,
        entry: &Entry,
        edit: impl FnOnce(&mut Header) + Send + 'static,
    ) -> Result<Arc<Header>, StoreError> {
        let mailbox = self.open_entry(entry).await?;
        blocking(move || {
            mailbox.rewrite_header(edit)?;
            Ok(mailbox.header())
        })
        .await
    }
}
