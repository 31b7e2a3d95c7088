//! Where a list's changes become true: the one place that numbers them, keeps them, and decides their order.
//!
//! ```text
//! requests ─▶ judge ─▶ Group ─▶ propose ─▶ Done: publish, answer
//!                                      ├─▶ Stale: nothing happened; the entries as they are
//!                                      └─▶ Unknown: it may have happened
//! ```
//!
//! A proposer has judged each change by an entry that it saw. The authority compares: where all entries are still as they
//! were seen, the group happens as a whole, else nothing of it does. That is all that keeps several proposers of one
//! list from each other's mailboxes; no lease or clock takes part in it.
//!
//! [`Local`] is a commit log and a database of this process alone. [`Memory`] is for tests; it numbers as a shared
//! database would, one number for all changes of a group. Whatever becomes an authority must pass the contract
//! (`tests/it/contract.rs`). One that other lists propose to as well is [`Shared`]: what they do comes as news.

mod local;
mod memory;
mod shared;

use std::future::Future;

use protocol::{mupdate::position::Position, name::MailboxName};

pub use self::{
    local::Local,
    memory::{Lost, Memory},
    shared::{Beside, Room, Shared},
};
pub use crate::group::{Done, Group, Named, Proposal, is_same};
use crate::{
    entry::Entry,
    error::{Error, Pruned},
};

/// The source of truth of a list.
pub trait Authority: Send + 'static {
    /// Asks for a group of changes. They hold, and survive a power failure, when the answer is [`Outcome::Done`].
    fn propose(&mut self, group: &Group) -> impl Future<Output = Outcome> + Send;

    /// Passes on all entries in key order, as they are at one position, and returns that.
    fn snapshot(
        &self,
        each: impl FnMut(&MailboxName, &Entry) + Send,
    ) -> impl Future<Output = Result<Position, Error>> + Send;

    /// Passes on what changed after a position: each number once, in order, with the names that changed at it and their
    /// entries. Of several changes of a name, at least the last comes, and an entry may be a later one already. Returns
    /// the position up to which everything came.
    fn changes(
        &self,
        after: Position,
        each: impl FnMut(Position, Vec<Named>) + Send,
    ) -> impl Future<Output = Result<Position, Missed>> + Send;

    /// A position that is no less than any that was answered, to whichever proposer, before the call.
    fn barrier(&self) -> impl Future<Output = Result<Position, Error>> + Send;
}

/// What became of a group.
#[derive(Debug, Clone)]
pub enum Outcome {
    Done(Done),
    /// Nothing happened: these names have changed since they were seen, and are so now.
    Stale(Vec<Named>),
    /// Nothing happened, and nothing will: the authority could not be asked, or refused.
    Undone(Error),
    /// Whether it happened is not known. It is no refusal, and must not be answered as one.
    Unknown(Error),
}

/// Why changes cannot be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Missed {
    /// They are too long ago, or of another list.
    #[error(transparent)]
    Pruned(#[from] Pruned),
    #[error(transparent)]
    Unreadable(#[from] Error),
}
