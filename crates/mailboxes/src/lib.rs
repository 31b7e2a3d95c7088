//! The mailboxes database: which mailbox is where, who may see it, and in which order things changed.
//!
//! Every daemon keeps its own [`List`]: the MUPDATE master and each backend the authoritative one (every commit is on
//! disk before it is answered), slaves and proxies a replica (served from memory, written to disk behind).
//!
//! How it fits together:
//!
//! 1. [`List::commit`] queues [`Change`]s to one writer thread. It checks each against the expectations and the MUPDATE
//!    state machine, writes all that wait as one atomic batch, syncs once, publishes, then answers: group commit.
//! 2. Reads come from compact ordered tables in memory; until these are loaded, from the store itself.
//! 3. Every change gets a number. A subscriber is a cursor into it: [`List::changes_after`], [`List::watch`].
//! 4. A deletion leaves a tombstone under its number, kept by number and age, so that a cursor can resume.
//!
//! The disk format is in [`entry`] and [`store`]; every stored value begins with a format version.

mod behind;
mod blocks;
mod change;
mod codec;
mod conflict;
pub mod dump;
mod entry;
pub mod guard;
mod inner;
mod intern;
mod list;
mod listing;
mod load;
pub mod reconcile;
pub mod signal;
pub mod store;
mod table;
mod window;
mod work;
mod writer;

pub use change::{Action, Change, CommitError, Expect, Follow};
pub use conflict::Conflict;
pub use entry::{Entry, Flags, Local, OldName, State};
pub use list::{
    Bounds, Changes, Error, Failure, List, OpenError, Options, Page, Pending, Pruned, Role, Summary,
};
pub use listing::{Difference, Listing};
pub use protocol::mupdate::position::{ListId, Position};
pub use work::{Spawn, Task};
