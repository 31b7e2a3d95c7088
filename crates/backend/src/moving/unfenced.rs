//! A MUPDATE master of Cyrus, which numbers no change and compares nothing.
//!
//! ```text
//! decide:  FIND root is S's ─▶ DEACTIVATE root "S!part" ─▶ ACTIVATE root "D!part" acl ──┬── OK ─▶ Switched
//!                                                                                       └── no answer: in doubt
//! settle:  FIND, for half a minute ──┬── D has it ─▶ Switched
//!                                    └── S still ─▶ ACTIVATE root "S!part", then D is to give up, on its disk
//! ```
//!
//! The write without an answer may come later than all that. Nobody can exclude it: what is left of the risk stands in
//! docs/OPERATIONS.md.

use mailboxes::{Entry, Fence};
use moves::source::{Outcome, Whose};
use protocol::location::Location;
use protocol::name::MailboxName;
use store::{Master, MasterError, MasterSession, StoreError};
use tokio::time::Instant;
use tracing::warn;

use super::going::{Doubt, Giving};
use crate::limits::{DOUBT, DOUBT_LOOKS};

/// What the master has of a name, with the change that brought it there where it numbers changes.
pub async fn standing(
    master: &mut dyn MasterSession,
    name: &MailboxName,
) -> Result<(Option<Entry>, Option<Fence>), MasterError> {
    match master.status(name).await {
        Err(MasterError::NoFence) => Ok((master.find(name).await?, None)),
        there => there.map(|there| (there.entry.clone(), there.fence())),
    }
}

/// Whether the master says that a mailbox is active at a server.
pub async fn is_at(master: &dyn Master, name: &MailboxName, server: &str) -> Result<bool, MasterError> {
    let mut session = master.connect().await?;
    let (entry, _) = standing(session.as_mut(), name).await?;
    Ok(entry.is_some_and(|entry| entry.is_active() && entry.server() == server))
}

/// Has the master say `at` for a mailbox that it has at `from` still, or nowhere.
pub async fn follow(
    master: &mut dyn MasterSession,
    name: &MailboxName,
    at: &Location,
    acl: &str,
    from: Option<&Location>,
) -> Result<(), StoreError> {
    let is_free = match master.find(name).await? {
        None => true,
        Some(entry) => from.is_some_and(|from| entry.server() == from.server()),
    };
    if is_free {
        master.activate(name, at, acl).await?;
    }
    Ok(())
}

impl Giving {
    /// The decision, by a master that compares nothing; `fence`: the end of a doubt about it.
    pub(super) async fn at_unfenced_master(&mut self, fence: bool) -> Outcome {
        let Some((root, from, to, acl)) = self.places() else {
            return Outcome::Failed("the move's journal lacks a mailbox".to_owned());
        };
        let done = match fence {
            false => self.decide_unfenced(&root, &from, &to, &acl).await,
            true => self.settle_unfenced(&root, &from, &to, &acl).await,
        };
        done.unwrap_or_else(|error| {
            warn!(%error, %root, "waiting for the MUPDATE master's word: changes wait");
            Outcome::Silent
        })
    }

    async fn decide_unfenced(
        &mut self,
        root: &MailboxName,
        from: &Location,
        to: &Location,
        acl: &str,
    ) -> Result<Outcome, MasterError> {
        self.doubt = Doubt::default();
        let mut master = self.moving.master.connect().await?;
        match master.find(root).await? {
            Some(entry) if entry.server() != from.server() => return Ok(Outcome::At(Whose::Neither)),
            Some(entry) if entry.is_active() => master.deactivate(root, from).await?,
            Some(_) | None => {}
        }
        master.activate(root, to, acl).await?;
        Ok(Outcome::At(Whose::Destination))
    }

    async fn settle_unfenced(
        &mut self,
        root: &MailboxName,
        from: &Location,
        to: &Location,
        acl: &str,
    ) -> Result<Outcome, MasterError> {
        let since = *self.doubt.since.get_or_insert_with(Instant::now);
        let mut master = self.moving.master.connect().await?;
        match master.find(root).await? {
            Some(entry) if entry.is_active() && entry.server() == to.server() => {
                return Ok(Outcome::At(Whose::Destination));
            }
            Some(entry) if entry.server() != from.server() => return Ok(Outcome::At(Whose::Neither)),
            Some(_) | None => {}
        }
        if since.elapsed() < DOUBT {
            return Ok(Outcome::Silent);
        }
        self.doubt.looks += 1;
        if self.doubt.looks < DOUBT_LOOKS {
            return Ok(Outcome::Silent);
        }
        master.activate(root, from, acl).await?;
        // Its word, on its disk, is what a late write is worth nothing against.
        Ok(Outcome::OtherList)
    }
}
