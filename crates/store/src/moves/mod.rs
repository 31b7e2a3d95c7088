//! What a move of mailboxes to another backend needs of the store, on both sides. Who moves what, when it is decided and what
//! is noted of it is not decided here.
//!
//! ```text
//! source                                             destination
//! Mailbox::snapshot ─ Snapshot::whole, ::since ─────► Store::incoming, Incoming::apply     rounds, while mail flows
//!                                                     Store::keep_round                   a round is on disk
//! Store::freeze, the last difference ───────────────► …, Incoming::snapshot
//! Snapshot::digest               ═══ compared ═══     Snapshot::digest
//!                     (the master says whose it is from now on)
//! Frozen::gone_to, Store::give_away                   Store::adopt, Store::finish_adoption
//! Store::purge, Store::take_back                      Store::forget_incoming, if it came to nothing
//! ```
//!
//! - **Gates** keep changes away: of mailboxes, of a user's log, and of the list. Whoever comes to a closed one waits outside of all
//!   locks, and is told that the mailbox has moved, or goes on.
//! - An **incoming copy** lies where the mailbox will, under its unique id. Its header says that it is not this server's: it is in no
//!   list, and a rebuild of the list passes over it.
//! - A **kept copy** is what was given away: it lies where it was, its header says where it went, and so does the store's database,
//!   from which its name is answered with [`crate::StoreError::Moved`].

mod adopt;
mod batch;
mod digest;
mod frozen;
mod give;
mod incoming;
pub(crate) mod kept;
mod snapshot;
mod user;

pub use digest::{Digest, Numbers};
pub use frozen::{Frozen, Held};
pub use incoming::{Incoming, Round};
pub use snapshot::{Difference, Snapshot};
pub use user::UserData;

use protocol::name::MailboxName;

/// One mailbox of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub name: MailboxName,
    /// Names its directory, on both sides.
    pub uniqueid: String,
    /// Of the backend that is asked.
    pub partition: String,
}
